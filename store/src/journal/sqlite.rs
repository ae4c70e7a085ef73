//! The journal in a `SQLite` database: WAL, `synchronous=FULL`, one transaction and one fsync a batch.

mod load;
mod reader;
#[cfg(test)]
mod tests;
mod trim;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use reader::copy;

use bytes::Bytes;
use megamind_domain::{EntityKey, Time};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row as SqlRow, Transaction};

use super::{
    AppendError, Batch, BatchId, Journal, JournalError, LoadError, Older, Opening, Reader, Record, Tail, Trimmed,
    Visit, owner::Owner, schema,
};
use crate::{
    checksum,
    error::{OpenError, ReadError},
};

/// Numbers of the tables in the checksums of their rows: a row is not valid in another table.
mod table {
    pub(super) const BATCH: u64 = 1;
    pub(super) const ENTITY: u64 = 2;
    pub(super) const QUEUE: u64 = 3;
}

/// The journal in a file.
pub struct Sqlite {
    path: PathBuf,
    /// `None` only while a connection that failed is being replaced.
    connection: Option<Connection>,
    /// A commit failed in a way after which its connection, and the system's page cache, cannot be trusted.
    suspect: bool,
    epoch: u64,
    reader: Arc<reader::Pool>,
    /// Where the search for what may be deleted goes on.
    places: trim::Places,
    _owner: Owner,
}

impl Sqlite {
    /// Takes the lock, makes or migrates the file, and begins a new epoch.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let owner = Owner::lock(path)?;
        let connection = schema::open(path)?;
        let epoch = begin_epoch(&connection).map_err(|error| schema::explain(path, error))?;
        Ok(Self {
            path: path.to_path_buf(),
            connection: Some(connection),
            suspect: false,
            epoch,
            reader: Arc::new(reader::Pool::new(path)),
            places: trim::Places::default(),
            _owner: owner,
        })
    }

    fn connection(&mut self) -> Result<&mut Connection, JournalError> {
        if self.suspect {
            self.replace()?;
        }
        if self.connection.is_none() {
            self.connection = Some(schema::connect(&self.path)?);
        }
        self.connection
            .as_mut()
            .ok_or_else(|| JournalError::Corrupt("no connection".into()))
    }

    /// A connection whose commit failed is never used again. After a failed fsync the pages of the log may be clean in
    /// the cache and missing on the disk, so the log is copied into the database, which is synced as fresh writes,
    /// and emptied: what the tail says then is what a crash would leave.
    fn replace(&mut self) -> Result<(), JournalError> {
        self.connection = None;
        let connection = schema::connect(&self.path)?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy != 0 {
            return Err(JournalError::LogInUse);
        }
        self.connection = Some(connection);
        self.suspect = false;
        Ok(())
    }
}

fn begin_epoch(connection: &Connection) -> rusqlite::Result<u64> {
    let epoch: i64 =
        connection.query_row("UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value", [], |row| {
            row.get(0)
        })?;
    Ok(epoch as u64)
}

impl Journal for Sqlite {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn tail(&mut self) -> Result<Tail, JournalError> {
        Ok(tail(self.connection()?)?)
    }

    fn append(&mut self, batch: &Batch) -> Result<u64, AppendError> {
        let connection = self.connection()?;
        match append(connection, batch) {
            Ok(()) => Ok(batch.last()),
            Err(Failure::Fenced(why)) => Err(AppendError::Fenced(why)),
            Err(Failure::Sql(error)) => {
                let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
                // A full disk is reported before anything of the commit is valid, and rolled back by the transaction.
                self.suspect |= !full;
                Err(AppendError::Ambiguous(if full { JournalError::Full } else { error.into() }))
            }
        }
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
        let connection = self.connection()?;
        read(connection, from, max_bytes)
    }

    fn trim(&mut self, older: Older, limit: usize) -> Result<Trimmed, JournalError> {
        let mut places = self.places;
        let trimmed = trim::trim(self.connection()?, &mut places, older, limit)?;
        self.places = places;
        Ok(trimmed)
    }

