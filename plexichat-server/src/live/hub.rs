//! Who listens to which room. A message is written as a frame once and shared by all who listen; each connection has a
//! bounded queue. One that is too slow, or that comes back, reads what it missed from the store, and only when that is
//! too much it is told to read the history itself. Knows no socket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use axum::extract::ws::Utf8Bytes;
use plexichat::id::RoomId;
use plexichat::message::StoredRow;
use plexichat::pipeline::{Fanout, Message, MessageStore, Stored};
use plexichat::store::StoreError;
use serde::Serialize;
use tokio::sync::Notify;

/// How many messages one connection's queue holds, and how many bytes of them.
const QUEUE_MESSAGES: usize = 256;
const QUEUE_BYTES: usize = 1 << 20;

/// How many rooms one connection may listen to.
const ROOMS: usize = 1000;

/// How many missed messages are sent before the client is told to read the rest itself.
const CATCH_UP: u32 = 1000;

/// How many missed messages are read at once.
const PAGE: u32 = 100;

/// What is sent, as JSON text: `{"type": "message", …}` with the message's own fields beside the type, as the REST API
/// shows a message; `{"type": "gap", "room_id": …, "from_seq": …}` where a client must read the history itself.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    Message(&'a StoredRow),
    Gap { room_id: RoomId, from_seq: u64 },
}

impl Frame<'_> {
    fn to_text(&self) -> Result<Utf8Bytes, StoreError> {
        let text = serde_json::to_string(self);
        text.map(Utf8Bytes::from).map_err(|error| StoreError::Failed(format!("writing a frame: {error}")))
    }
}

/// Everybody who listens. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn MessageStore>,
    /// The lists are shared while a message goes out, so that nobody waits for a long one.
    rooms: RwLock<Listeners>,
}

/// One connection's queue, and where it stands in each room.
#[derive(Default)]
struct Connection {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Utf8Bytes>,
    bytes: usize,
    /// How many frames were ever put into the queue, and how many were taken.
    put: u64,
    taken: u64,
    rooms: HashMap<RoomId, Standing>,
    /// The rooms to be read from the store, each once.
    behind: VecDeque<Behind>,
    /// How many times a room was joined.
    joins: u64,
    closed: bool,
}

/// How far a connection got in a room.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// Tells a room that was left and joined again from the one before.
    join: u64,
    /// The last message that is in the queue or was sent; nothing where it listens from now on.
    sent: Option<u64>,
    /// The last message that was delivered since it joined, sent or not.
    delivered: u64,
    /// How many missed messages were sent since it fell behind; nothing where it is not behind.
    catching_up: Option<u32>,
}

/// A room to be read from the store.
#[derive(Debug, Clone, Copy)]
struct Behind {
    room: RoomId,
    join: u64,
    /// The frames before this one are in the queue still and are sent first.
    after: u64,
}

/// The connection listens to as many rooms as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a connection listens to at most {ROOMS} rooms")]
pub struct TooManyRooms;

/// Joins and leaves rooms for one connection.
#[derive(Clone)]
pub struct Subscriber {
    hub: Arc<Inner>,
    connection: Arc<Connection>,
}

/// What one connection is to send. Dropping it leaves all its rooms.
pub struct Frames {
    hub: Arc<Inner>,
    connection: Arc<Connection>,
    /// Whether the store has its turn: a queue that is never empty must not keep a room behind for ever.
    store_first: bool,
}

impl Hub {
    /// A hub that reads from this store what a connection missed.
    pub fn new(store: Arc<dyn MessageStore>) -> Self {
        Self { inner: Arc::new(Inner { store, rooms: RwLock::default() }) }
    }

    /// A new connection, which listens to nothing yet.
    pub fn connect(&self) -> (Subscriber, Frames) {
        let connection = Arc::<Connection>::default();
        let subscriber = Subscriber { hub: self.inner.clone(), connection: connection.clone() };
        (subscriber, Frames { hub: self.inner.clone(), connection, store_first: false })
    }

