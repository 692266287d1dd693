//! The suites that are made of Rust tests, through nextest where it is there, and how their tests are counted.

use std::process::Command;
use std::sync::Mutex;

use super::{Counted, Session, need};
use crate::failure::Result;
use crate::process;

/// Names of tests that need programs of others begin so; the suite `clients` runs them.
const CLIENTS: &str = "clients::";
/// Names of tests that take more than minutes begin so; the suite `long` runs them.
const LONG: &str = "long::";

/// Every test of the workspace but those that other suites run: one build, one run.
pub(super) fn workspace(session: &Session<'_>) -> Result<()> {
    let mut build = process::cargo(&session.workspace.root);
    // The executables that end-to-end tests start, built with the very features of the tests.
    process::run(build.args(["build", "--workspace", "--bins", "--tests"]))?;
    run(session, Choice { packages: &["--workspace"], only: None })
}

/// One package's tests.
pub(super) fn package(session: &Session<'_>, package: &str) -> Result<()> {
    run(session, Choice { packages: &["--package", package], only: None })
}

/// One package's examples.
pub(super) fn package_documentation(session: &Session<'_>, package: &str) -> Result<()> {
    let mut cargo = process::cargo(&session.workspace.root);
    cargo.args(["test", "--doc", "--package", package]).args(&session.filter);
    counting(session, &mut cargo)
}

pub(super) fn documentation(session: &Session<'_>) -> Result<()> {
    let mut cargo = process::cargo(&session.workspace.root);
    cargo.args(["test", "--doc", "--workspace"]).args(&session.filter);
    counting(session, &mut cargo)
}

pub(super) fn inventory(session: &Session<'_>) -> Result<()> {
    let features = "registry-inventory,host,testing";
    run(session, Choice { packages: &["--package", "plexichat-core", "--features", features], only: None })
}

pub(super) fn clients(session: &Session<'_>) -> Result<()> {
    run(session, Choice { packages: &["--workspace"], only: Some(CLIENTS) })
}

pub(super) fn long(session: &Session<'_>) -> Result<()> {
    run(session, Choice { packages: &["--workspace"], only: Some(LONG) })
}

/// Which tests to run.
struct Choice<'a> {
    packages: &'a [&'a str],
    /// Only ignored ones whose name begins so.
    only: Option<&'a str>,
}

fn run(session: &Session<'_>, choice: Choice<'_>) -> Result<()> {
    let mut cargo = process::cargo(&session.workspace.root);
    if need::has_nextest(session.workspace) {
        cargo.args(["nextest", "run", "--no-fail-fast"]).args(choice.packages);
        match choice.only {
            Some(prefix) => {
                cargo.args(["--run-ignored", "only", "--filterset", &format!("test(/^{prefix}/)")]);
            }
            None => {
                cargo.args(["--status-level", "fail"]);
            }
        }
        cargo.args(&session.filter);
    } else {
        cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]).args(choice.packages);
        cargo.args(&session.filter).arg("--");
        if let Some(prefix) = choice.only {
            cargo.args(["--ignored", prefix]);
        }
    }
    cargo.env("PLEXICHAT_TEST_PYTHON", need::python(session.workspace));
    counting(session, &mut cargo)
}

/// Runs it, and counts the tests that it says it ran.
fn counting(session: &Session<'_>, command: &mut Command) -> Result<()> {
    let counted = Mutex::new(Counted::default());
    let outcome = process::watch(command, &|line| {
        if let Some(more) = read_count(line) {
            let mut sum = counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *sum = Counted {
                passed: sum.passed + more.passed,
                failed: sum.failed + more.failed,
                ignored: sum.ignored + more.ignored,
            };
        }
    });
    session.count(counted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    outcome
}

/// The counts in a summary line of nextest or of Rust's own test harness.
fn read_count(line: &str) -> Option<Counted> {
    let line = line.trim();
    let is_summary = line.starts_with("test result: ") || (line.starts_with("Summary [") && line.contains(" run: "));
    if !is_summary {
        return None;
    }
    let number_before = |word: &str| {
        let mut words = line.split([' ', ',', ';', ':', '(']).filter(|word| !word.is_empty());
        let mut last = words.next()?;
        for next in words {
            if next == word {
                return last.parse::<u64>().ok();
            }
            last = next;
        }
        None
    };
    Some(Counted {
        passed: number_before("passed").unwrap_or(0),
        // A test over its time limit has failed too.
        failed: number_before("failed").unwrap_or(0) + number_before("timed").unwrap_or(0),
        ignored: number_before("ignored").or_else(|| number_before("skipped")).unwrap_or(0),
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(u64, u64, u64)>) {
        let expected = expected.map(|(passed, failed, ignored)| Counted { passed, failed, ignored });
        assert_eq!(read_count(line), expected, "{line}");
    }

    #[test]
    fn summaries_are_counted() {
        check(
            "test result: ok. 22 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.77s",
            Some((22, 0, 1)),
        );
        check("test result: FAILED. 20 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out", Some((20, 2, 0)));
        check("     Summary [   0.512s] 12 tests run: 11 passed (1 slow), 1 failed, 3 skipped", Some((11, 1, 3)));
        check("     Summary [   0.512s] 12 tests run: 10 passed, 1 failed, 1 timed out, 0 skipped", Some((10, 2, 0)));
        check("     Summary [   0.0s] 0 tests run: 0 passed, 0 skipped", Some((0, 0, 0)));
        check("test tests::a ... ok", None);
        check("a test printed: 3 passed", None);
    }
}
