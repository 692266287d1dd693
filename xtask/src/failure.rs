//! How a command ends badly: what failed, on what, and what to do. Knows no command.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: anyhow::Error,
    hint: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It found problems, or could not finish.
    Found,
    /// It was used wrongly.
    Usage,
    /// It found problems and has shown them already.
    Told,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// It found problems, or could not finish: exit code 1.
    pub(crate) fn found(message: impl fmt::Display) -> Self {
        Self { cause: anyhow::anyhow!("{message}"), hint: None, kind: Kind::Found }
    }

    /// It was used wrongly: exit code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Usage, ..Self::found(message) }
    }

    /// It found problems and has shown them already: exit code 1, and nothing more is said.
    pub(crate) fn told() -> Self {
        Self { kind: Kind::Told, ..Self::found("problems were found") }
    }

    /// Whether there is nothing more to say.
    pub(crate) fn is_told(&self) -> bool {
        self.kind == Kind::Told
    }

    /// The same, with what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.kind {
            Kind::Found | Kind::Told => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(cause: anyhow::Error) -> Self {
        Self { cause, hint: None, kind: Kind::Found }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {:#}", self.cause)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Says what was being done when something failed, and what to do about it.
pub(crate) trait Explain<T> {
    /// What failed, on what.
    fn explain(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> Explain<T> for std::result::Result<T, E> {
    fn explain(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| cause.into().context(what()).into())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(failure: &Failure, expected: Expect) {
        expected.assert_eq(&failure.to_string());
    }

    #[test]
    fn a_failure_says_what_and_what_to_do() {
        let cause = std::io::Error::other("disk on fire");
        let failure = Err::<(), _>(cause).explain(|| "cannot write `a.toml`".into()).unwrap_err();
        check(&failure, expect!["error: cannot write `a.toml`: disk on fire"]);
        check(
            &Failure::usage("no plugin `eco`").hint("there are: echo"),
            expect![[r#"
                error: no plugin `eco`
                hint: there are: echo"#]],
        );
    }
}
