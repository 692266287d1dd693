//! One try at a delivery: calls the receiver and says what its answer means. Knows no template.

use std::time::Duration;

use plexichat::error::ErrorKind;
use plexichat::prelude::*;

use crate::Webhook;
use crate::asked::{Delivery, DeliveryState};
use crate::compose;
use crate::log::{self, Log};
use crate::outgoing::{Outgoing, TRIGGER};

/// How long a receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What became of a try.
enum Verdict {
    /// The receiver took it.
    Delivered,
    /// It may work later, not before this time.
    Later(String, Option<Duration>),
    /// It will never work.
    Never(String),
    /// Nobody wants the hook's calls any more.
    Gone,
}

/// What a receiver's answer means. What it refuses for what it is will be refused again; anything else may be mended.
fn verdict(status: u16, retry_after: Option<Duration>) -> Verdict {
    match status {
        200..300 => Verdict::Delivered,
        410 => Verdict::Gone,
        300..400 => Verdict::Later(
            format!(
                "the receiver answered {status}, which leads elsewhere: redirects are not followed, set the address that is meant"
            ),
            None,
        ),
        400 | 411 | 413 | 414 | 415 | 422 | 431 => {
            Verdict::Never(format!("the receiver answered {status}: it refuses this call"))
        }
        _ => {
            Verdict::Later(format!("the receiver answered {status}"), retry_after.map(|pause| pause.min(LONGEST_PAUSE)))
        }
    }
}

impl Webhook {
    /// Carries out one try at a delivery.
    pub(crate) async fn deliver(&self, run: WorkflowRun) -> Result<Outcome, WorkflowError> {
        let id = run.trigger.strip_prefix(TRIGGER).unwrap_or(&run.trigger);
        let Some(hook) = self.outgoing.find(id).await? else {
            return Ok(Outcome::Skip("the webhook was deleted".to_owned()));
        };
        let event = &run.input["event"];
        let kind = event["type"].as_str().unwrap_or("unknown").to_owned();
        // A replay is the same delivery: whoever got it before can see that.
        let delivery = run.input["delivery"].as_str().map_or_else(|| run.id.to_string(), str::to_owned);
        if run.dry_run {
            return Ok(match compose::call(&hook, event) {
                Ok(call) => Outcome::Done(json!({ "would_call": hook.view().url, "body": call.body })),
                Err(error) => Outcome::Skip(error),
            });
        }
        let mut told = Delivery {
            id: delivery,
            event: kind,
            event_id: event["id"].as_str().map(str::to_owned),
            state: DeliveryState::Skipped,
            attempts: run.attempt,
            status: None,
            ms: 0,
            error: None,
            at: self.context.now(),
        };
        if !hook.enabled {
            told.error = Some("the webhook is disabled".to_owned());
            self.keep(&hook, &told, event).await?;
            return Ok(Outcome::Skip("the webhook is disabled".to_owned()));
        }
        let verdict = self.attempt(&hook, event, &mut told).await;
        let verdict = match verdict {
            Verdict::Later(why, _) if self.is_too_old(&run) => {
                Verdict::Never(format!("{why}; given up after {} h", self.config.give_up_after_hours))
            }
            verdict => verdict,
        };
        self.settled(&hook, told, event, verdict).await
    }

    /// Calls the receiver.
    async fn attempt(&self, hook: &Outgoing, event: &Value, told: &mut Delivery) -> Verdict {
        let call = match compose::call(hook, event) {
            Ok(call) => call,
            Err(error) => return Verdict::Never(error),
        };
        let began = self.context.now();
        let mut request = self.context.http().post(&hook.url).without_redirects().timeout(PATIENCE);
        for (name, value) in compose::headers(hook, &call, &told.event, &told.id, began.as_micros() / 1_000_000) {
            request = request.header(&name, &value);
        }
        let answered = request.body(call.body).send().await;
        told.at = self.context.now();
        told.ms = u64::try_from(told.at.as_micros().saturating_sub(began.as_micros()) / 1_000).unwrap_or(0);
        match answered {
            Ok(response) => {
                told.status = Some(response.status);
                verdict(response.status, response.retry_after(told.at))
            }
            Err(error) => match error.kind() {
                ErrorKind::Upstream { retry_after } => Verdict::Later(error.to_string(), retry_after),
                ErrorKind::Transient | ErrorKind::Internal => Verdict::Later(error.to_string(), None),
                // The operator's grant, or the guard of private addresses: waiting changes neither.
                _ => Verdict::Never(error.to_string()),
            },
        }
    }

