//! The log of every write that the cloud applied, in order: what `/__log` shows, and, with a
//! data file, what is on disk before a write is answered.
//!
//! The file has one JSON object a line and is only ever appended to. A last line without an end
//! is a write that was never answered; it is cut off when the file is opened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::endpoint::Write;

/// One applied write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogEntry {
    /// Counts from 1 without gaps.
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    /// As on the wire; `endpoint` has the canonical path.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) endpoint: Write,
    pub(crate) content_type: String,
    /// As it came; what is not UTF-8 in it is replaced.
    pub(crate) body: String,
    /// The request's `Idempotency-Key`.
    pub(crate) key: Option<String>,
    /// The request's `X-MegaMind-Replay`: the write was decided by a stand-in.
    pub(crate) replay: Option<String>,
    /// The `X-MegaMind-…` headers, in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) effect: String,
    pub(crate) order_id: Option<String>,
    pub(crate) minion_id: Option<String>,
    /// The status of the answer.
    pub(crate) status: u16,
    /// What each item of a bulk request did, in order; empty for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<ItemEffect>,
}

/// What one item of a bulk request did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemEffect {
    pub(crate) order_id: Option<String>,
    pub(crate) minion_id: Option<String>,
    /// The effect, or the code of the refusal.
    pub(crate) effect: String,
    pub(crate) status: u16,
}

/// A line of the file: the entry, and the parameters to apply it with again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) entry: LogEntry,
    pub(crate) params: Map<String, Value>,
}

/// The file behind the log.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Up to which entry the file is on disk. Held during fsync, so that one call serves all
    /// who wait.
    synced: Mutex<u64>,
    path: PathBuf,
}

impl Journal {
    /// Opens or creates the file, hands each of its lines to `apply`, and stands at its end.
    pub(crate) fn open(path: &Path, mut apply: impl FnMut(Line) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let name = path.display();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("cannot open {name}"))?;
        let mut reader = BufReader::new(&file);
        let (mut whole, mut number, mut seq) = (0, 0_u64, 0);
        let mut text = Vec::new();
        while reader.read_until(b'\n', &mut text)? > 0 && text.ends_with(b"\n") {
            number += 1;
            whole += text.len() as u64;
            let line: Line = serde_json::from_slice(&text).with_context(|| format!("{name}:{number} is no entry"))?;
            seq = line.entry.seq;
            apply(line).with_context(|| format!("{name}:{number} cannot be applied"))?;
            text.clear();
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        Ok(Self { file, synced: Mutex::new(seq), path: path.to_owned() })
    }

    /// Hands a line to the system. It is durable only after [`Self::sync`].
    pub(crate) fn append(&self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        (&self.file).write_all(&text)
    }

    /// Waits until everything up to entry `seq` is on disk.
    ///
    /// `newest` says how far the file has been written; it is asked for after waiting, so that
    /// one fsync covers all that came in the meantime.
    pub(crate) fn sync(&self, seq: u64, newest: impl FnOnce() -> u64) -> std::io::Result<()> {
        // A poisoned lock means that a sync panicked, which it does not.
        let mut synced = self.synced.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *synced < seq {
            let covers = newest();
            self.file.sync_data()?;
            *synced = covers;
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
