//! Finding messages by their words, and keeping the index of words. What is new or changed is indexed behind the writer's
//! back, in small steps, so that it delays no message. Knows no request.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use plexichat::id::RoomId;
use plexichat::message::{MessageState, StoredRow};
use plexichat::store::StoreError;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::Store;
use super::messages::{COLUMNS, stored_row};
use super::values::{bound, word};
use crate::store::mentions::mentions;
use crate::store::search::{Hit, Piece, SearchError, SearchPage, SearchQuery};

/// How many messages one step indexes: a few milliseconds of the writer's time.
const STEP: usize = 64;

/// How many messages that have the words are looked at for one page: those of rooms that one may not read are among them.
const LOOKED_AT: usize = 20_000;

/// How long a search waits for the one before it.
const TURN_WITHIN: Duration = Duration::from_secs(2);

/// How long a search may take.
const SEARCH_WITHIN: Duration = Duration::from_secs(2);

/// How many words a snippet has.
const SNIPPET_WORDS: u32 = 24;

/// How far the index got in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// How many messages were looked at.
    pub messages: usize,
    /// How many numbers of messages and changes are left to be looked at.
    pub behind: u64,
}

impl Store {
    /// Indexes some of what is new or was changed since the last step.
    ///
    /// # Errors
    /// [`StoreError`]: the next step begins at the same place.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have indexed something; the next step knows.
    pub async fn index_step(&self) -> Result<Indexed, StoreError> {
        let behind = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT indexed < max((SELECT coalesce(max(number), 0) FROM messages),
                                          (SELECT coalesce(max(number), 0) FROM changes)) FROM search",
                )?
                .query_row([], |row| row.get::<_, bool>(0))
        });
        if !behind.await? {
            return Ok(Indexed { messages: 0, behind: 0 });
        }
        self.write(|tx| index(tx).map(Ok)).await
    }

    /// Finds messages, the newest first. One search goes on at a time, and not for long: the readers are everybody's.
    ///
    /// # Errors
    /// [`SearchError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn search(&self, query: SearchQuery) -> Result<SearchPage, SearchError> {
        let turn = tokio::time::timeout(TURN_WITHIN, self.inner.searching.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(SearchError::Busy) };
        let found = self.read(move |connection| {
            // Though whoever asked may go, the turn lasts as long as the work.
            let _turn = turn;
            match bounded(connection, SEARCH_WITHIN, |connection| find(connection, &query)) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
                found => found.map(Some),
            }
        });
        found.await?.ok_or(SearchError::TooLong)
    }
}

/// One step. Messages and changes take their numbers from one count, so that one mark tells how far both were looked at.
fn index(connection: &Connection) -> rusqlite::Result<Indexed> {
    let mark: i64 = connection.prepare_cached("SELECT indexed FROM search")?.query_row([], |row| row.get(0))?;
    let pairs = |sql: &str| -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_map((mark, STEP as i64), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let mut due = pairs("SELECT number, number FROM messages WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    due.extend(pairs(
        "SELECT number, message FROM changes WHERE number > ?1 AND message IS NOT NULL ORDER BY number LIMIT ?2",
    )?);
    due.sort_unstable();
    // Either list may have ended at its bound, so that what it has next comes before the other's rest.
    let more = due.len() >= STEP;
    due.truncate(STEP);
    for (_, message) in &due {
        index_one(connection, *message)?;
    }
    let last: i64 = connection
        .prepare_cached(
            "SELECT max((SELECT coalesce(max(number), 0) FROM messages), (SELECT coalesce(max(number), 0) FROM changes))",
        )?
        .query_row([], |row| row.get(0))?;
    let reached = match due.last() {
        Some((number, _)) if more => *number,
        // Whatever else has a number is nothing to be indexed.
        _ => last,
    };
    connection.prepare_cached("UPDATE search SET indexed = ?1 WHERE indexed < ?1")?.execute([reached])?;
    Ok(Indexed { messages: due.len(), behind: (last - reached).max(0).unsigned_abs() })
}

/// Has the index tell of a message what the message says now; nothing where it is held back, deleted or gone.
fn index_one(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    let found = connection
        .prepare_cached("SELECT room, seq, text, state FROM messages WHERE number = ?1")?
        .query_row([number], |row| {
            let state: MessageState = word(row, 3)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, state))
        })
        .optional()?;
    connection.prepare_cached("DELETE FROM message_search WHERE rowid = ?1")?.execute([number])?;
    let Some((room, seq, text, state)) = found else { return Ok(()) };
    connection.prepare_cached("DELETE FROM mentions WHERE room = ?1 AND seq = ?2")?.execute((room, seq))?;
    if !state.is_shown() {
        return Ok(());
    }
    connection.prepare_cached("INSERT INTO message_search (rowid, text) VALUES (?1, ?2)")?.execute((number, &text))?;
    for name in mentions(&text) {
        connection
            .prepare_cached("INSERT OR IGNORE INTO mentions (name, room, seq) VALUES (?1, ?2, ?3)")?
            .execute((name, room, seq))?;
    }
    Ok(())
}

