//! What a connection missed in a room, read from the store a page at a time: messages first, as they are by now, then what
//! befell messages that it has already. Knows no queue and no socket.

use plexichat::id::RoomId;
use plexichat::pipeline::MessageStore;
use plexichat::store::StoreError;

use super::frame::{Content, Frame};
use super::queue::{BATCH_BYTES, Road, Standing};

/// How many missed messages, or changes, are sent before the client is told to read the rest itself.
pub(super) const CATCH_UP: u32 = 1000;

/// How many are read at once: few, because each may be as long as a text may be.
pub(super) const PAGE: u32 = 16;

/// What was read.
pub(super) struct Page {
    pub(super) road: Road,
    pub(super) frames: Vec<Frame>,
    /// Everything up to here is among them, or the client is told to read it itself.
    pub(super) upto: u64,
    /// Whether there was nothing more when it was read.
    pub(super) is_last: bool,
    /// Whether the client was told to read the rest itself, so that what comes now is counted anew.
    pub(super) begins_anew: bool,
}

/// Reads what comes next for whoever stands so in this room; nothing where nothing is missing.
pub(super) async fn read(
    store: &dyn MessageStore,
    room: RoomId,
    standing: &Standing,
    limit: usize,
) -> Result<Option<Page>, StoreError> {
    let left = CATCH_UP.saturating_sub(standing.catching_up.unwrap_or(0)).clamp(1, PAGE);
    let limit = u32::try_from(limit).unwrap_or(PAGE).clamp(1, left);
    match standing.missing() {
        None => Ok(None),
        Some(Road::Messages) => messages(store, room, standing, limit).await.map(Some),
        Some(Road::Changes) => changes(store, room, standing, limit).await.map(Some),
    }
}

async fn messages(store: &dyn MessageStore, room: RoomId, standing: &Standing, limit: u32) -> Result<Page, StoreError> {
    let after = standing.messages.sent.unwrap_or(0);
    let rows = store.history(room, Some(after), None, limit).await?;
    let mut written = Written::default();
    let mut upto = after;
    for row in &rows {
        if !written.add(&Content::Message(row))? {
            break;
        }
        upto = row.seq;
    }
    if rows.is_empty() && !standing.messages.is_settled {
        // Who has more than there is saw a store that was put back since: its messages count from here again.
        let last = store.history(room, None, None, 1).await?;
        upto = upto.min(last.last().map_or(0, |row| row.seq));
    }
    let is_last = rows.len() < limit as usize && written.frames.len() == rows.len();
    Ok(Page { road: Road::Messages, frames: written.frames, upto, is_last, begins_anew: false })
}

async fn changes(store: &dyn MessageStore, room: RoomId, standing: &Standing, limit: u32) -> Result<Page, StoreError> {
    let after = standing.changes.sent.unwrap_or(0);
    let changes = store.changes(room, after, limit).await?;
    let mut written = Written::default();
    let mut upto = changes.upto;
    let mut is_last = !changes.more;
    for row in &changes.rows {
        if !written.add(&Content::of_change(row))? {
            is_last = false;
            upto = written.upto;
            break;
        }
        written.upto = row.number;
    }
    let is_ahead = !standing.changes.is_settled && changes.rows.is_empty() && store.last_change().await? < after;
    let count = standing.catching_up.unwrap_or(0) + written.frames.len() as u32;
    let too_many = count >= CATCH_UP && !is_last;
    let begins_anew = changes.gone || is_ahead || too_many;
    if begins_anew {
        // What was changed may be any message; whoever reads them all has everything up to the last change before that.
        upto = store.last_change().await?;
        is_last = false;
        if !too_many {
            written.frames.clear();
        }
        written.frames.push(Content::Gap { room_id: room, from_seq: 1, change: Some(upto) }.write()?);
    }
    Ok(Page { road: Road::Changes, frames: written.frames, upto, is_last, begins_anew })
}

/// Frames up to the bytes that go out at once.
#[derive(Default)]
struct Written {
    frames: Vec<Frame>,
    bytes: usize,
    upto: u64,
}

impl Written {
    /// Adds a frame, if it fits or is the first; whether it was added.
    fn add(&mut self, content: &Content<'_>) -> Result<bool, StoreError> {
        let frame = content.write()?;
        self.bytes += frame.text.len();
        if self.bytes > BATCH_BYTES && !self.frames.is_empty() {
            return Ok(false);
        }
        self.frames.push(frame);
        Ok(true)
    }
}
