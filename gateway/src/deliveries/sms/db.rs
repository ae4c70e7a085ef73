//! The journal of messages, in a file of its own beside the city's: what modems brought, what goes out, who may write.
//!
//! A message that came is done with in the same commit that notes its number, spends its code and puts its answer into
//! the queue. So a crash before that commit lets it be heard again (its effect has an idempotency key), and after it
//! never.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use megamind_sms::{
    identity::{Enrolment, Guard},
    modem::{
        Change, Content, Durable, Inbound, Journal, JournalError, MessageId, ModemId, Outbound, Outgoing, Past,
        Priority, Replay, Restored,
    },
    pdu::{Address, Deliver, Frame, Outcome, Reference, Tpdu, compose::Composer},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS heard (
  key BLOB PRIMARY KEY, at INTEGER NOT NULL, modem TEXT NOT NULL, pdu TEXT NOT NULL, kind TEXT NOT NULL,
  outcome TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS heard_open ON heard (at) WHERE outcome IS NULL;
CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, number TEXT NOT NULL, text TEXT NOT NULL,
  assignment INTEGER NOT NULL, report INTEGER NOT NULL, only_modem TEXT, call INTEGER, settled INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'due', channel TEXT, modem_id INTEGER, reference INTEGER, message_reference INTEGER,
  sent_by TEXT, sent_parts INTEGER NOT NULL DEFAULT 0, sent_reference INTEGER, parts INTEGER NOT NULL, doubtful INTEGER NOT NULL DEFAULT 0,
  error TEXT);
CREATE INDEX IF NOT EXISTS message_open ON message (id) WHERE state IN ('due', 'modem');
CREATE INDEX IF NOT EXISTS message_call ON message (call) WHERE call IS NOT NULL AND settled = 0;
CREATE INDEX IF NOT EXISTS message_modem ON message (modem_id);
CREATE TABLE IF NOT EXISTS enrolment (pilot TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS guard (number TEXT PRIMARY KEY, state TEXT NOT NULL);
";

/// How many PDUs that are done with are remembered over a restart.
const REMEMBERED: u32 = 4096;

/// Errors of the file.
pub(super) type Result<T> = rusqlite::Result<T>;

/// The file.
#[derive(Clone)]
pub(super) struct Db(Arc<Mutex<Inner>>);

struct Inner {
    connection: Connection,
    /// The message that is being handed to the modems.
    handing: Option<i64>,
}

/// A message that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Out {
    /// E.164.
    pub(super) number: String,
    /// What to say.
    pub(super) text: String,
    /// Whether it is about an assignment.
    pub(super) assignment: bool,
    /// Whether a delivery report is wanted.
    pub(super) report: bool,
    /// The modem that was written to.
    pub(super) modem: Option<String>,
    /// The call that it makes.
    pub(super) call: Option<u64>,
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

/// A line of the log.
pub(super) struct Line {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) number: String,
    pub(super) text: String,
    pub(super) state: String,
    pub(super) channel: Option<String>,
    pub(super) error: Option<String>,
}

impl Db {
    /// Opens the file, and makes it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(Inner { connection, handing: None }))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known at a start.
    pub(super) fn past(&self) -> Result<Past> {
        let inner = self.inner();
        let read = |sql: &str| -> Result<Vec<(ModemId, Deliver)>> {
            let mut statement = inner.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            let rows: Vec<_> = rows.collect::<Result<_>>()?;
            let part = |(modem, pdu): (String, String)| match Frame::from_hex(&pdu).ok()?.tpdu {
                Tpdu::Deliver(part) => Some((ModemId::new(&modem), part)),
                _ => None,
            };
            Ok(rows.into_iter().filter_map(part).collect())
        };
        let done = format!(
            "SELECT modem, pdu FROM heard WHERE kind = 'message' AND outcome IS NOT NULL ORDER BY at DESC LIMIT {REMEMBERED}"
        );
        let parts = "SELECT modem, pdu FROM heard WHERE kind = 'message' AND outcome IS NULL ORDER BY at";
        let mut open = inner.connection.prepare(
            "SELECT modem_id, number, text, assignment, report, only_modem, reference, message_reference, sent_by,
             sent_parts, doubtful FROM message WHERE state = 'modem' ORDER BY modem_id",
        )?;
        let messages = open.query_map([], restored)?.collect::<Result<Vec<_>>>()?;
        let next: Option<i64> = inner
            .connection
            .query_row("SELECT max(modem_id) FROM message", [], |row| row.get(0))?;
        Ok(Past {
            done: read(&done)?,
            parts: read(parts)?,
            sending: Replay {
                messages: messages.into_iter().flatten().collect(),
                next_id: next.unwrap_or(0) as u64 + 1,
            },
        })
    }

