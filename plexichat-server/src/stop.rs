//! When the server stops: the signals that say so, and how its parts are told.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The signals that end the server: SIGTERM and SIGINT, the first to drain, the second to end at once. SIGHUP is ignored:
/// settings are read at the start, and what a session's end sends must not kill the server.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    _hang_up: Signal,
}

impl Signals {
    /// Takes the signals over from the system.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call takes no signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Waits until the server stops, or whoever would say so is gone.
///
/// # Cancel safety
/// Cancel safe.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The guard that this gives back must not live across an await of the caller.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