    fn tell(&self, row: &StoredRow) {
        let listeners = self.inner.rooms.read().unwrap_or_else(PoisonError::into_inner).get(&row.room_id).cloned();
        let Some(listeners) = listeners else { return };
        match Frame::Message(row).to_text() {
            Ok(frame) => listeners.iter().for_each(|listener| listener.offer(row.room_id, row.seq, &frame)),
            Err(error) => tracing::error!(%error, message = %row.id, "delivering a message"),
        }
    }
}

impl Fanout for Hub {
    fn deliver(&self, message: &Message<Stored>) {
        self.tell(message.row());
    }
}

impl Subscriber {
    /// Listens to a room: to the messages after this one, those that were missed first; where none is named, to what
    /// comes from now on. Joining again starts anew.
    ///
    /// Whether the connection may read the room is the caller's to ask.
    ///
    /// # Errors
    /// [`TooManyRooms`].
    pub fn subscribe(&self, room: RoomId, after_seq: Option<u64>) -> Result<(), TooManyRooms> {
        // Both locks, so that the lists and the connection never tell different stories.
        let mut rooms = self.hub.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.connection.state();
        let new = !state.rooms.contains_key(&room);
        if state.closed {
            return Ok(());
        }
        if new && state.rooms.len() >= ROOMS {
            return Err(TooManyRooms);
        }
        state.joins += 1;
        let join = state.joins;
        state.behind.retain(|behind| behind.room != room);
        state.rooms.insert(room, Standing { join, sent: after_seq, delivered: 0, catching_up: None });
        if after_seq.is_some() {
            state.fall_behind(room);
        }
        if new {
            Arc::make_mut(rooms.entry(room).or_default()).push(self.connection.clone());
        }
        drop(state);
        self.connection.wake.notify_one();
        Ok(())
    }

    /// Listens to the room no more. Frames of it that are in the queue already are sent still.
    pub fn unsubscribe(&self, room: RoomId) {
        let mut rooms = self.hub.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.connection.state();
        if state.rooms.remove(&room).is_some() {
            state.behind.retain(|behind| behind.room != room);
            leave(&mut rooms, room, &self.connection);
        }
    }
}

impl Frames {
    /// Waits until there is something to send and puts about `limit` frames of JSON text at most behind what is in
    /// `frames`. Send them with one flush.
    ///
    /// # Errors
    /// [`StoreError`] where what was missed cannot be read for now; calling again tries again.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call takes nothing.
    pub async fn next(&mut self, frames: &mut Vec<Utf8Bytes>, limit: usize) -> Result<(), StoreError> {
        let already = frames.len();
        loop {
            let behind = {
                let mut state = self.connection.state();
                let due = state.behind.front().copied().filter(|behind| state.taken >= behind.after);
                let store_first = std::mem::take(&mut self.store_first);
                due.filter(|_| store_first || state.queue.is_empty()).or_else(|| {
                    state.take(frames, limit);
                    None
                })
            };
            if let Some(behind) = behind {
                self.catch_up(behind, frames, limit).await?;
            } else {
                self.store_first = true;
            }
            if frames.len() > already {
                return Ok(());
            }
            if behind.is_none() {
                self.connection.wake.notified().await;
            }
        }
    }

