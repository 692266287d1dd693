//! The suites behind `cargo xtask test`: one table, run in its order, summed up at the end. Knows no command line.

mod checks;
mod need;
mod report;
mod tests;

use std::cell::RefCell;
use std::time::Instant;

pub(crate) use need::Need;
use report::Outcome;
pub(crate) use report::Report;

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// One suite: a line of the table.
pub(crate) struct Suite {
    /// Its name, in the table and for `--test`.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) about: &'static str,
    /// What must be there.
    needs: &'static [&'static Need],
    /// Whether it takes so long that it runs with `--long` only.
    long: bool,
    run: fn(&Session<'_>) -> Result<()>,
}

/// Every suite there is: what ends soonest comes first.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "fmt", about: "the code is formatted", needs: &[&need::RUSTFMT], long: false, run: checks::format },
    Suite {
        name: "generated",
        about: "src/bundle.rs is what the features say",
        needs: &[],
        long: false,
        run: checks::generated,
    },
    Suite {
        name: "clippy",
        about: "no lint speaks, with every feature",
        needs: &[&need::CLIPPY, &need::C_COMPILER],
        long: false,
        run: checks::clippy,
    },
    Suite {
        name: "tests",
        about: "units, compile errors, tidiness, and the built binary from outside",
        needs: &[&need::C_COMPILER],
        long: false,
        run: tests::workspace,
    },
    Suite {
        name: "documentation",
        about: "every example in the documentation",
        needs: &[&need::C_COMPILER],
        long: false,
        run: tests::documentation,
    },
    Suite {
        name: "inventory",
        about: "the registry of targets without linkme",
        needs: &[&need::C_COMPILER],
        long: false,
        run: tests::inventory,
    },
    Suite {
        name: "clients",
        about: "programs that this project did not write speak to the server",
        needs: &[&need::C_COMPILER, &need::PYTHON, &need::PYTHON_CLIENTS],
        long: false,
        run: tests::clients,
    },
    Suite {
        name: "api",
        about: "schemathesis finds no lie in /openapi.json, and a client generated from it talks",
        needs: &[&need::C_COMPILER, &need::PYTHON, &need::PYTHON_API],
        long: false,
        run: tests::api,
    },
    Suite {
        name: "clamav",
        about: "Debian's clamd judges files behind the antivirus, and is killed while it does",
        needs: &[&need::C_COMPILER, &need::CLAMD],
        long: false,
        run: tests::clamav,
    },
    Suite {
        name: "gateway",
        about: "OpenAI's own clients, for Python and for Node, talk through the gateway",
        needs: &[&need::C_COMPILER, &need::PYTHON, &need::PYTHON_OPENAI, &need::NODE, &need::NODE_OPENAI],
        long: false,
        run: tests::gateway,
    },
    Suite {
        name: "browser",
        about: "Chromium shows /ui, what plugins add to it, and keeps their pages in their frames",
        needs: &[&need::C_COMPILER, &need::NODE, &need::CHROMIUM, &need::NODE_PLAYWRIGHT],
        long: false,
        run: tests::browser,
    },
    Suite {
        name: "upstream",
        about: "llama.cpp's server answers behind the openai plugin, and is killed while it does",
        needs: &[&need::C_COMPILER, &need::PYTHON, &need::PYTHON_LLAMA],
        long: false,
        run: tests::upstream,
    },
    Suite {
        name: "webhooks",
        about: "Slack's own clients, for Python and for Node, post into a room",
        needs: &[&need::C_COMPILER, &need::PYTHON, &need::PYTHON_SLACK, &need::NODE, &need::NODE_SLACK],
        long: false,
        run: tests::webhooks,
    },
    Suite {
        name: "deny",
        about: "licences, sources and banned crates",
        needs: &[&need::DENY],
        long: false,
        run: checks::deny,
    },
    Suite {
        name: "package",
        about: "the static package answers in an empty root",
        needs: &[&need::C_COMPILER, &need::STATIC_LIBC],
        long: false,
        run: checks::package,
    },
    Suite {
        name: "long",
        about: "what takes its time: 1,000 kills and the like",
        needs: &[&need::C_COMPILER],
        long: true,
        run: tests::long,
    },
    Suite {
        name: "dist",
        about: "the package as it ships, with fat link-time optimisation",
        needs: &[&need::C_COMPILER, &need::STATIC_LIBC],
        long: true,
        run: checks::dist,
    },
];

