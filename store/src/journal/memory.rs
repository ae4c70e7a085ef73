//! A journal in memory: for simulations, and the yardstick of the conformance tests.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use megamind_domain::{EntityKey, Time};

use super::{
    Alias, AppendError, Batch, BatchId, Journal, JournalError, LoadError, Older, Opening, Reader, Record, Tail,
    Trimmed, Visit,
};
use crate::error::ReadError;

/// A journal that lives as long as one of its handles. [`Memory::reopen`] is what a restart is to a file.
pub struct Memory {
    epoch: u64,
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    epoch: u64,
    records: BTreeMap<u64, Record>,
    /// By the last record of each.
    batches: BTreeMap<u64, Kept>,
    entities: BTreeMap<EntityKey, (u64, Vec<u8>)>,
    /// With the time at which each left.
    archive: BTreeMap<EntityKey, (Time, Vec<u8>)>,
    queue: BTreeMap<u64, Vec<u8>>,
    aliases: Vec<Alias>,
    mode: Option<String>,
    names: BTreeMap<Box<str>, EntityKey>,
    secrets: BTreeMap<Box<str>, Vec<u8>>,
    trusted_since: Option<Time>,
}

struct Kept {
    first: u64,
    at: Time,
    newest_id: u128,
    keys: Vec<u8>,
    id: BatchId,
}

impl Memory {
    /// An empty journal.
    pub fn new() -> Self {
        Self::own(Arc::default())
    }

    /// A new owner of the same records: this handle is fenced from now on.
    pub fn reopen(&self) -> Self {
        Self::own(Arc::clone(&self.disk))
    }

    fn own(disk: Arc<Mutex<Disk>>) -> Self {
        let mut locked = lock(&disk);
        locked.epoch += 1;
        let epoch = locked.epoch;
        drop(locked);
        Self { epoch, disk }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    fn tail(&self) -> Tail {
        let (seq, batch) = self
            .batches
            .last_key_value()
            .map_or((0, BatchId::default()), |(last, kept)| (*last, kept.id));
        Tail { seq, batch }
    }
}

impl Journal for Memory {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn tail(&mut self) -> Result<Tail, JournalError> {
        Ok(lock(&self.disk).tail())
    }

    fn append(&mut self, batch: &Batch) -> Result<u64, AppendError> {
        let mut disk = lock(&self.disk);
        if disk.epoch != batch.epoch {
            let why = format!("epoch {} began after {}", disk.epoch, batch.epoch);
            return Err(AppendError::Fenced(why));
        }
        let last = disk.tail().seq;
        if last != batch.expected_last {
            let why = format!("the last record is {last}, not {}", batch.expected_last);
            return Err(AppendError::Fenced(why));
        }
        let kept = Kept {
            first: last + 1,
            at: batch.at(),
            newest_id: batch.newest_id,
            keys: batch.keys.clone(),
            id: batch.id(),
        };
        disk.batches.insert(batch.last(), kept);
        for record in &batch.records {
            disk.records.insert(record.seq, record.clone());
        }
        for row in &batch.rows {
            if let Some(value) = &row.value {
                disk.entities.insert(row.key, (row.seq, value.clone()));
            } else if let Some((_, value)) = disk.entities.remove(&row.key)
                && batch.names.iter().any(|(_, named)| *named == row.key)
            {
                disk.archive.insert(row.key, (batch.at(), value));
            }
        }
        for (seq, entry) in &batch.queue {
            match entry {
                Some(entry) => disk.queue.insert(*seq, entry.clone()),
                None => disk.queue.remove(seq),
            };
        }
        disk.aliases.extend_from_slice(&batch.aliases);
        if batch.mode.is_some() {
            disk.mode.clone_from(&batch.mode);
        }
        disk.names.extend(batch.names.iter().cloned());
        for (name, sealed) in &batch.secrets {
            match sealed {
                Some(sealed) => disk.secrets.insert(name.clone(), sealed.clone()),
                None => disk.secrets.remove(name),
            };
        }
        disk.trusted_since = batch.trusted_since.or(disk.trusted_since);
        Ok(batch.last())
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
        let mut size = 0;
        Ok(lock(&self.disk)
            .records
            .range(from..)
            .map(|(_, record)| record)
            .take_while(|record| {
                let before = size;
                size += record.size();
                before <= max_bytes
            })
            .cloned()
            .collect())
    }

