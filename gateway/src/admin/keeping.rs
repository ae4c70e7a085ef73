//! Copies, the release after a restore, and the queue as lines.

use std::{fmt::Write as _, path::PathBuf};

use bytes::Bytes;
use http::StatusCode;
use megamind_domain::Domain;
use megamind_store::{CopyError, EntryState};
use serde_json::{Value, json};

use super::{Admin, Body, Page, Refusal, queue::detail};
use crate::{backup, core::rfc3339};

/// Entries in one answer of the export.
const EXPORTED: usize = 500;

impl<D: Domain> Admin<D> {
    /// `POST /admin/backup`: a copy of the journal under a new name.
    pub(super) async fn backup(&self, body: &Bytes) -> Page {
        let asked: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string()))?;
        let file = asked.get("file").and_then(Value::as_str).map(PathBuf::from);
        let Some(file) = file.filter(|file| file.is_absolute()) else {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "bad_file",
                "file: allowed is an absolute path of a file that is not there yet.",
            ));
        };
        match backup::copy(&self.core, file).await {
            Ok(copied) => Ok(Body::Json(json!({
                "file": copied.path.display().to_string(),
                "bytes": copied.bytes,
                "at": rfc3339(copied.at),
            }))),
            Err(error @ CopyError::Exists(_)) => {
                Err(Refusal::new(StatusCode::CONFLICT, "file_exists", error.to_string()))
            }
            Err(error @ CopyError::Io { .. }) => {
                Err(Refusal::new(StatusCode::BAD_REQUEST, "not_writable", error.to_string()))
            }
            Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "backup_failed", error.to_string())),
        }
    }

    /// `POST /admin/queue/release`: after a restore, the drain may go on.
    pub(super) async fn release(&self, body: &Bytes) -> Page {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let who = said.get("who").and_then(Value::as_str).unwrap_or("operator");
        if self.core.store.published().restored.is_none() {
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                "not_held",
                "The queue is not held back: nothing was restored, or it has been released already.",
            ));
        }
        match self.core.store.release(who).await {
            Ok(()) => {
                self.core.drain_wake.notify_one();
                Ok(Body::Json(json!({"released": true})))
            }
            Err(error) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unavailable", error.to_string())),
        }
    }

    /// `GET /admin/queue/export?after=ID`: what is queued and parked, whole, one JSON object a line, oldest first.
    /// Credentials are not in it. An empty answer is the end.
    pub(super) async fn export(&self, query: Option<&str>) -> Page {
        let pairs = query.unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
        let after = pairs
            .into_iter()
            .find(|(name, _)| *name == "after")
            .map_or(Ok(0), |(_, value)| value.parse())
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "bad_query", "after: allowed is a number."))?;
        let store = self.core.store.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut waiting = store.entries(EntryState::Pending, after, EXPORTED);
            waiting.extend(store.entries(EntryState::Parked, after, EXPORTED));
            waiting.sort_by_key(|entry| entry.seq);
            waiting.truncate(EXPORTED);
            let mut lines = String::new();
            for summary in waiting {
                // One that has been acknowledged meanwhile is told as it is then.
                if let Some(entry) = store.entry(summary.seq)? {
                    let _ = writeln!(lines, "{}", detail(&entry, None));
                }
            }
            Ok::<_, megamind_store::ReadError>(lines)
        });
        match read.await {
            Ok(Ok(lines)) => Ok(Body::Text("application/x-ndjson", lines)),
            Ok(Err(error)) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", error.to_string())),
            Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", error.to_string())),
        }
    }

    /// What the status says about clock, copies and a restore.
    pub(super) fn kept(&self) -> (Value, Value, Value) {
        let core = &self.core;
        let clock = match core.store.time().doubt() {
            None => json!({"trusted": true}),
            Some(doubt) => json!({"trusted": false, "why": doubt.to_string()}),
        };
        let last = core.backups.last();
        let backup = json!({"lastAt": last.at.map(rfc3339), "lastError": last.error});
        let restored = core
            .store
            .published()
            .restored
            .map(|restored| json!({"at": rfc3339(restored.at), "copiedAt": rfc3339(restored.copied_at)}));
        (clock, backup, restored.into())
    }
}
