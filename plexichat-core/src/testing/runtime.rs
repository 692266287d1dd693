//! Runs an asynchronous test. `#[plexichat::test]` calls it; knows nothing of the host.

use std::future::Future;

/// What a test returns, so that it can use `?` on anything.
pub type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs a test's future on a runtime of its own, of two threads as a server has more than one.
///
/// # Panics
/// Where the machine gives no thread.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a test's machine gives it two threads").block_on(test)
}
