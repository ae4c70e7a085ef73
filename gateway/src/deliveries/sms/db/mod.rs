//! The journal of messages, in a file of its own beside the city's: what modems brought, what goes out, who may write.
//!
//! A message that came is done with in the same commit that notes its number, spends its code and puts its answer into
//! the queue. So a crash before that commit lets it be heard again (its effect has an idempotency key), and after it
//! never. Secrets are sealed with the key that the journal's are sealed with.

mod modems;
mod outgoing;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use megamind_gateway::Vault;
use megamind_sms::{
    identity::{Enrolment, Guard},
    modem::ModemId,
    pdu::{Deliver, Tpdu},
};
use rusqlite::{Connection, OptionalExtension, params};

pub(super) use modems::ModemJournal;
pub(super) use outgoing::{Due, Line, Out};

/// Errors of the file.
pub(super) type Result<T> = rusqlite::Result<T>;

/// The file.
#[derive(Clone)]
pub(super) struct Db(Arc<Mutex<Inner>>);

struct Inner {
    connection: Connection,
    vault: Vault,
    path: PathBuf,
    /// The message that is being handed to the modems.
    handing: Option<i64>,
}

/// What becomes durable when a message is done with.
pub(super) struct Settled<'a> {
    pub(super) parts: &'a [Deliver],
    pub(super) modem: &'a ModemId,
    pub(super) outcome: &'a str,
    pub(super) enrolment: Option<&'a Enrolment>,
    pub(super) guard: Option<(&'a str, &'a Guard)>,
    pub(super) answer: Option<Out>,
}

/// A PDU that came: when, by which modem, itself, and what became of it.
pub(super) type Came = (i64, String, String, Option<String>);

/// Who may write, and how many entries cannot be opened.
pub(super) struct Enrolled {
    pub(super) known: Vec<Enrolment>,
    pub(super) unreadable: usize,
}

