//! Copies of the journal, and bringing one back.
//!
//! A copy is one file, complete as of one moment. Bringing it back begins a new range of record numbers, so that no
//! number, and no key made from one, ever means two things; whatever waits in its queue may have reached the upstream
//! since, and nothing of it is sent until somebody releases it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use megamind_domain::{EntityKey, Time};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::{
    error::OpenError,
    journal::{Batch, Journal, JournalError, LoadError, Reader, Record, Sqlite, Visit, owner::Owner, schema, sqlite},
    queue,
    record::Head,
};

/// A copy that was made.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was made.
    pub at: Time,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is something under that name already.
    #[error("{0}: is there already; name a file that is not")]
    Exists(PathBuf),
    /// The file or its folder cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The journal, or the database that is being written.
    #[error("{path}: {source}")]
    Journal {
        /// The copy.
        path: PathBuf,
        /// What failed.
        source: JournalError,
    },
}

/// Makes a copy under `to`, which appears there only when it is complete and on disk.
pub(crate) fn copy(
    reader: &dyn Reader,
    to: &Path,
    at: Time,
    attached: &[(String, Vec<u8>)],
) -> Result<Copied, CopyError> {
    let io = |source| CopyError::Io { path: to.into(), source };
    if to.try_exists().map_err(io)? {
        return Err(CopyError::Exists(to.into()));
    }
    let partial = with_suffix(to, ".partial");
    let copied = write_copy(reader, &partial, at, attached).and_then(|()| {
        let bytes = fs::metadata(&partial)?.len();
        // Unlike a rename, a link does not replace what somebody else put there meanwhile.
        fs::hard_link(&partial, to)?;
        sync_folder(to)?;
        Ok(bytes)
    });
    let _ = fs::remove_file(&partial);
    match copied {
        Ok(bytes) => Ok(Copied { path: to.into(), bytes, at }),
        Err(JournalError::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CopyError::Exists(to.into()))
        }
        Err(JournalError::Io(error)) => Err(io(error)),
        Err(source) => Err(CopyError::Journal { path: to.into(), source }),
    }
}

fn write_copy(
    reader: &dyn Reader,
    partial: &Path,
    at: Time,
    attached: &[(String, Vec<u8>)],
) -> Result<(), JournalError> {
    remove_if_there(partial)?;
    // It holds what clients sent: nobody else is to read it.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(partial)?;
    reader.copy(partial)?;
    let target = Connection::open(partial)?;
    target.execute("INSERT OR REPLACE INTO meta VALUES ('copied_at', ?1)", [at.0])?;
    attach(&target, attached)?;
    target.close().map_err(|(_, error)| error)?;
    Ok(File::open(partial)?.sync_all()?)
}

/// Puts files into a copy.
fn attach(target: &Connection, attached: &[(String, Vec<u8>)]) -> rusqlite::Result<()> {
    if attached.is_empty() {
        return Ok(());
    }
    target.execute_batch("CREATE TABLE attached (name TEXT PRIMARY KEY, content BLOB NOT NULL)")?;
    for (name, content) in attached {
        target.execute("INSERT INTO attached VALUES (?1, ?2)", (name, content))?;
    }
    Ok(())
}

/// Takes the files out of a copy: the journal does not know them.
fn detach(copy: &Connection) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
    let there: bool = copy.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'attached')",
        [],
        |row| row.get(0),
    )?;
    if !there {
        return Ok(Vec::new());
    }
    let attached = {
        let mut statement = copy.prepare("SELECT name, content FROM attached")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    copy.execute_batch("DROP TABLE attached")?;
    Ok(attached)
}

/// What was brought back.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// When the copy was made; the time of its newest record, where it does not say.
    pub copied_at: Time,
    /// Its newest record.
    pub last: u64,
    /// The time of that.
    pub last_at: Time,
    /// Entries of its queue, all of which count as possibly applied now.
    pub queued: u64,
    /// The first number that is given from now on.
    pub first: u64,
    /// Where the database went that stood in its place.
    pub moved_to: Option<PathBuf>,
    /// Files that were put into the copy ([`Store::copy_with`](crate::Store::copy_with)), by name.
    pub attached: Vec<(String, Vec<u8>)>,
}

/// Why nothing was brought back. The database that was there is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The copy cannot be used, or the database is in use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Brings the copy `from` back as the database `to`, which no gateway may have open. What was there is moved aside.
/// Blocks.
pub fn restore(from: &Path, to: &Path, now: Time) -> Result<Replaced, RestoreError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| RestoreError::Io { path, source }
    };
    File::open(from).map_err(io(from))?;
    let owner = Owner::lock(to)?;
    let fresh = with_suffix(to, ".restoring");
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        let stale = with_suffix(&fresh, suffix);
        remove_if_there(&stale).map_err(io(&stale))?;
    }
    let failed = |error: JournalError| explain(from, error);
    let source = schema::connect_read_only(from).map_err(|error| schema::explain(from, error))?;
    schema::recognize(from, &source)?;
    sqlite::copy(&source, &fresh).map_err(failed)?;
    drop(source);
    let replaced = prepare(from, &fresh, to, now)?;
    let moved_to = move_aside(to, now).map_err(io(to))?;
    fs::rename(&fresh, to).map_err(io(to))?;
    let lock = with_suffix(&fresh, ".lock");
    remove_if_there(&lock).map_err(io(&lock))?;
    sync_folder(to).map_err(io(to))?;
    drop(owner);
    Ok(Replaced { moved_to, ..replaced })
}

