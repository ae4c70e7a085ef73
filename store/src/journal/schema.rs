//! The tables, and how an older file becomes a newer one.

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use std::path::Path;

use super::owner::cannot_write;
use crate::error::OpenError;

/// `MMND`: what tells our files from any other `SQLite` database.
pub(crate) const APPLICATION_ID: i32 = 0x4d4d_4e44;

/// Each step brings a file one version up; `PRAGMA user_version` counts them. A step that was released never
/// changes.
const MIGRATIONS: [&str; 3] =
    [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// The newest schema.
pub(crate) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Bytes of a page of a new file. Between 4096 and 16384 no difference in speed could be measured; a record of the
/// usual size does not overflow this one.
const PAGE_SIZE: u32 = 8192;

/// Opens the database at `path` for the writer, makes it if there is none, and brings it up to date.
pub(crate) fn open(path: &Path) -> Result<Connection, OpenError> {
    probe(path)?;
    let failed = |error| explain(path, error);
    // Looked at first as it is: settings such as WAL are written into the file, also into one of another program.
    let found = recognize(path, &writable(path).map_err(failed)?)?;
    let mut connection = connect(path).map_err(failed)?;
    bring_up_to_date(path, &mut connection, found)?;
    Ok(connection)
}

/// Opens the file alone: what `SQLite` says about files that it cannot use is rarely what an operator needs.
fn probe(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Err(OpenError::NotADatabase { path: path.into(), why: "it is a folder".into() });
    }
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map(drop)
        .map_err(|error| cannot_write(path, error))
}

fn writable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// A connection that may write.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = writable(path)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    configure(&connection)?;
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn connect_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -1024)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Pages of the write-ahead log after which a commit copies them into the database (32 MiB).
const CHECKPOINT_PAGES: u32 = (32 << 20) / PAGE_SIZE;

/// The version of the schema that the file has, 0 where it is new.
pub(crate) fn recognize(path: &Path, connection: &Connection) -> Result<u32, OpenError> {
    let failed = |error| explain(path, error);
    let pragma = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(failed)
    };
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let application = pragma("application_id")?;
    if application != i64::from(APPLICATION_ID) && tables > 0 {
        return Err(OpenError::NotADatabase { path: path.into(), why: "a SQLite file of another program".into() });
    }
    let found = pragma("user_version")?;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > VERSION {
        return Err(OpenError::TooNew { path: path.into(), found, supported: VERSION });
    }
    Ok(found)
}

pub(crate) fn bring_up_to_date(path: &Path, connection: &mut Connection, found: u32) -> Result<(), OpenError> {
    let failed = |error| explain(path, error);
    for (version, step) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction().map_err(failed)?;
        migrate(&transaction, version, step).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        tracing::info!(path = %path.display(), version, "the schema of the journal is up to date");
    }
    Ok(())
}

/// Makes the tables as the release with this schema did.
#[cfg(test)]
pub(crate) fn make_as_of(connection: &mut Connection, version: u32) -> rusqlite::Result<()> {
    for (version, step) in (1u32..).zip(MIGRATIONS).take(version as usize) {
        let transaction = connection.transaction()?;
        migrate(&transaction, version, step)?;
        transaction.commit()?;
    }
    Ok(())
}

fn migrate(transaction: &Transaction<'_>, version: u32, step: &str) -> rusqlite::Result<()> {
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", version)
}

/// `SQLite`'s error as an operator needs it.
pub(crate) fn explain(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_path_buf();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            OpenError::NotADatabase { path, why: "its first bytes are not those of a SQLite file".into() }
        }
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Corrupt { path, what: error.to_string() },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            OpenError::ReadOnly { path, why: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path, by: None },
        _ => OpenError::Journal { path, source: error.into() },
    }
}
