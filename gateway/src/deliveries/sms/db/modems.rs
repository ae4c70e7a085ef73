//! The modems' side of the file.

use std::collections::BTreeMap;
use std::time::Duration;

use megamind_sms::{
    modem::{
        Change, Content, Durable, Inbound, Journal, JournalError, MessageId, ModemId, Outbound, Outgoing, Past,
        Priority, Replay, Restored, SendError, Spent,
    },
    pdu::{Address, Deliver, Frame, Outcome, Reference, StatusReport, Tpdu},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Db, Result, key, outgoing::LAST_ROUND};

/// How many PDUs that are done with are remembered over a restart.
const REMEMBERED: u32 = 4096;

/// Digits by which a number in a report is recognized: service centres write it as they like.
const TAIL: usize = 9;

impl Db {
    /// What is known at a start.
    pub(in super::super) fn past(&self, now: i64) -> Result<Past> {
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
            "SELECT modem_id, number, text, assignment, report, coalesce(channel, only_modem), reference,
             message_reference, sent_by, sent_parts, doubtful FROM message WHERE state = 'modem' ORDER BY modem_id",
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
            spent: spent(&inner.connection, now)?,
        })
    }

    /// Keeps what the SIMs have used of their budgets.
    pub(in super::super) fn keep_spent(&self, spent: &BTreeMap<ModemId, Spent>, now: i64) -> Result<()> {
        let mut inner = self.inner();
        let transaction = inner.connection.transaction()?;
        for (modem, spent) in spent {
            transaction.execute(
                "INSERT INTO budget VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (modem) DO UPDATE SET
                 began = ?2, parts = ?3, assignments = ?4, before = ?5",
                params![
                    modem.as_str(),
                    now - spent.began.as_millis() as i64,
                    spent.parts,
                    spent.assignments,
                    spent.before
                ],
            )?;
        }
        transaction.commit()
    }

    /// Hands a message to the modems: their record of it, which `send` makes, says which it was.
    pub(in super::super) fn hand_over<T>(
        &self,
        row: i64,
        send: impl FnOnce() -> std::result::Result<T, SendError>,
    ) -> std::result::Result<T, SendError> {
        self.inner().handing = Some(row);
        let sent = send();
        self.inner().handing = None;
        sent
    }
}

