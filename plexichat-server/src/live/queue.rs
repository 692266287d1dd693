//! What one connection is still to be sent: a queue bounded by frames and bytes, and how far it got in each room. What does
//! not fit is noted, to be read from the store later. Knows no store and no socket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use plexichat::id::{RoomId, UserId};
use tokio::sync::Notify;

use super::frame::Frame;

/// How many frames one connection's queue holds, and how many bytes of them.
pub(super) const QUEUE_FRAMES: usize = 256;
pub(super) const QUEUE_BYTES: usize = 192 * 1024;

/// How many bytes are taken at once, but one frame at least: what is being sent counts, too.
pub(super) const BATCH_BYTES: usize = 64 * 1024;

/// How many frames may wait where one comes that is not stored: it is left out behind more.
pub(super) const QUEUE_PASSING: usize = QUEUE_FRAMES / 2;

/// One connection's queue, and where it stands in each room.
pub(super) struct Connection {
    pub(super) user: UserId,
    pub(super) state: Mutex<State>,
    pub(super) wake: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Frame>,
    pub(super) bytes: usize,
    /// Whether the client says that nobody attends it.
    pub(super) away: bool,
    /// How many frames were ever put into the queue, and how many were taken.
    pub(super) put: u64,
    pub(super) taken: u64,
    pub(super) rooms: HashMap<RoomId, Standing>,
    /// The rooms to be read from the store, each once.
    pub(super) behind: VecDeque<Behind>,
    /// How many times a room was joined.
    pub(super) joins: u64,
    pub(super) closed: bool,
}

/// How far a connection got in a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Tells a room that was left and joined again from the one before.
    pub(super) join: u64,
    /// By `seq`.
    pub(super) messages: Cursor,
    /// By the numbers of changes.
    pub(super) changes: Cursor,
    /// How many missed messages or changes were sent since it fell behind; nothing where it is not behind.
    pub(super) catching_up: Option<u32>,
}

/// What a room's listeners are told: new messages, and what befalls those that they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    Messages,
    Changes,
}

/// How far a connection got on one road.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// The last that is in the queue or was sent; nothing where it listens from now on.
    pub(super) sent: Option<u64>,
    /// The last that was delivered since it joined, sent or not.
    pub(super) delivered: u64,
    /// Whether what was missed before it joined was read to its end.
    pub(super) is_settled: bool,
}

impl Cursor {
    fn new(after: Option<u64>) -> Self {
        Self { sent: after, delivered: 0, is_settled: after.is_none() }
    }

    /// Whether something is to be read from the store.
    fn is_behind(&self) -> bool {
        self.sent.is_some_and(|sent| !self.is_settled || self.delivered > sent)
    }
}

impl Standing {
    /// What the client says that it has already.
    pub(super) fn new(join: u64, after_seq: Option<u64>, after_change: Option<u64>) -> Self {
        Self { join, messages: Cursor::new(after_seq), changes: Cursor::new(after_change), catching_up: None }
    }

    /// What is to be read next, while it catches up. Messages first: a change may be of one of them.
    pub(super) fn missing(&self) -> Option<Road> {
        if self.messages.is_behind() {
            Some(Road::Messages)
        } else if self.changes.is_behind() {
            Some(Road::Changes)
        } else {
            None
        }
    }

    pub(super) fn cursor(&mut self, road: Road) -> &mut Cursor {
        match road {
            Road::Messages => &mut self.messages,
            Road::Changes => &mut self.changes,
        }
    }
}

/// A room to be read from the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind {
    pub(super) room: RoomId,
    pub(super) join: u64,
    /// The frames before this one are in the queue still and are sent first.
    pub(super) after: u64,
}

impl Connection {
    pub(super) fn new(user: UserId) -> Self {
        Self { user, state: Mutex::default(), wake: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was delivered into the queue, or notes that it is to be read from the store.
    pub(super) fn offer(&self, room: RoomId, road: Road, number: u64, frame: &Frame) {
        let mut state = self.state();
        let full = state.queue.len() >= QUEUE_FRAMES
            || (state.bytes + frame.text.len() > QUEUE_BYTES && !state.queue.is_empty());
        let Some(standing) = state.rooms.get_mut(&room) else { return };
        let is_catching_up = standing.catching_up.is_some();
        let cursor = standing.cursor(road);
        cursor.delivered = cursor.delivered.max(number);
        if cursor.sent.is_some_and(|sent| number <= sent) {
            return;
        }
        if is_catching_up || full {
            cursor.sent.get_or_insert(number.saturating_sub(1));
            if !is_catching_up {
                state.fall_behind(room);
                metrics::counter!("plexichat_live_lags_total").increment(1);
            }
            return;
        }
        cursor.sent = Some(number);
        self.put(state, frame);
    }

    /// Takes what is not stored into the queue, unless so many frames wait there or too many bytes.
    pub(super) fn pass(&self, frame: &Frame, most: usize) {
        let state = self.state();
        if state.closed || state.queue.len() >= most || state.bytes + frame.text.len() > QUEUE_BYTES {
            metrics::counter!("plexichat_live_passed_over_total").increment(1);
            return;
        }
        self.put(state, frame);
    }

    /// Takes a frame into the queue, whatever waits there.
    pub(super) fn put(&self, mut state: MutexGuard<'_, State>, frame: &Frame) {
        state.bytes += frame.text.len();
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
    pub(super) fn take(&mut self, frames: &mut Vec<Frame>, limit: usize) {
        let mut bytes = 0;
        for count in 0..limit {
            let Some(frame) = self.queue.front() else { return };
            bytes += frame.text.len();
            if bytes > BATCH_BYTES && count > 0 {
                return;
            }
            self.bytes -= frame.text.len();
            self.taken += 1;
            frames.extend(self.queue.pop_front());
        }
    }

    pub(super) fn fall_behind(&mut self, room: RoomId) {
        let Some(standing) = self.rooms.get_mut(&room) else { return };
        standing.catching_up = Some(0);
        self.behind.push_back(Behind { room, join: standing.join, after: self.put });
    }

    pub(super) fn standing(&mut self, behind: Behind) -> Option<&mut Standing> {
        self.rooms.get_mut(&behind.room).filter(|standing| standing.join == behind.join)
    }
}
