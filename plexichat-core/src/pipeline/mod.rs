//! The one road of every message, from whoever sent it to whoever reads it. What skips a stage does not compile: a
//! [`Message`] carries its stage in its type, and only this folder moves it on.

pub mod message;
pub mod ports;

pub use message::{Admitted, Cleared, Message, Received, Stored};
pub use ports::{Access, Announcer, Commit, Committed, Delivery, Fanout, MessageStore, Outbox};
