//! How far each person has read in each room, and what they have not. Knows no listener.

use plexichat::id::{RoomId, UserId};
use plexichat::pipeline::Access;
use rusqlite::Connection;

use super::Store;
use super::access::look;
use super::values::{bound, count};
use crate::store::rooms::{RoomError, Unread};

/// How far is counted: who has more than that before them does not read the number.
pub(super) const COUNTED: u32 = 500;

impl Store {
    /// Somebody has read a room up to this message. It never goes back, so that a device that is late changes nothing.
    ///
    /// # Errors
    /// [`RoomError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have moved the marker.
    pub async fn mark_read(&self, room: RoomId, user: UserId, seq: u64) -> Result<Unread, RoomError> {
        self.write(move |tx| {
            let seen = look(tx, room, Some(user))?.filter(|seen| seen.access() != Access::None);
            let Some(seen) = seen else { return Ok(Err(RoomError::NoRoom)) };
            let last = tx
                .prepare_cached("SELECT coalesce(max(seq), 0) FROM messages WHERE room = ?1")?
                .query_row([seen.number], |row| count(row, 0))?;
            if seq > last {
                let message = format!("the room's last message has the number {last}");
                return Ok(Err(RoomError::Invalid { pointer: "/seq", message }));
            }
            tx.prepare_cached(
                "INSERT INTO read_markers (user_id, room, seq) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user_id, room) DO UPDATE SET seq = excluded.seq WHERE seq < excluded.seq",
            )?
            .execute((user.as_bytes(), seen.number, bound(seq)))?;
            unread(tx, seen.number, user).map(Ok)
        })
        .await
    }
}

/// What somebody has not read in a room. What they wrote themselves is not counted.
pub(super) fn unread(connection: &Connection, room: i64, user: UserId) -> rusqlite::Result<Unread> {
    let read_seq: i64 = connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM read_markers WHERE user_id = ?1 AND room = ?2")?
        .query_row((user.as_bytes(), room), |row| row.get(0))?;
    let author = user.to_string();
    let unread = connection
        .prepare_cached(
            "SELECT count(*) FROM (
                 SELECT 1 FROM messages WHERE room = ?1 AND seq > ?2 AND state IN ('stored', 'unscanned')
                    AND NOT (author_kind = 'user' AND author_id = ?3) LIMIT ?4)",
        )?
        .query_row((room, read_seq, &author, COUNTED), |row| row.get(0))?;
    let mentions = connection
        .prepare_cached(
            "SELECT count(*) FROM (
                 SELECT 1 FROM mentions JOIN messages ON messages.room = mentions.room AND messages.seq = mentions.seq
                 WHERE mentions.name = ?5 AND mentions.room = ?1 AND mentions.seq > ?2
                   AND state IN ('stored', 'unscanned') AND NOT (author_kind = 'user' AND author_id = ?3) LIMIT ?4)",
        )?
        .query_row((room, read_seq, &author, COUNTED, name(connection, user)?), |row| row.get(0))?;
    Ok(Unread { read_seq: read_seq.unsigned_abs(), unread, mentions })
}

/// The name as it is written where somebody is mentioned.
fn name(connection: &Connection, user: UserId) -> rusqlite::Result<String> {
    let mut statement = connection.prepare_cached("SELECT name FROM users WHERE id = ?1")?;
    let mut rows = statement.query([user.as_bytes()])?;
    let name: Option<String> = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(name.unwrap_or_default().to_lowercase())
}

#[cfg(test)]
mod tests {
    use plexichat::pipeline::Incoming;

    use super::*;
    use crate::store::testing::{Bench, Place};
    use crate::store::{Act, Role};

    #[tokio::test]
    async fn what_others_wrote_since_is_counted() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let (store, room) = (&bench.store, bench.room("general").await);
        let bob = store.create_user("Bob", Role::User).await.unwrap();
        bench.post(room, "before he came, @bob").await;
        let reading = async || store.room(room, bob.id).await.unwrap().unwrap().reading;
        assert_eq!(reading().await, None, "who is no member has nothing unread");
        store.set_member(room, bob.id, None, bob.id, &Act::system()).await.unwrap();
        for text in ["hello @bob", "hello all", "@bob and @\"bob\""] {
            bench.post(room, text).await;
        }
        bench.send(Incoming { author: bob.actor(), ..bench.incoming(room, "I am @bob") }).await.unwrap();
        store.index_step().await.unwrap();
        assert_eq!(reading().await, Some(Unread { read_seq: 1, unread: 3, mentions: 2 }));
        let state = store.mark_read(room, bob.id, 2).await.unwrap();
        assert_eq!(state, Unread { read_seq: 2, unread: 2, mentions: 1 });
        assert_eq!(store.mark_read(room, bob.id, 1).await, Ok(state), "a late device changes nothing");
        assert!(matches!(store.mark_read(room, bob.id, 6).await, Err(RoomError::Invalid { pointer: "/seq", .. })));
        assert_eq!(store.mark_read(RoomId::new(), bob.id, 1).await, Err(RoomError::NoRoom));
        store.mark_read(room, bob.id, 5).await.unwrap();
        assert_eq!(reading().await, Some(Unread { read_seq: 5, unread: 0, mentions: 0 }));
    }
}
