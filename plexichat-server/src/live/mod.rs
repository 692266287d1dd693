//! Who listens now, and what they missed.

pub(crate) mod beat;
pub(crate) mod entry;
pub(crate) mod events;
mod flood;
pub mod frame;
pub(crate) mod guest;
pub mod hub;
mod meter;
mod missed;
pub mod presence;
mod queue;
mod waiting;
pub(crate) mod websocket;
mod words;