/// Reads, and gives up where it takes longer: then the engine says that it was interrupted.
fn bounded<T>(
    connection: &Connection,
    time: Duration,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let (done, waiting) = mpsc::channel::<()>();
    let handle = connection.get_interrupt_handle();
    thread::scope(|scope| {
        let watch = move || {
            if waiting.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        };
        // Nothing is read without a watch. An interrupt that comes too late holds for no later statement: the watch is over
        // before the connection is used again, and the engine forgets it where nothing runs.
        if let Err(error) = thread::Builder::new().name("store-search-watch".into()).spawn_scoped(scope, watch) {
            tracing::warn!(%error, "a search has no watch");
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
            return Err(rusqlite::Error::SqliteFailure(code, None));
        }
        let result = work(connection);
        drop(done);
        result
    })
}

fn find(connection: &Connection, query: &SearchQuery) -> rusqlite::Result<SearchPage> {
    let words = query.words.to_match();
    let mut numbers = connection.prepare_cached(
        "SELECT rowid FROM message_search WHERE message_search MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ?3",
    )?;
    let mut message = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM messages JOIN rooms ON rooms.number = messages.room
         WHERE messages.number = ?1 AND messages.state IN ('stored', 'unscanned') AND rooms.deleted_at IS NULL
           AND (?3 IS NULL OR messages.author_id = ?3)
           AND CASE WHEN ?4 IS NULL
                    THEN rooms.kind = 'public' OR EXISTS (SELECT 1 FROM members WHERE room = rooms.number AND user_id = ?2)
                    ELSE rooms.id = ?4 END"
    ))?;
    let room = query.room.as_ref().map(RoomId::as_bytes);
    let limit = query.limit as usize;
    let (mut found, mut looked_at, mut last) = (Vec::<(i64, StoredRow)>::new(), 0, 0);
    let mut next = None;
    let mut rows = numbers.query((&words, query.before.map_or(i64::MAX, bound), LOOKED_AT as i64))?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let hit = message
            .query_row((number, query.viewer.as_bytes(), query.author.as_deref(), room), stored_row)
            .optional()?;
        if let Some(hit) = hit {
            if found.len() == limit {
                next = found.last().map(|(number, _)| *number);
                break;
            }
            found.push((number, hit));
        }
        looked_at += 1;
        last = number;
    }
    if looked_at == LOOKED_AT {
        next = Some(last);
    }
    let snippets = snippets(&words, &found)?;
    let results = found.into_iter().zip(snippets).map(|((_, message), snippet)| Hit { message, snippet }).collect();
    Ok(SearchPage { results, next: next.map(i64::unsigned_abs) })
}

/// The part of each text around what was looked for. The index keeps no texts, so the few that were found are indexed
/// once more, in memory, and the engine's own rules say what matches.
fn snippets(words: &str, found: &[(i64, StoredRow)]) -> rusqlite::Result<Vec<Vec<Piece>>> {
    let mut pieces: Vec<Vec<Piece>> = found.iter().map(|(_, row)| beginning(&row.text)).collect();
    if found.is_empty() {
        return Ok(pieces);
    }
    let memory = Connection::open_in_memory()?;
    memory.execute_batch("CREATE VIRTUAL TABLE found USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')")?;
    let mut insert = memory.prepare("INSERT INTO found (rowid, text) VALUES (?1, ?2)")?;
    for (number, (_, row)) in found.iter().enumerate() {
        insert.execute((number as i64, row.text.replace([BEGIN, END], " ")))?;
    }
    let mut statement =
        memory.prepare("SELECT rowid, snippet(found, 0, char(1), char(2), '…', ?2) FROM found WHERE found MATCH ?1")?;
    let mut rows = statement.query((words, SNIPPET_WORDS))?;
    while let Some(row) = rows.next()? {
        let number: usize = row.get::<_, i64>(0)?.try_into().unwrap_or(usize::MAX);
        if let Some(slot) = pieces.get_mut(number) {
            *slot = split(row.get_ref(1)?.as_str()?);
        }
    }
    Ok(pieces)
}

const BEGIN: char = '\u{1}';
const END: char = '\u{2}';

