//! The journal: one writer, group commit, and the published city.
//!
//! Everything that must survive is a record in an append-only journal. One thread writes it: it decides each
//! command against the newest city, commits what waits in one transaction with one fsync, and only then publishes
//! the city and answers. Readers never wait: they read the last published city.
//!
//! ```text
//!   submit, settle ─┐                         ┌─> journal (records, rows, queue: one transaction)
//!                   ├─> bounded queue ─> writer ─> published city ─> readers
//!   observe ────────┘                         └─> answers
//! ```
//!
//! # What is visible when
//!
//! A *local decision* is published, and answered, after its commit and never before: a city that anybody has seen
//! holds no local decision that a crash can forget.
//!
//! An *observation* (what an exchange with the upstream told) is published at once and becomes durable with the next
//! commit, or [`Options::shadow_flush`] later. A crash may forget it; the upstream still knows it. A local decision
//! that was based on an observation is committed together with it, or after it.
//!
//! # A commit that fails
//!
//! It is *ambiguous* until the tail of the journal has been read again: the batch is there, or it is not. Only then
//! is anybody answered. While the tail cannot be read, those who wait keep waiting, and whoever comes new is refused
//! with [`SubmitError::JournalUnavailable`] before anything of theirs is written.

mod aliases;
mod backup;
mod changes;
mod checksum;
mod entry;
mod error;
mod generations;
pub mod journal;
mod keys;
mod metrics;
mod open;
mod options;
mod published;
mod queue;
mod record;
mod repeats;
mod store;
mod ticks;
mod timekeeping;
mod write;
mod writer;

pub use aliases::Aliases;
pub use backup::{Copied, CopyError, Replaced, RestoreError, restore};
pub use changes::Waiter;
pub use entry::{Entry, EntryState, EntrySummary, Parked, SendState, Work};
pub use error::{OpenError, ReadError, SubmitError};
pub use journal::Restored;
pub use metrics::{Histogram, Metrics};
pub use options::{Clock, Merge, Merged, Options, Told};
pub use published::{Health, Published};
pub use repeats::{Identity, Repeat};
pub use store::Store;
pub use timekeeping::{Doubt, Elapsed, Timekeeper};
pub use write::{Key, Left, Outcome, Prior, Settle, Span, Write};
pub use writer::WriterHandle;
