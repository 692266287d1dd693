//! Removes what is older than it is to be kept, a little at a time: each call is one short write.

use plexichat::message::{Actor, Time};
use plexichat::store::StoreError;
use serde_json::json;

use super::audit::Hash;
use super::{Audit, Store, files};

impl Store {
    /// Removes the oldest messages from before this time, at most so many, with what hangs on them; how many went. A room's last
    /// message stays, so that its numbers go on, and so does what plugins were not told of yet.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed them.
    pub async fn remove_messages(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            // Times go forwards with the numbers, so that only what is old is looked at.
            let old: Vec<(i64, i64, i64)> = {
                let mut old = tx.prepare_cached(
                    "SELECT number, room, seq FROM messages
                 WHERE number < coalesce((SELECT number FROM messages WHERE created_at >= ?1 ORDER BY number LIMIT 1),
                                         9223372036854775807)
                   AND number <= (SELECT finished FROM outbox)
                   AND seq < (SELECT max(seq) FROM messages AS later WHERE later.room = messages.room)
                 ORDER BY number LIMIT ?2",
                )?;
                let old =
                    old.query_map((before.as_micros(), limit), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                old.collect::<rusqlite::Result<_>>()?
            };
            for (number, room, seq) in &old {
                files::drop_of_message(tx, *number, &Actor::system())?;
                tx.prepare_cached("DELETE FROM message_search WHERE rowid = ?1")?.execute([number])?;
                tx.prepare_cached("DELETE FROM mentions WHERE room = ?1 AND seq = ?2")?.execute((room, seq))?;
                // Its reactions go with it.
                tx.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([number])?;
            }
            Ok(Ok(old.len() as u64))
        })
        .await
    }

    /// Removes the oldest rows of the audit log from before this time, at most so many, and notes where its chain begins now;
    /// how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have removed them.
    pub async fn remove_audit_rows(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let mut old = tx.prepare_cached("SELECT number, time, hash FROM audit ORDER BY number LIMIT ?1")?;
            let mut rows = old.query([limit])?;
            let mut last: Option<(i64, Hash)> = None;
            while let Some(row) = rows.next()? {
                // In the order of the chain: what stands behind a newer row stays.
                if row.get::<_, i64>(1)? >= before.as_micros() {
                    break;
                }
                last = Some((row.get(0)?, row.get(2)?));
            }
            drop(rows);
            let Some((number, hash)) = last else { return Ok(Ok(0)) };
            tx.prepare_cached("UPDATE audit_chain SET base = ?1, base_hash = ?2")?.execute((number, hash))?;
            let gone = tx.prepare_cached("DELETE FROM audit WHERE number <= ?1")?.execute([number])?;
            tx.audit(&Audit {
                actor: Actor::system(),
                action: "audit.trim",
                subject: "audit".to_owned(),
                detail: json!({ "rows": gone, "up_to": number }),
                ip: None,
                request_id: None,
            })?;
            Ok(Ok(gone as u64))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use plexichat::pipeline::MessageStore;

    use super::*;
    use crate::store::testing::{Bench, Place};
    use crate::store::verify_audit_file;

    fn later(days: i64) -> Time {
        Time::from_micros(Time::now().as_micros() + days * 86_400_000_000)
    }

    async fn told(bench: &Bench) {
        let done = bench.store.write(|tx| {
            tx.execute("UPDATE outbox SET finished = (SELECT max(number) FROM messages)", []).map(|_| Ok(()))
        });
        Result::<(), StoreError>::expect(done.await, "sets");
    }

    #[tokio::test]
    async fn old_messages_go_in_batches_and_a_rooms_last_one_stays() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        for number in 0..5 {
            bench.post(room, &format!("text {number} @ann")).await;
        }
        assert_eq!(bench.store.remove_messages(later(1), 100).await, Ok(0), "plugins were not told of them");
        told(&bench).await;
        assert_eq!(bench.store.remove_messages(later(-1), 100).await, Ok(0), "they are not old");
        assert_eq!(bench.store.remove_messages(later(1), 3).await, Ok(3));
        assert_eq!(bench.store.remove_messages(later(1), 3).await, Ok(1));
        assert_eq!(bench.store.remove_messages(later(1), 3).await, Ok(0));
        let left = bench.store.history(room, Some(0), None, 10).await.expect("reads");
        assert_eq!(left.iter().map(|row| row.seq).collect::<Vec<_>>(), [5]);
        bench.store.close().await;
        drop(bench);
        let bench = Bench::open(&place).await;
        assert_eq!(bench.post(room, "next").await.row.seq, 6, "the numbers go on over a restart");
    }

    #[tokio::test]
    async fn the_audit_log_stays_verifiable() {
        let place = Place::new();
        let store = place.open();
        for number in 0..5 {
            let act = crate::store::Act::system();
            store.audit(act.audit("test.act", number, json!({}))).await.expect("is written");
        }
        let noted = store.audit_head().await.expect("reads");
        assert_eq!(store.remove_audit_rows(later(-1), 100).await, Ok(0));
        assert_eq!(store.remove_audit_rows(later(1), 3).await, Ok(3));
        let report = store.verify_audit(Some(noted)).await.expect("reads");
        assert_eq!((report.intact, report.removed, report.rows), (true, 3, 3), "{report:?}");
        store.close().await;
        // And what is removed by somebody else still shows.
        let shell = rusqlite::Connection::open(place.database()).expect("opens");
        shell.execute("DELETE FROM audit WHERE number = 4", []).expect("removes");
        let report = verify_audit_file(&place.database(), None).expect("reads");
        assert_eq!(report.findings.first().map(|finding| finding.number), Some(4), "{report:?}");
    }
}