    /// Sends some of what was missed in a room.
    async fn catch_up(&self, behind: Behind, frames: &mut Vec<Utf8Bytes>, limit: usize) -> Result<(), StoreError> {
        let standing = self.connection.state().standing(behind).copied();
        // Without one it was left meanwhile, and with it went its turn.
        let Some(Standing { sent: Some(sent), delivered: before, catching_up, .. }) = standing else { return Ok(()) };
        let left = CATCH_UP.saturating_sub(catching_up.unwrap_or(0)).clamp(1, PAGE);
        let limit = u32::try_from(limit).unwrap_or(PAGE).clamp(1, left);
        let page = self.hub.store.history(behind.room, Some(sent), None, limit).await?;
        let written = page.iter().map(|row| Frame::Message(row).to_text()).collect::<Result<Vec<_>, _>>()?;

        let mut state = self.connection.state();
        let Some(standing) = state.standing(behind) else { return Ok(()) };
        let sent = page.last().map_or(sent, |row| row.seq);
        let count = standing.catching_up.unwrap_or(0) + written.len() as u32;
        standing.sent = Some(sent);
        standing.catching_up = Some(count);
        // Whatever was delivered before the page was read is on it, so only what was delivered since can be missing.
        let caught_up = page.len() < limit as usize && standing.delivered <= sent.max(before);
        let too_far = !caught_up && count >= CATCH_UP;
        if caught_up || too_far {
            standing.sent = Some(sent.max(standing.delivered));
            standing.catching_up = None;
        }
        state.behind.pop_front();
        if !caught_up && !too_far {
            // The other rooms have their turn first.
            state.behind.push_back(behind);
        }
        drop(state);
        frames.extend(written);
        if too_far {
            metrics::counter!("plexichat_live_gaps_total").increment(1);
            frames.push(Frame::Gap { room_id: behind.room, from_seq: sent + 1 }.to_text()?);
        }
        Ok(())
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let mut rooms = self.hub.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.connection.state();
        state.closed = true;
        state.queue.clear();
        state.behind.clear();
        for (room, _) in state.rooms.drain() {
            leave(&mut rooms, room, &self.connection);
        }
    }
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a delivered message into the queue, or notes that it is to be read from the store.
    fn offer(&self, room: RoomId, seq: u64, frame: &Utf8Bytes) {
        let mut state = self.state();
        let full =
            state.queue.len() >= QUEUE_MESSAGES || (state.bytes + frame.len() > QUEUE_BYTES && !state.queue.is_empty());
        let Some(standing) = state.rooms.get_mut(&room) else { return };
        standing.delivered = standing.delivered.max(seq);
        if standing.catching_up.is_some() || standing.sent.is_some_and(|sent| seq <= sent) {
            return;
        }
        if full {
            standing.sent = Some(standing.sent.unwrap_or(seq.saturating_sub(1)));
            state.fall_behind(room);
            metrics::counter!("plexichat_live_lags_total").increment(1);
            return;
        }
        standing.sent = Some(seq);
        state.bytes += frame.len();
        state.put += 1;
        state.queue.push_back(frame.clone());
        let first = state.queue.len() == 1;
        drop(state);
        if first {
            self.wake.notify_one();
        }
    }
}

impl State {
    fn take(&mut self, frames: &mut Vec<Utf8Bytes>, limit: usize) {
        let count = self.queue.len().min(limit);
        for frame in self.queue.drain(..count) {
            self.bytes -= frame.len();
            frames.push(frame);
        }
        self.taken += count as u64;
    }

    fn fall_behind(&mut self, room: RoomId) {
        let Some(standing) = self.rooms.get_mut(&room) else { return };
        standing.catching_up = Some(0);
        self.behind.push_back(Behind { room, join: standing.join, after: self.put });
    }

    fn standing(&mut self, behind: Behind) -> Option<&mut Standing> {
        self.rooms.get_mut(&behind.room).filter(|standing| standing.join == behind.join)
    }
}

type Listeners = HashMap<RoomId, Arc<Vec<Arc<Connection>>>>;

fn leave(rooms: &mut Listeners, room: RoomId, connection: &Arc<Connection>) {
    let Some(listeners) = rooms.get_mut(&room) else { return };
    Arc::make_mut(listeners).retain(|listener| !Arc::ptr_eq(listener, connection));
    if listeners.is_empty() {
        rooms.remove(&room);
    }
}

#[cfg(test)]
mod tests;
