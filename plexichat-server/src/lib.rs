//! The PlexiChat host: store, HTTP and WebSocket, operator's commands.
#![cfg_attr(not(test), expect(dead_code, reason = "the parts are here before `main` puts them together"))]

mod egress;
mod http;
mod telemetry;
