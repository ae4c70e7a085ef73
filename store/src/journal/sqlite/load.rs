//! Reading everything back at open, with every checksum on the way.

use megamind_domain::Time;
use rusqlite::{Connection, OptionalExtension};

use super::{batch_sum, entity_key, read, table, tail};
use crate::{
    checksum,
    error::ReadError,
    journal::{Batch, LoadError, Opening, Restored, Tail, Visit},
};

/// Entities, queue and keys, each in one ascending pass.
pub(super) fn load(connection: &Connection, visit: &mut dyn Visit) -> Result<Opening, LoadError> {
    let tail = tail(connection)?;
    let (last_at, newest_id) = batches(connection, visit)?;
    last_batch(connection, tail)?;
    entities(connection, visit)?;
    queue(connection, visit)?;
    let mode = connection
        .query_row("SELECT value FROM meta WHERE name = 'mode'", [], |row| row.get(0))
        .optional()?;
    let time = |name: &str| {
        connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map(|time| time.map(Time))
    };
    let restored = time("restored_at")?.map(|at| Restored { at, copied_at: Time(0) });
    let copied_at = time("copied_at")?;
    Ok(Opening {
        tail,
        last_at,
        newest_id,
        mode,
        restored: restored.map(|restored| Restored { copied_at: copied_at.unwrap_or(last_at), ..restored }),
        trusted_since: time("trusted_since")?,
    })
}

fn batches(connection: &Connection, visit: &mut dyn Visit) -> Result<(Time, u128), LoadError> {
    let mut statement = connection.prepare("SELECT last, at, newest, keys, sum FROM batch ORDER BY last")?;
    let mut rows = statement.query([])?;
    let (mut last_at, mut newest_id) = (Time(0), 0);
    while let Some(row) = rows.next()? {
        let last: i64 = row.get(0)?;
        let at: i64 = row.get(1)?;
        let newest: [u8; 16] = row.get(2)?;
        let keys = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        if batch_sum(last as u64, at, newest, keys) != row.get::<_, i64>(4)? {
            return Err(LoadError::Corrupt(format!(
                "the batch that ends with record {last}: its checksum does not hold"
            )));
        }
        last_at = Time(at);
        newest_id = u128::from_le_bytes(newest);
        visit.keys(last_at, keys)?;
    }
    Ok((last_at, newest_id))
}

/// The newest batch record by record: it is the one that a crash could have torn.
fn last_batch(connection: &Connection, tail: Tail) -> Result<(), LoadError> {
    if tail.seq == 0 {
        return Ok(());
    }
    let (first, newest, keys) =
        connection.query_row("SELECT first, newest, keys FROM batch WHERE last = ?1", [tail.seq as i64], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?))
        })?;
    let records = read(connection, first, usize::MAX).map_err(|error| match error {
        ReadError::Corrupt { seq, what } => LoadError::Corrupt(format!("record {seq}: {what}")),
        ReadError::Journal(error) => LoadError::Journal(error),
    })?;
    let batch = Batch {
        epoch: records.first().map_or(0, |record| record.epoch),
        expected_last: first - 1,
        records,
        keys,
        newest_id: u128::from_le_bytes(newest),
        ..Batch::default()
    };
    if batch.id() != tail.batch || batch.last() != tail.seq {
        return Err(LoadError::Corrupt(format!(
            "records {first} to {}: the checksum of their batch does not hold",
            tail.seq
        )));
    }
    Ok(())
}

fn entities(connection: &Connection, visit: &mut dyn Visit) -> Result<(), LoadError> {
    let mut statement = connection.prepare("SELECT key, seq, value, sum FROM entity ORDER BY key")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key = entity_key(row)?;
        let seq = row.get::<_, i64>(1)? as u64;
        let value = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        if checksum::of_row(table::ENTITY, key.0, seq, value) != row.get::<_, i64>(3)? {
            return Err(LoadError::Corrupt(format!("the row of entity {}: its checksum does not hold", key.0)));
        }
        visit.row(key, seq, value)?;
    }
    Ok(())
}

fn queue(connection: &Connection, visit: &mut dyn Visit) -> Result<(), LoadError> {
    let mut statement = connection.prepare("SELECT seq, entry, sum FROM queue ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seq = row.get::<_, i64>(0)? as u64;
        let entry = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        if checksum::of_row(table::QUEUE, seq, 0, entry) != row.get::<_, i64>(2)? {
            return Err(LoadError::Corrupt(format!("entry {seq} of the queue: its checksum does not hold")));
        }
        visit.queued(seq, entry)?;
    }
    Ok(())
}