    /// Everybody who may write.
    pub(super) fn enrolments(&self) -> Result<Vec<Enrolment>> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare("SELECT state FROM enrolment")?;
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>>>()?;
        Ok(rows.iter().filter_map(|state| serde_json::from_str(state).ok()).collect())
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
        save_enrolment(&self.inner().connection, enrolment)
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
        let transaction = inner.connection.transaction()?;
        for part in settled.parts {
            transaction.execute(
                "UPDATE heard SET outcome = ?2 WHERE key = ?1",
                params![key(settled.modem, part), settled.outcome],
            )?;
        }
        if let Some(enrolment) = settled.enrolment {
            save_enrolment(&transaction, enrolment)?;
        }
        if let Some((number, guard)) = settled.guard {
            transaction.execute(
                "INSERT INTO guard VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET state = ?2",
                params![number, json(guard)?],
            )?;
        }
        if let Some(answer) = &settled.answer {
            insert(&transaction, answer, now)?;
        }
        transaction.commit()
    }

    /// Takes a message that goes out.
    pub(super) fn queue(&self, out: &Out, now: i64) -> Result<i64> {
        insert(&self.inner().connection, out, now)
    }

    /// Whether a call has a message already whose end was not told.
    pub(super) fn has_call(&self, call: u64) -> Result<bool> {
        self.inner().connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM message WHERE call = ?1 AND settled = 0)",
            [call as i64],
            |row| row.get(0),
        )
    }

    /// Messages that no channel has yet: assignments first, then by age.
    pub(super) fn due(&self) -> Result<Vec<(i64, Out)>> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT id, number, text, assignment, report, only_modem, call FROM message WHERE state = 'due'
             ORDER BY assignment DESC, id LIMIT 100",
        )?;
        let rows = statement.query_map([], |row| {
            let out = Out {
                number: row.get(1)?,
                text: row.get(2)?,
                assignment: row.get(3)?,
                report: row.get(4)?,
                modem: row.get(5)?,
                call: row.get::<_, Option<i64>>(6)?.map(|call| call as u64),
            };
            Ok((row.get(0)?, out))
        })?;
        rows.collect()
    }

    /// Names the message that is handed to the modems next: their record of it says which it was.
    pub(super) fn handing(&self, id: Option<i64>) {
        self.inner().handing = id;
    }

    /// What another channel than a modem did with a message.
    pub(super) fn mark(&self, id: i64, state: &str, channel: &str, error: Option<&str>) -> Result<()> {
        self.inner()
            .connection
            .execute(
                "UPDATE message SET state = ?2, channel = ?3, error = ?4 WHERE id = ?1",
                params![id, state, channel, error],
            )
            .map(drop)
    }

    /// Calls whose messages have ended, with the error where they failed.
    pub(super) fn ended_calls(&self) -> Result<Vec<(i64, u64, Option<String>)>> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT id, call, CASE state WHEN 'dead' THEN coalesce(error, 'not sent') END FROM message
             WHERE call IS NOT NULL AND settled = 0 AND state IN ('sent', 'delivered', 'dead') LIMIT 100",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64, row.get(2)?)))?;
        rows.collect()
    }

    /// The ends of these calls were told.
    pub(super) fn told(&self, ids: &[i64]) -> Result<()> {
        let mut inner = self.inner();
        let transaction = inner.connection.transaction()?;
        for id in ids {
            transaction.execute("UPDATE message SET settled = 1 WHERE id = ?1", [id])?;
        }
        transaction.commit()
    }

    /// Messages that wait or are under way.
    pub(super) fn waiting(&self) -> Result<i64> {
        self.inner()
            .connection
            .query_row("SELECT count(*) FROM message WHERE state IN ('due', 'modem')", [], |row| row.get(0))
    }

    /// The newest messages, out and in.
    pub(super) fn log(&self, limit: u32) -> Result<(Vec<Line>, Vec<Came>)> {
        let inner = self.inner();
        let mut out = inner.connection.prepare(
            "SELECT id, at, number, text, state, coalesce(channel, sent_by), error FROM message ORDER BY id DESC LIMIT ?1",
        )?;
        let out = out.query_map([limit], |row| {
            Ok(Line {
                id: row.get(0)?,
                at: row.get(1)?,
                number: row.get(2)?,
                text: row.get(3)?,
                state: row.get(4)?,
                channel: row.get(5)?,
                error: row.get(6)?,
            })
        })?;
        let out = out.collect::<Result<Vec<_>>>()?;
        let mut heard = inner
            .connection
            .prepare("SELECT at, modem, pdu, outcome FROM heard ORDER BY at DESC LIMIT ?1")?;
        let heard = heard.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        Ok((out, heard.collect::<Result<Vec<_>>>()?))
    }
}

