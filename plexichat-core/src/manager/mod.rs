//! The plugin manager.

pub mod snapshot;
