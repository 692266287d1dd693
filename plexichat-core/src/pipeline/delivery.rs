//! What waits to be told to plugins: a stored message, or an event that was stored with what it tells of. Knows neither
//! plugins nor an engine.

use std::sync::Arc;

use crate::event::Event;
use crate::id::{EventId, RoomId};
use crate::message::{Origin, StoredRow, Time};

/// Something committed on its way to plugins: what the outbox keeps.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its place in the outbox: what was committed later has a higher number, and none is left out.
    pub outbox_id: u64,
    /// What is told.
    pub what: Told,
}

/// What plugins are told.
#[derive(Debug, Clone)]
pub enum Told {
    /// A new message: its events, and its command if it is one. Of one that is held back nobody is told.
    Message(Posted),
    /// A message that was held back and is released: the same as of a new one.
    Released(Posted),
    /// An event.
    Event(Arc<Event>),
    /// Nothing, any more: what it told of is gone. The number is kept.
    Nothing,
}

/// A stored message with what is not shown of it.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The message.
    pub row: Arc<StoredRow>,
    /// By which road it came.
    pub origin: Origin,
    /// The event that caused it.
    pub cause_id: Option<EventId>,
    /// How many events stand between it and what began the chain.
    pub cause_depth: u8,
}

impl Delivery {
    /// The message, where it is one.
    pub fn message(&self) -> Option<&Posted> {
        match &self.what {
            Told::Message(posted) | Told::Released(posted) => Some(posted),
            Told::Event(_) | Told::Nothing => None,
        }
    }

    /// The room it belongs to: what belongs to one room is told in the order of its numbers.
    pub fn room_id(&self) -> Option<RoomId> {
        match &self.what {
            Told::Message(posted) | Told::Released(posted) => Some(posted.row.room_id),
            Told::Event(event) => event.room_id,
            Told::Nothing => None,
        }
    }

    /// When it happened; nothing where there is nothing to tell.
    pub fn time(&self) -> Option<Time> {
        match &self.what {
            Told::Message(posted) | Told::Released(posted) => Some(posted.row.created_at),
            Told::Event(event) => Some(event.time),
            Told::Nothing => None,
        }
    }

    /// About how many bytes it takes while it waits.
    pub fn size(&self) -> usize {
        match &self.what {
            Told::Message(posted) | Told::Released(posted) => posted.row.text.len(),
            Told::Event(event) => event.size(),
            Told::Nothing => 0,
        }
    }
}
