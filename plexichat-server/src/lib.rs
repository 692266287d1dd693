//! The PlexiChat host: store, HTTP and WebSocket, operator's commands.
#![cfg_attr(not(test), expect(dead_code, reason = "the parts are here before `main` puts them together"))]

pub mod data_dir;
pub mod store;

mod egress;
mod http;
mod telemetry;
