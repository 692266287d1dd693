//! When the server stops or reads its settings again: the signals that say so, and how its parts are told.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end: SIGTERM and SIGINT, the first to drain, the second to end at once.
    Stop(&'static str),
    /// To read the settings again: SIGHUP.
    Reload,
}

/// The signals that the server listens to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
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
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call takes no signal.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Waits for the next one that ends the server.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call takes no signal that does.
    pub(crate) async fn next_stop(&mut self) -> &'static str {
        loop {
            if let Asked::Stop(signal) = self.next().await {
                return signal;
            }
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