/// Verifies the copy and makes it one that was brought back.
fn prepare(from: &Path, fresh: &Path, to: &Path, now: Time) -> Result<Replaced, RestoreError> {
    let mut queue = Entries::default();
    let mut journal = Sqlite::open(fresh)?;
    let opening = journal.load(&mut queue).map_err(|error| explain_load(from, error))?;
    let epoch = journal.epoch().max(epoch_of(to)) + 1;
    drop(journal);
    let last = opening.tail.seq;
    // The seconds of the day that it is brought back lead the numbers: of two restores of one copy, the later has the
    // greater ones, and 2^20 a second are more than can be written.
    let seconds = u64::try_from(now.0 / 1000).unwrap_or(0);
    let first = (seconds << 20).max(last + (1 << 20));
    let at = now.max(opening.last_at);
    let failed = |error: rusqlite::Error| RestoreError::from(schema::explain(from, error));
    let mut connection = schema::connect(fresh).map_err(failed)?;
    let copied_at = copied_at(&connection).map_err(failed)?.unwrap_or(opening.last_at);
    let batch = Batch {
        epoch,
        expected_last: first - 1,
        records: vec![Record {
            events: b"[]".to_vec(),
            ..Record::bare(first, at, epoch, &Head::Restored { copied_at: copied_at.0 })
        }],
        queue: queue.possibly_applied(),
        newest_id: opening.newest_id,
        ..Batch::default()
    };
    let transaction = connection.transaction().map_err(failed)?;
    sqlite::write(&transaction, &batch).map_err(failed)?;
    note(&transaction, epoch, at, copied_at).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    let attached = detach(&connection).map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    let io = |source| RestoreError::Io { path: fresh.into(), source };
    File::open(fresh).map_err(io)?.sync_all().map_err(io)?;
    Ok(Replaced {
        copied_at,
        last,
        last_at: opening.last_at,
        queued: queue.0.len() as u64,
        first: first + 1,
        moved_to: None,
        attached,
    })
}

fn note(transaction: &Transaction<'_>, epoch: u64, at: Time, copied_at: Time) -> rusqlite::Result<()> {
    for (name, value) in [("epoch", epoch as i64), ("restored_at", at.0), ("copied_at", copied_at.0)] {
        transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", (name, value))?;
    }
    Ok(())
}

fn copied_at(connection: &Connection) -> rusqlite::Result<Option<Time>> {
    connection
        .query_row("SELECT value FROM meta WHERE name = 'copied_at'", [], |row| Ok(Time(row.get(0)?)))
        .optional()
}

/// The epoch of the database that is replaced, as far as it can still be read.
fn epoch_of(path: &Path) -> u64 {
    let epoch = |connection: Connection| {
        connection.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get::<_, i64>(0))
    };
    schema::connect_read_only(path).and_then(epoch).unwrap_or(0) as u64
}

/// The queue of a copy; everything else is only verified.
#[derive(Default)]
struct Entries(Vec<(u64, queue::Queued)>);

impl Visit for Entries {
    fn row(&mut self, _: EntityKey, _: u64, _: &[u8]) -> Result<(), LoadError> {
        Ok(())
    }

    fn queued(&mut self, seq: u64, row: &[u8]) -> Result<(), LoadError> {
        let entry = queue::unpack(row).ok_or_else(|| LoadError::Corrupt(format!("entry {seq} of the queue")))?;
        self.0.push((seq, entry));
        Ok(())
    }

    fn keys(&mut self, _: Time, _: &[u8]) -> Result<(), LoadError> {
        Ok(())
    }
}

impl Entries {
    /// Any of them may have been sent between the copy and now.
    fn possibly_applied(&self) -> Vec<(u64, Option<Vec<u8>>)> {
        let doubtful = |(seq, entry): &(u64, queue::Queued)| {
            let progress = match entry.progress {
                queue::Progress::NeverSent => queue::Progress::PossiblyApplied { since: entry.at },
                queue::Progress::Attempting { since } => queue::Progress::PossiblyApplied { since },
                known @ queue::Progress::PossiblyApplied { .. } => known,
            };
            (*seq, Some(queue::pack(&queue::Queued { progress, ..entry.clone() })))
        };
        self.0.iter().map(doubtful).collect()
    }
}

/// Moves a database and its log to a name that tells when, in milliseconds of 1970.
fn move_aside(path: &Path, now: Time) -> io::Result<Option<PathBuf>> {
    if !path.try_exists()? {
        return Ok(None);
    }
    let aside = with_suffix(path, &format!(".replaced-{}", now.0));
    for suffix in ["", "-wal", "-shm"] {
        let part = with_suffix(path, suffix);
        if part.try_exists()? {
            fs::rename(&part, with_suffix(&aside, suffix))?;
        }
    }
    Ok(Some(aside))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes a new name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn explain(path: &Path, error: JournalError) -> RestoreError {
    RestoreError::Open(match error {
        JournalError::Database(error) => schema::explain(path, error),
        source => OpenError::Journal { path: path.into(), source },
    })
}

fn explain_load(path: &Path, error: LoadError) -> RestoreError {
    match error {
        LoadError::Journal(error) => explain(path, error),
        LoadError::Corrupt(what) => OpenError::Corrupt { path: path.into(), what }.into(),
        LoadError::Panicked(seq) => OpenError::Panicked { path: path.into(), seq }.into(),
    }
}
