//! The test kit: what a plugin's tests, and a store's, are written with. Knows every part of the host and stands in for
//! the server.

pub mod clock;
pub mod conformance;
pub mod http;
mod runtime;

pub use clock::TestClock;
pub use runtime::{TestResult, run};
