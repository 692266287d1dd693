//! End-to-end tests: start the built binary and speak to it from outside. One test binary, one file per subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod accounts;
mod ai;
mod antivirus;
mod api;
mod assets;
mod assistant;
mod automation;
mod bad_start;
mod bodies;
mod browser;
mod clamav;
mod cli;
mod clients;
mod faults;
mod files;
mod gateway;
mod http;
mod kill;
mod lifecycle;
mod live;
mod logins;
mod long;
mod message;
mod messages;
mod moderation;
mod operating;
mod pipeline;
mod power;
mod providers;
mod readme;
mod reload;
mod reminder;
mod roads;
mod rooms;
mod routes;
mod search;
mod secrets;
mod settings;
mod status_page;
mod tidy;
mod upstream;
mod webhook;
mod workflow;
