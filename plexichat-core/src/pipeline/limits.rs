//! Stage 3: sizes and rates. No plugin is called for a message that is refused here.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::Refusal;
use super::message::Incoming;
use crate::id::RoomId;
use crate::message::{Actor, ActorKind};
use crate::problem::Problem;
use crate::settings::MessageLimits;

/// The longest idempotency key, in bytes.
pub const KEY_MAX: usize = 255;

/// After so many checks the buckets that are full again are forgotten, so that the table stays as small as the number of
/// those who post now.
const FORGET_EVERY: u32 = 4096;

/// How much and how fast one actor may post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in bytes of UTF-8.
    pub text_bytes: usize,
    /// Messages a second by one actor in one room, in the long run.
    pub per_second: NonZeroU32,
    /// Messages at once by one actor in one room.
    pub burst: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        MessageLimits::default().into()
    }
}

impl From<MessageLimits> for Limits {
    fn from(limits: MessageLimits) -> Self {
        let MessageLimits { text_bytes, messages_per_second, message_burst } = limits;
        let text_bytes = usize::try_from(text_bytes.get()).unwrap_or(usize::MAX);
        Self { text_bytes, per_second: messages_per_second, burst: message_burst }
    }
}

/// The limits and who has used how much of them.
pub(super) struct Limiter {
    limits: Limits,
    buckets: DefaultKeyedRateLimiter<(Arc<str>, RoomId)>,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        let quota = Quota::per_second(limits.per_second).allow_burst(limits.burst);
        let buckets = RateLimiter::keyed(quota);
        Self { limits, buckets, clock: DefaultClock::default(), checks: AtomicU32::new(0) }
    }

    /// The longest text, in bytes.
    pub(super) fn text_bytes(&self) -> usize {
        self.limits.text_bytes
    }

    /// Whether the text and the key have a size that may be stored.
    pub(super) fn check_size(&self, incoming: &Incoming) -> Result<(), Refusal> {
        let mut problems = self.text_problems(&incoming.text)?;
        if incoming.text.trim().is_empty() && !incoming.attachments.is_empty() {
            // A file says enough.
            problems.clear();
        }
        if let Some(key) = &incoming.key
            && (key.is_empty() || key.len() > KEY_MAX)
        {
            problems.push(Problem::new("/key", format!("has {} bytes, 1 to {KEY_MAX} are allowed", key.len())));
        }
        if problems.is_empty() { Ok(()) } else { Err(Refusal::Invalid(problems)) }
    }

    /// Whether a text may be stored.
    pub(super) fn check_text(&self, text: &str) -> Result<(), Refusal> {
        let problems = self.text_problems(text)?;
        if problems.is_empty() { Ok(()) } else { Err(Refusal::Invalid(problems)) }
    }

    fn text_problems(&self, text: &str) -> Result<Vec<Problem>, Refusal> {
        let (limit, found) = (self.limits.text_bytes, text.len());
        if found > limit {
            return Err(Refusal::TooLarge { limit, found });
        }
        let mut problems = Vec::new();
        if text.trim().is_empty() {
            problems.push(Problem::new("/text", "is empty").hint("write at least one visible character"));
        }
        if text.contains('\0') {
            problems.push(Problem::new("/text", "has a NUL character").hint("remove it"));
        }
        Ok(problems)
    }

    /// Whether the actor may post now. What a plugin or a model says because of something is not counted: its cause was.
    pub(super) fn check_rate(&self, incoming: &Incoming) -> Result<(), Refusal> {
        if matches!(incoming.author.kind, ActorKind::Plugin | ActorKind::Ai) && incoming.cause_depth > 0 {
            return Ok(());
        }
        self.check_actor(&incoming.author, incoming.room_id)
    }

    /// Whether the actor may do something in the room now: posts, edits, deletions and reactions are counted alike.
    pub(super) fn check_actor(&self, actor: &Actor, room_id: RoomId) -> Result<(), Refusal> {
        if actor.kind == ActorKind::System {
            return Ok(());
        }
        if self.checks.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        self.buckets.check_key(&(actor.id.clone(), room_id)).map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            Refusal::TooFast { retry_after: wait.max(Duration::from_millis(1)) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Origin;

    fn incoming(text: &str, author: Actor) -> Incoming {
        Incoming {
            author,
            room_id: RoomId::from_bytes([7; 16]),
            text: text.to_owned(),
            reply_to: None,
            attachments: Vec::new(),
            origin: Origin::Rest,
            key: None,
            cause_id: None,
            cause_depth: 0,
        }
    }

    #[track_caller]
    fn check_size(text: &str, code: Option<&str>) {
        let limiter = Limiter::new(Limits { text_bytes: 8, ..Limits::default() });
        let refused = limiter.check_size(&incoming(text, Actor::system())).err();
        assert_eq!(refused.as_ref().map(Refusal::code), code, "{text:?}");
    }

    #[test]
    fn sizes_are_counted_in_bytes() {
        check_size("12345678", None);
        check_size("ääää", None);
        check_size("ääääa", Some("message_too_large"));
        check_size("", Some("invalid_message"));
        check_size(" \n\t", Some("invalid_message"));
        check_size("a\0b", Some("invalid_message"));
    }

    #[test]
    fn a_bucket_belongs_to_one_actor_and_the_server_has_none() {
        let burst = NonZeroU32::new(2).unwrap();
        let limiter = Limiter::new(Limits { burst, per_second: NonZeroU32::MIN, ..Limits::default() });
        let mut alice = incoming("hello", Actor::user("1", "alice"));
        assert!(limiter.check_rate(&alice).is_ok() && limiter.check_rate(&alice).is_ok());
        let Err(Refusal::TooFast { retry_after }) = limiter.check_rate(&alice) else { panic!("the third is too fast") };
        assert!(retry_after <= Duration::from_secs(1));
        assert!(limiter.check_rate(&incoming("hello", Actor::user("2", "bob"))).is_ok());
        for _ in 0..10 {
            assert!(limiter.check_rate(&incoming("hello", Actor::system())).is_ok());
        }
        alice.author = Actor::plugin("echo");
        alice.cause_depth = 1;
        for _ in 0..10 {
            assert!(limiter.check_rate(&alice).is_ok());
        }
    }
}
