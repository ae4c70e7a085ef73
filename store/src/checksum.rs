//! Checksums of what is on disk: BLAKE3, cut to 64 bits for single rows and 128 bits for batches.

use megamind_domain::Time;

use crate::journal::Record;

/// A checksum over several fields, each preceded by its length so that no two divisions collide.
pub(crate) struct Sum(blake3::Hasher);

impl Sum {
    pub(crate) fn new() -> Self {
        Self(blake3::Hasher::new())
    }

    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    /// As `SQLite` stores it.
    pub(crate) fn short(&self) -> i64 {
        let hash = self.0.finalize();
        // A BLAKE3 hash has 32 bytes: the first eight are there.
        i64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default())
    }

    pub(crate) fn long(&self) -> u128 {
        let hash = self.0.finalize();
        // As above: 16 of 32 bytes.
        u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap_or_default())
    }
}

/// The checksum of a record.
pub(crate) fn of_record(record: &Record) -> i64 {
    let Time(at) = record.at;
    let mut sum = Sum::new();
    sum.number(record.seq)
        .number(at as u64)
        .number(record.epoch)
        .bytes(&record.head)
        .bytes(&record.body)
        .bytes(&record.events)
        .bytes(&record.answer);
    sum.short()
}

/// The checksum of a row of `table` (a number of the schema's own) with an integer key.
pub(crate) fn of_row(table: u64, key: u64, seq: u64, value: &[u8]) -> i64 {
    let mut sum = Sum::new();
    sum.number(table).number(key).number(seq).bytes(value);
    sum.short()
}
