//! How the tables came to be as they are: a numbered list, each step in its own transaction. A step that was released
//! is never changed.

use rusqlite::Connection;

use super::open::OpenError;
use std::path::Path;

/// What this program writes into a database's header: `Plxi`.
pub(super) const APPLICATION_ID: i32 = 0x506c_7869;

/// The steps; a database's `user_version` says how many of them it has seen.
const MIGRATIONS: &[&str] = &[
    // 1. Times are microseconds since 1970, identifiers the 16 bytes of a UUID, kinds and states the words of the API.
    "
    CREATE TABLE users (
        id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
        name TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE tokens (
        id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
        user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
        scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX tokens_by_user ON tokens (user_id);

    CREATE TABLE rooms (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
        name TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        created_by BLOB NOT NULL
    );

    -- `number` counts the messages of all rooms in the order of their commits: it is the message's place in the outbox.
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY,
        room INTEGER NOT NULL REFERENCES rooms (number),
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        text TEXT NOT NULL,
        author_kind TEXT NOT NULL,
        author_id TEXT NOT NULL,
        author_name TEXT NOT NULL,
        origin TEXT NOT NULL,
        state TEXT NOT NULL,
        revision INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        reply_to BLOB,
        cause_id BLOB,
        cause_depth INTEGER NOT NULL,
        key TEXT,
        -- What scanners found, as JSON: [[plugin, finding], ...]; NULL where they found nothing.
        findings TEXT
    );
    CREATE UNIQUE INDEX messages_by_seq ON messages (room, seq);
    -- Identifiers grow with time, so that this one, too, grows at its end.
    CREATE UNIQUE INDEX messages_by_id ON messages (id);
    CREATE UNIQUE INDEX messages_by_key ON messages (key, room, author_kind, author_id) WHERE key IS NOT NULL;

    -- One row: plugins were told of every message up to and with this number. The outbox is the messages after it, so a
    -- message costs no second row and its deletion no write.
    CREATE TABLE outbox (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        finished INTEGER NOT NULL
    );
    INSERT INTO outbox (one, finished) VALUES (1, 0);

    CREATE TABLE plugins (
        name TEXT PRIMARY KEY NOT NULL,
        record TEXT NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE plugin_storage (
        plugin TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (plugin, key)
    );
    ",
];

/// Brings the tables up to what this program knows.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    apply(connection, path, MIGRATIONS)
}

fn apply(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let found = version(connection).map_err(|source| OpenError::reading(path, source))?;
    if found > steps.len() {
        return Err(OpenError::Newer { path: path.to_path_buf(), found, known: steps.len() });
    }
    for (done, step) in steps.iter().enumerate().skip(found) {
        let version = done + 1;
        take(connection, step, version).map_err(|source| OpenError::Migration {
            path: path.to_path_buf(),
            version,
            source,
        })?;
    }
    Ok(())
}

fn take(connection: &mut Connection, step: &str, version: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    // Both live in the header and are part of the transaction.
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", version as i64)?;
    transaction.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    // A negative number was never written by any version of this program, so it counts as newer.
    connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map(|version| version as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("prepares");
        let names = statement.query_map([], |row| row.get(0)).expect("queries");
        names.collect::<Result<_, _>>().expect("reads")
    }

    #[test]
    fn steps_are_taken_once_and_in_order() {
        let mut connection = Connection::open_in_memory().expect("opens");
        let path = Path::new("test.db");
        apply(&mut connection, path, &["CREATE TABLE a (x)"]).expect("migrates");
        apply(&mut connection, path, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).expect("takes the second only");
        assert_eq!(tables(&connection), ["a", "b"]);
        assert_eq!(version(&connection), Ok(2));
    }

    #[test]
    fn half_a_step_leaves_nothing() {
        let mut connection = Connection::open_in_memory().expect("opens");
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"];
        let error = apply(&mut connection, Path::new("test.db"), &steps).expect_err("the second step is wrong");
        assert!(matches!(error, OpenError::Migration { version: 2, .. }), "{error}");
        assert_eq!(tables(&connection), ["a"]);
        assert_eq!(version(&connection), Ok(1), "the next start goes on from there");
        apply(&mut connection, Path::new("test.db"), &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).expect("goes on");
    }

    #[test]
    fn newer_tables_are_refused_with_both_versions() {
        let mut connection = Connection::open_in_memory().expect("opens");
        connection.pragma_update(None, "user_version", 7).expect("sets");
        let error = migrate(&mut connection, Path::new("test.db")).expect_err("it is newer");
        let known = MIGRATIONS.len();
        assert_eq!(
            error.to_string(),
            format!("the database test.db has version 7 of the tables, this server knows up to {known}")
        );
    }
}
