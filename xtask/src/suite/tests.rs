//! The suites that are made of Rust tests, through nextest where it is there, and how their tests are counted.

use std::process::Command;
use std::sync::Mutex;

use super::{Counted, Session, need};
use crate::failure::Result;
use crate::process;

/// The second bundle, of hostile plugins, that end-to-end tests start.
const FIXTURES: &str = "plexichat-fixtures-bundle";

/// Every test of the workspace but those that other suites run: one build, one run.
pub(super) fn workspace(session: &Session<'_>) -> Result<()> {
    let mut build = process::cargo(&session.workspace.root);
    // The executables that end-to-end tests start, built with the very features of the tests.
    process::run(build.args(["build", "--workspace", "--bins", "--tests"]))?;
    run(session, &["--workspace"], Choice::Usual)
}

/// One package's tests.
pub(super) fn package(session: &Session<'_>, package: &str) -> Result<()> {
    run(session, &["--package", package], Choice::Usual)
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
    run(session, &["--package", "plexichat-core", "--features", features], Choice::Usual)
}

pub(super) fn clients(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("clients::"))
}

pub(super) fn api(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("api::"))
}

pub(super) fn clamav(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("clamav::"))
}

pub(super) fn gateway(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("gateway::"))
}

pub(super) fn browser(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("browser::"))
}

pub(super) fn upstream(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("upstream::"))
}

pub(super) fn webhooks(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("webhook::"))
}

pub(super) fn long(session: &Session<'_>) -> Result<()> {
    run(session, &["--workspace"], Choice::Ignored("long::"))
}

/// Which tests to run.
#[derive(Debug, Clone, Copy)]
enum Choice {
    /// Those that need nothing special.
    Usual,
    /// Those whose name begins so and that are left out otherwise: they need what was brought, or time.
    Ignored(&'static str),
}

fn run(session: &Session<'_>, packages: &[&str], choice: Choice) -> Result<()> {
    let workspace = session.workspace;
    let mut cargo = process::cargo(&workspace.root);
    let nextest = need::has_nextest(workspace);
    match nextest {
        true => cargo.args(["nextest", "run", "--no-fail-fast", "--status-level", "fail"]),
        false => cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]),
    };
    cargo.args(packages).args(arguments(nextest, choice, session.filter.as_deref()));
    cargo.env("PLEXICHAT_TEST_PYTHON", need::python(workspace));
    cargo.env("PLEXICHAT_TEST_NODE_MODULES", need::node_modules(workspace));
    // Built before, with everything else; a test would otherwise build it.
    let fixtures = workspace.target.join("debug").join(FIXTURES);
    if workspace.has_package(FIXTURES) && fixtures.is_file() {
        cargo.env("PLEXICHAT_FIXTURES_BUNDLE", fixtures);
    }
    let outcome = counting(session, &mut cargo);
    if let Choice::Ignored(_) = choice {
        // Nextest calls skipped what the choice left out; the suite `tests` has run or counted it.
        session.counted.borrow_mut().ignored = 0;
    }
    outcome
}

/// How the runner is told which tests to run.
fn arguments(nextest: bool, choice: Choice, filter: Option<&str>) -> Vec<String> {
    let words: Vec<&str> = match (nextest, choice) {
        (true, Choice::Ignored(prefix)) => {
            let filterset = format!("test(/^{prefix}/)");
            return ["--run-ignored", "only", "--filterset", &filterset].map(str::to_owned).to_vec();
        }
        (_, Choice::Usual) => filter.into_iter().collect(),
        (false, Choice::Ignored(prefix)) => vec!["--", "--ignored", prefix],
    };
    words.into_iter().map(str::to_owned).collect()
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

/// The counts in a summary line of nextest or of Rust's own test harness. What a failed test wrote is shown indented by
/// nextest and may hold such a line of its own, so only lines in their usual place count.
fn read_count(line: &str) -> Option<Counted> {
    let nextest = line.starts_with("     Summary [") && line.contains(" run: ");
    if !nextest && !line.starts_with("test result: ") {
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
    fn both_runners_are_told_the_same() {
        let told = |nextest, choice, filter| arguments(nextest, choice, filter).join(" ");
        assert_eq!(told(true, Choice::Usual, Some("echo")), "echo");
        assert_eq!(told(false, Choice::Usual, Some("echo")), "echo");
        assert_eq!(told(true, Choice::Usual, None), "");
        assert_eq!(told(true, Choice::Ignored("a::"), None), "--run-ignored only --filterset test(/^a::/)");
        assert_eq!(told(false, Choice::Ignored("a::"), None), "-- --ignored a::");
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
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 96 filtered out", None);
    }
}
