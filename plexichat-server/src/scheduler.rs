//! Posts what was written for later once it is due, through the pipeline like everything else. Knows neither rooms nor who
//! wrote it.

use std::sync::Arc;
use std::time::Duration;

use plexichat::message::{Origin, Time};
use plexichat::pipeline::{Incoming, Pipeline, Refusal};
use plexichat::store::StoreError;
use tokio::sync::watch;

use crate::stop::stopped;
use crate::store::{Due, ScheduledError, Store};

/// How long it sleeps at most: the machine's clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// How long it waits before it tries again what could not be posted for now.
const RETRY: Duration = Duration::from_secs(5);
/// How many posts are read at once.
const PAGE: u32 = 64;

/// Posts what is due until the server stops.
///
/// # Cancel safety
/// A post is stored once, however often it is tried: a dropped call leaves it posted or waiting.
pub(crate) async fn run(store: Store, pipeline: Arc<Pipeline>, mut stopping: watch::Receiver<bool>) {
    let changed = store.scheduled();
    let work = async {
        loop {
            let pause = match round(&store, &pipeline, Time::now()).await {
                Ok(true) => pause(&store).await,
                Ok(false) => RETRY,
                Err(error) => {
                    tracing::warn!(%error, "posting what is due: it is tried again");
                    RETRY
                }
            };
            // Whoever schedules something earlier wakes it; what waits for its retry is no hurry.
            let _ = tokio::time::timeout(pause, changed.notified()).await;
        }
    };
    tokio::select! {
        () = stopped(&mut stopping) => {}
        () = work => {}
    }
}

/// How long until the next post is due.
async fn pause(store: &Store) -> Duration {
    match store.next_scheduled().await {
        Ok(None) => SLEEP_MAX,
        Ok(Some(due)) => {
            let micros = due.as_micros().saturating_sub(Time::now().as_micros());
            Duration::from_micros(u64::try_from(micros).unwrap_or(0)).min(SLEEP_MAX)
        }
        Err(_) => RETRY,
    }
}

