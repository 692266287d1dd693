//! The rows of questions to assistants that are not answered yet. Knows no model and nobody who answers.

use async_trait::async_trait;
use plexichat::assistant::{KeptAnswer, KeptQuestion, Questions};
use plexichat::id::MessageId;
use plexichat::message::Time;
use plexichat::store::StoreError;

use super::Store;
use super::alter::posted;
use super::messages::{COLUMN_COUNT, COLUMNS};
use super::values::{json, time};

#[async_trait]
impl Questions for Store {
    async fn keep(&self, message: MessageId, at: Time) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("INSERT INTO ai_questions (message, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute((message.as_bytes(), at.as_micros()))?;
            Ok(Ok(()))
        })
        .await
    }

    async fn answered(&self, message: MessageId, answer: KeptAnswer) -> Result<(), StoreError> {
        self.write(move |tx| {
            let text = serde_json::to_string(&answer);
            let text = text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            tx.prepare_cached("UPDATE ai_questions SET answer = ?2 WHERE message = ?1")?
                .execute((message.as_bytes(), text))?;
            Ok(Ok(()))
        })
        .await
    }

    async fn done(&self, message: MessageId) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM ai_questions WHERE message = ?1")?.execute([message.as_bytes()])?;
            Ok(Ok(()))
        })
        .await
    }

    async fn take_up(&self) -> Result<Vec<KeptQuestion>, StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM ai_questions WHERE message NOT IN (SELECT id FROM messages)")?.execute([])?;
            let kept = tx
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, origin, cause_id, cause_depth, since, tries, answer
                     FROM ai_questions
                     JOIN messages ON messages.id = ai_questions.message
                     JOIN rooms ON rooms.number = messages.room
                     ORDER BY messages.number"
                ))?
                .query_map([], |row| {
                    let has_answer = row.get::<_, Option<String>>(COLUMN_COUNT + 5)?.is_some();
                    Ok(KeptQuestion {
                        posted: posted(row)?,
                        since: time(row, COLUMN_COUNT + 3)?,
                        tries: row.get(COLUMN_COUNT + 4)?,
                        answer: has_answer.then(|| json(row, COLUMN_COUNT + 5)).transpose()?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            tx.prepare_cached("UPDATE ai_questions SET tries = tries + 1")?.execute([])?;
            Ok(Ok(kept))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{Bench, Place};

    #[tokio::test]
    async fn a_question_is_kept_with_its_answer_until_it_is_done() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("lobby").await;
        let (first, second) = (bench.post(room, "one?").await.row, bench.post(room, "two?").await.row);
        let store = &bench.store;
        store.keep(second.id, Time::from_micros(5)).await.expect("keeps");
        store.keep(first.id, Time::from_micros(7)).await.expect("keeps");
        store.keep(second.id, Time::from_micros(9)).await.expect("keeps once");
        store.keep(MessageId::new(), Time::from_micros(1)).await.expect("keeps");
        let answer = KeptAnswer { author: bench.writer(), parts: vec!["a".to_owned(), "b".to_owned()] };
        store.answered(second.id, answer.clone()).await.expect("keeps the answer");

        let kept = store.take_up().await.expect("reads");
        let seen: Vec<_> = kept.iter().map(|kept| (&kept.posted.row, kept.since.as_micros(), kept.tries)).collect();
        assert_eq!(seen, [(&first, 7, 0), (&second, 5, 0)], "a message that is not there is forgotten");
        assert_eq!((&kept[0].answer, &kept[1].answer), (&None, &Some(answer)));
        assert_eq!(kept[0].posted.origin, plexichat::message::Origin::Rest);

        drop(bench);
        let store = place.open();
        store.done(second.id).await.expect("forgets");
        let kept = store.take_up().await.expect("reads");
        assert_eq!(kept.iter().map(|kept| (kept.posted.row.id, kept.tries)).collect::<Vec<_>>(), [(first.id, 1)]);
    }
}
