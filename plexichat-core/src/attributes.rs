//! The attributes that plugins are written with, each documented where its example compiles. Their code is
//! `plexichat-macros`, which cannot show an example: it does not know this crate.

/// Registers a struct as a plugin. It stands at the root of the crate, once.
///
/// ```
/// use plexichat::prelude::*;
///
/// #[plexichat::plugin(name = "greeter", permissions(UserDataAccess, PostMessages), category = "fun", tags("chat"))]
/// pub struct Greeter {
///     ctx: Context<Self>,
/// }
///
/// impl Plugin for Greeter {
///     type Config = NoConfig;
///
///     async fn initialize(ctx: Context<Self>, _: NoConfig) -> Result<Self> {
///         Ok(Self { ctx })
///     }
/// }
///
/// #[plexichat::handlers]
/// impl Greeter {
///     /// Greets everybody who says hello.
///     #[on("user_message")]
///     async fn greet(&self, message: &UserMessage) -> Result<()> {
///         if message.text == "hello" {
///             self.ctx.chat().post(Post::new(message.room_id, "Hello!").reply_to(message.message_id)).await?;
///         }
///         Ok(())
///     }
/// }
/// # fn main() {}
/// ```
///
/// # Options
///
/// All may be left out.
///
/// | option | what it says |
/// |---|---|
/// | `provides(Security)` | the roles that the plugin fills; each has a block with [`role`](macro@role) |
/// | `permissions(NetworkAccess, ..)` | what it may do, of the list in [`permission`](mod@crate::permission) |
/// | `name = "my-plugin"` | its name, where that is not the package's name without `plexichat-` |
/// | `category = "productivity"`, `tags("a", "b")` | how people find it; `other` where it says nothing |
/// | `core = "^0.1"` | the versions of this crate that it accepts; those that fit the one it was built with |
/// | `requires("other" = "^1")` | the plugins that it cannot do without |
/// | `emits(ReportReady, "json_name")` | the events that it emits: types made by [`event`](macro@event), and names of events whose data is JSON |
/// | `absolute("/v1/models")` | the absolute paths that it serves |
/// | `scan_message(..)`, `rewrite_message(..)`, `scan_file(..)`, `scan_reply(..)`, `check_login(..)` | the policy of a hook |
///
/// # What it embeds
///
/// Every file below the crate's folders `assets/` and `ui/`, which the host serves at `/ui/<plugin>/<path>` and
/// [`Context::assets`](crate::context::Context::assets) reads, and the texts in `locales/<language>.ftl`, which
/// [`t!`](macro@t) names. Hidden files, symbolic links, files over 5 MiB and names that an address would write differently are
/// compile errors, and so are texts that do not parse and those of other languages that `locales/en.ftl` does not have.
///
/// A file that changed is built in by the next build. Of one that was *added* Cargo knows nothing: `cargo xtask` sees it and touches
/// `src/lib.rs`; where Cargo alone builds, the compliance test `embedded_files_are_up_to_date` says so.
///
/// # The policy of a hook
///
/// | option | what it says | where it says nothing |
/// |---|---|---|
/// | `timeout = "200ms"` | how long a call may take, at most 5 s; for `scan_file` at most 60 s, and a second more for each 10 MiB of the file | `500ms`; `10s` |
/// | `max_bytes = "50MiB"` | for `scan_file` alone: the largest file that the plugin is asked about; a larger one counts as not scanned | `50MiB` |
/// | `on_error = "closed"` | what becomes of the message or the file when the call fails: `closed` refuses it, `quarantine` holds it back, `open` delivers it where the operator says so too | `closed` |
/// | `required` | no message passes while the plugin is disabled | it may be disabled |
/// | `before("other")`, `after("other")` | its place among the plugins with the same hook | by name |
///
/// # What it writes
///
/// The constant `PLEXICHAT_PLUGIN`, a [`Descriptor`](crate::Descriptor), which the linker gathers and a bundle names;
/// [`Registered`](crate::descriptor::Registered), which ties it to the type; a [`Has`](crate::permission::Has) for each
/// permission, so that `ctx.http()` compiles only for a plugin that says `NetworkAccess`:
///
/// ```compile_fail,E0277
/// use plexichat::prelude::*;
///
/// #[plexichat::plugin(name = "curious")]
/// pub struct Curious(HttpClient);
///
/// impl Plugin for Curious {
///     type Config = NoConfig;
///
///     async fn initialize(ctx: Context<Self>, _: NoConfig) -> Result<Self> {
///         Ok(Self(ctx.http())) // plugin `Curious` uses `NetworkAccess` without declaring it
///     }
/// }
/// # fn main() {}
/// ```
pub use plexichat_macros::plugin;