fn spent(connection: &Connection, now: i64) -> Result<BTreeMap<ModemId, Spent>> {
    let mut statement = connection.prepare("SELECT modem, began, parts, assignments, before FROM budget")?;
    let rows = statement.query_map([], |row| {
        let began: i64 = row.get(1)?;
        // A clock that went back must not make a day longer than one.
        let began = Duration::from_millis(now.saturating_sub(began).max(0) as u64);
        let spent = Spent { began, parts: row.get(2)?, assignments: row.get(3)?, before: row.get(4)? };
        Ok((ModemId::new(&row.get::<_, String>(0)?), spent))
    })?;
    rows.collect()
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

/// What modems write.
pub(in super::super) struct ModemJournal {
    pub(in super::super) db: Db,
    /// Whether there are other channels: then a modem's last word on a message is only its own.
    pub(in super::super) others: bool,
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: rusqlite::Error) -> JournalError {
    JournalError(error.to_string())
}

impl Journal for ModemJournal {
    fn inbound(&mut self, records: &[Inbound]) -> std::result::Result<Durable, JournalError> {
        let mut inner = self.db.inner();
        let transaction = inner.connection.transaction().map_err(failed)?;
        let at = super::super::now();
        for record in records {
            heard(&transaction, record, at).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(Durable::after_commit())
    }

    fn outbound(&mut self, records: &[Outbound]) -> std::result::Result<Durable, JournalError> {
        let mut inner = self.db.inner();
        let handing = inner.handing;
        let transaction = inner.connection.transaction().map_err(failed)?;
        let at = super::super::now();
        for record in records {
            match &record.change {
                Change::Dead { error } if self.others => refused(&transaction, record.id, error),
                _ => sent(&transaction, record, handing, at),
            }
            .map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(Durable::after_commit())
    }
}

fn heard(connection: &Connection, record: &Inbound, at: i64) -> Result<()> {
    let by_pdu = || blake3::hash(format!("{}{}", record.modem, record.pdu).as_bytes()).as_bytes()[..16].to_vec();
    let (key, kind, outcome) = match &record.content {
        Content::Message(part) => (key(&record.modem, part), "message", None),
        Content::Report(report) => {
            reported(connection, &record.modem, report)?;
            (by_pdu(), "report", Some("report"))
        }
        Content::Poison { error } => (by_pdu(), "poison", Some(error.as_str())),
    };
    connection
        .execute(
            "INSERT OR IGNORE INTO heard VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![key, at, record.modem.as_str(), record.pdu, kind, outcome],
        )
        .map(drop)
}

/// The last digits of a number.
fn tail(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    digits[digits.len().saturating_sub(TAIL)..].iter().collect()
}

/// A report is about the newest part that this modem sent under this reference to this number and that waits for one:
/// references come round after 256 parts.
fn reported(connection: &Connection, modem: &ModemId, report: &StatusReport) -> Result<()> {
    let outcome = match report.status.outcome() {
        Outcome::Completed => "delivered",
        Outcome::Failed => "undelivered",
        Outcome::Trying => return Ok(()),
    };
    let awaited: Option<(i64, i64)> = connection
        .query_row(
            "SELECT message, part FROM part WHERE modem = ?1 AND reference = ?2 AND tail = ?3 AND outcome IS NULL
             ORDER BY at DESC, message DESC LIMIT 1",
            params![modem.as_str(), report.message_reference, tail(report.recipient.value())],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((message, part)) = awaited else { return Ok(()) };
    connection.execute(
        "UPDATE part SET outcome = ?3 WHERE message = ?1 AND part = ?2",
        params![message, part, outcome],
    )?;
    // A message is delivered when all its parts are, and is not when one is not.
    connection
        .execute(
            "UPDATE message SET
               state = CASE WHEN EXISTS (SELECT 1 FROM part WHERE message = ?1 AND outcome = 'undelivered')
                       THEN 'undelivered' ELSE 'delivered' END,
               error = CASE WHEN ?2 = 'undelivered' THEN ?3 ELSE error END
             WHERE id = ?1 AND state IN ('sent', 'delivered') AND (?2 = 'undelivered' OR parts =
               (SELECT count(*) FROM part WHERE message = ?1 AND outcome = 'delivered'))",
            params![message, outcome, format!("the network did not deliver it (status {:?})", report.status)],
        )
        .map(drop)
}

/// A modem gives a message up of which nothing went out: another channel is asked. What went out in part stays dead.
fn refused(connection: &Connection, id: MessageId, error: &str) -> Result<()> {
    connection
        .execute(
            "UPDATE message SET error = ?2, attempts = max(attempts, ?3), avoid = avoid || coalesce(channel, '') || char(10),
             state = CASE WHEN sent_parts = 0 THEN 'due' ELSE 'dead' END,
             channel = CASE WHEN sent_parts = 0 THEN NULL ELSE channel END, modem_id = NULL, doubtful = 0
             WHERE modem_id = ?1",
            params![id.0 as i64, error, LAST_ROUND],
        )
        .map(drop)
}

fn sent(connection: &Connection, record: &Outbound, handing: Option<i64>, at: i64) -> Result<()> {
    let id = record.id.0 as i64;
    let by_modem_id = |set: &str, values: &[&dyn rusqlite::ToSql]| {
        connection
            .execute(&format!("UPDATE message SET {set} WHERE modem_id = ?1"), values)
            .map(drop)
    };
    match &record.change {
        Change::Queued { message, reference, message_reference } => {
            let channel = message.modem.as_ref().map(ModemId::as_str);
            connection
                .execute(
                    "UPDATE message SET state = 'modem', modem_id = ?2, reference = ?3, message_reference = ?4,
                     channel = ?5, sent_by = NULL, sent_parts = 0, doubtful = 0 WHERE id = ?1",
                    params![handing, id, reference.value(), message_reference, channel],
                )
                .map(drop)
        }
        Change::Trying { part: 0, modem, .. } => {
            by_modem_id("doubtful = max(doubtful, 1), sent_parts = 0, sent_by = ?2", &[&id, &modem.as_str()])
        }
        Change::Trying { .. } => by_modem_id("doubtful = max(doubtful, 1)", &[&id]),
        // Whatever a later attempt is answered, this one may have gone out.
        Change::Unknown { .. } => by_modem_id("doubtful = 2", &[&id]),
        Change::Sent { modem, part, reference } => {
            let part = *part as i64;
            let number: Option<(i64, String)> = connection
                .query_row("SELECT id, number FROM message WHERE modem_id = ?1", [id], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            if let Some((message, number)) = number {
                connection.execute(
                    "INSERT OR REPLACE INTO part VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)",
                    params![message, part, modem.as_str(), reference, tail(&number), at],
                )?;
            }
            by_modem_id(
                "doubtful = 0, sent_by = ?2, sent_parts = ?3, sent_reference = ?4,
                 state = CASE WHEN ?3 >= parts THEN 'sent' ELSE state END",
                &[&id, &modem.as_str(), &(part + 1), reference],
            )
        }
        Change::Assumed { part, .. } => by_modem_id(
            "doubtful = 0, sent_parts = ?2, state = CASE WHEN ?2 >= parts THEN 'sent' ELSE state END",
            &[&id, &(*part as i64 + 1)],
        ),
        Change::Withdrawn => by_modem_id("state = 'due', channel = NULL, modem_id = NULL, sent_by = NULL", &[&id]),
        Change::Failed { error, .. } => {
            by_modem_id("doubtful = CASE WHEN doubtful > 1 THEN 2 ELSE 0 END, error = ?2", &[&id, error])
        }
        Change::Dead { error } => by_modem_id("state = 'dead', error = ?2", &[&id, error]),
        Change::Reported { .. } => Ok(()),
    }
}
