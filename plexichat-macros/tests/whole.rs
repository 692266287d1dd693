//! A plugin that uses every attribute, in a crate whose only dependency is the SDK and which forbids unsafe code.
#![forbid(unsafe_code)]
#![deny(warnings)]
#![allow(missing_docs, reason = "a test's items are nobody's business")]

use plexichat::prelude::*;

/// Settings.
#[plexichat::config]
#[derive(PartialEq)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// How many sides a die has.
    #[garde(range(min = 2, max = 100))]
    #[serde(default = "six")]
    pub sides: u8,
    /// What it says first.
    #[garde(length(max = 20), custom(not_shouting))]
    #[serde(default)]
    pub greeting: String,
    /// Words that are not said.
    #[garde(inner(length(chars, min = 1)))]
    #[serde(default)]
    pub bad_words: Vec<String>,
}

fn six() -> u8 {
    6
}

fn not_shouting(text: &str) -> Result<(), &'static str> {
    if text.ends_with('!') { Err("is shouting") } else { Ok(()) }
}

/// What `/roll` takes.
#[plexichat::model]
pub struct RollArgs {
    /// How many.
    #[garde(range(min = 1))]
    #[serde(default = "six")]
    pub count: u8,
    pub kind: Option<Kind>,
}

#[plexichat::model]
pub enum Kind {
    Fair,
    Loaded {
        #[garde(range(max = 6))]
        number: u8,
    },
}

#[plexichat::event("rolled")]
pub struct Rolled {
    pub number: u8,
}

#[plexichat::plugin(
    name = "whole",
    provides(Security),
    permissions(UserDataAccess, NetworkAccess),
    category = "fun",
    tags("dice", "chat"),
    core = "^0.1",
    requires("other" = "^1"),
    emits(Rolled, "as_json"),
    absolute("/v1/roll"),
    scan_message(timeout = "200ms", on_error = "open", required, before("x"), after("y"))
)]
pub struct Whole {
    ctx: Context<Self>,
    http: HttpClient,
}

impl Plugin for Whole {
    type Config = Config;

    async fn initialize(ctx: Context<Self>, _config: Config) -> Result<Self> {
        Ok(Self { http: ctx.http(), ctx })
    }
}

#[plexichat::role]
impl Security for Whole {
    async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
        let _ = (message, &self.http);
        Ok(Verdict::Allow)
    }
}

#[plexichat::handlers]
impl Whole {
    #[on("user_message")]
    async fn greet(&self, event: &UserMessage) -> Result<()> {
        let _ = &event.text;
        Ok(())
    }

    #[on("user_login", "custom.rolled", own)]
    async fn audit(&self, event: &Event) -> Result<()> {
        let _ = event.payload::<Rolled>();
        Ok(())
    }

    /// Rolls dice.
    #[command("roll")]
    async fn roll(&self, call: CommandCall, args: RollArgs) -> Result<CommandReply> {
        let _ = args.kind;
        self.ctx.events().emit(Rolled { number: args.count }).await?;
        self.ctx.events().emit_json("as_json", json!({ "by": call.author.name })).await?;
        Ok(self.helper())
    }

    /// Says what there is.
    #[command("what")]
    async fn what(&self, call: CommandCall) -> Result<CommandReply> {
        Ok(CommandReply::text(call.arguments))
    }

    /// Throws dice for a model.
    #[tool("throw", approval = "first_use")]
    async fn throw(&self, call: ToolCall, args: RollArgs) -> Result<ToolAnswer> {
        Ok(json!({ "tool": call.tool, "count": args.count }).into())
    }

    /// Says how many sides a die has.
    #[tool("sides", approval = "never")]
    async fn sides(&self, _: ToolCall) -> Result<ToolAnswer> {
        Ok("six".into())
    }

    fn helper(&self) -> CommandReply {
        CommandReply::Nothing
    }
}

#[test]
fn the_descriptor_says_what_was_written() {
    assert_eq!(plexichat::registry::linked().map(|plugin| plugin.name).collect::<Vec<_>>(), ["whole"]);
    let plugin = PLEXICHAT_PLUGIN;
    assert_eq!(plugin.package.name, "plexichat-macros");
    assert!(plugin.entry_point.ends_with("::Whole"), "{}", plugin.entry_point);
    assert_eq!(plugin.emits, ["custom.rolled", "custom.as_json"]);
    let [hook] = plugin.hooks else { panic!("{:?}", plugin.hooks) };
    assert_eq!(hook.hook.as_str(), "scan_message");
    assert_eq!(hook.policy.timeout.as_millis(), 200);
    assert_eq!(plugin.commands.iter().map(|command| command.fields).collect::<Vec<_>>(), [&["count", "kind"][..], &[]]);
    assert_eq!(plugin.commands[0].help, "Rolls dice.");
    let tools: Vec<_> = plugin.tools.iter().map(|tool| (tool.name, tool.help, tool.approval.as_str())).collect();
    let expected =
        [("throw", "Throws dice for a model.", "first_use"), ("sides", "Says how many sides a die has.", "never")];
    assert_eq!(tools, expected);
    assert_eq!((plugin.tools[0].arguments)()["properties"]["count"]["minimum"], 1);
    assert_eq!((plugin.tools[1].arguments)(), json!({ "type": "object", "properties": {} }));
    assert_eq!(plugin.events[1].patterns, ["user_login", "custom.rolled"]);
    assert!(plugin.events[1].own && !plugin.events[0].own);
}

#[plexichat::test]
async fn a_test_may_wait() -> plexichat::testing::TestResult {
    let number: u8 = async { "42" }.await.parse()?;
    assert_eq!(number, 42);
    Ok(())
}

#[test]
fn settings_are_checked_and_described() {
    let plugin = PLEXICHAT_PLUGIN;
    let check = |config| (plugin.entry.check_config)(&config).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(check(json!({ "sides": 1, "bad-words": ["a", ""] })).len(), 2);
    assert_eq!(check(json!({ "greeting": "Hi!" })), ["/greeting: is shouting"]);
    assert_eq!(check(json!({ "sidez": 1 })).len(), 1);
    assert!(check(json!({})).is_empty());
    let default = (plugin.entry.default_config)();
    assert_eq!(default["sides"], 6);
    let schema = (plugin.entry.config_schema)();
    assert_eq!(schema["properties"]["sides"]["maximum"], 100, "{schema}");
}