fn split(marked: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in marked.split_inclusive([BEGIN, END]) {
        let matches = part.ends_with(END);
        let text = part.trim_end_matches([BEGIN, END]);
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), matches });
        }
    }
    pieces
}

/// What is shown of a text that was edited just now, so that it has the words no more.
fn beginning(text: &str) -> Vec<Piece> {
    vec![Piece { text: text.chars().take(160).collect(), matches: false }]
}

#[cfg(test)]
mod tests {
    use plexichat::id::{MessageId, UserId};

    use super::*;
    use crate::store::search::Words;
    use crate::store::testing::{Bench, Place};
    use crate::store::{Act, NewRoom, Role, RoomKind};

    async fn index_all(store: &Store) {
        while store.index_step().await.unwrap().behind > 0 {}
    }

    fn asked(words: &str, viewer: UserId) -> SearchQuery {
        let words = Words::parse(words).unwrap();
        SearchQuery { words, viewer, room: None, author: None, before: None, limit: 10 }
    }

    async fn texts(store: &Store, query: SearchQuery) -> Vec<String> {
        let page = store.search(query).await.unwrap();
        page.results.into_iter().map(|hit| hit.message.text).collect()
    }

    /// Changes a message as the writer does: the row, and a change that names it.
    async fn alter(store: &Store, message: MessageId, state: &'static str, text: &'static str) {
        let altered = store.write(move |tx| {
            tx.execute("UPDATE messages SET text = ?2, state = ?3 WHERE id = ?1", (message.as_bytes(), text, state))?;
            let actor = plexichat::message::Actor::system();
            let event = plexichat::event::catalog::UserDeleted::new(UserId::new(), actor);
            tx.event(&plexichat::event::Event::new(event))?;
            tx.execute(
                "UPDATE changes SET message = (SELECT number FROM messages WHERE id = ?1)
                 WHERE number = (SELECT max(number) FROM changes)",
                [message.as_bytes()],
            )?;
            Ok::<_, rusqlite::Error>(Ok::<_, StoreError>(()))
        });
        altered.await.unwrap();
    }

