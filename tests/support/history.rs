//! The history checker: what clients sent and were told against what the store holds in the end. A pure function.

use std::collections::{BTreeMap, HashMap};

/// A message that a client sent, with every attempt under one key.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Who sent it: its order is kept per client.
    pub(crate) client: usize,
    pub(crate) room: usize,
    pub(crate) key: String,
    pub(crate) text: String,
    /// When the first attempt began and the last ended, by a clock that all clients share.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) told: Told,
}

/// What the server said of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is stored, with this identifier and this place.
    Stored { id: String, seq: u64 },
    /// It will not be stored (4xx).
    Refused,
    /// Nothing certain: the connection broke.
    Nothing,
}

/// A message as the store holds it in the end.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) room: usize,
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) text: String,
    /// The message it answers, where a plugin wrote it.
    pub(crate) answers: Option<String>,
    pub(crate) by_plugin: bool,
}

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// An acknowledged message is not there.
    Lost(String),
    /// It is there twice under one key.
    Twice(String),
    /// It is there with another identifier, place or room than was told.
    Differs(String),
    /// A message was acknowledged before another was begun and stands behind it.
    Reordered(String),
    /// A message that nobody sent, or that was refused.
    Phantom(String),
    /// A room's numbers leave one out or have one twice.
    Gap(String),
    /// A command has no answer.
    Unanswered(String),
    /// A command has more than one answer.
    AnsweredTwice(String),
}

/// Everything that is wrong. Texts must be unique per key, since they tell which message a held one is; `is_command` says
/// which texts a plugin answers exactly once.
pub(crate) fn check(sent: &[Sent], held: &[Held], is_command: impl Fn(&str) -> bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    numbers(held, &mut violations);
    presence(sent, held, &mut violations);
    order(sent, &mut violations);
    answers(held, is_command, &mut violations);
    violations
}

/// Each room counts 1, 2, 3, ….
fn numbers(held: &[Held], violations: &mut Vec<Violation>) {
    let mut rooms: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for message in held {
        rooms.entry(message.room).or_default().push(message.seq);
    }
    for (room, mut numbers) in rooms {
        numbers.sort_unstable();
        let wrong = (1..).zip(&numbers).find(|(expected, number)| expected != *number);
        if let Some((expected, number)) = wrong {
            violations.push(Violation::Gap(format!("room {room}: {number} stands where {expected} is due")));
        }
    }
}

/// What was acknowledged is there once and as told; what is there was sent.
fn presence(sent: &[Sent], held: &[Held], violations: &mut Vec<Violation>) {
    let mut by_text: HashMap<&str, Vec<&Held>> = HashMap::new();
    for message in held.iter().filter(|message| !message.by_plugin) {
        by_text.entry(&message.text).or_default().push(message);
    }
    for message in sent {
        let found = by_text.remove(message.text.as_str()).unwrap_or_default();
        if found.len() > 1 {
            violations.push(Violation::Twice(format!("{} is there {} times", message.key, found.len())));
        }
        match (&message.told, found.first()) {
            (Told::Stored { id, seq }, Some(held)) => {
                if (id, *seq, message.room) != (&held.id, held.seq, held.room) {
                    violations.push(Violation::Differs(format!("{message:?} is held as {held:?}")));
                }
            }
            (Told::Stored { .. }, None) => violations.push(Violation::Lost(format!("{message:?}"))),
            (Told::Refused, Some(held)) => violations.push(Violation::Phantom(format!("refused, yet held: {held:?}"))),
            (Told::Refused | Told::Nothing, _) => {}
        }
    }
    for strangers in by_text.into_values() {
        violations.extend(strangers.into_iter().map(|held| Violation::Phantom(format!("nobody sent {held:?}"))));
    }
}

/// What was acknowledged before something else began has the lower number in its room.
fn order(sent: &[Sent], violations: &mut Vec<Violation>) {
    let mut rooms: BTreeMap<usize, Vec<(u64, u64, u64, &Sent)>> = BTreeMap::new();
    for message in sent {
        if let Told::Stored { seq, .. } = message.told {
            rooms.entry(message.room).or_default().push((seq, message.began, message.ended, message));
        }
    }
    for messages in rooms.values_mut() {
        messages.sort_unstable_by_key(|(seq, ..)| *seq);
        // From the back: the earliest end of all that stand behind. Whatever began after that end stands wrong.
        let mut earliest: Option<(u64, &Sent)> = None;
        for (_, began, ended, message) in messages.iter().rev() {
            if let Some((end, behind)) = earliest.filter(|(end, _)| end < began) {
                violations.push(Violation::Reordered(format!(
                    "{} of client {} ended at {end}, before {} of client {} began at {began}, and stands behind it",
                    behind.key, behind.client, message.key, message.client
                )));
            }
            if earliest.is_none_or(|(end, _)| *ended < end) {
                earliest = Some((*ended, message));
            }
        }
    }
}

/// Each held command has one answer, and each answer a held command.
fn answers(held: &[Held], is_command: impl Fn(&str) -> bool, violations: &mut Vec<Violation>) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for answer in held.iter().filter(|message| message.by_plugin) {
        *counts.entry(answer.answers.as_deref().unwrap_or_default()).or_default() += 1;
    }
    for command in held.iter().filter(|message| !message.by_plugin && is_command(&message.text)) {
        match counts.remove(command.id.as_str()).unwrap_or_default() {
            0 => violations.push(Violation::Unanswered(format!("{command:?}"))),
            1 => {}
            count => violations.push(Violation::AnsweredTwice(format!("{command:?} has {count} answers"))),
        }
    }
    violations.extend(counts.keys().map(|id| Violation::Phantom(format!("an answer to {id:?}, which is no command"))));
}