/// What a run of the suites is told, and what it counts.
pub(crate) struct Session<'a> {
    pub(crate) workspace: &'a Workspace,
    /// Whether it may get what is missing.
    pub(crate) setup: bool,
    /// Whether a suite left out is a failure.
    pub(crate) strict: bool,
    /// Runs only tests whose name contains this.
    pub(crate) filter: Option<String>,
    counted: RefCell<Counted>,
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Suite {
    /// Whether it runs with `--long` only.
    pub(crate) const fn is_long(&self) -> bool {
        self.long
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(workspace: &'a Workspace, setup: bool, strict: bool, filter: Option<String>) -> Self {
        Self { workspace, setup, strict, filter, counted: RefCell::default() }
    }

    /// Runs the suites that `wanted` chooses, each whatever the others say.
    pub(crate) fn run(&self, suites: &[Suite], wanted: impl Fn(&Suite) -> bool) -> Report {
        let mut report = Report::default();
        for suite in suites.iter().filter(|suite| wanted(suite)) {
            self.step(&mut report, suite.name, suite.about, || match self.prepare(suite) {
                Ok(None) => (suite.run)(self).into(),
                Ok(Some(missing)) if !self.strict => Outcome::LeftOut(missing),
                Ok(Some(failure)) | Err(failure) => Outcome::Failed(failure),
            });
        }
        report
    }

    /// Runs one plugin's tests and examples.
    pub(crate) fn plugin(&self, package: &str) -> Report {
        let mut report = Report::default();
        self.step(&mut report, "tests", package, || tests::package(self, package).into());
        self.step(&mut report, "documentation", package, || tests::package_documentation(self, package).into());
        report
    }

    fn step(&self, report: &mut Report, name: &'static str, about: &str, run: impl FnOnce() -> Outcome) {
        eprintln!("\n== {name}: {about}");
        let began = Instant::now();
        self.counted.take();
        let outcome = run();
        if let Some(failure) = outcome.complaint() {
            eprintln!("{failure}");
        }
        report.add(name, outcome, self.counted.take(), began.elapsed());
    }

    /// Gets what the suite lacks, where it may; otherwise says what that is and the command that brings it.
    fn prepare(&self, suite: &Suite) -> Result<Option<Failure>> {
        for need in suite.needs {
            if (need.is_there)(self.workspace) {
                continue;
            }
            if !self.setup {
                let missing = Failure::found(format!("the suite `{}` needs {}", suite.name, need.name));
                return Ok(Some(missing.hint(format!("bring it with: {}", need.how))));
            }
            eprintln!("getting {}: {}", need.name, need.how);
            (need.get)(self.workspace).map_err(|failure| failure.hint(format!("bring it by hand: {}", need.how)))?;
            if !(need.is_there)(self.workspace) {
                return Err(Failure::found(format!("{} is still missing", need.name))
                    .hint(format!("bring it by hand: {}", need.how)));
            }
        }
        Ok(None)
    }

    fn count(&self, more: Counted) {
        let mut counted = self.counted.borrow_mut();
        counted.passed += more.passed;
        counted.failed += more.failed;
        counted.ignored += more.ignored;
    }
}

#[cfg(test)]
mod unit {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::workspace::tests as fixture;

    const THERE: Need = Need { name: "air", how: "breathe", is_there: |_| true, get: |_| Ok(()) };
    const MISSING: Need = Need { name: "a unicorn", how: "catch a-unicorn", is_there: |_| false, get: |_| Ok(()) };

    const fn suite(name: &'static str, needs: &'static [&'static Need], run: fn(&Session<'_>) -> Result<()>) -> Suite {
        Suite { name, about: "", needs, long: false, run }
    }

    fn passes(session: &Session<'_>) -> Result<()> {
        session.count(Counted { passed: 3, failed: 0, ignored: 1 });
        Ok(())
    }

    fn fails(session: &Session<'_>) -> Result<()> {
        session.count(Counted { passed: 1, failed: 1, ignored: 0 });
        Err(Failure::found("two is not three"))
    }

    #[track_caller]
    fn check(setup: bool, strict: bool, expected: Expect) {
        let directory = fixture::workspace(fixture::ROOT, &["echo", "word-filter"]);
        let workspace = Workspace::at(directory.path()).unwrap();
        let suites = [suite("good", &[&THERE], passes), suite("bad", &[], fails), suite("rare", &[&MISSING], passes)];
        let report = Session::new(&workspace, setup, strict, None).run(&suites, |_| true);
        expected.assert_eq(&report.render(false));
    }

    #[test]
    fn a_suite_that_lacks_something_is_left_out_by_name() {
        check(
            false,
            false,
            expect![[r#"
            suite          result      tests
            good           passed          3
            bad            failed          2
            rare           left out

            bad failed
              error: two is not three

            rare left out
              error: the suite `rare` needs a unicorn
              hint: bring it with: catch a-unicorn

            tests: 5 ran, 1 of them failed, 1 ignored; suites:
            1 passed, 1 failed
        "#]],
        );
    }

    #[test]
    fn under_ci_a_suite_left_out_is_a_failure() {
        check(
            false,
            true,
            expect![[r#"
            suite          result      tests
            good           passed          3
            bad            failed          2
            rare           failed

            bad failed
              error: two is not three

            rare failed
              error: the suite `rare` needs a unicorn
              hint: bring it with: catch a-unicorn

            tests: 5 ran, 1 of them failed, 1 ignored; suites:
            1 passed, 2 failed
        "#]],
        );
    }

    #[test]
    fn what_setup_cannot_bring_is_a_failure() {
        check(
            true,
            false,
            expect![[r#"
            suite          result      tests
            good           passed          3
            bad            failed          2
            rare           failed

            bad failed
              error: two is not three

            rare failed
              error: a unicorn is still missing
              hint: bring it by hand: catch a-unicorn

            tests: 5 ran, 1 of them failed, 1 ignored; suites:
            1 passed, 2 failed
        "#]],
        );
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SUITES.len());
    }
}
