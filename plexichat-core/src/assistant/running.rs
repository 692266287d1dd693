//! The answers that are on their way, and how each is ended early. Knows no model.

use std::collections::{HashMap, hash_map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Assistants;
use crate::id::{MessageId, ReplyId, RoomId};
use crate::message::Actor;
use crate::pipeline::Access;
use crate::store::StoreError;

/// Why an answer is ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody wanted no more: what was shown is kept.
    Cancelled,
    /// The question was deleted: nothing is kept.
    Deleted,
}

/// Why an answer was not cancelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CancelError {
    /// There is none on its way, or the person may not know of it.
    #[error("no such answer is on its way: it may have ended")]
    Unknown,
    /// Only who asked and who moderates the room may.
    #[error("only whoever asked, and moderators of the room, may cancel an answer")]
    Forbidden,
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The answers on their way.
#[derive(Default)]
pub(super) struct Running {
    entries: Mutex<HashMap<ReplyId, Entry>>,
    /// How many they are.
    count: watch::Sender<usize>,
}

struct Entry {
    room_id: RoomId,
    asked_by: Actor,
    stop: watch::Sender<Option<Stop>>,
}

impl Running {
    fn map(&self) -> MutexGuard<'_, HashMap<ReplyId, Entry>> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to this message begins, or waits for its turn; nothing where it has begun before.
    pub(super) fn begin(self: &Arc<Self>, message: MessageId, room_id: RoomId, asked_by: Actor) -> Option<Begun> {
        let reply_id = ReplyId::to(message);
        let (stop, stopped) = watch::channel(None);
        match self.map().entry(reply_id) {
            hash_map::Entry::Occupied(_) => return None,
            hash_map::Entry::Vacant(place) => place.insert(Entry { room_id, asked_by, stop }),
        };
        self.count.send_modify(|count| *count += 1);
        Some(Begun { running: self.clone(), reply_id, stopped })
    }

    /// How many answers are on their way or wait: in this room, of this person, in all.
    pub(super) fn count(&self, room_id: RoomId, person: &Actor) -> (usize, usize, usize) {
        let map = self.map();
        let here = map.values().filter(|entry| entry.room_id == room_id).count();
        let theirs = map.values().filter(|entry| entry.asked_by.is_same(person)).count();
        (here, theirs, map.len())
    }

    /// How many are on their way or wait.
    pub(super) fn all(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until there is none.
    pub(super) async fn idle(&self) {
        // The sender is this one's own: it is there.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn stop(&self, reply_id: ReplyId, why: Stop) -> bool {
        let map = self.map();
        let Some(entry) = map.get(&reply_id) else { return false };
        entry.stop.send_replace(Some(why));
        true
    }

    /// The message is gone.
    pub(super) fn deleted(&self, message: MessageId) {
        self.stop(ReplyId::to(message), Stop::Deleted);
    }

    fn find(&self, reply_id: ReplyId) -> Option<(RoomId, Actor)> {
        self.map().get(&reply_id).map(|entry| (entry.room_id, entry.asked_by.clone()))
    }

    /// Stops what this person asked in the room, or everything in it. How many answers that were.
    pub(super) fn stop_in(&self, room_id: RoomId, asked_by: Option<&Actor>) -> usize {
        let map = self.map();
        let theirs = map
            .values()
            .filter(|entry| entry.room_id == room_id && asked_by.is_none_or(|person| entry.asked_by.is_same(person)));
        theirs.fold(0, |count, entry| {
            entry.stop.send_replace(Some(Stop::Cancelled));
            count + 1
        })
    }
}

/// An answer on its way; dropped when it is over.
pub(super) struct Begun {
    running: Arc<Running>,
    pub(super) reply_id: ReplyId,
    stopped: watch::Receiver<Option<Stop>>,
}

impl Begun {
    /// Waits until somebody ends it early.
    ///
    /// # Cancel safety
    /// Cancel safe: it is ready again.
    pub(super) async fn stopped(&self) -> Stop {
        let mut stopped = self.stopped.clone();
        let why = stopped.wait_for(Option::is_some).await.map(|why| *why);
        match why {
            Ok(why) => why.unwrap_or(Stop::Cancelled),
            // Its entry is this one's alone to remove.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.running.map().remove(&self.reply_id);
        self.running.count.send_modify(|count| *count -= 1);
    }
}

impl Assistants {
    /// Ends an answer early: the provider's call is dropped at once, and what was shown is kept.
    ///
    /// # Errors
    /// [`CancelError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have ended it.
    pub async fn cancel(&self, reply_id: ReplyId, by: &Actor) -> Result<(), CancelError> {
        let (room_id, asked_by) = self.running.find(reply_id).ok_or(CancelError::Unknown)?;
        if !asked_by.is_same(by) {
            match self.store.access(by, room_id).await? {
                Access::Moderate => {}
                Access::None => return Err(CancelError::Unknown),
                Access::Read | Access::Write => return Err(CancelError::Forbidden),
            }
        }
        if self.running.stop(reply_id, Stop::Cancelled) { Ok(()) } else { Err(CancelError::Unknown) }
    }
}
