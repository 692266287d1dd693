//! What the suites came to: a table, and the counts. Runs nothing.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::Counted;
use crate::failure::{Failure, Result};

/// How the suites ended, in the order they ran.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    suite: &'static str,
    outcome: Outcome,
    counted: Counted,
    took: Duration,
}

/// How a suite ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Passed,
    Failed(Failure),
    /// It lacks something.
    LeftOut(Failure),
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(failure) => Self::Failed(failure),
        }
    }
}

impl Outcome {
    pub(super) fn complaint(&self) -> Option<&Failure> {
        match self {
            Self::Passed => None,
            Self::Failed(failure) | Self::LeftOut(failure) => Some(failure),
        }
    }

    const fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::LeftOut(_) => "left out",
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, suite: &'static str, outcome: Outcome, counted: Counted, took: Duration) {
        self.lines.push(Line { suite, outcome, counted, took });
    }

    /// Whether nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed() == 0
    }

    fn failed(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.outcome, Outcome::Failed(_))).count()
    }

    fn passed(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.outcome, Outcome::Passed)).count()
    }

    fn tests(&self) -> Counted {
        self.lines.iter().fold(Counted::default(), |sum, line| Counted {
            passed: sum.passed + line.counted.passed,
            failed: sum.failed + line.counted.failed,
            ignored: sum.ignored + line.counted.ignored,
        })
    }

    /// The table; its last line is `N passed, N failed` and counts suites. Times change from run to run.
    pub(crate) fn render(&self, times: bool) -> String {
        let mut text = format!("{:<15}{:<10}{:>7}", "suite", "result", "tests");
        text.push_str(if times { "      time\n" } else { "\n" });
        // Writing to a string does not fail.
        for line in &self.lines {
            let ran = line.counted.passed + line.counted.failed;
            let tests = if ran == 0 { String::new() } else { ran.to_string() };
            let _ = write!(text, "{:<15}{:<10}{tests:>7}", line.suite, line.outcome.as_str());
            if times {
                let _ = write!(text, "{:>8.1} s", line.took.as_secs_f64());
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for line in &self.lines {
            if let Some(complaint) = line.outcome.complaint() {
                let complaint = complaint.to_string();
                let shown: Vec<&str> = complaint.lines().take(6).collect();
                let _ = write!(text, "\n{} {}\n  {}\n", line.suite, line.outcome.as_str(), shown.join("\n  "));
            }
        }
        let Counted { passed, failed, ignored } = self.tests();
        let _ = writeln!(text, "\ntests: {} ran, {failed} of them failed, {ignored} ignored; suites:", passed + failed);
        let _ = writeln!(text, "{} passed, {} failed", self.passed(), self.failed());
        text
    }

    /// The same for a script.
    pub(crate) fn json(&self) -> Value {
        let tests = |counted: &Counted| json!({ "passed": counted.passed, "failed": counted.failed, "ignored": counted.ignored });
        let suites: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                json!({
                    "name": line.suite,
                    "outcome": line.outcome.as_str(),
                    "complaint": line.outcome.complaint().map(ToString::to_string),
                    "tests": tests(&line.counted),
                    "seconds": line.took.as_secs_f64(),
                })
            })
            .collect();
        json!({ "suites": suites, "tests": tests(&self.tests()), "passed": self.passed(), "failed": self.failed() })
    }
}