    #[tokio::test]
    async fn words_phrases_and_beginnings_are_found() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        for text in ["The quick brown fox", "quick and dirty", "Ein Fuchs, schön und größer", "C++ is not C"] {
            bench.post(room, text).await;
        }
        let check = async |words: &str, expected: &[&str]| {
            assert_eq!(texts(&bench.store, asked(words, bench.user.id)).await, expected, "{words}");
        };
        check("quick", &[]).await;
        index_all(&bench.store).await;
        check("quick", &["quick and dirty", "The quick brown fox"]).await;
        check("fox quick", &["The quick brown fox"]).await;
        check("\"quick brown\"", &["The quick brown fox"]).await;
        check("\"brown quick\"", &[]).await;
        check("qui*", &["quick and dirty", "The quick brown fox"]).await;
        check("SCHON", &["Ein Fuchs, schön und größer"]).await;
        check("scho\u{308}n", &["Ein Fuchs, schön und größer"]).await;
        check("fox OR dirty", &[]).await;
        check("c++", &["C++ is not C"]).await;
        check("NEAR", &[]).await;
    }

    #[tokio::test]
    async fn the_index_follows_edits_and_deletions() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        let first = bench.post(room, "apples @bob").await.row.id;
        let second = bench.post(room, "pears").await.row.id;
        let held = bench.post(room, "plums").await.row.id;
        index_all(&bench.store).await;
        alter(&bench.store, first, "stored", "oranges @carl").await;
        alter(&bench.store, second, "deleted", "").await;
        alter(&bench.store, held, "quarantined", "plums").await;
        // Before the index has followed, nothing is shown that is no more.
        let found = async |words: &str| texts(&bench.store, asked(words, bench.user.id)).await;
        assert_eq!(found("pears").await, [""; 0]);
        assert_eq!(found("plums").await, [""; 0]);
        index_all(&bench.store).await;
        assert_eq!(found("apples").await, [""; 0]);
        assert_eq!(found("oranges").await, ["oranges @carl"]);
        alter(&bench.store, held, "stored", "plums").await;
        index_all(&bench.store).await;
        assert_eq!(found("plums").await, ["plums"], "what was released is found");
        let names = bench.store.read(|connection| {
            let mut statement = connection.prepare("SELECT name FROM mentions")?;
            statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(names.await.unwrap(), ["carl"]);
        bench.store.write(|tx| tx.execute("DELETE FROM messages", []).map(Ok::<_, StoreError>)).await.unwrap();
        for table in ["message_search", "mentions"] {
            let left = bench.store.read(move |connection| {
                connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, u32>(0))
            });
            assert_eq!(left.await, Ok(0), "{table}: what retention took is found no more");
        }
        let idle = Indexed { messages: 0, behind: 0 };
        assert_eq!(bench.store.index_step().await, Ok(idle));
    }

    #[tokio::test]
    async fn only_rooms_that_one_may_read_are_looked_through() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let (store, act) = (&bench.store, Act::system());
        let admin = store.create_user("eve", Role::Admin).await.unwrap();
        let bob = store.create_user("bob", Role::User).await.unwrap();
        let public = bench.room("general").await;
        let secret = NewRoom { kind: RoomKind::Private, ..NewRoom::named("secret") };
        let secret = store.create_room(secret, bench.user.id, &act).await.unwrap().0.id;
        bench.post(public, "a plan for all").await;
        bench.post(secret, "a plan for some").await;
        index_all(store).await;
        let found = async |viewer, room, author: Option<String>| {
            texts(store, SearchQuery { room, author, ..asked("plan", viewer) }).await
        };
        assert_eq!(found(bench.user.id, None, None).await, ["a plan for some", "a plan for all"]);
        assert_eq!(found(bob.id, None, None).await, ["a plan for all"]);
        assert_eq!(found(admin.id, None, None).await, ["a plan for all"], "managing is not reading along");
        assert_eq!(found(bench.user.id, Some(secret), None).await, ["a plan for some"]);
        assert_eq!(found(bob.id, None, Some(bob.id.to_string())).await, [""; 0]);
        assert_eq!(found(bob.id, None, Some(bench.user.id.to_string())).await, ["a plan for all"]);
        store.delete_room(public, bench.user.id, &act).await.unwrap();
        assert_eq!(found(bob.id, None, None).await, [""; 0]);
    }

    #[tokio::test]
    async fn pages_go_back_in_time() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let room = bench.room("general").await;
        for number in 1..=150 {
            bench.post(room, &format!("message {number}")).await;
        }
        assert_eq!(bench.store.index_step().await.unwrap().messages, STEP, "a step is bounded");
        index_all(&bench.store).await;
        let (mut before, mut found) = (None, Vec::new());
        loop {
            let query = SearchQuery { before, limit: 40, ..asked("message", bench.user.id) };
            let page = bench.store.search(query).await.unwrap();
            found.extend(page.results.into_iter().map(|hit| hit.message.seq));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, (1..=150).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_search_goes_on_at_a_time() {
        let place = Place::new();
        let bench = Bench::open(&place).await;
        let turn = bench.store.inner.searching.clone().acquire_owned().await.unwrap();
        let found = bench.store.search(asked("plan", bench.user.id)).await;
        assert_eq!(found, Err(SearchError::Busy));
        drop(turn);
        assert!(bench.store.search(asked("plan", bench.user.id)).await.is_ok());
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let connection = Connection::open_in_memory().unwrap();
        let endless = |connection: &Connection| {
            let sql = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
            connection.query_row(sql, [], |row| row.get::<_, i64>(0))
        };
        let error = bounded(&connection, Duration::from_millis(50), endless).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::OperationInterrupted));
        let short = |connection: &Connection| connection.query_row("SELECT 7", [], |row| row.get::<_, i64>(0));
        let late = |connection: &Connection| {
            thread::sleep(Duration::from_millis(50));
            short(connection)
        };
        let _ = bounded(&connection, Duration::from_millis(1), late);
        assert_eq!(bounded(&connection, Duration::from_secs(60), short), Ok(7), "what comes later is not interrupted");
        assert_eq!(short(&connection), Ok(7));
    }

    #[test]
    fn snippets_are_pieces_of_plain_text() {
        let text = format!("{} the <b>needle</b> {}", "hay ".repeat(100), "straw ".repeat(100));
        let row = StoredRow {
            id: MessageId::new(),
            room_id: RoomId::new(),
            seq: 1,
            text: text.replace("needle", "nee\u{1}dle needle"),
            author: plexichat::message::Actor::system(),
            reply_to: None,
            state: MessageState::Stored,
            revision: 1,
            created_at: plexichat::message::Time::now(),
            edited_at: None,
            attachments: Vec::new(),
            reactions: Vec::new(),
        };
        let pieces = snippets("\"needle\"", &[(1, row)]).unwrap().remove(0);
        let matching: Vec<&str> =
            pieces.iter().filter(|piece| piece.matches).map(|piece| piece.text.as_str()).collect();
        assert_eq!(matching, ["needle"]);
        let whole: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert!(whole.contains("<b>nee dle needle</b>") && whole.starts_with('…') && whole.len() < 300, "{whole}");
    }
}
