//! Answers `/echo` and `/roll`, and speaks when it is mentioned.
//!
//! The first lesson: a whole plugin on one page. A type with an attribute that says what it may do, settings, a start,
//! and the methods that answer. Nothing else has to be written or registered.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod dice;

use std::hash::{BuildHasher, RandomState};

use plexichat::prelude::*;

pub use crate::config::Config;
use crate::dice::Dice;

/// Repeats what it is told.
///
/// It asks for two permissions: to be told what people write, so that it hears its name, and to post its answer. The
/// answers of commands need none.
#[plexichat::plugin(
    permissions(UserDataAccess, PostMessages),
    category = "productivity",
    tags("example", "commands", "dice")
)]
pub struct Echo {
    context: Context<Self>,
    config: Config,
}

impl Plugin for Echo {
    type Config = Config;

    // The configuration that arrives here is already read and checked.
    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        Ok(Self { context, config })
    }
}

/// Which dice to roll.
#[plexichat::model]
pub struct RollArgs {
    /// A die's sides (`20`) or dice (`2d6`); one die of six sides where nothing is said.
    pub dice: Option<String>,
}

#[plexichat::handlers]
impl Echo {
    /// /echo TEXT repeats the text.
    #[command("echo")]
    async fn echo(&self, call: CommandCall) -> Result<CommandReply> {
        if call.arguments.is_empty() {
            // An input error is shown to whoever called, and is not held against the plugin.
            return Err(PluginError::input("give me something to repeat: /echo hello"));
        }
        Ok(self.repeat(&call.arguments).into())
    }

    /// /roll [dice] rolls a die of six sides, or others: /roll 20, /roll 2d6.
    #[command("roll")]
    async fn roll(&self, _call: CommandCall, args: RollArgs) -> Result<CommandReply> {
        let dice = match &args.dice {
            Some(text) => text.parse().map_err(|error: dice::NoDice| PluginError::input(error.to_string()))?,
            None => Dice::default(),
        };
        Ok(dice.roll(chance).into())
    }

    /// Repeats what is said to it: `@echo hello`.
    #[on("user_message")]
    async fn mentioned(&self, message: &UserMessage) -> Result<()> {
        let name = &self.config.name;
        let mentioned = message.mentions.iter().any(|mention| mention.eq_ignore_ascii_case(name));
        if !mentioned || message.text.starts_with('/') {
            // Nobody spoke to it, or a command is answered where commands are.
            return Ok(());
        }
        let words = without_mention(&message.text, name);
        let answer = if words.is_empty() { format!("Yes? Try `@{name} hello`.") } else { self.repeat(&words) };
        // A key comes from the event by itself: told twice after a crash, it answers once.
        self.context.chat().post(Post::new(message.room_id, answer).reply_to(message.message_id)).await?;
        Ok(())
    }

    fn repeat(&self, text: &str) -> String {
        format!("{}{text}", self.config.prefix)
    }
}

/// The text without the words that mention this name.
fn without_mention(text: &str, name: &str) -> String {
    let mentions = |word: &&str| {
        let word = word.strip_prefix('@').map(|word| word.trim_end_matches([',', ':', '.', '!', '?']));
        word.is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    text.split_whitespace().filter(|word| !mentions(word)).collect::<Vec<_>>().join(" ")
}

/// A number that nobody can foretell: fit for dice, not for secrets.
fn chance() -> u64 {
    // The standard library seeds each of these from the system's randomness.
    RandomState::new().hash_one(())
}
