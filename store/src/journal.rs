//! The journal: an append-only, fenced, synchronous log with the rows and the queue that follow from it.
//!
//! Only the writer calls it. [`Sqlite`] is the one in service, [`Memory`] keeps everything in the process (for
//! simulations and tests), [`Faulty`] makes either of them fail on demand.

mod faulty;
mod memory;
pub(crate) mod owner;
pub(crate) mod schema;
pub(crate) mod sqlite;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use megamind_domain::{EntityKey, Time};

pub use faulty::{Fault, Faults, Faulty};
pub use memory::Memory;
pub use sqlite::Sqlite;

use crate::{checksum, error::ReadError};

/// Where records go.
///
/// An implementation makes `append` atomic and durable, and refuses it to everybody but the newest owner.
pub trait Journal: Send {
    /// The number of this ownership: greater than that of every owner before.
    fn epoch(&self) -> u64;

    /// What is there for certain now. After an ambiguous append this reads from what would survive a crash, and
    /// whatever it does not report can never appear later.
    fn tail(&mut self) -> Result<Tail, JournalError>;

    /// Appends a batch, whole or not at all, and returns the number of its last record.
    fn append(&mut self, batch: &Batch) -> Result<u64, AppendError>;

    /// Records from `from` on, in order, until their size passes `max_bytes`; at least one if there is one.
    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Record>, ReadError>;

    /// Deletes about `limit` records that nobody needs any more, the oldest first and in whole batches: none of a batch
    /// with a queued entry, and never the newest batch.
    fn trim(&mut self, older: Older, limit: usize) -> Result<Trimmed, JournalError>;

    /// Deletes up to `limit` entities that left the city before `before`, the earliest first, and the names that lead to
    /// them. Aliases stay.
    fn forget(&mut self, before: Time, limit: usize) -> Result<Trimmed, JournalError>;

    /// Reads all state, in ascending order of its keys.
    fn load(&mut self, visit: &mut dyn Visit) -> Result<Opening, LoadError>;

    /// For readers on other threads.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Bytes on disk.
    fn bytes(&self) -> u64;
}

/// Reads single things beside the writer. Calls block: not for a thread that serves connections.
pub trait Reader: Send + Sync {
    /// One record, its checksum verified.
    fn record(&self, seq: u64) -> Result<Option<Record>, ReadError>;

    /// The upstream's id for a local id.
    fn upstream_of(&self, local: &str) -> Result<Option<String>, JournalError>;

    /// The local id for an upstream's id.
    fn local_of(&self, upstream: &str) -> Result<Option<String>, JournalError>;

    /// Up to `limit` records after `after` that are requests and are not queued: (seq, at).
    fn done(&self, after: u64, limit: usize) -> Result<Vec<(u64, Time)>, JournalError>;

    /// The last row of an entity that left the city, until it is forgotten.
    fn archived(&self, key: EntityKey) -> Result<Option<Vec<u8>>, ReadError>;

    /// The entity that left the city last under this name, until it is forgotten.
    fn left_as(&self, name: &str) -> Result<Option<EntityKey>, JournalError>;

    /// What is kept under this name, sealed.
    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError>;

    /// Copies everything that is durable now into a new file, as of one moment. Does not hold up the writer.
    fn copy(&self, to: &Path) -> Result<(), JournalError>;
}

/// What is old enough to be deleted.
#[derive(Clone, Copy, Debug)]
pub struct Older {
    /// Batches without idempotency keys that ended before this.
    pub than: Time,
    /// All others that ended before this.
    pub with_keys_than: Time,
}

/// One record: who, what, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number: 1 for the first, without gaps.
    pub seq: u64,
    /// When it was decided; never before the record that precedes it.
    pub at: Time,
    /// The ownership in which it was written.
    pub epoch: u64,
    /// JSON: kind, version, and what belongs to it.
    pub head: Vec<u8>,
    /// The body of the request, unchanged.
    pub body: Bytes,
    /// JSON: a list of the domain's events.
    pub events: Vec<u8>,
    /// The body of the answer.
    pub answer: Bytes,
}

impl Record {
    /// Bytes of its content.
    pub fn size(&self) -> usize {
        self.head.len() + self.body.len() + self.events.len() + self.answer.len()
    }
}

