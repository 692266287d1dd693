//! `/ai`: asks the assistant, stops it, lists models. The host's own command. Knows no room.

use crate::problem::nearest;

/// The command's name. No plugin may have it.
pub(crate) const NAME: &str = "ai";

/// What `/ai help` says.
const HELP: &str = "\
/ai QUESTION: ask the assistant
/ai --model PLUGIN/MODEL QUESTION: ask this model
/ai models: list the models
/ai stop: end the answers that you asked for here; a moderator ends everybody's
/ai help: this";

/// What stands behind `/ai`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// A question, to this model where one is named.
    Ask { model: Option<&'a str>, question: &'a str },
    /// What is on its way is to end.
    Stop,
    /// Which models there are.
    Models,
    /// How to use it.
    Help,
    /// Nothing that can be done: why.
    Wrong(String),
}

impl<'a> Command<'a> {
    pub(super) fn parse(arguments: &'a str) -> Self {
        match arguments.trim() {
            "" | "help" | "--help" | "-h" => return Self::Help,
            "stop" => return Self::Stop,
            "models" => return Self::Models,
            _ => {}
        }
        let mut rest = arguments.trim();
        let mut model = None;
        while let Some((word, after)) = option(rest) {
            let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            if name != "--model" {
                let hint = nearest(name, ["--model"]).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
                return Self::Wrong(format!("there is no option `{name}`{hint} `/ai help` says what there is"));
            }
            let (value, after) = match value {
                Some(value) => (value, after),
                None => {
                    after.split_once(char::is_whitespace).map_or((after, ""), |(value, after)| (value, after.trim()))
                }
            };
            if value.is_empty() {
                return Self::Wrong("`--model` needs a model: `/ai models` lists them".to_owned());
            }
            (model, rest) = (Some(value), after);
        }
        match rest {
            "" => Self::Wrong("what is the question? `/ai --model PLUGIN/MODEL QUESTION`".to_owned()),
            question => Self::Ask { model, question },
        }
    }
}

/// The option at the text's beginning, and what is behind it.
fn option(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    word.starts_with("--").then(|| (word, rest.trim_start()))
}

/// What `/ai help` says in a room with this assistant.
pub(super) fn help(name: &str) -> String {
    format!("{HELP}\nIn rooms where it listens, @{name} asks it, too.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &str, expected: Command<'_>) {
        assert_eq!(Command::parse(arguments), expected, "{arguments:?}");
    }

    #[test]
    fn what_stands_behind_it_is_read() {
        check("", Command::Help);
        check("help", Command::Help);
        check("stop", Command::Stop);
        check(" models ", Command::Models);
        check("stop the noise", Command::Ask { model: None, question: "stop the noise" });
        check("what is  this?", Command::Ask { model: None, question: "what is  this?" });
        check("--model a/b why?", Command::Ask { model: Some("a/b"), question: "why?" });
        check("--model=a/b  why\nnot?", Command::Ask { model: Some("a/b"), question: "why\nnot?" });
        check("--model a/b", Command::Wrong("what is the question? `/ai --model PLUGIN/MODEL QUESTION`".into()));
        check("--model", Command::Wrong("`--model` needs a model: `/ai models` lists them".into()));
        check(
            "--modl a why?",
            Command::Wrong("there is no option `--modl`; did you mean `--model`? `/ai help` says what there is".into()),
        );
    }
}
