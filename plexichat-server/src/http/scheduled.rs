//! `/api/v1/scheduled`: posts that are written now and due later.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use plexichat::id::{FileId, MessageId, RoomId};
use plexichat::message::{Origin, Time};
use plexichat::pipeline::Incoming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::Caller;
use super::extract::{Json, Path};
use super::output::{Created, Gone, Shown};
use super::rooms::no_such_room;
use crate::error::{ApiError, Finding};
use crate::store::{DAYS_AHEAD_MAX, NewScheduled, ScheduleError, Scheduled, ScheduledId};

/// A post for later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostForLater {
    /// Where it is to be posted.
    room_id: RoomId,
    /// What is to be posted.
    text: String,
    /// The message that it answers.
    reply_to: Option<MessageId>,
    /// The files that hang on it, uploaded before by oneself to the same room.
    attachments: Option<Vec<FileId>>,
    /// When it is due: later than now, and within a year.
    due_at: Time,
}

/// One's posts for later by the time at which they are due, those that failed behind those that wait.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ScheduledList {
    /// The posts: those that wait, then the last hundred that were refused when they were due.
    scheduled: Vec<Scheduled>,
}

/// The address of a post.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ScheduledAddress {
    /// The post's identifier.
    id: ScheduledId,
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Json(new): Json<PostForLater>,
) -> Result<Created<Scheduled>, ApiError> {
    check_time(new.due_at, Time::now())?;
    let attachments = new.attachments.unwrap_or_default();
    // Everything but storing it: whoever writes what would be refused hears so now, not when it is due.
    let incoming = Incoming {
        author: caller.actor().clone(),
        room_id: new.room_id,
        text: new.text.clone(),
        reply_to: new.reply_to,
        attachments: attachments.clone(),
        origin: Origin::Scheduled,
        key: None,
        cause_id: None,
        cause_depth: 0,
    };
    app.host.pipeline.check(incoming).await?;
    let new = NewScheduled {
        author: caller.user().id,
        room_id: new.room_id,
        text: new.text,
        reply_to: new.reply_to,
        attachments,
        due_at: new.due_at,
    };
    Ok(Created(app.store.schedule(new).await?))
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
) -> Result<Shown<ScheduledList>, ApiError> {
    Ok(Shown(ScheduledList { scheduled: app.store.scheduled_by(caller.user().id).await? }))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<ScheduledAddress>,
) -> Result<Gone, ApiError> {
    if app.store.unschedule(address.id, Some(caller.user().id)).await? {
        return Ok(Gone);
    }
    Err(ApiError::not_found("you have no such post for later").hint("it may have been posted: then it is a message"))
}

fn check_time(due_at: Time, now: Time) -> Result<(), ApiError> {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let ahead = due_at.as_micros().saturating_sub(now.as_micros());
    let message = match ahead {
        ..=0 => "lies in the past".to_owned(),
        ahead if ahead > DAYS_AHEAD_MAX * DAY => format!("is more than {DAYS_AHEAD_MAX} days ahead"),
        _ => return Ok(()),
    };
    let finding = Finding { pointer: "/due_at".to_owned(), message };
    Err(ApiError::invalid("the time at which the post is due cannot be", vec![finding]))
}

impl From<ScheduleError> for ApiError {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::NoRoom => no_such_room(),
            ScheduleError::TooMany => Self::new(StatusCode::CONFLICT, "too_many_scheduled", error.to_string())
                .hint("remove one: DELETE /api/v1/scheduled/{id}"),
            ScheduleError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds_ahead: i64, allowed: bool) {
        let now = Time::now();
        let due_at = Time::from_micros(now.as_micros() + seconds_ahead * 1_000_000);
        assert_eq!(check_time(due_at, now).is_ok(), allowed, "{seconds_ahead}");
    }

    #[test]
    fn posts_are_due_in_the_near_future() {
        check(-1, false);
        check(0, false);
        check(1, true);
        check(365 * 86_400, true);
        check(367 * 86_400, false);
        assert!(check_time(Time::from_micros(i64::MAX), Time::now()).is_err());
        assert!(check_time(Time::from_micros(i64::MIN), Time::now()).is_err());
    }
}
