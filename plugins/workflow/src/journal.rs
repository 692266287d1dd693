//! What became of the last runs, for whoever asks in a room. In memory: the host keeps the whole history.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use plexichat::id::RunId;
use plexichat::message::Time;
use plexichat::workflow::{Outcome, WorkflowError, WorkflowRun};

/// How many runs are remembered.
const MOST: usize = 200;

/// How many letters of a reason are remembered.
const SHOWN: usize = 200;

/// What became of a run.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) run: RunId,
    pub(crate) workflow: String,
    pub(crate) what: String,
    pub(crate) at: Time,
}

/// The last runs.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<VecDeque<Entry>>);

impl Journal {
    /// Remembers what became of an attempt.
    pub(crate) fn note(&self, run: &WorkflowRun, now: Time, result: &Result<Outcome, WorkflowError>) {
        let what = match result {
            Ok(Outcome::Done(_)) => "done".to_owned(),
            Ok(Outcome::Wait { until: Some(until), .. }) => {
                format!("waits until {}", until.0.strftime("%Y-%m-%d %H:%M:%S UTC"))
            }
            Ok(Outcome::Wait { .. }) => "waits".to_owned(),
            Ok(Outcome::Skip(why)) => format!("nothing to do: {why}"),
            Ok(_) => "ended".to_owned(),
            Err(WorkflowError::Retry { message, .. }) => format!("is tried again: {message}"),
            Err(error) => format!("failed: {error}"),
        };
        let what: String = what.chars().take(SHOWN).collect();
        let what = if run.dry_run { format!("dry run: {what}") } else { what };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.run != run.id);
        entries.truncate(MOST - 1);
        entries.push_front(Entry { run: run.id, workflow: run.workflow.clone(), what, at: now });
    }

    /// The last runs of a workflow, or of all; the newest first.
    pub(crate) fn last(&self, workflow: Option<&str>, most: usize) -> Vec<Entry> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |entry: &&Entry| workflow.is_none_or(|name| entry.workflow == name);
        entries.iter().filter(wanted).take(most).cloned().collect()
    }
}
