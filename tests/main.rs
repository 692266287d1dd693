//! End-to-end tests: start the built binary and speak to it from outside. One test binary, one file per subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;
mod tidy;