/// Makes the implementation of a role's trait usable by the host and records which methods it has, so that a hook that
/// nobody implements costs nothing. The struct's attribute says `provides(..)` for the same role.
///
/// ```
/// use plexichat::prelude::*;
///
/// #[plexichat::plugin(name = "no-shouting", provides(Security), scan_message(timeout = "100ms", on_error = "open"))]
/// pub struct NoShouting;
///
/// impl Plugin for NoShouting {
///     type Config = NoConfig;
///
///     async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
///         Ok(Self)
///     }
/// }
///
/// #[plexichat::role]
/// impl Security for NoShouting {
///     async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
///         if message.text.chars().any(char::is_lowercase) {
///             return Ok(Verdict::Allow);
///         }
///         Ok(Verdict::Reject(Finding::new("shouting")))
///     }
/// }
/// # fn main() {}
/// ```
///
/// A block may also have `scan_file`, which judges uploads, `scan_reply`, which judges what models say before people see it (whole,
/// or window by window, as `fn reply_mode` says), `check_login`, which judges attempts to sign in, and `fn canaries`, which names samples that the scanner must object
/// to: the host shows them to it at start and every hour, and relies on it no longer where it lets one pass.
///
/// # An AI provider
///
/// Models have the provider's own names; everybody else knows them as `plugin/model`. The host chooses the provider, watches its
/// times, tries again, counts what is used and shows every answer to the scanners.
///
/// ```
/// use plexichat::ai::FinishReason;
/// use plexichat::prelude::*;
///
/// /// Settings of the provider.
/// #[plexichat::config]
/// pub struct Config {
///     /// Key of the service.
///     pub api_key: Secret,
/// }
///
/// #[plexichat::plugin(name = "oracle", provides(AiProvider), permissions(NetworkAccess), category = "productivity")]
/// pub struct Oracle {
///     http: HttpClient,
///     config: Config,
/// }
///
/// impl Plugin for Oracle {
///     type Config = Config;
///
///     async fn initialize(ctx: Context<Self>, config: Config) -> Result<Self> {
///         Ok(Self { http: ctx.http(), config })
///     }
/// }
///
/// #[plexichat::role]
/// impl AiProvider for Oracle {
///     async fn models(&self) -> Result<Vec<Model>, AiError> {
///         Ok(vec![Model::new("delphi-1")])
///     }
///
///     // What comes piece by piece is given on as it comes: `AiStream::new` takes any stream.
///     async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError> {
///         let question = request.turns.last().map(|turn| turn.joined_text()).unwrap_or_default();
///         let asked = self.http.post("https://oracle.example.org/ask").json(&json!({ "question": question }));
///         let answer = asked.header("authorization", &format!("Bearer {}", self.config.api_key.expose())).send().await?;
///         if !answer.is_success() {
///             return Err(AiError::new(AiErrorKind::Unavailable, format!("the oracle says {}", answer.status)));
///         }
///         Ok(AiStream::of([AiDelta::text(answer.text()), AiDelta::finish(FinishReason::Stop)]))
///     }
/// }
/// # fn main() {}
/// ```
///
/// # An interface
///
/// Routes lie below `/api/v1/plugins/<name>`, where `schema config install uninstall enable disable release -` are the server's; a
/// path that the attribute's `absolute(..)` names begins at the server's root. Each route says who may call it.
///
/// ```
/// use std::sync::Arc;
///
/// use plexichat::prelude::*;
///
/// #[plexichat::plugin(name = "dashboard", provides(Interface), absolute("/status.txt"))]
/// pub struct Dashboard;
///
/// impl Plugin for Dashboard {
///     type Config = NoConfig;
///
///     async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
///         Ok(Self)
///     }
/// }
///
/// impl Dashboard {
///     async fn greeting(self: Arc<Self>, call: RouteCall) -> Result<RouteAnswer> {
///         let name = call.parameter("name").unwrap_or("you");
///         RouteAnswer::json(200, &json!({ "greeting": format!("Hello, {name}!") }))
///     }
///
///     async fn status(self: Arc<Self>, _: RouteCall) -> Result<RouteAnswer> {
///         Ok(RouteAnswer::text(200, "well"))
///     }
/// }
///
/// #[plexichat::role]
/// impl Interface for Dashboard {
///     fn register_routes(routes: Routes<Self>) -> Routes<Self> {
///         routes
///             .get("/greeting/{name}", Auth::User, Self::greeting) // /api/v1/plugins/dashboard/greeting/Ada
///             .get("/status.txt", Auth::Public, Self::status)
///     }
/// }
/// # fn main() {
/// # assert_eq!((PLEXICHAT_PLUGIN.entry.routes)().len(), 2);
/// # }
/// ```
///
/// # What it writes
///
/// `#[async_trait]` on the block, and an inherent constant that the descriptor reads: `PLEXICHAT_SECURITY`, a
/// [`SecurityRole`](crate::descriptor::SecurityRole), `PLEXICHAT_AI_PROVIDER` or `PLEXICHAT_INTERFACE`.
pub use plexichat_macros::role;

