//! The database as it is at one moment, in a file of its own, while others write; and whether such a file is good.

use std::path::Path;

use super::migrations;
use super::open::{self, OpenError};

/// Writes what the database holds at one moment into a new file. Writers go on meanwhile.
///
/// # Errors
/// [`OpenError`], also where the new file cannot be written.
pub fn snapshot(database: &Path, target: &Path) -> Result<(), OpenError> {
    let connection = open::open_file_to_look(database)?;
    let written = connection.execute("VACUUM INTO ?1", [target.to_string_lossy()]);
    written.map(|_| ()).map_err(|source| OpenError::reading(database, source))
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
