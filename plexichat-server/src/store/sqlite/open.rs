//! Opens the database file with every doubt settled first: whose it is, whether it is whole, which tables it has. A file
//! that cannot be used is left as it is, never replaced by an empty one.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plexichat::message::{Actor, Time};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::audit::{self, Audit};
use super::log::{self, Behind};
use super::migrations::{self, APPLICATION_ID};

/// How long a statement waits for another program that has locked the file, a `sqlite3` shell say.
const BUSY: Duration = Duration::from_secs(10);

/// The same while the server starts, when whoever started it waits to be told.
const BUSY_AT_START: Duration = Duration::from_millis(500);

/// A database up to this size is checked whole before the server starts, a larger one while it runs.
const CHECK_AT_ONCE: u64 = 16 << 20;

/// Why the database was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is no SQLite database.
    #[error("{} is not a database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged.
    #[error("the database {} is damaged: {finding}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong.
        finding: String,
    },
    /// It belongs to another program.
    #[error("the database {} was made by another program (application id {application_id:#010x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What its header says.
        application_id: i32,
    },
    /// A newer server made it.
    #[error("the database {} has version {found} of the tables, this server knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: usize,
        /// The newest version this server knows.
        known: usize,
    },
    /// An older server made it, and it is only to be looked at.
    #[error("the database {} has older tables than this server's", path.display())]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// A step of the migration failed; it left nothing behind.
    #[error("the database {} could not be brought to version {version} of the tables: {source}", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// The version that was to be reached.
        version: usize,
        /// Why not.
        source: rusqlite::Error,
    },
    /// SQLite refused something else.
    #[error("cannot open the database {}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotADatabase { path } | Self::Damaged { path, .. } => {
                format!("nothing was changed; {}", recovery(path))
            }
            Self::Foreign { .. } => "choose another directory with `--data-dir`".into(),
            Self::Newer { .. } => "start the newer server, or restore a backup from before it ran".into(),
            Self::Older { .. } => "start this server over it once, which brings the tables up to date".into(),
            Self::Migration { source, .. } | Self::Sqlite { source, .. } if is_locked(source) => {
                "another program has locked it: end that program, a `sqlite3` shell say, then start again".into()
            }
            Self::Migration { .. } | Self::Sqlite { .. } | Self::System { .. } => {
                "nothing was lost; check the disk's free space and the file's owner, then start again".into()
            }
        }
    }

    /// Whether the file itself is wrong, so that trying again does not help.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::NotADatabase { .. } | Self::Damaged { .. })
    }

    /// Whether there was no room for what was to be written.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } | Self::Migration { source, .. } => {
                source.sqlite_error_code() == Some(ErrorCode::DiskFull)
            }
            Self::System { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// The error of a statement that only reads.
    pub(super) fn reading(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, finding: source.to_string() },
            _ => Self::Sqlite { path, source },
        }
    }
}

/// What the operator can do about a damaged file.
pub(super) fn recovery(path: &Path) -> String {
    format!(
        "restore a backup, or copy the directory and try `sqlite3 {} .recover | sqlite3 recovered.db`",
        path.display()
    )
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// A database that may be written.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// It is too large to be checked before the server starts.
    pub(super) check_later: bool,
}

pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let system = |doing, source| OpenError::System { doing, path: path.to_path_buf(), source };
    // SQLite gives its own files the rights of this one: only the owner may read what people wrote.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| system("open", source))?;
    let size = fs::metadata(path).map_err(|source| system("look at", source))?.len();
    let lost = look_at_log(path).map_err(|source| system("look at the log of", source))?;

    let sqlite = |source| OpenError::reading(path, source);
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | threads_apart())
        .map_err(|source| OpenError::Sqlite { path: path.to_path_buf(), source })?;
    connection.busy_timeout(BUSY_AT_START).map_err(sqlite)?;
    inspect(&connection, path)?;
    let check_later = size > CHECK_AT_ONCE;
    if !check_later {
        quick_check(&connection, path)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(sqlite)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sqlite)?;
    // The write-ahead log is cut back to this after a burst.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(())).map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(64);
    migrations::migrate(&mut connection, path)?;
    if let Some(lost) = lost {
        tell_of_lost(&connection, &lost).map_err(sqlite)?;
    }
    begin_new_log(&connection);
    connection.busy_timeout(BUSY).map_err(sqlite)?;
    Ok(Opened { connection, check_later })
}