/// Tries once each post that is due; whether none is left for another try.
async fn round(store: &Store, pipeline: &Pipeline, now: Time) -> Result<bool, StoreError> {
    let (mut after, mut all) = (None, true);
    loop {
        let page = store.due(now, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some((last.post.due_at, last.post.id));
        for due in page {
            all &= post(store, pipeline, due).await?;
        }
    }
}

/// Posts one; whether it is done with, for good or for bad.
async fn post(store: &Store, pipeline: &Pipeline, due: Due) -> Result<bool, StoreError> {
    let Due { post, author } = due;
    let incoming = Incoming {
        author,
        room_id: post.room_id,
        text: post.text,
        reply_to: post.reply_to,
        attachments: post.attachments,
        origin: Origin::Scheduled,
        // A crash between the message and the removal of the post leads here again, and to the same message.
        key: Some(post.id.key()),
        cause_id: None,
        cause_depth: 0,
    };
    match pipeline.send(incoming).await {
        Ok(_) => {
            store.unschedule(post.id, None).await?;
            Ok(true)
        }
        Err(refusal) if refusal.retryable() => {
            tracing::debug!(post = %post.id, %refusal, "a post that is due waits");
            Ok(false)
        }
        Err(refusal) => {
            tracing::info!(post = %post.id, room = %post.room_id, code = refusal.code(), "a post that was due is refused");
            store.scheduled_failed(post.id, told(&refusal)).await?;
            Ok(true)
        }
    }
}

fn told(refusal: &Refusal) -> ScheduledError {
    ScheduledError { code: refusal.code().to_owned(), message: refusal.to_string() }
}

#[cfg(test)]
mod tests {
    use plexichat::id::{MessageId, RoomId};
    use plexichat::pipeline::MessageStore;

    use super::*;
    use crate::store::testing::{Bench, Place};
    use crate::store::{Act, NewScheduled, ScheduleError, Scheduled, ScheduledState};

    async fn schedule(bench: &Bench, room_id: RoomId, text: &str, due_at: i64) -> Result<Scheduled, ScheduleError> {
        let new = NewScheduled {
            author: bench.user.id,
            room_id,
            text: text.into(),
            reply_to: None,
            attachments: Vec::new(),
            due_at: Time::from_micros(due_at),
        };
        bench.store.schedule(new).await
    }

    async fn texts(bench: &Bench, room: RoomId) -> Vec<String> {
        let rows = bench.store.history(room, Some(0), None, 500).await.unwrap();
        rows.into_iter().map(|row| row.text).collect()
    }

    #[tokio::test]
    async fn what_is_due_is_posted_once_and_in_order() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        for (text, due_at) in [("third", 30), ("first", 10), ("later", 1_000), ("second", 20)] {
            schedule(&bench, room, text, due_at).await.unwrap();
        }
        assert_eq!(bench.store.next_scheduled().await, Ok(Some(Time::from_micros(10))));
        for _ in 0..2 {
            assert_eq!(round(&bench.store, &bench.pipeline, Time::from_micros(100)).await, Ok(true));
            assert_eq!(texts(&bench, room).await, ["first", "second", "third"]);
        }
        let left = bench.store.scheduled_by(bench.user.id).await.unwrap();
        assert_eq!(left.iter().map(|post| post.text.as_str()).collect::<Vec<_>>(), ["later"]);
    }

    #[tokio::test]
    async fn a_crash_before_it_is_removed_posts_nothing_twice() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        schedule(&bench, room, "once", 1).await.unwrap();
        let due = bench.store.due(Time::now(), None, 1).await.unwrap().remove(0);
        assert_eq!(due.author, bench.user.actor());
        for _ in 0..2 {
            assert_eq!(post(&bench.store, &bench.pipeline, due.clone()).await, Ok(true));
        }
        assert_eq!(texts(&bench, room).await, ["once"]);
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_kept_with_its_reason() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        schedule(&bench, room, "too late", 1).await.unwrap();
        bench.store.delete_room(room, bench.user.id, &Act::system()).await.unwrap();
        assert_eq!(round(&bench.store, &bench.pipeline, Time::now()).await, Ok(true));
        let kept = bench.store.scheduled_by(bench.user.id).await.unwrap().remove(0);
        assert_eq!((kept.state, kept.error.unwrap().code.as_str()), (ScheduledState::Failed, "room_not_found"));
        assert_eq!(bench.store.unschedule(kept.id, Some(plexichat::id::UserId::new())).await, Ok(false));
        assert_eq!(bench.store.unschedule(kept.id, Some(bench.user.id)).await, Ok(true));
        assert_eq!(schedule(&bench, room, "nowhere", 1).await.err(), Some(ScheduleError::NoRoom));
    }

    #[tokio::test]
    async fn what_cannot_be_posted_for_now_waits_and_holds_up_nothing() {
        let place = Place::new();
        let bench = Bench::with_limits(&place, 1).await;
        let (room, other) = (bench.room("general").await, bench.room("other").await);
        for (number, room) in [room, room, room, other].into_iter().enumerate() {
            schedule(&bench, room, &format!("message {number}"), 1 + number as i64).await.unwrap();
        }
        assert_eq!(round(&bench.store, &bench.pipeline, Time::now()).await, Ok(false));
        assert_eq!(texts(&bench, other).await, ["message 3"]);
        assert!(texts(&bench, room).await.len() < 3);
        let left = bench.store.scheduled_by(bench.user.id).await.unwrap();
        assert!(!left.is_empty() && left.iter().all(|post| post.state == ScheduledState::Waiting), "{left:?}");
    }

    #[tokio::test]
    async fn what_failed_does_not_pile_up_or_hide_what_waits() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let other = bench.room("other").await;
        schedule(&bench, other, "waits", i64::MAX / 2).await.unwrap();
        for name in ["first", "second"] {
            let room = bench.room(name).await;
            for number in 0..60 {
                let due_at = number + if name == "first" { 1 } else { 61 };
                schedule(&bench, room, &format!("{name} {number}"), due_at).await.unwrap();
            }
            bench.store.delete_room(room, bench.user.id, &Act::system()).await.unwrap();
            assert_eq!(round(&bench.store, &bench.pipeline, Time::now()).await, Ok(true));
        }
        let kept = bench.store.scheduled_by(bench.user.id).await.unwrap();
        assert_eq!((kept.len(), kept[0].text.as_str(), kept[1].text.as_str()), (101, "waits", "first 20"));
    }

    #[tokio::test]
    async fn one_person_has_a_bounded_number_waiting() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        for _ in 0..100 {
            schedule(&bench, room, "wait", i64::MAX / 2).await.unwrap();
        }
        assert_eq!(schedule(&bench, room, "too many", i64::MAX / 2).await.err(), Some(ScheduleError::TooMany));
        assert!(!bench.store.has_message(room, MessageId::new()).await.unwrap());
    }
}
