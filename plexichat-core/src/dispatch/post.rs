//! Stores an answer, however often that takes. Knows nobody's answers.

use super::{Retry, SCANNER_TRIES};
use crate::pipeline::{Incoming, Outcome, Pipeline, Refusal};

/// Stores an answer: tried without end where the store is away or it comes too fast, [`SCANNER_TRIES`] times where a scanner is
/// not available. `unscanned` is called before each wait for a scanner.
///
/// # Errors
/// The refusal that stays: trying for ever helps nobody.
///
/// # Cancel safety
/// The answer may or may not be stored; with its key it can be stored again.
pub(crate) async fn post(
    pipeline: &Pipeline,
    answer: Incoming,
    retry: Retry,
    mut unscanned: impl FnMut(),
) -> Result<Outcome, Refusal> {
    let (mut wait, mut scanner_wait, mut tries) = (retry.first, retry.scanner, 0);
    loop {
        let refusal = match pipeline.send(answer.clone()).await {
            Ok(outcome) => return Ok(outcome),
            Err(refusal) => refusal,
        };
        let pause = match &refusal {
            Refusal::ScannerUnavailable { .. } if tries + 1 < SCANNER_TRIES => {
                tries += 1;
                unscanned();
                let pause = scanner_wait.min(retry.last);
                scanner_wait *= 2;
                pause
            }
            Refusal::Store(_) | Refusal::TooFast { .. } => {
                let pause = wait;
                wait = (wait * 2).min(retry.last);
                if let Refusal::TooFast { retry_after } = refusal { pause.max(retry_after) } else { pause }
            }
            _ => return Err(refusal),
        };
        let (author, room) = (&answer.author.id, answer.room_id);
        tracing::debug!(%author, %room, %refusal, "an answer could not be stored; trying again");
        tokio::time::sleep(pause).await;
    }
}
