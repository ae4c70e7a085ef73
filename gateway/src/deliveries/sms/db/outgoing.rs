//! Messages that go out.
//!
//! | `state` | |
//! | --- | --- |
//! | `due` | no channel has it |
//! | `modem` | it is in the modems' outbox |
//! | `sending` | another channel is sending it: after a crash, nobody knows whether it is out |
//! | `sent`, `delivered`, `undelivered` | it is out; what its delivery reports say |
//! | `dead` | it is not sent any more |

use megamind_sms::pdu::compose::Composer;
use rusqlite::{Connection, params};

use super::{super::dispatch::ROUNDS, Db, Result};

/// Messages that wait at most; beyond, none are taken but about assignments.
const MOST: i64 = 20_000;

/// The last of the rounds through all channels.
pub(super) const LAST_ROUND: u32 = ROUNDS - 1;

/// A message that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Out {
    /// E.164.
    pub(in super::super) number: String,
    /// What to say.
    pub(in super::super) text: String,
    /// The number of its template.
    pub(in super::super) template: u16,
    /// Whether it is about an assignment.
    pub(in super::super) assignment: bool,
    /// Whether a delivery report is wanted.
    pub(in super::super) report: bool,
    /// The modem that was written to.
    pub(in super::super) modem: Option<String>,
    /// The call that it makes.
    pub(in super::super) call: Option<u64>,
    /// From when on it is not sent any more, milliseconds of 1970.
    pub(in super::super) expires: i64,
}

/// A message that no channel has.
#[derive(Clone, Debug)]
pub(in super::super) struct Due {
    pub(in super::super) row: i64,
    /// When it was taken, milliseconds of 1970.
    pub(in super::super) at: i64,
    pub(in super::super) out: Out,
    /// Rounds through all channels that failed.
    pub(in super::super) attempts: u32,
    /// Channels that failed in this round.
    pub(in super::super) avoid: Vec<String>,
    /// The channel that may have sent it: no other does.
    pub(in super::super) doubt: Option<String>,
}

/// A line of the log.
pub(in super::super) struct Line {
    pub(in super::super) id: i64,
    pub(in super::super) at: i64,
    pub(in super::super) number: String,
    pub(in super::super) text: String,
    pub(in super::super) state: String,
    pub(in super::super) channel: Option<String>,
    pub(in super::super) error: Option<String>,
}

impl Db {
    /// Takes a message that goes out; `None` where too many wait.
    pub(in super::super) fn queue(&self, out: &Out, now: i64) -> Result<Option<i64>> {
        if !out.assignment && self.waiting()? >= MOST {
            return Ok(None);
        }
        insert(&self.inner().connection, out, now).map(Some)
    }

