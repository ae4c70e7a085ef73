//! The tables, and how an older file becomes a newer one.

use std::path::Path;

use rusqlite::Connection;

use super::Result;

/// Each step brings a file one version up; `PRAGMA user_version` counts them.
const STEPS: [&str; 2] = [
    "
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
",
    // Several channels; parts and their reports; sealed secrets; budgets that outlive a restart.
    "
DROP INDEX message_open;
ALTER TABLE message ADD COLUMN template INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN expires INTEGER NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE message ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN avoid TEXT NOT NULL DEFAULT '';
CREATE INDEX message_due ON message (assignment DESC, id) WHERE state = 'due';
CREATE INDEX message_open ON message (state) WHERE state IN ('due', 'modem', 'sending');
CREATE TABLE part (
  message INTEGER NOT NULL, part INTEGER NOT NULL, modem TEXT NOT NULL, reference INTEGER NOT NULL, tail TEXT NOT NULL,
  at INTEGER NOT NULL, outcome TEXT, PRIMARY KEY (message, part)) WITHOUT ROWID;
CREATE INDEX part_awaited ON part (modem, reference, at) WHERE outcome IS NULL;
ALTER TABLE enrolment ADD COLUMN sealed BLOB;
CREATE TABLE budget (
  modem TEXT PRIMARY KEY, began INTEGER NOT NULL, parts INTEGER NOT NULL, assignments INTEGER NOT NULL,
  before INTEGER NOT NULL) WITHOUT ROWID;
",
];

/// Opens the file, makes it if there is none, and brings it up to date.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted here were secrets.
    connection.pragma_update(None, "secure_delete", true)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > STEPS.len() {
        let why = format!("it was written by a newer version ({found}; this one knows {})", STEPS.len());
        return Err(rusqlite::Error::ToSqlConversionFailure(why.into()));
    }
    for (version, step) in (1_i64..).zip(STEPS).skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(connection)
}
