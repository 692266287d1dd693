//! How the tables came to be as they are: a numbered list, each step in its own transaction. A step that was released
//! is never changed.

use rusqlite::Connection;

use super::open::OpenError;
use std::path::Path;

/// What this program writes into a database's header: `Plxi`.
pub(super) const APPLICATION_ID: i32 = 0x506c_7869;

/// The steps; a database's `user_version` says how many of them it has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1-first.sql"),
    include_str!("migrations/2-accounts.sql"),
    include_str!("migrations/3-rooms.sql"),
    include_str!("migrations/4-messages.sql"),
    include_str!("migrations/5-files.sql"),
    include_str!("migrations/6-operating.sql"),
    include_str!("migrations/7-ai.sql"),
    include_str!("migrations/8-automation.sql"),
];

/// Brings the tables up to what this program knows.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    apply(connection, path, MIGRATIONS)
}

/// How many steps a database lacks that is only looked at.
///
/// # Errors
/// [`OpenError::Newer`].
pub(super) fn pending(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    let found = version(connection).map_err(|source| OpenError::reading(path, source))?;
    let known = MIGRATIONS.len();
    known.checked_sub(found).ok_or_else(|| OpenError::Newer { path: path.to_path_buf(), found, known })
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

/// How many steps there are.
#[cfg(test)]
pub(super) const COUNT: usize = MIGRATIONS.len();

/// Takes the first steps only.
#[cfg(test)]
pub(super) fn up_to(connection: &mut Connection, path: &Path, steps: usize) -> Result<(), OpenError> {
    apply(connection, path, &MIGRATIONS[..steps])
}

/// The statements of the step behind so many.
#[cfg(test)]
pub(super) fn statements(behind: usize) -> &'static str {
    MIGRATIONS[behind]
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
        connection.pragma_update(None, "user_version", 99).expect("sets");
        let error = migrate(&mut connection, Path::new("test.db")).expect_err("it is newer");
        let known = MIGRATIONS.len();
        assert_eq!(
            error.to_string(),
            format!("the database test.db has version 99 of the tables, this server knows up to {known}")
        );
    }
}