    fn trim(&mut self, older: Older, limit: usize) -> Result<Trimmed, JournalError> {
        let mut disk = lock(&self.disk);
        let newest = disk.tail().seq;
        let batches: Vec<(u64, u64)> = disk
            .batches
            .iter()
            .filter(|(last, kept)| {
                let than = if kept.keys.is_empty() { older.than } else { older.with_keys_than };
                kept.at < than && **last < newest && disk.queue.range(kept.first..=**last).next().is_none()
            })
            .map(|(last, kept)| (kept.first, *last))
            .collect();
        let (mut gone, mut more) = (0, false);
        for (first, last) in batches {
            more = gone >= limit as u64;
            if more {
                break;
            }
            let before = disk.records.len();
            disk.records.retain(|seq, _| !(first..=last).contains(seq));
            gone += (before - disk.records.len()) as u64;
            disk.batches.remove(&last);
        }
        Ok(Trimmed { gone, more })
    }

    fn forget(&mut self, before: Time, limit: usize) -> Result<Trimmed, JournalError> {
        let mut disk = lock(&self.disk);
        let left = disk.archive.iter().map(|(key, (left_at, _))| (*left_at, *key));
        let mut old: Vec<_> = left.filter(|(left_at, _)| *left_at < before).collect();
        old.sort_unstable();
        let more = old.len() >= limit;
        old.truncate(limit);
        for (_, key) in &old {
            disk.archive.remove(key);
            disk.names.retain(|_, named| named != key);
        }
        Ok(Trimmed { gone: old.len() as u64, more })
    }

    fn load(&mut self, visit: &mut dyn Visit) -> Result<Opening, LoadError> {
        let disk = lock(&self.disk);
        for kept in disk.batches.values() {
            visit.keys(kept.at, &kept.keys)?;
        }
        for (key, (seq, value)) in &disk.entities {
            visit.row(*key, *seq, value)?;
        }
        for (seq, entry) in &disk.queue {
            visit.queued(*seq, entry)?;
        }
        let newest = disk.batches.last_key_value().map(|(_, kept)| kept);
        Ok(Opening {
            tail: disk.tail(),
            last_at: newest.map_or(Time(0), |kept| kept.at),
            newest_id: newest.map_or(0, |kept| kept.newest_id),
            mode: disk.mode.clone(),
            restored: None,
            trusted_since: disk.trusted_since,
        })
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(MemoryReader(Arc::clone(&self.disk)))
    }

    fn bytes(&self) -> u64 {
        let disk = lock(&self.disk);
        disk.records.values().map(|record| record.size() as u64).sum()
    }
}

struct MemoryReader(Arc<Mutex<Disk>>);

impl Reader for MemoryReader {
    fn record(&self, seq: u64) -> Result<Option<Record>, ReadError> {
        Ok(lock(&self.0).records.get(&seq).cloned())
    }

    fn upstream_of(&self, local: &str) -> Result<Option<String>, JournalError> {
        let disk = lock(&self.0);
        let mut newest_first = disk.aliases.iter().rev();
        let alias = newest_first.find(|alias| &*alias.local == local);
        Ok(alias.map(|alias| alias.upstream.to_string()))
    }

    fn local_of(&self, upstream: &str) -> Result<Option<String>, JournalError> {
        let disk = lock(&self.0);
        let mut newest_first = disk.aliases.iter().rev();
        let alias = newest_first.find(|alias| &*alias.upstream == upstream);
        Ok(alias.map(|alias| alias.local.to_string()))
    }

    fn done(&self, after: u64, limit: usize) -> Result<Vec<(u64, Time)>, JournalError> {
        let disk = lock(&self.0);
        Ok(disk
            .records
            .range(after.saturating_add(1)..)
            .filter(|(seq, record)| !disk.queue.contains_key(seq) && record.replay().is_some())
            .map(|(seq, record)| (*seq, record.at))
            .take(limit)
            .collect())
    }

    fn archived(&self, key: EntityKey) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(lock(&self.0).archive.get(&key).map(|(_, value)| value.clone()))
    }

    fn left_as(&self, name: &str) -> Result<Option<EntityKey>, JournalError> {
        Ok(lock(&self.0).names.get(name).copied())
    }

    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(lock(&self.0).secrets.get(name).cloned())
    }

    fn copy(&self, _to: &Path) -> Result<(), JournalError> {
        Err(JournalError::NoFile)
    }
}