/// What one commit writes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The writer's ownership.
    pub epoch: u64,
    /// The record that must be the last one before.
    pub expected_last: u64,
    /// The records, numbered from `expected_last + 1`.
    pub records: Vec<Record>,
    /// The rows of the entities touched, each once, with the record that touched it last; without a value for an
    /// entity that left the city: its last row is kept where [`Batch::names`] has a name for it, with the time of the
    /// batch.
    pub rows: Vec<Row>,
    /// Entries of the queue that came or changed (their row), or left.
    pub queue: Vec<(u64, Option<Vec<u8>>)>,
    /// Ids that the upstream gave.
    pub aliases: Vec<Alias>,
    /// Idempotency keys of the records, packed.
    pub keys: Vec<u8>,
    /// The mode, if it changed.
    pub mode: Option<String>,
    /// Names of the entities that leave the city.
    pub names: Vec<(Box<str>, EntityKey)>,
    /// What is kept sealed from now on, by name; `None` where it is kept no longer.
    pub secrets: Vec<(Box<str>, Option<Vec<u8>>)>,
    /// The drain may go on after a restore.
    pub released: bool,
    /// Since when the clock is trusted, if that changed.
    pub trusted_since: Option<Time>,
    /// The newest id given by the domain's generator so far.
    pub newest_id: u128,
}

impl Batch {
    /// What tells this batch from every other.
    pub fn id(&self) -> BatchId {
        self.id_of(&self.sums())
    }

    /// The checksum of each record.
    pub(crate) fn sums(&self) -> Vec<i64> {
        self.records.iter().map(checksum::of_record).collect()
    }

    /// [`Batch::id`], with the checksums of the records at hand.
    pub(crate) fn id_of(&self, sums: &[i64]) -> BatchId {
        let mut sum = checksum::Sum::new();
        sum.number(self.epoch).number(self.expected_last);
        for record in sums {
            sum.number(*record as u64);
        }
        sum.bytes(&self.keys).bytes(&self.newest_id.to_le_bytes());
        BatchId(sum.long())
    }

    /// The number of its last record.
    pub fn last(&self) -> u64 {
        self.records.last().map_or(self.expected_last, |record| record.seq)
    }

    /// The time of its last record.
    pub(crate) fn at(&self) -> Time {
        self.records.last().map_or(Time(0), |record| record.at)
    }
}

/// The checksum of a batch: over its epoch, its place, its records and its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchId(pub u128);

/// The row of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which entity.
    pub key: EntityKey,
    /// The record that touched it last.
    pub seq: u64,
    /// What the domain made of it.
    pub value: Option<Vec<u8>>,
}

/// A local id and the upstream's for the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The id given here.
    pub local: Box<str>,
    /// The id given there.
    pub upstream: Box<str>,
    /// The record that told.
    pub seq: u64,
}

/// The end of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last record; 0 in an empty journal.
    pub seq: u64,
    /// The last batch.
    pub batch: BatchId,
}

/// What stands beside rows and entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The end of the journal.
    pub tail: Tail,
    /// The time of the last record.
    pub last_at: Time,
    /// The newest id ever given.
    pub newest_id: u128,
    /// The mode at the end of the last run.
    pub mode: Option<String>,
    /// Set while the drain waits, after a restore, to be released.
    pub restored: Option<Restored>,
    /// Since when the clock is trusted; `None` where it was never doubted.
    pub trusted_since: Option<Time>,
}

/// What [`Journal::trim`] or [`Journal::forget`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Records, or entities, that went.
    pub gone: u64,
    /// Whether there may be more of them.
    pub more: bool,
}

/// The journal came from a backup, and nobody has said yet that it may be drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When it was brought back.
    pub at: Time,
    /// When the copy was made.
    pub copied_at: Time,
}

/// Takes the state at open.
pub trait Visit {
    /// The row of an entity.
    fn row(&mut self, key: EntityKey, seq: u64, value: &[u8]) -> Result<(), LoadError>;
    /// An entry of the queue.
    fn queued(&mut self, seq: u64, row: &[u8]) -> Result<(), LoadError>;
    /// The packed keys of a batch, and its time.
    fn keys(&mut self, at: Time, packed: &[u8]) -> Result<(), LoadError>;
}

/// Why an append did not succeed, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else owns the journal now, or has appended: this owner must never write again.
    #[error("fenced: {0}")]
    Fenced(String),
    /// It may be there or not: only [`Journal::tail`] tells.
    #[error(transparent)]
    Ambiguous(#[from] JournalError),
}

/// The journal or the disk below it failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No room.
    #[error("no space left on the device")]
    Full,
    /// The database failed.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// What was read is not what was written.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// A journal of this kind has no file.
    #[error("a journal in memory has no file to be copied")]
    NoFile,
    /// The file system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A reader holds the write-ahead log; it is tried again.
    #[error("the write-ahead log is in use")]
    LogInUse,
    /// A fault made by a test.
    #[error("{0}")]
    Injected(&'static str),
}

/// Why the state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Something is not what was written.
    #[error("{0}")]
    Corrupt(String),
    /// The domain panicked on the row that this record wrote.
    #[error("the handlers panicked on what record {0} wrote")]
    Panicked(u64),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Journal(error.into())
    }
}