    /// Whether a call has a message already whose end was not told.
    pub(in super::super) fn has_call(&self, call: u64) -> Result<bool> {
        self.inner().connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM message WHERE call = ?1 AND settled = 0)",
            [call as i64],
            |row| row.get(0),
        )
    }

    /// Messages that no channel has and that may be tried now: assignments first, then by age.
    pub(in super::super) fn due(&self, now: i64) -> Result<Vec<Due>> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT id, number, text, assignment, report, only_modem, call, template, expires, attempts, avoid,
             CASE WHEN doubtful THEN channel END, at
             FROM message WHERE state = 'due' AND not_before <= ?1 ORDER BY assignment DESC, id LIMIT 500",
        )?;
        let rows = statement.query_map([now], |row| {
            let avoid: String = row.get(10)?;
            Ok(Due {
                row: row.get(0)?,
                at: row.get(12)?,
                out: Out {
                    number: row.get(1)?,
                    text: row.get(2)?,
                    assignment: row.get(3)?,
                    report: row.get(4)?,
                    modem: row.get(5)?,
                    call: row.get::<_, Option<i64>>(6)?.map(|call| call as u64),
                    template: row.get(7)?,
                    expires: row.get(8)?,
                },
                attempts: row.get(9)?,
                avoid: avoid.lines().map(str::to_owned).collect(),
                doubt: row.get(11)?,
            })
        })?;
        rows.collect()
    }

    fn change(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        self.inner().connection.prepare_cached(sql)?.execute(values).map(drop)
    }

    /// A channel other than a modem begins with a message. Durable before its first byte.
    pub(in super::super) fn sending(&self, row: i64, channel: &str) -> Result<()> {
        self.change(
            "UPDATE message SET state = 'sending', channel = ?2, doubtful = 1 WHERE id = ?1",
            &[&row, &channel],
        )
    }

    /// It is out, or taken to be.
    pub(in super::super) fn sent(&self, row: i64) -> Result<()> {
        self.change("UPDATE message SET state = 'sent', doubtful = 0, error = NULL WHERE id = ?1", &[&row])
    }

    /// It certainly is not, by this channel: another may.
    pub(in super::super) fn not_sent(&self, row: i64, channel: &str, why: &str) -> Result<()> {
        self.change(
            "UPDATE message SET state = 'due', doubtful = 0, channel = NULL, error = ?3, avoid = avoid || ?2 || char(10)
             WHERE id = ?1",
            &[&row, &channel, &why],
        )
    }

    /// The channel wants no such message: another may, but nobody is asked again and again.
    pub(in super::super) fn refused(&self, row: i64, channel: &str, why: &str) -> Result<()> {
        self.not_sent(row, channel, why)?;
        self.change("UPDATE message SET attempts = max(attempts, ?2) WHERE id = ?1", &[&row, &LAST_ROUND])
    }

    /// It may be: the same channel tries again, not before a time.
    pub(in super::super) fn in_doubt(&self, row: i64, why: &str, not_before: i64) -> Result<()> {
        self.change(
            "UPDATE message SET state = 'due', doubtful = 1, error = ?2, attempts = attempts + 1, not_before = ?3
             WHERE id = ?1",
            &[&row, &why, &not_before],
        )
    }

    /// All channels failed: all are tried again, not before a time.
    pub(in super::super) fn next_round(&self, row: i64, not_before: i64) -> Result<()> {
        self.change(
            "UPDATE message SET attempts = attempts + 1, avoid = '', not_before = ?2 WHERE id = ?1",
            &[&row, &not_before],
        )
    }

    /// A modem's network refused it: another channel is tried first.
    pub(in super::super) fn avoid(&self, modem_id: u64, channel: &str) -> Result<()> {
        self.change(
            "UPDATE message SET avoid = avoid || ?2 || char(10) WHERE modem_id = ?1",
            &[&(modem_id as i64), &channel],
        )
    }

    /// It is not sent any more.
    pub(in super::super) fn give_up(&self, row: i64, why: Option<&str>) -> Result<()> {
        self.change(
            "UPDATE message SET state = 'dead', error = coalesce(?2, error) WHERE id = ?1",
            &[&row, &why],
        )
    }

    /// Gives up what no channel took in time. Tells how many.
    pub(in super::super) fn expire(&self, now: i64) -> Result<usize> {
        self.inner().connection.execute(
            "UPDATE message SET state = 'dead', error = 'too late' || coalesce(': ' || error, '')
             WHERE state = 'due' AND expires <= ?1",
            [now],
        )
    }

    /// At a start: what was being sent may be out or not. Tells how many messages that is true of.
    pub(in super::super) fn take_up(&self, assume_sent: bool) -> Result<usize> {
        let mut inner = self.inner();
        let transaction = inner.connection.transaction()?;
        let state = if assume_sent { "sent" } else { "due" };
        let mut doubtful = transaction.execute("UPDATE message SET state = ?1 WHERE state = 'sending'", [state])?;
        // The modems' outbox sends its own again, as it wants them.
        if assume_sent {
            doubtful += transaction.execute(
                "UPDATE message SET doubtful = 0, sent_parts = sent_parts + 1,
                 state = CASE WHEN sent_parts + 1 >= parts THEN 'sent' ELSE state END WHERE state = 'modem' AND doubtful > 0",
                [],
            )?;
        } else {
            doubtful +=
                transaction.execute("UPDATE message SET doubtful = 2 WHERE state = 'modem' AND doubtful > 0", [])?;
        }
        transaction.commit()?;
        Ok(doubtful)
    }

    /// Calls whose messages have ended, with the error where they failed.
    pub(in super::super) fn ended_calls(&self) -> Result<Vec<(i64, u64, Option<String>)>> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT id, call, CASE WHEN state IN ('dead', 'undelivered') THEN coalesce(error, 'not sent') END
             FROM message WHERE call IS NOT NULL AND settled = 0
             AND state IN ('sent', 'delivered', 'undelivered', 'dead') LIMIT 100",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64, row.get(2)?)))?;
        rows.collect()
    }

    /// The ends of these calls were told.
    pub(in super::super) fn told(&self, ids: &[i64]) -> Result<()> {
        let mut inner = self.inner();
        let transaction = inner.connection.transaction()?;
        for id in ids {
            transaction.execute("UPDATE message SET settled = 1 WHERE id = ?1", [id])?;
        }
        transaction.commit()
    }

    /// Messages that wait or are under way.
    pub(in super::super) fn waiting(&self) -> Result<i64> {
        self.inner().connection.query_row(
            "SELECT count(*) FROM message WHERE state IN ('due', 'modem', 'sending')",
            [],
            |row| row.get(0),
        )
    }
}

pub(super) fn insert(connection: &Connection, out: &Out, now: i64) -> Result<i64> {
    let parts = Composer::default().split(&out.text).map_or(1, |parts| parts.len());
    connection.execute(
        "INSERT INTO message (at, number, text, assignment, report, only_modem, call, parts, template, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            now,
            out.number,
            out.text,
            out.assignment,
            out.report,
            out.modem,
            out.call.map(|call| call as i64),
            parts as i64,
            out.template,
            out.expires
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

pub(super) fn newest(connection: &Connection, limit: u32) -> Result<Vec<Line>> {
    let mut out = connection.prepare(
        "SELECT id, at, number, text, state, coalesce(sent_by, channel), error FROM message ORDER BY id DESC LIMIT ?1",
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
    out.collect()
}
