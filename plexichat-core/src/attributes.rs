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
/// | `scan_message(..)`, `rewrite_message(..)`, `scan_file(..)` | the policy of a hook |
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
/// A block may also have `scan_file`, which judges uploads, and `fn canaries`, which names samples that the scanner must object
/// to: the host shows them to it at start and every hour, and relies on it no longer where it lets one pass.
///
/// # What it writes
///
/// `#[async_trait]` on the block, and the inherent constant `PLEXICHAT_SECURITY`, a
/// [`SecurityRole`](crate::descriptor::SecurityRole), which the descriptor reads.
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

/// Says which methods the host calls: [`#[on(..)]`](#events) for events, [`#[command(..)]`](#commands) for commands. One
/// block for each plugin; its other methods are nobody's business.
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
