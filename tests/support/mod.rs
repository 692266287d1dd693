//! What the subjects share: a server process, clients, the history checker, seeds.

pub(crate) mod bundle;
pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod history;
mod history_tests;
pub(crate) mod load;
pub(crate) mod seed;
pub(crate) mod server;
pub(crate) mod websocket;

pub(crate) use client::Client;
pub(crate) use server::{Server, Setup};