impl Db {
    /// Opens the file, and makes it where there is none. Secrets of an older version are sealed.
    pub(super) fn open(path: &Path, vault: Vault) -> Result<Self> {
        let mut connection = schema::open(path)?;
        seal_what_is_not(&mut connection, &vault)?;
        Ok(Self(Arc::new(Mutex::new(Inner {
            connection,
            vault,
            path: path.to_owned(),
            handing: None,
        }))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody who may write.
    pub(super) fn enrolments(&self) -> Result<Enrolled> {
        let inner = self.inner();
        let mut statement = inner
            .connection
            .prepare("SELECT pilot, sealed FROM enrolment WHERE sealed IS NOT NULL")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let mut enrolled = Enrolled { known: Vec::new(), unreadable: 0 };
        for row in rows {
            let (pilot, sealed) = row?;
            let plain = inner.vault.open_sealed(&sealed_as(&pilot), &sealed);
            match plain.and_then(|plain| serde_json::from_slice(&plain).ok()) {
                Some(enrolment) => enrolled.known.push(enrolment),
                None => enrolled.unreadable += 1,
            }
        }
        Ok(enrolled)
    }

    /// What is remembered of a number.
    pub(super) fn guard(&self, number: &str) -> Result<Guard> {
        let inner = self.inner();
        let state: Option<String> = inner
            .connection
            .query_row("SELECT state FROM guard WHERE number = ?1", [number], |row| row.get(0))
            .optional()?;
        Ok(state.and_then(|state| serde_json::from_str(&state).ok()).unwrap_or_default())
    }

    /// Lets a pilot write, or changes how.
    pub(super) fn enrol(&self, enrolment: &Enrolment) -> Result<()> {
        let inner = self.inner();
        save_enrolment(&inner.connection, &inner.vault, enrolment)
    }

    /// Ends an enrolment.
    pub(super) fn end(&self, pilot: &str) -> Result<()> {
        self.inner()
            .connection
            .execute("DELETE FROM enrolment WHERE pilot = ?1", [pilot])
            .map(drop)
    }

    /// Is done with a message, in one commit.
    pub(super) fn settle(&self, settled: &Settled<'_>, now: i64) -> Result<()> {
        let mut inner = self.inner();
        let Inner { connection, vault, .. } = &mut *inner;
        let transaction = connection.transaction()?;
        for part in settled.parts {
            transaction.execute(
                "UPDATE heard SET outcome = ?2 WHERE key = ?1",
                params![key(settled.modem, part), settled.outcome],
            )?;
        }
        if let Some(enrolment) = settled.enrolment {
            save_enrolment(&transaction, vault, enrolment)?;
        }
        if let Some((number, guard)) = settled.guard {
            transaction.execute(
                "INSERT INTO guard VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET state = ?2",
                params![number, json(guard)?],
            )?;
        }
        if let Some(answer) = &settled.answer {
            outgoing::insert(&transaction, answer, now)?;
        }
        transaction.commit()
    }

    /// Deletes what is done with and older than `before`.
    pub(super) fn trim(&self, before: i64) -> Result<usize> {
        let mut inner = self.inner();
        let transaction = inner.connection.transaction()?;
        let deleted = transaction.execute("DELETE FROM heard WHERE at < ?1 AND outcome IS NOT NULL", [before])?
            + transaction.execute(
                "DELETE FROM message WHERE at < ?1 AND state NOT IN ('due', 'modem', 'sending')
                 AND (call IS NULL OR settled = 1)",
                [before],
            )?;
        transaction.execute("DELETE FROM part WHERE message NOT IN (SELECT id FROM message)", [])?;
        transaction.commit()?;
        Ok(deleted)
    }

    /// The newest messages, out and in.
    pub(super) fn log(&self, limit: u32) -> Result<(Vec<Line>, Vec<Came>)> {
        let inner = self.inner();
        let out = outgoing::newest(&inner.connection, limit)?;
        let mut heard = inner
            .connection
            .prepare("SELECT at, modem, pdu, outcome FROM heard ORDER BY at DESC LIMIT ?1")?;
        let heard = heard.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        Ok((out, heard.collect::<Result<Vec<_>>>()?))
    }

    /// The whole file as it is now, for a copy.
    pub(super) fn image(&self) -> std::io::Result<Vec<u8>> {
        let inner = self.inner();
        let copy = inner.path.with_extension("db.copying");
        let remove = || match std::fs::remove_file(&copy) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        remove()?;
        let made = inner
            .connection
            .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
            .map_err(std::io::Error::other)
            .and_then(|_| std::fs::read(&copy));
        remove()?;
        made
    }
}

/// Under which name a pilot's enrolment is sealed: an entry put under another pilot's name does not open.
fn sealed_as(pilot: &str) -> String {
    format!("enrolment of {pilot}")
}

fn save_enrolment(connection: &Connection, vault: &Vault, enrolment: &Enrolment) -> Result<()> {
    let plain = json(enrolment)?;
    let sealed = vault
        .seal(&sealed_as(&enrolment.pilot), plain.as_bytes())
        .ok_or_else(|| rusqlite::Error::ToSqlConversionFailure("no randomness to seal with".into()))?;
    connection
        .execute(
            "INSERT INTO enrolment (pilot, state, sealed) VALUES (?1, '', ?2)
             ON CONFLICT (pilot) DO UPDATE SET state = '', sealed = ?2",
            params![enrolment.pilot, sealed],
        )
        .map(drop)
}

/// Seals what a version wrote that did not seal yet, and leaves nothing of it in the file.
fn seal_what_is_not(connection: &mut Connection, vault: &Vault) -> Result<()> {
    let open: Vec<String> = {
        let mut statement = connection.prepare("SELECT state FROM enrolment WHERE sealed IS NULL AND state <> ''")?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_>>()?
    };
    if open.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for state in &open {
        if let Ok(enrolment) = serde_json::from_str(state) {
            save_enrolment(&transaction, vault, &enrolment)?;
        }
    }
    transaction.commit()?;
    // Deleted content is overwritten in the pages (`secure_delete`); the log still has the pages as they were.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    tracing::info!(enrolments = open.len(), "the secrets of pilots are sealed now");
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// What makes a PDU recognizable: the modem, and all that the network said.
fn key(modem: &ModemId, part: &Deliver) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(modem.as_str().as_bytes())
        .update(&[0])
        .update(&Tpdu::Deliver(part.clone()).encode());
    hasher.finalize().as_bytes()[..16].to_vec()
}

/// Puts the file of a copy in its place, and what was there aside. Tells how many messages waited in it: what a copy
/// cannot know is whether its messages have gone out since: none of them is sent again.
///
/// # Errors
/// The file cannot be written, or holds something else.
pub(super) fn bring_back(path: &Path, image: &[u8], now: i64) -> anyhow::Result<usize> {
    use std::{fs, io::Write as _};
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for suffix in ["", "-wal", "-shm"] {
        if with(suffix).try_exists()? {
            fs::rename(with(suffix), with(&format!(".replaced-{now}{suffix}")))?;
        }
    }
    let fresh = path.with_extension("db.restoring");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(image)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&fresh, path)?;
    let connection = schema::open(path)?;
    let held = connection.execute(
        "UPDATE message SET state = 'dead', error = 'it was in a copy that was brought back, and may have gone out since'
         WHERE state IN ('due', 'modem', 'sending')",
        [],
    )?;
    Ok(held)
}
