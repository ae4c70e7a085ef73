//! Read-only connections beside the writer's.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use megamind_domain::{EntityKey, Time};
use rusqlite::{
    Connection, OptionalExtension,
    backup::{Backup, StepResult},
};

use super::{RECORD, entity_key, record_of, table, verified};
use crate::{
    checksum,
    error::ReadError,
    journal::{JournalError, Reader, Record, schema},
};

/// Idle connections kept; more are opened when more threads read at once.
const KEPT: usize = 4;

/// Pages copied in one step of a backup (8 MiB).
const COPIED_AT_ONCE: i32 = 1024;

/// Copies a database as of one moment: the transaction keeps its view while the writer goes on, at the price that the
/// write-ahead log is not emptied meanwhile.
pub(crate) fn copy(from: &Connection, to: &Path) -> Result<(), JournalError> {
    from.execute_batch("BEGIN")?;
    // A transaction begins to see with its first read.
    from.query_row("SELECT count(*) FROM meta", [], |row| row.get::<_, i64>(0))?;
    let mut target = Connection::open(to)?;
    let copied = Backup::new(from, &mut target).and_then(|backup| {
        loop {
            match backup.step(COPIED_AT_ONCE)? {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                // Nobody else knows the new file, and a reader is never locked out of a write-ahead log.
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    });
    from.execute_batch("COMMIT")?;
    copied?;
    // One file, whoever opens it next.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// A pool of read-only connections, opened when first needed.
pub(super) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), idle: Mutex::new(Vec::new()) }
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => schema::connect_read_only(&self.path)?,
        };
        // A connection that failed is dropped, not kept.
        let value = read(&connection)?;
        let mut idle = idle();
        if idle.len() < KEPT {
            idle.push(connection);
        }
        Ok(value)
    }
}

impl Reader for Pool {
    fn record(&self, seq: u64) -> Result<Option<Record>, ReadError> {
        let found = self.with(|connection| {
            connection
                .prepare_cached(&format!("SELECT {RECORD} FROM record WHERE seq = ?1"))?
                .query_row([seq as i64], record_of)
                .optional()
        })?;
        found.map(verified).transpose()
    }

    fn upstream_of(&self, local: &str) -> Result<Option<String>, JournalError> {
        self.with(|connection| {
            connection
                .prepare_cached("SELECT upstream FROM alias WHERE local = ?1")?
                .query_row([local], |row| row.get(0))
                .optional()
        })
    }

    fn local_of(&self, upstream: &str) -> Result<Option<String>, JournalError> {
        self.with(|connection| {
            connection
                .prepare_cached("SELECT local FROM alias WHERE upstream = ?1 ORDER BY local DESC LIMIT 1")?
                .query_row([upstream], |row| row.get(0))
                .optional()
        })
    }

    fn done(&self, after: u64, limit: usize) -> Result<Vec<(u64, Time)>, JournalError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT seq, at FROM record WHERE seq > ?1
                     AND (head LIKE '{\"kind\":\"decided/%' OR head LIKE '{\"kind\":\"unknown/%'
                          OR (head LIKE '{\"kind\":\"followed/%' AND head LIKE '%\"request\":%'))
                     AND seq NOT IN (SELECT seq FROM queue)
                     ORDER BY seq LIMIT ?2",
                )?
                .query_map((after as i64, limit as i64), |row| Ok((row.get::<_, i64>(0)? as u64, Time(row.get(1)?))))?
                .collect()
        })
    }

    fn archived(&self, key: EntityKey) -> Result<Option<Vec<u8>>, ReadError> {
        let row = self.with(|connection| {
            connection
                .prepare_cached("SELECT seq, value, sum FROM archive WHERE key = ?1")?
                .query_row([key.0 as i64], |row| {
                    Ok((row.get::<_, i64>(0)? as u64, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?))
                })
                .optional()
        })?;
        let Some((seq, value, sum)) = row else {
            return Ok(None);
        };
        if checksum::of_row(table::ENTITY, key.0, seq, &value) == sum {
            Ok(Some(value))
        } else {
            Err(ReadError::Corrupt { seq, what: format!("the archived row of entity {}", key.0) })
        }
    }

    fn left_as(&self, name: &str) -> Result<Option<EntityKey>, JournalError> {
        self.with(|connection| {
            connection
                .prepare_cached("SELECT key FROM archive_name WHERE name = ?1")?
                .query_row([name], entity_key)
                .optional()
        })
    }

    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.with(|connection| {
            connection
                .prepare_cached("SELECT sealed FROM secret WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()
        })
    }

    fn copy(&self, to: &Path) -> Result<(), JournalError> {
        copy(&schema::connect_read_only(&self.path)?, to)
    }
}
