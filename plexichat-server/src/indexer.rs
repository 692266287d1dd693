//! Keeps the index of words: takes step after step while there is something new, and leaves the writer to messages in
//! between. Knows neither what is indexed nor who looks for it.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::stop::stopped;
use crate::store::Store;

/// How long it waits where everything is indexed: so late is a new message found.
const IDLE: Duration = Duration::from_millis(200);
/// How long it waits after a failure.
const FAILED: Duration = Duration::from_secs(10);
/// How many times as long as its step took it pauses while messages come faster than it indexes them: the writer is theirs.
const PAUSE_BUSY: u32 = 15;
/// The same while it catches up.
const PAUSE_QUIET: u32 = 1;

/// Indexes until the server stops.
///
/// # Cancel safety
/// A dropped call leaves a whole step done or undone.
pub(crate) async fn run(store: Store, mut stopping: watch::Receiver<bool>) {
    let mut behind = 0;
    let work = async {
        loop {
            let begun = Instant::now();
            let pause = match store.index_step().await {
                Ok(indexed) => {
                    let pause = pause(begun.elapsed(), behind, indexed.behind);
                    behind = indexed.behind;
                    pause
                }
                Err(error) => {
                    tracing::warn!(%error, "indexing messages: it is tried again");
                    FAILED
                }
            };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = stopped(&mut stopping) => {}
        () = work => {}
    }
}

/// How long to leave the writer alone after a step that took so long, where so much was left to do before it and is now.
fn pause(step: Duration, before: u64, now: u64) -> Duration {
    match now {
        0 => IDLE,
        now if now >= before => step * PAUSE_BUSY,
        _ => step * PAUSE_QUIET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: u64, now: u64, millis: u64) {
        assert_eq!(pause(Duration::from_millis(4), before, now), Duration::from_millis(millis));
    }

    #[test]
    fn messages_come_before_the_index() {
        check(0, 0, 200);
        check(100, 0, 200);
        check(1000, 900, 4);
        check(900, 1000, 60);
        check(900, 900, 60);
    }
}