    fn forget(&mut self, before: Time, limit: usize) -> Result<Trimmed, JournalError> {
        Ok(trim::forget(self.connection()?, before, limit)?)
    }

    fn load(&mut self, visit: &mut dyn Visit) -> Result<Opening, LoadError> {
        load::load(self.connection()?, visit)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::clone(&self.reader) as Arc<dyn Reader>
    }

    fn bytes(&self) -> u64 {
        let size = |suffix: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            std::fs::metadata(name).map_or(0, |file| file.len())
        };
        size("") + size("-wal")
    }
}

enum Failure {
    Fenced(String),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn tail(connection: &Connection) -> rusqlite::Result<Tail> {
    let tail = connection
        .prepare_cached("SELECT last, id FROM batch ORDER BY last DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(Tail { seq: row.get::<_, i64>(0)? as u64, batch: BatchId(u128::from_le_bytes(row.get(1)?)) })
        })
        .optional()?;
    Ok(tail.unwrap_or(Tail { seq: 0, batch: BatchId::default() }))
}

fn append(connection: &mut Connection, batch: &Batch) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let epoch: i64 = transaction
        .prepare_cached("SELECT value FROM meta WHERE name = 'epoch'")?
        .query_row([], |row| row.get(0))?;
    if epoch as u64 != batch.epoch {
        return Err(Failure::Fenced(format!("epoch {epoch} began after {}", batch.epoch)));
    }
    let last = tail(&transaction)?.seq;
    if last != batch.expected_last {
        return Err(Failure::Fenced(format!("the last record is {last}, not {}", batch.expected_last)));
    }
    write(&transaction, batch)?;
    transaction.commit()?;
    Ok(())
}

/// Writes a batch wherever its place is.
pub(crate) fn write(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let sums = batch.sums();
    write_records(transaction, batch, &sums)?;
    write_rows(transaction, batch)?;
    write_queue(transaction, batch)?;
    write_rest(transaction, batch, batch.id_of(&sums))
}

fn write_records(transaction: &Transaction<'_>, batch: &Batch, sums: &[i64]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (record, sum) in batch.records.iter().zip(sums) {
        insert.execute((
            record.seq as i64,
            record.at.0,
            record.epoch as i64,
            std::str::from_utf8(&record.head)?,
            &record.body[..],
            std::str::from_utf8(&record.events)?,
            &record.answer[..],
            sum,
        ))?;
    }
    Ok(())
}

fn write_rows(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare_cached("INSERT OR REPLACE INTO entity VALUES (?1, ?2, ?3, ?4)")?;
    for row in &batch.rows {
        let key = row.key.0 as i64;
        if let Some(value) = &row.value {
            let sum = checksum::of_row(table::ENTITY, row.key.0, row.seq, value);
            upsert.execute((key, row.seq as i64, value, sum))?;
        } else {
            // What nobody can ask for by a name is not kept.
            if batch.names.iter().any(|(_, named)| *named == row.key) {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO archive (key, seq, value, sum, left_at)
                         SELECT key, seq, value, sum, ?2 FROM entity WHERE key = ?1",
                    )?
                    .execute((key, batch.at().0))?;
            }
            transaction
                .prepare_cached("DELETE FROM entity WHERE key = ?1")?
                .execute([key])?;
        }
    }
    Ok(())
}

fn write_queue(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare_cached("INSERT OR REPLACE INTO queue VALUES (?1, ?2, ?3)")?;
    let mut delete = transaction.prepare_cached("DELETE FROM queue WHERE seq = ?1")?;
    for (seq, entry) in &batch.queue {
        match entry {
            Some(entry) => {
                let sum = checksum::of_row(table::QUEUE, *seq, 0, entry);
                upsert.execute((*seq as i64, entry, sum))?;
            }
            None => {
                delete.execute([*seq as i64])?;
            }
        }
    }
    Ok(())
}