/// What cannot be read of the log that a process left, though it had been acknowledged.
struct Lost {
    behind: Behind,
    kept: PathBuf,
}

/// Looks for damage in the log, and keeps a copy of one that is damaged: SQLite would write over what it does not read.
fn look_at_log(database: &Path) -> io::Result<Option<Lost>> {
    let path = log::path(database);
    let Some(behind) = log::behind_damage(&path)? else { return Ok(None) };
    let Behind { groups, frames } = behind;
    if !behind.is_damage() {
        if groups > 0 {
            let path = path.display();
            tracing::warn!(%path, frames, "the last group of writes is not whole, as a power cut leaves it: it does not count");
        }
        return Ok(None);
    }
    let mut kept = path.clone().into_os_string();
    kept.push(format!(".damaged-{}", Time::now().as_micros() / 1_000_000));
    let kept = PathBuf::from(kept);
    fs::copy(&path, &kept)?;
    tracing::error!(
        path = %path.display(),
        kept = %kept.display(),
        groups,
        frames,
        "the log of the database is damaged: what stands behind the damage is lost, and with it messages that had been \
         acknowledged; restore a backup if they count"
    );
    Ok(Some(Lost { behind, kept }))
}

fn tell_of_lost(connection: &Connection, lost: &Lost) -> rusqlite::Result<()> {
    let audit = Audit {
        actor: Actor::system(),
        action: "store.damage",
        subject: lost.kept.display().to_string(),
        detail: serde_json::json!({ "groups_lost": lost.behind.groups, "pages_lost": lost.behind.frames }),
        ip: None,
        request_id: None,
    };
    audit::append(connection, Time::now(), &audit)
}

/// Writes the log back, so that nothing of an earlier process stands in the one that begins.
fn begin_new_log(connection: &Connection) {
    let written = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    if let Err(error) = written {
        tracing::debug!(%error, "the log is written back later");
    }
}

pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | threads_apart())?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a file that a server may have open or not, to look at it: nothing of it is changed, and none is made.
pub(super) fn open_file_to_look(path: &Path) -> Result<Connection, OpenError> {
    // SQLite would tell of a missing file no more than that it cannot be opened.
    let system = |source| OpenError::System { doing: "open", path: path.to_path_buf(), source };
    fs::File::open(path).map_err(system)?;
    let connect = |flags| {
        let connection = Connection::open_with_flags(path, flags | threads_apart())?;
        connection.busy_timeout(BUSY)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    let connection = match connect(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        // A copy on a medium that cannot be written, where the log's index cannot be made.
        Err(error) if is_unwritable(&error) && !path.with_extension("db-wal").exists() => connect_unchanging(path),
        opened => opened,
    };
    let connection = connection.map_err(|source| OpenError::reading(path, source))?;
    inspect(&connection, path)?;
    Ok(connection)
}

fn is_unwritable(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// The file as one that nobody changes.
fn connect_unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | threads_apart();
    let connection = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Looks for damage: the first that is found.
pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let finding = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        .map_err(|source| OpenError::reading(path, source))?;
    if finding == "ok" {
        return Ok(());
    }
    // SQLite's findings have several lines.
    Err(OpenError::Damaged { path: path.to_path_buf(), finding: finding.replace('\n', " ") })
}

fn inspect(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |query| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    let look = || Ok((number("PRAGMA application_id")?, number("SELECT count(*) FROM sqlite_schema")?));
    let (application_id, tables) = look().map_err(|source| OpenError::reading(path, source))?;
    let application_id = application_id as i32;
    // A new file has neither.
    if application_id == APPLICATION_ID || (application_id == 0 && tables == 0) {
        return Ok(());
    }
    Err(OpenError::Foreign { path: path.to_path_buf(), application_id })
}

/// Each connection belongs to one thread at a time, so SQLite need not lock within it.
fn threads_apart() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_NO_MUTEX
}
