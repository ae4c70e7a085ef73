//! What can go wrong, each with whose fault it is.

use std::path::PathBuf;

use crate::journal::JournalError;

/// Why a journal cannot be opened. Every message names the file and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns the file.
    #[error(
        "{path}: locked by another gateway{}; stop that one first, or give this one a store.path of its own",
        by.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// The owner, as far as its lock file tells.
        by: Option<u32>,
    },
    /// The file is something else.
    #[error("{path}: not a MegaMind database ({why}); check store.path")]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// How it can be told.
        why: String,
    },
    /// A newer release wrote the file.
    #[error(
        "{path}: written by a newer release (schema {found}, this one reads up to {supported}); \
         run that release, or restore a backup made before the upgrade"
    )]
    TooNew {
        /// The database.
        path: PathBuf,
        /// The schema of the file.
        found: u32,
        /// The newest schema that this release knows.
        supported: u32,
    },
    /// Something in the file is not what was written.
    #[error("{path}: corrupt: {what}; bring back a backup with `megamind restore FILE`")]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// Where, and what was found.
        what: String,
    },
    /// The file or its folder cannot be written.
    #[error("{path}: cannot be written ({why}); check the owner and the mode of the file and its folder")]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The domain panicked on what an earlier run had journaled.
    #[error(
        "{path}: record {seq} cannot be applied (the handlers panicked); \
         run the release that wrote it, and report this"
    )]
    Panicked {
        /// The database.
        path: PathBuf,
        /// The record.
        seq: u64,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The journal failed while it was read.
    #[error("{path}: {source}")]
    Journal {
        /// The database.
        path: PathBuf,
        /// What failed.
        source: JournalError,
    },
}

/// Why a write was not decided. Except for [`SubmitError::Closed`], it changed nothing and a retry is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// No room in the writer's queue for [`crate::Options::queue_timeout`].
    #[error("the writer's queue is full")]
    Overloaded,
    /// The journal cannot be written now; it is known that this write is not in it.
    #[error("the journal cannot be written")]
    JournalUnavailable,
    /// The domain panicked on this write.
    #[error("the handlers panicked")]
    Panicked,
    /// No entry of that number waits in the queue (any more).
    #[error("no such entry in the queue")]
    NotQueued,
    /// The store was closed. Whether the write is in the journal is unknown if it was submitted before that.
    #[error("the store is closed")]
    Closed,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The record is not what was written.
    #[error("record {seq} is corrupt: {what}")]
    Corrupt {
        /// The record.
        seq: u64,
        /// What does not hold.
        what: String,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
