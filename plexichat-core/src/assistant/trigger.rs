//! Whether a message is a question to the assistant, and which assistant is meant. Decides; asks nobody.

use super::command::{self, Command};
use super::policy::{AssistantPolicy, Trigger};
use crate::command::split;

/// What is known where it is decided.
pub(super) struct Situation<'a> {
    /// What the room says.
    pub(super) own: Option<&'a AssistantPolicy>,
    /// What the server says where the room says nothing.
    pub(super) default: Option<&'a AssistantPolicy>,
    /// Whether the room is a direct one.
    pub(super) direct: bool,
    /// Whether any AI provider runs.
    pub(super) providers: bool,
    /// Whether the message is a command of a plugin.
    pub(super) is_command: bool,
}

/// What the message wants of the assistant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// Nothing.
    Nothing,
    /// It is a question, and stands there as it is.
    Answer,
    /// It is `/ai` with this.
    Command(Command<'a>),
}

impl Situation<'_> {
    /// The assistant that is meant.
    pub(super) fn policy(&self) -> AssistantPolicy {
        self.own.or(self.default).cloned().unwrap_or_default()
    }

    /// What the text wants.
    pub(super) fn wanted<'a>(&self, text: &'a str) -> Wanted<'a> {
        if let Some((command::NAME, arguments)) = split(text) {
            return Wanted::Command(Command::parse(arguments));
        }
        if self.is_command {
            return Wanted::Nothing;
        }
        let wants = match (self.own, self.default) {
            (Some(own), _) => match own.trigger {
                Trigger::Every => true,
                Trigger::Mention | Trigger::Direct => self.direct || is_mentioned(text, &own.name),
                Trigger::Command | Trigger::Off => false,
            },
            // Where nobody set anything up, `@assistant` is a name like any other.
            (None, Some(default)) if self.providers => match default.trigger {
                Trigger::Every => true,
                Trigger::Direct => self.direct || is_mentioned(text, &default.name),
                Trigger::Mention => is_mentioned(text, &default.name),
                Trigger::Command | Trigger::Off => false,
            },
            (None, _) => false,
        };
        if wants { Wanted::Answer } else { Wanted::Nothing }
    }
}

/// Whether a text mentions this name: `@name`, or `@"name"`, in whatever case, and neither within a word.
pub(super) fn is_mentioned(text: &str, name: &str) -> bool {
    let name = fold(name);
    let text = fold(text);
    let mut before = None;
    for (at, character) in text.char_indices() {
        let starts = character == '@' && before.is_none_or(|before: char| !before.is_alphanumeric());
        before = Some(character);
        if !starts {
            continue;
        }
        let rest = &text[at + 1..];
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.strip_prefix(name.as_str()));
        if quoted.is_some_and(|rest| rest.starts_with('"')) {
            return true;
        }
        let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_alphanumeric() || next == '-' || next == '_');
        if rest.strip_prefix(name.as_str()).is_some_and(|rest| !goes_on(rest)) {
            return true;
        }
    }
    false
}

fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn mentioned(text: &str, name: &str, expected: bool) {
        assert_eq!(is_mentioned(text, name), expected, "{name} in {text:?}");
    }

    #[test]
    fn a_mention_is_found_anywhere_and_is_a_whole_word() {
        for text in
            ["@assistant hi", "hi @Assistant!", "well,@ASSISTANT", "@\"assistant\"", "(@assistant)", "@x @assistant."]
        {
            mentioned(text, "assistant", true);
        }
        for text in ["assistant", "me@assistant.org", "@assistants", "@assistant-2", "@ assistant", "@assist ant", ""] {
            mentioned(text, "assistant", false);
        }
        mentioned("ask @old bot about it", "Old Bot", true);
        mentioned("ask @\"Old Bot\" about it", "Old Bot", true);
        mentioned("@old bots", "Old Bot", false);
        mentioned("@ÄRNE?", "Ärne", true);
    }

    #[track_caller]
    fn check(own: Option<Trigger>, default: Option<Trigger>, direct: bool, expected: [bool; 2]) {
        let policy = |trigger| AssistantPolicy { trigger, ..AssistantPolicy::default() };
        let (own_policy, default_policy) = (own.map(policy), default.map(policy));
        let situation = Situation {
            own: own_policy.as_ref(),
            default: default_policy.as_ref(),
            direct,
            providers: true,
            is_command: false,
        };
        let answers = |text| situation.wanted(text) == Wanted::Answer;
        assert_eq!([answers("hello"), answers("hello @assistant")], expected, "{own:?} {default:?} {direct}");
        let as_command = Situation { is_command: true, ..situation };
        assert_eq!(as_command.wanted("/roll @assistant"), Wanted::Nothing);
    }

    #[test]
    fn who_is_answered_when() {
        use Trigger::{Command, Direct, Every, Mention, Off};
        check(None, None, false, [false, false]);
        check(None, None, true, [false, false]);
        check(Some(Mention), None, false, [false, true]);
        check(Some(Mention), None, true, [true, true]);
        check(Some(Every), None, false, [true, true]);
        check(Some(Off), Some(Every), true, [false, false]);
        check(Some(Command), Some(Every), true, [false, false]);
        check(None, Some(Mention), false, [false, true]);
        check(None, Some(Mention), true, [false, true]);
        check(None, Some(Direct), false, [false, true]);
        check(None, Some(Direct), true, [true, true]);
        check(None, Some(Every), false, [true, true]);
        check(None, Some(Command), false, [false, false]);
    }
}
