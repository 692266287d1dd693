//! The database as it is at one moment, in a file of its own, while others write; and whether such a file is good.

use std::path::Path;

use plexichat::message::Time;
use rusqlite::OptionalExtension;

use super::migrations;
use super::open::{self, OpenError};
use super::values::time;

/// Writes what the database holds at one moment into a new file. Writers go on meanwhile.
///
/// # Errors
/// [`OpenError`], also where the new file cannot be written.
pub fn snapshot(database: &Path, target: &Path) -> Result<(), OpenError> {
    let connection = open::open_file_to_look(database)?;
    let written = connection.execute("VACUUM INTO ?1", [target.to_string_lossy()]);
    written.map(|_| ()).map_err(|source| OpenError::reading(database, source))
}

/// What can be told of a database at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// How many steps its tables lack.
    pub pending: usize,
    /// When the last message was stored.
    pub last_message: Option<Time>,
}

/// Looks at a database that a server may have open or not.
///
/// # Errors
/// [`OpenError`]: it is not ours, or cannot be read.
pub fn database_facts(path: &Path) -> Result<DatabaseFacts, OpenError> {
    let connection = open::open_file_to_look(path)?;
    let pending = migrations::pending(&connection, path)?;
    let last_message = connection
        .query_row("SELECT created_at FROM messages ORDER BY number DESC LIMIT 1", [], |row| time(row, 0))
        .optional()
        .map_err(|source| OpenError::reading(path, source))?;
    Ok(DatabaseFacts { pending, last_message })
}

/// Looks through a database that no server has open: whether it is ours, whole, and of tables that this server knows.
/// Nothing is changed.
///
/// # Errors
/// [`OpenError`]: what is wrong.
pub fn check_file(path: &Path) -> Result<(), OpenError> {
    let connection = open::open_file_to_look(path)?;
    migrations::pending(&connection, path)?;
    open::quick_check(&connection, path)
}
