//! How a command fails: what is said on stderr and with which status the process ends. Knows no command.

use std::io::{self, Write};
use std::process::ExitCode;

use plexichat::problem::Problem;

/// The status where the configuration, the data directory or the address cannot work (`EX_CONFIG` of `sysexits.h`).
const CANNOT_WORK: u8 = 78;

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    /// What failed; nothing is said where it is empty.
    messages: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure while doing the work: status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { status: 1, messages: vec![message.into()], hint: None }
    }

    /// What cannot work as configured: status 78.
    pub(crate) fn cannot_work(message: impl Into<String>) -> Self {
        Self { status: CANNOT_WORK, ..Self::new(message) }
    }

    /// Every finding in the configuration: status 78.
    pub(crate) fn of_problems(problems: &[Problem]) -> Self {
        let messages = problems.iter().map(ToString::to_string).collect();
        Self { status: CANNOT_WORK, messages, hint: None }
    }

    /// Wrong usage that only shows when the command is at work: status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, ..Self::new(message) }
    }

    /// Whoever read our output has gone: there is nobody to tell, and nothing is wrong.
    pub(crate) fn nobody_reads() -> Self {
        Self { status: 0, messages: Vec::new(), hint: None }
    }

    /// What cannot work as configured and was told on stdout already: status 78.
    pub(crate) fn told() -> Self {
        Self { status: CANNOT_WORK, messages: Vec::new(), hint: None }
    }

    /// What is wrong was told on stdout already: status 1.
    pub(crate) fn found() -> Self {
        Self { status: 1, messages: Vec::new(), hint: None }
    }

    /// What failed, in one line.
    pub(crate) fn message(&self) -> String {
        self.messages.join("; ")
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        let mut stderr = io::stderr().lock();
        for message in &self.messages {
            let _ = writeln!(stderr, "error: {message}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "hint: {hint}");
        }
        ExitCode::from(self.status)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::nobody_reads(),
            _ => Self::new(format!("cannot write to stdout: {error}")),
        }
    }
}
