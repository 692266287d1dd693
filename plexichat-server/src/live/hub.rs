//! Who listens to which room. A message is written as a frame once and shared by all who listen; each connection has a
//! bounded queue. One that is too slow, or that comes back, reads what it missed from the store, and only when that is
//! too much it is told to read the history itself. Knows no socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use plexichat::assistant::{ApprovalRequest, ReplyFrame, ReplyStep};
use plexichat::id::{RoomId, UserId};
use plexichat::message::StoredRow;
use plexichat::pipeline::{Change, ChangeRow, Fanout, Message, MessageStore, Stored};
use plexichat::store::StoreError;

use super::frame::{Content, Frame, Named};
use super::missed;
use super::presence::{News, Presence, Status};
use super::queue::{Behind, Connection, QUEUE_FRAMES, QUEUE_PASSING, Road, Standing};
use crate::store::User;

/// How many rooms one connection may listen to.
pub(super) const ROOMS: usize = 1000;

/// Everybody who listens. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn MessageStore>,
    /// The lists are shared while a message goes out, so that nobody waits for a long one.
    rooms: RwLock<Listeners>,
    presence: Mutex<Presence>,
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
        Self { inner: Arc::new(Inner { store, rooms: RwLock::default(), presence: Mutex::default() }) }
    }

    /// A new connection of this person, which listens to nothing yet.
    pub fn connect(&self, user: &User) -> (Subscriber, Frames) {
        let connection = Arc::new(Connection::new(user.id));
        self.inner.presence().connect(user.id);
        let subscriber = Subscriber { hub: self.inner.clone(), connection: connection.clone() };
        (subscriber, Frames { hub: self.inner.clone(), connection, store_first: false })
    }

    /// Tells the room's other listeners that somebody is typing. Who is slow misses it.
    pub fn typing(&self, room: RoomId, user: &User) {
        let named = Named { id: &user.id.to_string(), name: &user.name };
        let typing = Content::Typing { room_id: room, user: named };
        self.pass(room, &typing, QUEUE_PASSING, |listener| listener != user.id);
    }

    /// What is listened to in this room, or in all of them, by this person, or by everybody.
    pub(super) fn listening(&self, room: Option<RoomId>, user: Option<UserId>) -> Vec<(RoomId, Subscriber)> {
        let rooms = self.inner.rooms.read().unwrap_or_else(PoisonError::into_inner);
        let named = rooms.iter().filter(|(name, _)| room.is_none_or(|room| room == **name));
        let all = named.flat_map(|(name, listeners)| listeners.iter().map(|listener| (*name, listener)));
        let wanted = all.filter(|(_, listener)| user.is_none_or(|user| user == listener.user));
        wanted
            .map(|(room, connection)| (room, Subscriber { hub: self.inner.clone(), connection: connection.clone() }))
            .collect()
    }

    /// Whether somebody is here.
    pub fn status(&self, user: UserId) -> Status {
        self.inner.presence().status(user)
    }

    /// Tells listeners who came and went since, of so many people at most; whoever plugins are to be told of.
    pub(super) fn tell_presence(&self, now: std::time::Instant, limit: usize) -> Vec<(UserId, Status)> {
        let news = self.inner.presence().take(now, limit);
        let mut changes = Vec::new();
        for News { user, status, rooms, is_change } in news {
            let content = Content::Presence { user_id: user, status };
            rooms.into_iter().for_each(|room| {
                self.pass(room, &content, QUEUE_PASSING, |listener| listener != user);
            });
            changes.extend(is_change.then_some((user, status)));
        }
        changes
    }

    /// Tells a person's connections that listen to the room how a tool call of theirs stands.
    pub fn approval(&self, request: &ApprovalRequest) {
        let Ok(asked) = request.asked.id.parse::<UserId>() else { return };
        self.pass(request.room_id, &Content::ToolApproval(request), QUEUE_FRAMES, |listener| listener == asked);
    }

    /// Offers what is not stored to those of a room's listeners who are meant, unless so many frames wait for them.
    fn pass(&self, room: RoomId, content: &Content<'_>, most: usize, meant: impl Fn(UserId) -> bool) {
        let Some(listeners) = self.inner.listeners(room) else { return };
        match content.write() {
            Ok(frame) => {
                let meant = listeners.iter().filter(|listener| meant(listener.user));
                meant.for_each(|listener| listener.pass(&frame, most));
            }
            Err(error) => tracing::error!(%error, "telling a room"),
        }
    }

    fn tell(&self, row: &StoredRow) {
        self.deliver_all(row.room_id, Road::Messages, row.seq, &Content::Message(row));
    }

    fn tell_change(&self, change: &ChangeRow) {
        self.deliver_all(change.room_id, Road::Changes, change.number, &Content::of_change(change));
    }

    fn deliver_all(&self, room: RoomId, road: Road, number: u64, content: &Content<'_>) {
        let Some(listeners) = self.inner.listeners(room) else { return };
        match content.write() {
            Ok(frame) => listeners.iter().for_each(|listener| listener.offer(room, road, number, &frame)),
            Err(error) => tracing::error!(%error, %room, number, "delivering a message or a change"),
        }
    }
}

