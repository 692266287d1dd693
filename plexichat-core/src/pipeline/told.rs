//! What moderators are told of a message: that it was rejected, flagged, or held back, and by whom. Never its text.

use super::message::Message;
use super::refusal::Refusal;
use crate::event::catalog::{MessageFlagged, MessageQuarantined, MessageRejected, SecurityAlert};
use crate::event::{Event, Payload};
use crate::id::PluginName;
use crate::message::{Finding, MessageState};

/// What scanners found in a message that was stored.
pub(super) fn findings<S>(message: &Message<S>) -> impl Iterator<Item = Event> {
    let held = message.state() == MessageState::Quarantined;
    message.findings().iter().map(move |(plugin, finding): &(PluginName, Finding)| {
        let (id, room, plugin, finding) = (message.id(), message.room_id(), plugin.clone(), finding.clone());
        if held {
            about(message, MessageQuarantined::new(id, room, plugin, Some(finding)))
        } else {
            about(message, MessageFlagged::new(id, room, plugin, finding))
        }
    })
}

/// That a scanner rejected the message; nothing where it was refused for another reason.
pub(super) fn rejected<S>(message: &Message<S>, refusal: &Refusal) -> Option<Event> {
    let Refusal::Rejected { plugin, finding } = refusal else { return None };
    let (room, author, code) = (message.room_id(), message.author().clone(), refusal.code().to_owned());
    Some(about(message, MessageRejected::new(room, author, code, plugin.clone(), finding.clone())))
}

/// What a scanner found in something that is no message.
pub(super) fn alert(severity: &str, plugin: &PluginName, finding: &Finding, subject: String) -> SecurityAlert {
    let (code, detail) = (finding.code.clone(), finding.detail.clone());
    SecurityAlert::new(severity.to_owned(), Some(plugin.clone()), code, subject, detail)
}

/// An event about a message, done by its author.
fn about<S, P: Payload>(message: &Message<S>, payload: P) -> Event {
    let mut event = Event::new(payload);
    event.actor = message.author().clone();
    event.origin = message.origin();
    event.room_id = Some(message.room_id());
    event.cause_id = message.cause_id();
    event.cause_depth = message.cause_depth();
    event
}