    /// Tells everybody what became of a try.
    async fn settled(
        &self,
        hook: &Outgoing,
        mut told: Delivery,
        event: &Value,
        verdict: Verdict,
    ) -> Result<Outcome, WorkflowError> {
        let (status, attempts) = (told.status, told.attempts);
        (told.state, told.error) = match &verdict {
            Verdict::Delivered => (DeliveryState::Delivered, None),
            Verdict::Later(why, _) => (DeliveryState::Retrying, Some(why.clone())),
            Verdict::Never(why) => (DeliveryState::Failed, Some(why.clone())),
            Verdict::Gone => (DeliveryState::Failed, Some(GONE.to_owned())),
        };
        if let Err(error) = self.keep(hook, &told, event).await {
            // What the receiver has taken is not sent again because of the log.
            tracing::warn!(hook = hook.id, %error, "a delivery is missing in the log of its webhook");
        }
        let events = self.context.events();
        let emitted = match &verdict {
            Verdict::Delivered => events.webhook_delivered(&hook.id, status.unwrap_or(0), attempts).await,
            Verdict::Later(..) => Ok(()),
            Verdict::Never(_) | Verdict::Gone => events.webhook_failed(&hook.id, status, attempts).await,
        };
        if let Err(error) = emitted {
            tracing::warn!(hook = hook.id, %error, "nobody was told of a delivery");
        }
        match verdict {
            Verdict::Delivered => Ok(Outcome::Done(json!({ "status": status }))),
            Verdict::Later(message, after) => Err(WorkflowError::Retry { message, after }),
            Verdict::Never(message) => Err(WorkflowError::Permanent(message)),
            Verdict::Gone => {
                self.outgoing.disable(&hook.id, Some(GONE)).await?;
                Err(WorkflowError::permanent(GONE))
            }
        }
    }

    /// Keeps what became of a try; nothing of a webhook that was deleted while it was called.
    async fn keep(&self, hook: &Outgoing, told: &Delivery, event: &Value) -> Result<()> {
        self.log().add(&hook.id, told, event).await?;
        // Only afterwards: whoever deletes it next finds what was kept.
        if self.outgoing.find(&hook.id).await?.is_none() {
            log::forget(&self.context.storage(), &hook.id).await?;
        }
        Ok(())
    }

    fn is_too_old(&self, run: &WorkflowRun) -> bool {
        let age = self.context.now().as_micros().saturating_sub(run.scheduled_at.as_micros());
        age >= i64::from(self.config.give_up_after_hours) * 3_600_000_000
    }

    pub(crate) fn log(&self) -> Log {
        Log { storage: self.context.storage(), kept: usize::from(self.config.deliveries_kept) }
    }
}

const GONE: &str = "the receiver answered 410: it wants no more calls";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, expected: &str) {
        let found = match verdict(status, Some(Duration::from_secs(9_999))) {
            Verdict::Delivered => "delivered".to_owned(),
            Verdict::Later(_, after) => format!("later {}", after.map_or(0, |after| after.as_secs())),
            Verdict::Never(_) => "never".to_owned(),
            Verdict::Gone => "gone".to_owned(),
        };
        assert_eq!(found, expected, "{status}");
    }

    #[test]
    fn answers_mean() {
        check(200, "delivered");
        check(204, "delivered");
        check(301, "later 0");
        check(400, "never");
        check(413, "never");
        check(404, "later 3600");
        check(401, "later 3600");
        check(410, "gone");
        check(429, "later 3600");
        check(503, "later 3600");
    }
}
