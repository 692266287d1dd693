//! The roads in over HTTP: who may call what, from one table.

mod accept;
mod error;
mod extract;
mod front;
