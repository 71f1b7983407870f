//! Opening the SQLite file: private, in write-ahead mode, at the present schema.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite_migration::{M, Migrations};

use crate::journal::{Journal, JournalError, folder};
use crate::model::{Clock, SystemClock};

/// How long one portoser waits for another one that writes.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

const STEPS: &[M<'_>] = &[
    M::up(include_str!("schema-1.sql")),
    M::up(include_str!("schema-2.sql")),
    M::up(include_str!("schema-3.sql")),
    M::up(include_str!("schema-4.sql")),
    M::up(include_str!("schema-5.sql")),
    M::up(include_str!("schema-6.sql")),
    M::up(include_str!("schema-7.sql")),
    M::up(include_str!("schema-8.sql")),
];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);
// The cast is of a small constant.
const SCHEMA: i64 = STEPS.len() as i64;

impl Journal {
    /// Opens the journal in this folder; makes folder (0700) and file (0600) if they are not there.
    ///
    /// # Errors
    /// When they cannot be made, or the file is damaged or of a newer portoser. It is left as it is then.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        Self::open_with(folder, Arc::new(SystemClock))
    }

    /// Opens the journal with a clock of the caller's.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        folder::make_folder(folder)?;
        let file = folder.join("journal.db");
        // SQLite gives its side files the mode of the main file, so this one call makes all of them private.
        drop(folder::private(&file)?);
        let connection = connect(&file, folder)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), file: file.into(), clock })
    }
}

impl Journal {
    /// A journal that remembers only as long as this process lives, for verbs that look while the one on disk cannot be used.
    ///
    /// # Errors
    /// When memory is not to be had.
    pub fn in_memory() -> Result<Self, JournalError> {
        let file = Path::new(":memory:");
        let mut connection = Connection::open_in_memory().map_err(|source| JournalError::sql(file, source))?;
        MIGRATIONS
            .to_latest(&mut connection)
            .map_err(|source| JournalError::Migrate { file: file.to_owned(), source })?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), file: file.into(), clock: Arc::new(SystemClock) })
    }
}

fn connect(file: &Path, folder: &Path) -> Result<Connection, JournalError> {
    let sql = |source| JournalError::sql(file, source);
    let mut connection = Connection::open(file).map_err(sql)?;
    connection.busy_timeout(PATIENCE).map_err(sql)?;
    if schema_of(&connection, file)? != SCHEMA {
        migrate(&mut connection, file, folder)?;
    }
    // In write-ahead mode NORMAL never damages the file; a power cut may lose the last events, which the hosts know too.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(sql)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sql)?;
    // The last one to close would copy the log back with two syncs; a later writer does it instead, when it is worth it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sql)?;
    Ok(connection)
}

/// The schema of the file; 0 for an empty one.
fn schema_of(connection: &Connection, file: &Path) -> Result<i64, JournalError> {
    let found = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| JournalError::sql(file, source))?;
    if found > SCHEMA {
        return Err(JournalError::Newer { file: file.to_owned(), found, known: SCHEMA });
    }
    Ok(found)
}

/// Brings the file to the present schema, one portoser at a time: the change to write-ahead mode does not wait for
/// others (it fails at once with SQLITE_BUSY), so a file lock stands around it.
fn migrate(connection: &mut Connection, file: &Path, folder: &Path) -> Result<(), JournalError> {
    let path = folder.join("journal.lock");
    let lock = folder::private(&path)?;
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(std::fs::TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(JournalError::Busy { file: path, seconds: PATIENCE.as_secs() });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(JournalError::File { file: path, source }),
        }
    }
    if schema_of(connection, file)? == SCHEMA {
        return Ok(());
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(|source| JournalError::sql(file, source))?;
    MIGRATIONS.to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => JournalError::sql(file, err),
        source => JournalError::Migrate { file: file.to_owned(), source },
    })
}
