//! Counts what one author posts: how many messages in a room, how often the same text in any. Reads no clock.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use plexichat::id::{MessageId, RoomId};
use plexichat::message::{ActorKind, MessageView, Origin, Time};

use crate::config::{DuplicateLimit, FloodLimit, Measure};
use crate::recent::{Recent, Window};

/// How many authors are remembered, and how many texts: twice as many at most. Who floods is among the last ones.
const REMEMBERED: usize = 2048;

/// What one message weighs. A post for later is looked at twice, when it is written and when it is due, under different
/// identifiers: each time it weighs half.
const WHOLE: u32 = 2;
const HALF: u32 = 1;

type Author = (ActorKind, Arc<str>);

/// Who posted how much of late.
pub(crate) struct Flood {
    messages: Option<Limit>,
    texts: Option<Limit>,
    min_characters: usize,
    rooms: Recent<(Author, RoomId), Window>,
    same: Recent<(Author, u64), Window>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Limit {
    weight: u32,
    micros: i64,
    measure: Measure,
}

impl Limit {
    fn new(posts: Option<u32>, seconds: u32, measure: Measure) -> Option<Self> {
        Some(Self { weight: posts? * WHOLE, micros: i64::from(seconds) * 1_000_000, measure })
    }

    /// Whether a post of this weight is too much.
    fn is_broken(self, window: &mut Window, now: i64, weight: u32) -> bool {
        window.weight(now.saturating_sub(self.micros)) + weight > self.weight
    }
}

/// Which limit a message breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) code: &'static str,
    pub(crate) measure: Measure,
}

impl Flood {
    /// Nothing where there is no limit.
    pub(crate) fn new(flood: &FloodLimit, duplicates: &DuplicateLimit) -> Option<Self> {
        let messages = Limit::new(flood.messages, flood.seconds, flood.action);
        let texts = Limit::new(duplicates.times, duplicates.seconds, duplicates.action);
        if messages.is_none() && texts.is_none() {
            return None;
        }
        Some(Self {
            messages,
            texts,
            min_characters: duplicates.min_characters as usize,
            rooms: Recent::new(REMEMBERED),
            same: Recent::new(REMEMBERED),
            hasher: RandomState::new(),
        })
    }

    /// The limit that this message breaks; where it breaks none, it counts from now on. Only what people and webhooks post
    /// is counted, and a message once: an edit and a second look at the same message are no new message.
    pub(crate) fn look(&mut self, message: &MessageView<'_>, plain: &str, now: Time) -> Option<Broken> {
        let is_person = matches!(message.author.kind, ActorKind::User | ActorKind::Webhook);
        // A question to a model brings the whole conversation along each time, and floods no room.
        if !is_person || message.edit_of.is_some() || message.prompt {
            return None;
        }
        let (now, id) = (now.as_micros(), message.id);
        let weight = if message.origin == Origin::Scheduled { HALF } else { WHOLE };
        let author: Author = (message.author.kind, message.author.id.clone());
        let text = self.texts.and_then(|_| fingerprint(&self.hasher, plain, self.min_characters));
        let mut room = self.messages.map(|limit| (limit, self.rooms.get((author.clone(), message.room_id))));
        let mut same = self.texts.zip(text).map(|(limit, text)| (limit, self.same.get((author, text))));

        let is_broken = |window: &mut Option<(Limit, &mut Window)>| {
            let (limit, window) = window.as_mut()?;
            let is_broken = !window.has(id) && limit.is_broken(window, now, weight);
            is_broken.then_some(limit.measure)
        };
        let flood = is_broken(&mut room).map(|measure| Broken { code: "flood", measure });
        let duplicate = is_broken(&mut same).map(|measure| Broken { code: "duplicate", measure });
        let broken = flood.into_iter().chain(duplicate).max_by_key(|broken| broken.measure);
        if broken.is_none() {
            for (_, window) in [room, same].into_iter().flatten() {
                count(window, now, id, weight);
            }
        }
        broken
    }
}

fn count(window: &mut Window, now: i64, id: MessageId, weight: u32) {
    if !window.has(id) {
        window.push(now, id, weight);
    }
}

/// What is the same for texts that differ in case and white space alone; nothing where the text is too short to count.
fn fingerprint(hasher: &RandomState, plain: &str, min_characters: usize) -> Option<u64> {
    let mut words = String::with_capacity(plain.len());
    for word in plain.split_whitespace() {
        words.extend(word.chars().flat_map(char::to_lowercase));
        words.push(' ');
    }
    let long_enough = words.trim_end().chars().count() >= min_characters.max(1);
    long_enough.then(|| hasher.hash_one(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_look_alike_are_one() {
        let hasher = RandomState::new();
        let of = |text| fingerprint(&hasher, text, 5);
        assert_eq!(of("Buy  NOW\n"), of("buy now"));
        assert_ne!(of("buy now"), of("buy new"));
        assert_eq!(of("ok  "), None);
        assert_eq!(fingerprint(&hasher, " ", 0), None, "a file without a text");
    }

    #[test]
    fn without_limits_there_is_nothing_to_count() {
        assert!(Flood::new(&FloodLimit::default(), &DuplicateLimit::default()).is_none());
    }
}
