//! Deleting what nobody needs any more. The pages that it leaves are used again, so a file stops growing once it holds
//! as much as its times of retention ask for.

use megamind_domain::Time;
use rusqlite::Connection;

use crate::journal::{Older, Trimmed};

/// Batches looked at in one go, so that the writer is never held up for long.
const LOOK: usize = 20_000;

/// Where the search goes on: the last batch that was looked at for each reason.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    /// Anything old. Begins anew when it has come to what is young: what was queued may have gone.
    old: i64,
    /// Batches without keys. Never goes back: what was queued then goes with what is old.
    keyless: i64,
}

/// Whole batches only, so that what remains can still be verified; the mark first, in a commit of its own, so that a
/// reader never takes a gap for a loss.
pub(super) fn trim(
    connection: &mut Connection,
    places: &mut Places,
    older: Older,
    limit: usize,
) -> rusqlite::Result<Trimmed> {
    let old = look(connection, places.old, older.with_keys_than, limit, true)?;
    places.old = if old.more { old.place } else { 0 };
    let keyless = look(connection, places.keyless.max(places.old), older.than, limit, false)?;
    places.keyless = keyless.place;
    let more = old.more || keyless.more;
    let mut batches = old.batches;
    batches.extend(keyless.batches);
    let Some(newest) = batches.iter().map(|(_, last)| *last).max() else {
        return Ok(Trimmed { gone: 0, more });
    };
    connection.execute("UPDATE meta SET value = max(value, ?1) WHERE name = 'trimmed'", [newest])?;
    let transaction = connection.transaction()?;
    let mut gone = 0;
    for (first, last) in batches {
        gone += transaction
            .prepare_cached("DELETE FROM record WHERE seq BETWEEN ?1 AND ?2")?
            .execute((first, last))? as u64;
        transaction
            .prepare_cached("DELETE FROM batch WHERE last = ?1")?
            .execute([last])?;
    }
    transaction.commit()?;
    Ok(Trimmed { gone, more })
}

/// One index leads to those that left first, and one to their names, so that it costs as much as it deletes.
pub(super) fn forget(connection: &mut Connection, before: Time, limit: usize) -> rusqlite::Result<Trimmed> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let old: Vec<i64> = connection
        .prepare_cached("SELECT key FROM archive WHERE left_at < ?1 ORDER BY left_at LIMIT ?2")?
        .query_map((before.0, limit), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if old.is_empty() {
        return Ok(Trimmed { gone: 0, more: false });
    }
    let transaction = connection.transaction()?;
    for key in &old {
        for sql in ["DELETE FROM archive_name WHERE key = ?1", "DELETE FROM archive WHERE key = ?1"] {
            transaction.prepare_cached(sql)?.execute([key])?;
        }
    }
    transaction.commit()?;
    Ok(Trimmed { gone: old.len() as u64, more: old.len() as i64 == limit })
}

/// What a search found.
struct Found {
    /// First and last record of each batch that may go.
    batches: Vec<(i64, i64)>,
    /// The last batch that was looked at.
    place: i64,
    /// Whether it ended before it came to something young.
    more: bool,
}

/// The oldest batches after `place` that ended before `than`, with about `limit` records. Times never decrease from one
/// batch to the next, so the first one that is young ends the search.
fn look(connection: &Connection, place: i64, than: Time, limit: usize, with_keys: bool) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached(
        "SELECT first, last, at, length(keys), EXISTS (SELECT 1 FROM queue WHERE seq BETWEEN first AND last)
         FROM batch WHERE last > ?1 AND last < (SELECT max(last) FROM batch) ORDER BY last LIMIT ?2",
    )?;
    let mut rows = statement.query((place, LOOK as i64))?;
    let mut search = Found { batches: Vec::new(), place, more: false };
    let (mut looked, mut records) = (0, 0);
    while let Some(row) = rows.next()? {
        let (first, last, at): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if at >= than.0 {
            return Ok(search);
        }
        search.place = last;
        let (keys, queued): (i64, bool) = (row.get(3)?, row.get(4)?);
        if !queued && (with_keys || keys == 0) {
            search.batches.push((first, last));
            records += last - first + 1;
        }
        looked += 1;
        if records >= limit as i64 || looked == LOOK {
            search.more = true;
            break;
        }
    }
    Ok(search)
}