fn insert(connection: &Connection, out: &Out, now: i64) -> Result<i64> {
    let parts = Composer::default().split(&out.text).map_or(1, |parts| parts.len());
    connection.execute(
        "INSERT INTO message (at, number, text, assignment, report, only_modem, call, parts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            now,
            out.number,
            out.text,
            out.assignment,
            out.report,
            out.modem,
            out.call.map(|call| call as i64),
            parts as i64
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

fn save_enrolment(connection: &Connection, enrolment: &Enrolment) -> Result<()> {
    connection
        .execute(
            "INSERT INTO enrolment VALUES (?1, ?2) ON CONFLICT (pilot) DO UPDATE SET state = ?2",
            params![enrolment.pilot, json(enrolment)?],
        )
        .map(drop)
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

fn restored(row: &Row<'_>) -> Result<Option<Restored>> {
    let number: String = row.get(1)?;
    let Ok(to) = number.parse::<Address>() else { return Ok(None) };
    let only: Option<String> = row.get(5)?;
    let sent_by: Option<String> = row.get(8)?;
    let sent_parts: i64 = row.get(9)?;
    Ok(Some(Restored {
        id: MessageId(row.get::<_, i64>(0)? as u64),
        message: Outgoing {
            to,
            text: row.get(2)?,
            priority: if row.get(3)? { Priority::Assignment } else { Priority::Normal },
            report: row.get(4)?,
            modem: only.as_deref().map(ModemId::new),
        },
        // The outbox gives short references alone.
        reference: Reference::Short(row.get(6)?),
        message_reference: row.get(7)?,
        sent: sent_by
            .filter(|_| sent_parts > 0)
            .map(|modem| (ModemId::new(&modem), sent_parts as usize)),
        doubtful: row.get(10)?,
    }))
}

/// The modems' side of the file.
pub(super) struct ModemJournal(pub(super) Db);

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: rusqlite::Error) -> JournalError {
    JournalError(error.to_string())
}

impl Journal for ModemJournal {
    fn inbound(&mut self, records: &[Inbound]) -> std::result::Result<Durable, JournalError> {
        let mut inner = self.0.inner();
        let transaction = inner.connection.transaction().map_err(failed)?;
        let at = super::now();
        for record in records {
            heard(&transaction, record, at).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(Durable::after_commit())
    }

    fn outbound(&mut self, records: &[Outbound]) -> std::result::Result<Durable, JournalError> {
        let mut inner = self.0.inner();
        let handing = inner.handing;
        let transaction = inner.connection.transaction().map_err(failed)?;
        for record in records {
            sent(&transaction, record, handing).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(Durable::after_commit())
    }
}

fn heard(connection: &Connection, record: &Inbound, at: i64) -> Result<()> {
    let (key, kind, outcome) = match &record.content {
        Content::Message(part) => (key(&record.modem, part), "message", None),
        Content::Report(report) => {
            let state = match report.status.outcome() {
                Outcome::Completed => Some("delivered"),
                Outcome::Failed => Some("dead"),
                Outcome::Trying => None,
            };
            if let Some(state) = state {
                // By modem, reference and number; the newest, because references come round.
                connection.execute(
                    "UPDATE message SET state = ?4 WHERE id = (SELECT max(id) FROM message WHERE state = 'sent'
                     AND sent_by = ?1 AND sent_reference = ?2 AND number LIKE '%' || ?3)",
                    params![record.modem.as_str(), report.message_reference, report.recipient.value(), state],
                )?;
            }
            (
                blake3::hash(format!("{}{}", record.modem, record.pdu).as_bytes()).as_bytes()[..16].to_vec(),
                "report",
                Some("report"),
            )
        }
        Content::Poison { error } => (
            blake3::hash(format!("{}{}", record.modem, record.pdu).as_bytes()).as_bytes()[..16].to_vec(),
            "poison",
            Some(error.as_str()),
        ),
    };
    connection
        .execute(
            "INSERT OR IGNORE INTO heard VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![key, at, record.modem.as_str(), record.pdu, kind, outcome],
        )
        .map(drop)
}

fn sent(connection: &Connection, record: &Outbound, handing: Option<i64>) -> Result<()> {
    let id = record.id.0 as i64;
    let by_modem_id = |set: &str, values: &[&dyn rusqlite::ToSql]| {
        connection
            .execute(&format!("UPDATE message SET {set} WHERE modem_id = ?1"), values)
            .map(drop)
    };
    match &record.change {
        Change::Queued { reference, message_reference, .. } => {
            connection
                .execute(
                    "UPDATE message SET state = 'modem', modem_id = ?2, reference = ?3, message_reference = ?4 WHERE id = ?1",
                    params![handing, id, reference.value(), message_reference],
                )
                .map(drop)
        }
        Change::Trying { part: 0, modem, .. } => {
            by_modem_id("doubtful = 1, sent_parts = 0, sent_by = ?2", &[&id, &modem.as_str()])
        }
        Change::Trying { .. } | Change::Unknown { .. } => by_modem_id("doubtful = 1", &[&id]),
        Change::Sent { modem, part, reference } => {
            by_modem_id(
                "doubtful = 0, sent_by = ?2, sent_parts = ?3, sent_reference = ?4,
                 state = CASE WHEN ?3 >= parts THEN 'sent' ELSE state END",
                &[&id, &modem.as_str(), &(*part as i64 + 1), reference],
            )
        }
        Change::Failed { error, .. } => by_modem_id("doubtful = 0, error = ?2", &[&id, error]),
        Change::Dead { error } => by_modem_id("state = 'dead', error = ?2", &[&id, error]),
        Change::Reported { .. } => Ok(()),
    }
}
