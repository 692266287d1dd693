//! The test kit: what a plugin's tests, and a store's, are written with. Knows every part of the host and stands in for
//! the server.

pub mod ai;
mod bench;
pub mod clock;
pub mod compliance;
pub mod conformance;
mod connections;
pub mod disk;
mod ends;
mod fault;
mod files;
mod frames;
mod gui;
mod host;
pub mod http;
pub mod logs;
mod replies;
mod roles;
mod running;
mod server;
pub mod sockets;
mod workflows;

use std::future::Future;

pub use ai::MODEL;
pub use clock::TestClock;
pub use connections::{TestEvents, TestSocket};
pub use fault::Fault;
pub use frames::{SeenReply, SeenStep};
pub use host::TestHost;
pub use replies::Heard;
pub use running::{RunningPlugin, Typed};
pub use server::TestServer;

/// What a test returns.
pub type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs a test's future to its end on a runtime of its own: what `#[plexichat::test]` calls.
///
/// # Panics
/// Where the machine gives no threads, and where the future does.
pub fn run<R>(future: impl Future<Output = R>) -> R {
    // More than one thread, so that a plugin that blocks one does not stop the test that looks at it.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test's machine has threads")
        .block_on(future)
}
