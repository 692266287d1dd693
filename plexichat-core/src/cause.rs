//! Which event a plugin's code is answering at the moment. Handlers and commands run within a cause, so that what they
//! post and emit names it. Knows no bus and no pipeline.

use crate::id::EventId;
use crate::watchdog;

/// What a plugin's code is answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    event: EventId,
    depth: u8,
    plugin: &'static str,
    step: &'static str,
    posted: u32,
    emitted: u32,
    /// Whether what is posted and emitted has a fixed order. The tasks that a handler starts run in none.
    ordered: bool,
}

impl Cause {
    /// The handler or command `step` of the plugin answers this event.
    pub(crate) fn new(event: EventId, depth: u8, plugin: &'static str, step: &'static str) -> Self {
        Self { event, depth, plugin, step, posted: 0, emitted: 0, ordered: true }
    }

    /// The same cause for a task that runs beside the handler.
    pub(crate) fn beside(self) -> Self {
        Self { ordered: false, ..self }
    }

    /// The same cause for a run of a workflow that goes on after it was parked so often: what it posts and emits now is told apart
    /// from what it did before.
    #[must_use]
    pub(crate) fn gone_on(self, waits: u32) -> Self {
        let first = waits.wrapping_mul(1 << 16);
        Self { posted: first, emitted: first, ..self }
    }

    /// The event that is being answered.
    pub fn event_id(&self) -> EventId {
        self.event
    }

    /// The `cause_depth` of what is posted or emitted now: one more than that of the event.
    pub fn next_depth(&self) -> u8 {
        self.depth.saturating_add(1)
    }

    /// The key of this plugin's post with this number in this step.
    fn key(&self) -> Option<String> {
        self.ordered.then(|| format!("{}/{}/{}/{}", self.event, self.plugin, self.step, self.posted))
    }

    /// The identifier of the event with this number that this plugin emits in this step.
    fn emitted_id(&self) -> Option<EventId> {
        self.ordered.then(|| EventId::caused(self.event, self.plugin, self.step, self.emitted))
    }
}

/// What the code that asks is answering; nothing outside of handlers and commands.
pub fn current() -> Option<Cause> {
    let mut current = None;
    watchdog::with_cause(|cause| current = *cause);
    current
}

/// The key of the next post of the handler or command that asks: each post has another, and each has the same again when
/// the event is delivered again and the handler does the same again. Nothing outside of handlers and commands, and nothing
/// in a task that runs beside one.
pub fn next_key() -> Option<String> {
    let mut key = None;
    watchdog::with_cause(|cause| {
        if let Some(cause) = cause {
            key = cause.key();
            cause.posted += 1;
        }
    });
    key
}

/// The post with this key was refused: the next post has the key again, so that trying again later is the same post. Only
/// the last key that was given comes back; where several posts run at once, the others leave a gap.
pub fn give_back(key: &str) {
    watchdog::with_cause(|cause| {
        if let Some(cause) = cause
            && let Some(posted) = cause.posted.checked_sub(1)
        {
            let last = Cause { posted, ..*cause };
            if last.key().as_deref() == Some(key) {
                *cause = last;
            }
        }
    });
}

/// The identifier of the next event that the handler or command that asks emits: as with [`next_key`], the same again when
/// the event is delivered again, so that what other plugins post about it has the same keys, too.
pub fn next_event_id() -> Option<EventId> {
    let mut id = None;
    watchdog::with_cause(|cause| {
        if let Some(cause) = cause {
            id = cause.emitted_id();
            cause.emitted += 1;
        }
    });
    id
}