/// Makes a struct a plugin's settings.
///
/// ```
/// use plexichat::prelude::*;
///
/// /// Settings of the dice.
/// #[plexichat::config]
/// pub struct Config {
///     /// How many sides a die has.
///     #[garde(range(min = 2, max = 100))]
///     #[serde(default = "six")]
///     pub sides: u8,
///     /// The key of the service that throws them.
///     pub api_key: Secret,
/// }
///
/// fn six() -> u8 {
///     6
/// }
/// # fn main() {}
/// ```
///
/// Every field is documented: operators read it as the manual, and it becomes the schema's description. Unknown keys are
/// refused. `#[serde(..)]` and `#[schemars(..)]` work as ever; other derives go below this attribute.
///
/// # Rules
///
/// `#[garde(..)]` on a field names what must hold; the same rules appear in the schema.
///
/// | rule | what must hold |
/// |---|---|
/// | `range(min = 1, max = 600)`, `range(equal = 5)` | a number lies within |
/// | `length(min = 1, max = 80)`, `length(chars, max = 80)` | a text or list is so long; texts in bytes, or in `chars` or `utf16` |
/// | `ascii`, `alphanumeric`, `contains("x")`, `prefix("x")`, `suffix("x")` | a text is so |
/// | `ip`, `ipv4`, `ipv6` | a text is an address |
/// | `required` | an `Option` is there |
/// | `matches(other_field)` | it is the same as another field |
/// | `inner(..)` | every element keeps these rules |
/// | `dive` | a value of another such type keeps its own |
/// | `custom(check)` | `fn check(value: &T) -> Result<(), impl Display>` finds nothing; on the struct it gets the whole |
///
/// # What it writes
///
/// `Debug` and `Clone` where they are not there, `Serialize`, `Deserialize` and `JsonSchema` with the paths by which a
/// plugin reaches them, and garde's `Validate`.
pub use plexichat_macros::config;

/// Makes a struct or enum cross the boundary between people and plugins: a command's arguments, and their parts.
///
/// ```
/// /// What `/roll` takes: `/roll 2`, `/roll 2 20`, `/roll sides=20`.
/// #[plexichat::model]
/// pub struct RollArgs {
///     /// How many dice.
///     #[garde(range(min = 1, max = 20))]
///     #[serde(default = "one")]
///     pub count: u8,
///     /// How many sides each has.
///     pub sides: Option<u8>,
/// }
///
/// fn one() -> u8 {
///     1
/// }
/// # fn main() {
/// use plexichat::command::Model;
/// assert_eq!(RollArgs::FIELDS, ["count", "sides"]);
/// # }
/// ```
///
/// Writes what [`config`](macro@config) writes, with the same rules, and [`Model`](crate::command::Model) for a struct
/// whose fields have names.
pub use plexichat_macros::model;

