//! What is to be done about a model's answer that comes window by window: nothing of what is found may be shown in part.
//! Knows no host but its words for answers.

use plexichat::reply::{ReplyMode, ReplyView};

use crate::config::Measure;
use crate::fold::Text;
use crate::judge::{Judge, Objection};
use crate::links::Links;

/// How many characters are judged at once: a few words, so that people see the answer grow.
const CHARS: usize = 64;

/// How many are kept back until more has come. Whatever is looked for is known by so many characters, names before a value
/// and separators included, however long the whole is.
const OVERLAP: usize = 192;

/// What ends where the window ends may go on. It waits for the next window where that shows all of it again, with what stands
/// before it.
const MAY_WAIT: usize = 96;

/// Window by window where something is to be withheld; else people need not wait.
pub(crate) fn mode(judge: &Judge, links: Option<&(Links, Measure)>) -> ReplyMode {
    let withholds = judge.withholds() || links.is_some_and(|(_, measure)| *measure != Measure::Flag);
    match withholds {
        true => ReplyMode::Window { chars: CHARS, overlap: OVERLAP },
        false => ReplyMode::AuditOnly,
    }
}

/// Whatever there is against this part of an answer.
pub(crate) fn objections(judge: &Judge, links: Option<&(Links, Measure)>, reply: &ReplyView<'_>) -> Vec<Objection> {
    let text = Text::new(reply.text());
    let (length, new_at) = (reply.text().len(), reply.seen().len());
    let mut objections = Vec::new();
    for found in judge.find_in_reply(&text, reply.last) {
        let range = text.original(found.range.clone());
        // What ended before was judged with what stands before it, which may be cut off here.
        let is_over = range.end < new_at;
        let may_wait = !reply.last && range.end == length && range.len() <= MAY_WAIT;
        if !is_over && !may_wait {
            objections.extend(judge.objection(&found));
        }
    }
    if let Some((links, measure)) = links
        && let Some(name) = links.blocked(whole_words(text.plain(), new_at > 0, reply.last))
    {
        objections.push(Objection { measure: *measure, code: "link", name });
    }
    objections
}

/// The text without the words that are cut at its ends: a part of a host's name is another host.
fn whole_words(plain: &str, cut_before: bool, last: bool) -> &str {
    let is_space = |character: char| character.is_whitespace();
    let begin = if cut_before { plain.find(is_space).unwrap_or(0) } else { 0 };
    let end = if last { plain.len() } else { plain.rfind(is_space).unwrap_or(plain.len()) };
    plain.get(begin..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use plexichat::message::Actor;

    use super::*;
    use crate::config::{Action, Config, Detectors, LinkPolicy};
    use crate::detect::Detector;

    fn judge() -> Judge {
        let reject = Action::Reject;
        let detectors = Detectors {
            email_addresses: reject,
            phone_numbers: reject,
            ip_addresses: reject,
            national_ids: reject,
            ..Detectors::default()
        };
        Judge::new(&Config { detectors, ..Config::default() })
    }

    /// Shows an answer as the host does, in windows of this many characters; how much was shown before the first objection,
    /// or nothing where there is none.
    fn shown(judge: &Judge, links: Option<&(Links, Measure)>, answer: &str, chars: usize) -> Option<String> {
        let (model, asker) = (Actor::plugin("model"), Actor::user("1", "ada"));
        let characters: Vec<char> = answer.chars().collect();
        let mut judged = 0;
        while judged < characters.len() {
            let kept = judged.saturating_sub(OVERLAP);
            let end = (judged + chars).min(characters.len());
            let seen: String = characters[kept..judged].iter().collect();
            let text: String = characters[kept..end].iter().collect();
            let view = ReplyView::new(&model, &asker, &text, seen.len());
            let view = if end < characters.len() { view.unfinished() } else { view };
            if !objections(judge, links, &view).is_empty() {
                return Some(characters[..kept].iter().collect());
            }
            judged = end;
        }
        None
    }

    #[test]
    fn what_is_found_is_not_shown_in_part_wherever_windows_end() {
        let judge = judge();
        for detector in Detector::ALL {
            let sample = crate::samples::text(detector);
            for before in [0, 1, 63, 64, 150, 200, 333] {
                for chars in [1, 7, CHARS, 300] {
                    let beginning: String = "words and more ".chars().cycle().take(before).collect();
                    let answer = format!("{beginning} {sample} and so on. {beginning}");
                    let shown = shown(&judge, None, &answer, chars);
                    let shown = shown.unwrap_or_else(|| panic!("{detector:?} behind {before} in windows of {chars}"));
                    assert!(shown.len() <= beginning.len() + 1, "{detector:?}: {shown:?}");
                }
            }
        }
    }

    #[test]
    fn long_secrets_are_known_by_their_beginning() {
        let judge = judge();
        let token = ["ey", "JhbGciOiJIUzI1NiJ9", ".ey", &"JzdWIiOiIx".repeat(400), ".", &"a7Bc".repeat(20)].concat();
        let key =
            ["-----BEGIN", " PRIVATE KEY-----\n", &"MC4CAQAwBQYDK2Vw\n".repeat(200), "-----END", " PRIVATE KEY-----"]
                .concat();
        for secret in [token, key] {
            for chars in [1, CHARS, 100] {
                let shown = shown(&judge, None, &format!("Here it is: {secret}"), chars).expect("an objection");
                assert!("Here it is: ".starts_with(&*shown), "{shown:?}");
            }
        }
    }

    #[test]
    fn harmless_answers_pass() {
        let judge = judge();
        let answer = "The order 40293577331234567890 has a hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, \
                      see https://github.com/a/b/commit/4b825dc642cb6eb9a060e54bf8d69288fbee4904 and task-4a7bc2df3gh4jk5lm6np7qr2st3uv4wx5yz. "
            .repeat(5);
        for chars in [1, 13, CHARS, 1000] {
            assert_eq!(shown(&judge, None, &answer, chars), None, "in windows of {chars}");
        }
    }

    #[test]
    fn blocked_hosts_are_found_whole_and_parts_are_no_hosts() {
        let judge = judge();
        let block = vec!["evil.com".to_owned(), "*.co".to_owned()];
        let links = Links::new(&LinkPolicy { block, ..LinkPolicy::default() }).expect("a rule");
        let links = Some((links, Measure::Reject));
        for chars in [1, 5, CHARS] {
            let long = "so ".repeat(100);
            assert!(shown(&judge, links.as_ref(), &format!("{long} see https://evil.com/x {long}"), chars).is_some());
            assert_eq!(shown(&judge, links.as_ref(), &format!("{long} see https://notevil.com/x {long}"), chars), None);
        }
    }

    #[test]
    fn people_wait_only_where_something_is_withheld() {
        let all = |action| Detectors {
            private_keys: action,
            tokens: action,
            json_web_tokens: action,
            assigned_secrets: action,
            card_numbers: action,
            ibans: action,
            ..Detectors::default()
        };
        let mode_of = |action| mode(&Judge::new(&Config { detectors: all(action), ..Config::default() }), None);
        assert_eq!((mode_of(Action::Off), mode_of(Action::Flag)), (ReplyMode::AuditOnly, ReplyMode::AuditOnly));
        assert_eq!(mode_of(Action::Redact), ReplyMode::Window { chars: CHARS, overlap: OVERLAP });
    }
}
