//! Who listens now, and what they missed.

pub mod hub;
pub(crate) mod websocket;