/// Says which methods the host calls: [`#[on(..)]`](#events) for events, [`#[command(..)]`](#commands) for commands,
/// [`#[tool(..)]`](#tools) for models. One block for each plugin; its other methods are nobody's business.
///
/// # Events
///
/// `#[on("user_message")]` with the event's own type lends its data; several names, or `*` for all events, take
/// [`&Event`](crate::event::Event). The server's events are in [`event::catalog`](crate::event::catalog); a plugin's are
/// `custom.<name>`. Events that carry what people wrote need the permission `UserDataAccess`. A plugin does not see its own
/// events unless it says `#[on("..", own)]`.
///
/// # Commands
///
/// `#[command("roll")]` answers `/roll` with a [`CommandReply`](crate::command::CommandReply). The arguments are a
/// [`model`](macro@model); a command without them takes the call alone, whose `arguments` are the text behind the name. The
/// documentation is the help that people read.
///
/// ```
/// use plexichat::prelude::*;
/// # #[plexichat::plugin(name = "dice", permissions(UserDataAccess))]
/// # pub struct Dice;
/// # impl Plugin for Dice {
/// #     type Config = NoConfig;
/// #     async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> { Ok(Self) }
/// # }
/// # #[plexichat::model]
/// # pub struct RollArgs { sides: Option<u8> }
/// #[plexichat::handlers]
/// impl Dice {
///     #[on("message_received")]
///     async fn count(&self, message: &MessageReceived) -> Result<()> {
///         # let _ = message;
///         Ok(())
///     }
///
///     #[on("plugin_enabled", "plugin_disabled")]
///     async fn audit(&self, event: &Event) -> Result<()> {
///         println!("{}", event.name);
///         Ok(())
///     }
///
///     /// Rolls a die.
///     #[command("roll")]
///     async fn roll(&self, call: CommandCall, args: RollArgs) -> Result<CommandReply> {
///         let sides = args.sides.unwrap_or(6);
///         Ok(CommandReply::text(format!("{} rolls a die of {sides}", call.author.name)))
///     }
/// }
/// # fn main() {
/// # assert_eq!(PLEXICHAT_PLUGIN.commands[0].help, "Rolls a die.");
/// # }
/// ```
///
/// # Tools
///
/// `#[tool("forecast")]` is a function that models may call for whoever they answer, as `<plugin>__forecast`. Its documentation is
/// what a model reads; the schema of its arguments comes from their type, a [`model`](macro@model), and they are checked before it
/// is called. `approval` says whether a person is asked first: `"never"` for what only looks something up, `"first_use"`, or
/// `"always"`, as where nothing is said. An operator or a room may ask for more.
///
/// ```
/// use plexichat::prelude::*;
/// # #[plexichat::plugin(name = "weather")]
/// # pub struct Weather;
/// # impl Plugin for Weather {
/// #     type Config = NoConfig;
/// #     async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> { Ok(Self) }
/// # }
/// /// Of which place.
/// #[plexichat::model]
/// pub struct Place {
///     /// A town.
///     pub town: String,
/// }
///
/// #[plexichat::handlers]
/// impl Weather {
///     /// Says what the weather of a town will be.
///     #[tool("forecast", approval = "never")]
///     async fn forecast(&self, call: ToolCall, args: Place) -> Result<ToolAnswer> {
///         // What a tool does it does with the rights of whoever asked the model.
///         let who = call.caller.actor().map_or("somebody", |actor| &*actor.name);
///         Ok(json!({ "town": args.town, "weather": "rain", "for": who }).into())
///     }
/// }
/// # fn main() {
/// # assert_eq!(PLEXICHAT_PLUGIN.tools[0].help, "Says what the weather of a town will be.");
/// # }
/// ```
///
/// # What it writes
///
/// The inherent constant `PLEXICHAT_HANDLERS`, a [`Handlers`](crate::descriptor::Handlers), which the descriptor reads.
pub use plexichat_macros::handlers;

/// Makes a type the data of a plugin's own event: on the wire it is `custom.<name>`.
///
/// ```
/// use plexichat::event::Payload;
///
/// /// A report can be read.
/// #[plexichat::event("report_ready")]
/// pub struct ReportReady {
///     /// How long it is.
///     pub rows: u64,
/// }
/// # fn main() {
/// assert_eq!(ReportReady::NAME, "custom.report_ready");
/// # }
/// ```
///
/// The plugin that emits it says `emits(ReportReady)` in its attribute. `schema_version = 2` behind the name counts changes
/// of the data's shape; unknown keys are passed over, since an event may come from a newer version.
///
/// # What it writes
///
/// `Debug` and `Clone` where they are not there, `Serialize`, `Deserialize`, `JsonSchema`, and
/// [`Payload`](crate::event::Payload).
pub use plexichat_macros::event;

/// Makes an `async fn` a test on a runtime of the test kit; needs the feature `testing`.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # mod example {
/// use plexichat::testing::TestResult;
///
/// #[plexichat::test]
/// async fn waits() -> TestResult {
///     let answer = async { "42" }.await;
///     assert_eq!(answer.parse::<u8>()?, 42);
///     Ok(())
/// }
/// # }
/// # fn main() {}
/// ```
///
/// # What it writes
///
/// A `#[test]` that hands the body to `plexichat::testing::run`.
pub use plexichat_macros::test;

/// A text by its key, checked while the plugin is built: `t!("up-since", time = self.started)`.
///
/// The key and its variables are those of `locales/en.ftl` in the plugin's crate. An unknown key, a variable that the text uses
/// and the call does not give, and one that the text does not use are compile errors. What stands there is any `Display`;
/// `name` alone is `name = name`. The value is a [`Text`](crate::text::Text), which the host shows in whatever language is read.
///
/// ```ignore
/// // locales/en.ftl has `greeting = Hello, { $name }!`
/// gui.menu_item("board", t!("board"), "ui/board.html");
/// GuiReply::Notice { text: t!("greeting", name = caller.name) }
/// ```
pub use plexichat_macros::t;
