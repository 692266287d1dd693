//! Which event a plugin's code is answering at the moment. Handlers and commands run within a cause, so that what they
//! post and emit names it. Knows no bus and no pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::id::{EventId, PluginName};
use crate::watchdog;

/// What a plugin's code is answering.
#[derive(Debug)]
pub struct Cause {
    event: EventId,
    depth: u8,
    plugin: PluginName,
    step: &'static str,
    /// What was posted so far. Tasks that a handler starts have none: they run in no fixed order.
    posted: Option<AtomicU32>,
}

impl Cause {
    /// The handler or command `step` of the plugin answers this event.
    pub(crate) fn new(event: EventId, depth: u8, plugin: PluginName, step: &'static str) -> Arc<Self> {
        Arc::new(Self { event, depth, plugin, step, posted: Some(AtomicU32::new(0)) })
    }

    /// The same cause for a task that runs beside the handler.
    pub(crate) fn beside(&self) -> Arc<Self> {
        Arc::new(Self { event: self.event, depth: self.depth, plugin: self.plugin.clone(), step: self.step, posted: None })
    }

    /// The event that is being answered.
    pub fn event_id(&self) -> EventId {
        self.event
    }

    /// The `cause_depth` of what is posted or emitted now: one more than that of the event.
    pub fn next_depth(&self) -> u8 {
        self.depth.saturating_add(1)
    }

    /// Who answers.
    pub fn plugin(&self) -> &PluginName {
        &self.plugin
    }

    /// The key of the next post: the same when the event is delivered again and the handler does the same again. Nothing
    /// in a task that runs beside the handler.
    pub fn next_key(&self) -> Option<String> {
        let ordinal = self.posted.as_ref()?.fetch_add(1, Ordering::Relaxed);
        Some(format!("{}/{}/{}/{ordinal}", self.event, self.plugin, self.step))
    }
}

/// What the code that asks is answering; nothing outside of handlers and commands.
pub fn current() -> Option<Arc<Cause>> {
    watchdog::current_cause()
}