fn write_rest(transaction: &Transaction<'_>, batch: &Batch, BatchId(id): BatchId) -> rusqlite::Result<()> {
    for alias in &batch.aliases {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO alias VALUES (?1, ?2, ?3)")?
            .execute((&alias.local, &alias.upstream, alias.seq as i64))?;
    }
    if let Some(mode) = &batch.mode {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO meta VALUES ('mode', ?1)")?
            .execute([mode])?;
    }
    write_kept(transaction, batch)?;
    let newest = batch.newest_id.to_le_bytes();
    let Time(at) = batch.at();
    transaction
        .prepare_cached("INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute((
            batch.last() as i64,
            batch.expected_last as i64 + 1,
            at,
            newest,
            &batch.keys,
            id.to_le_bytes(),
            batch_sum(batch.last(), at, newest, &batch.keys),
        ))?;
    Ok(())
}

/// What stands beside records and rows, rarely written.
fn write_kept(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for (name, key) in &batch.names {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO archive_name VALUES (?1, ?2)")?
            .execute((name, key.0 as i64))?;
    }
    for (name, sealed) in &batch.secrets {
        match sealed {
            Some(sealed) => transaction
                .prepare_cached("INSERT OR REPLACE INTO secret VALUES (?1, ?2)")?
                .execute((name, sealed))?,
            None => transaction
                .prepare_cached("DELETE FROM secret WHERE name = ?1")?
                .execute([name])?,
        };
    }
    if batch.released {
        transaction.execute("DELETE FROM meta WHERE name IN ('restored_at', 'copied_at')", [])?;
    }
    if let Some(since) = batch.trusted_since {
        transaction.execute("INSERT OR REPLACE INTO meta VALUES ('trusted_since', ?1)", [since.0])?;
    }
    Ok(())
}

/// The checksum of what the row of a batch holds beside its id.
fn batch_sum(last: u64, at: i64, newest: [u8; 16], keys: &[u8]) -> i64 {
    let mut sum = checksum::Sum::new();
    sum.number(table::BATCH)
        .number(last)
        .number(at as u64)
        .bytes(&newest)
        .bytes(keys);
    sum.short()
}

/// The columns of a record, in the order that [`record_of`] reads.
const RECORD: &str = "seq, at, epoch, head, body, events, answer, sum";

/// A row as a record, and whether its checksum holds.
fn record_of(row: &SqlRow<'_>) -> rusqlite::Result<(Record, bool)> {
    let bytes = |index: usize| -> rusqlite::Result<Vec<u8>> {
        let value = row.get_ref(index)?;
        value.as_bytes().map(<[u8]>::to_vec).map_err(Into::into)
    };
    let record = Record {
        seq: row.get::<_, i64>(0)? as u64,
        at: Time(row.get(1)?),
        epoch: row.get::<_, i64>(2)? as u64,
        head: bytes(3)?,
        body: Bytes::from(bytes(4)?),
        events: bytes(5)?,
        answer: Bytes::from(bytes(6)?),
    };
    let holds = checksum::of_record(&record) == row.get::<_, i64>(7)?;
    Ok((record, holds))
}

fn verified((record, holds): (Record, bool)) -> Result<Record, ReadError> {
    if holds {
        Ok(record)
    } else {
        Err(ReadError::Corrupt { seq: record.seq, what: "its checksum does not hold".into() })
    }
}

fn read(connection: &Connection, from: u64, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
    let sql = format!("SELECT {RECORD} FROM record WHERE seq >= ?1 ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql).map_err(JournalError::from)?;
    let mut rows = statement.query([from as i64]).map_err(JournalError::from)?;
    let (mut records, mut size) = (Vec::new(), 0);
    while size <= max_bytes
        && let Some(row) = rows.next().map_err(JournalError::from)?
    {
        let record = verified(record_of(row).map_err(JournalError::from)?)?;
        size += record.size();
        records.push(record);
    }
    Ok(records)
}

/// The entity keys of the schema are signed, as all integers of `SQLite`.
fn entity_key(row: &SqlRow<'_>) -> rusqlite::Result<EntityKey> {
    Ok(EntityKey(row.get::<_, i64>(0)? as u64))
}