impl Inner {
    fn listeners(&self, room: RoomId) -> Option<Arc<Vec<Arc<Connection>>>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner).get(&room).cloned()
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fanout for Hub {
    fn deliver(&self, message: &Message<Stored>) {
        self.tell(message.row());
    }

    fn changed(&self, change: &Change) {
        self.tell_change(change.row());
    }

    fn deliver_delta(&self, frame: &ReplyFrame) {
        let (reply_id, room_id) = (frame.reply_id, frame.room_id);
        let everybody = |_| true;
        match &frame.step {
            ReplyStep::Waiting => {
                let ReplyFrame { message_id, asked_by, author, .. } = frame;
                let start = Content::ReplyStart { reply_id, room_id, message_id: *message_id, asked_by, author };
                self.pass(room_id, &start, QUEUE_PASSING, everybody);
                let typing = Content::Typing { room_id, user: Named { id: &author.id, name: &author.name } };
                self.pass(room_id, &typing, QUEUE_PASSING, everybody);
            }
            ReplyStep::Delta(delta) => {
                let delta = Content::ReplyDelta { reply_id, room_id, index: delta.index(), text: &delta.text() };
                self.pass(room_id, &delta, QUEUE_PASSING, everybody);
            }
            ReplyStep::Approval(request) => self.approval(request),
            // Small, and what ends an answer on the screen: it gives way last.
            ReplyStep::Ended { messages, error } => {
                let end = Content::ReplyEnd { reply_id, room_id, messages, error: error.as_ref() };
                self.pass(room_id, &end, QUEUE_FRAMES, everybody);
            }
            other => tracing::error!(?other, "a step of an answer that listeners are not told of"),
        }
    }
}

impl Subscriber {
    /// Listens to a room: to the messages after this one and the changes after this one, those that were missed first;
    /// where none is named, to what comes from now on. Joining again starts anew.
    ///
    /// Whether the connection may read the room is the caller's to ask.
    ///
    /// # Errors
    /// [`TooManyRooms`].
    pub fn subscribe(
        &self,
        room: RoomId,
        after_seq: Option<u64>,
        after_change: Option<u64>,
    ) -> Result<(), TooManyRooms> {
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
        let standing = Standing::new(join, after_seq, after_change);
        state.rooms.insert(room, standing);
        if standing.missing().is_some() {
            state.fall_behind(room);
        }
        if new {
            Arc::make_mut(rooms.entry(room).or_default()).push(self.connection.clone());
            self.hub.presence().listen(self.connection.user, room);
        }
        drop(state);
        self.connection.wake.notify_one();
        Ok(())
    }

    /// Whose connection it is.
    pub fn user(&self) -> UserId {
        self.connection.user
    }

    /// Listens to the room no more, and tells the client: its person may not any more.
    pub(super) fn put_out(&self, room: RoomId) {
        if self.unsubscribe(room) {
            match (Content::Unsubscribed { room_id: room }).write() {
                Ok(frame) => self.connection.put(self.connection.state(), &frame),
                Err(error) => tracing::error!(%error, "telling a connection that it is out"),
            }
        }
    }

    /// Listens to the room no more; whether it did. Frames of it that are in the queue already are sent still.
    pub fn unsubscribe(&self, room: RoomId) -> bool {
        let mut rooms = self.hub.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.connection.state();
        let listened = state.rooms.remove(&room).is_some();
        if listened {
            state.behind.retain(|behind| behind.room != room);
            leave(&mut rooms, room, &self.connection);
            self.hub.presence().leave(self.connection.user, room);
        }
        listened
    }

    /// Notes whether anybody attends the connection. It is attended until the client says otherwise.
    pub fn attend(&self, away: bool) {
        let mut state = self.connection.state();
        if state.away != away && !state.closed {
            state.away = away;
            self.hub.presence().attend(self.connection.user, away);
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
    pub async fn next(&mut self, frames: &mut Vec<Frame>, limit: usize) -> Result<(), StoreError> {
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
    async fn catch_up(&self, behind: Behind, frames: &mut Vec<Frame>, limit: usize) -> Result<(), StoreError> {
        let before = self.connection.state().standing(behind).copied();
        // Without one it was left meanwhile, and with it went its turn.
        let Some(mut before) = before else { return Ok(()) };
        let page = missed::read(&*self.hub.store, behind.room, &before, limit).await?;

        let mut state = self.connection.state();
        let Some(standing) = state.standing(behind) else { return Ok(()) };
        let mut gap = None;
        if let Some(page) = &page {
            let count = standing.catching_up.unwrap_or(0) + page.frames.len() as u32;
            standing.catching_up = Some(if page.begins_anew { 0 } else { count });
            let delivered_before = before.cursor(page.road).delivered;
            let cursor = standing.cursor(page.road);
            // Whatever was delivered before the last page was read is on it, or not shown any more.
            cursor.sent = Some(if page.is_last { page.upto.max(delivered_before) } else { page.upto });
            cursor.is_settled |= page.is_last;
            if page.road == Road::Messages && count >= missed::CATCH_UP && standing.missing() == Some(Road::Messages) {
                gap = Some(Content::Gap { room_id: behind.room, from_seq: page.upto + 1, change: None });
                let cursor = &mut standing.messages;
                cursor.sent = Some(page.upto.max(cursor.delivered));
                cursor.is_settled = true;
                standing.catching_up = Some(0);
            }
        }
        let is_done = standing.missing().is_none();
        if is_done {
            standing.catching_up = None;
        }
        state.behind.pop_front();
        if !is_done {
            // The other rooms have their turn first.
            state.behind.push_back(behind);
        }
        drop(state);
        let gaps = usize::from(gap.is_some()) + usize::from(page.as_ref().is_some_and(|page| page.begins_anew));
        metrics::counter!("plexichat_live_gaps_total").increment(gaps as u64);
        frames.extend(page.into_iter().flat_map(|page| page.frames));
        if let Some(gap) = gap {
            frames.push(gap.write()?);
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
        let left: Vec<RoomId> = state.rooms.drain().map(|(room, _)| room).collect();
        left.iter().for_each(|room| leave(&mut rooms, *room, &self.connection));
        let now = std::time::Instant::now();
        self.hub.presence().disconnect(self.connection.user, state.away, left.into_iter(), now);
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
