//! The queue and what is parked in it.

use bytes::Bytes;
use http::StatusCode;
use megamind_domain::Domain;
use megamind_store::{Entry, EntryState, EntrySummary, SendState, Settle, SubmitError};
use serde_json::{Value, json};

use super::{Admin, Body, Page, Refusal};
use crate::{
    core::rfc3339,
    drain::{self, Note},
};

/// Entries in one answer, where no limit is asked for.
const PAGE: usize = 100;

/// Entries in one answer at most.
const MAX_PAGE: usize = 1000;

/// What `GET /admin/queue` is asked for.
struct Asked {
    state: EntryState,
    after: u64,
    limit: usize,
    /// A part of the path, or of the reason why it is parked.
    path: Option<String>,
    status: Option<u64>,
}

impl<D: Domain> Admin<D> {
    /// Entries in order; `next` is what to ask for as `after` where there are more.
    pub(super) async fn queue(&self, query: Option<&str>) -> Page {
        let asked = asked(query)?;
        let entries = self.core.store.entries(asked.state, asked.after, asked.limit);
        let next = (entries.len() == asked.limit)
            .then(|| entries.last().map(|entry| entry.seq))
            .flatten();
        let store = self.core.store.clone();
        let read = tokio::task::spawn_blocking(move || {
            let with_head = |summary: EntrySummary| {
                let entry = store.entry(summary.seq).ok().flatten();
                (summary, entry)
            };
            entries.into_iter().map(with_head).collect::<Vec<_>>()
        });
        let entries = read.await.map_err(|error| unreadable(&error))?;
        let wanted = |(summary, entry): &(EntrySummary, Option<Entry>)| {
            let path = entry.as_ref().map_or("", |entry| &*entry.path);
            let status = summary.parked.as_ref().and_then(|parked| parked.status);
            asked.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
                && asked
                    .status
                    .is_none_or(|wanted| status.is_some_and(|status| u64::from(status) == wanted))
        };
        let entries: Vec<Value> = (entries.iter().filter(|entry| wanted(entry)))
            .map(|(entry, whole)| summary(entry, whole.as_ref(), self.core.drain.of(entry.seq)))
            .collect();
        Ok(Body::Json(json!({"entries": entries, "next": next})))
    }

    pub(super) async fn entry(&self, id: &str) -> Page {
        let entry = self.read(id).await?;
        Ok(Body::Json(detail(&entry, self.core.drain.of(entry.seq))))
    }

    /// Retry, acknowledge or discard.
    pub(super) async fn settle(&self, id: &str, action: &str, body: &Bytes) -> Page {
        let entry = self.read(id).await?;
        let seq = entry.seq;
        let settle = match action {
            "retry" if entry.place == EntryState::Parked => Settle::Retry { seq },
            "retry" => return Err(Refusal::new(StatusCode::CONFLICT, "not_parked", "The entry is not parked.")),
            "acknowledge" => self.confirmed(&entry, body)?,
            "discard" => {
                let Said { who, why, .. } = said(body)?;
                let core = &self.core;
                let then = entry.created.as_ref().and_then(|created| {
                    core.guarded(|| core.handback.discarded(&core.domain, created, &why))
                        .ok()
                        .flatten()
                });
                Settle::Discarded { seq, who, why, then }
            }
            _ => return Err(Refusal::not_found()),
        };
        match self.core.store.settle(settle).await {
            Ok(()) => {
                self.core.drain.forget(seq);
                self.core.drain_wake.notify_one();
                Ok(Body::Json(json!({"id": seq, "done": action})))
            }
            Err(SubmitError::NotQueued) => {
                Err(Refusal::new(StatusCode::CONFLICT, "not_queued", "The entry does not wait in the queue."))
            }
            Err(error) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unavailable", error.to_string())),
        }
    }

    /// What the operator knows of an entry that the upstream has. The id that it gave to what was created must be among
    /// it: without that nothing about it could be passed on any more.
    fn confirmed(&self, entry: &Entry, body: &Bytes) -> Result<Settle<D>, Refusal> {
        let Said { who, why, upstream_id } = said(body)?;
        let refused = |code, detail: &str| Refusal::new(StatusCode::BAD_REQUEST, code, detail);
        let exchange = match (&entry.created, upstream_id) {
            (Some(_), None) => {
                let detail = "upstreamId: the id that Oblivion gave to what this request created is needed.";
                return Err(refused("missing_field", detail));
            }
            (None, Some(_)) => {
                return Err(refused("bad_field", "upstreamId: this request created nothing that has an id."));
            }
            (created, id) => created.as_ref().and(id).map(|id| drain::arrival(&self.core, entry, id.into())),
        };
        Ok(Settle::Confirmed { seq: entry.seq, exchange, who, why })
    }

    async fn read(&self, id: &str) -> Result<Entry, Refusal> {
        let seq: u64 = id.parse().map_err(|_| Refusal::not_found())?;
        let store = self.core.store.clone();
        match tokio::task::spawn_blocking(move || store.entry(seq)).await {
            Ok(Ok(Some(entry))) => Ok(crate::drain::outgoing(&self.core, entry)),
            Ok(Ok(None)) => Err(Refusal::not_found()),
            Ok(Err(error)) => Err(unreadable(&error)),
            Err(error) => Err(unreadable(&error)),
        }
    }
}

fn unreadable(error: &impl ToString) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", error.to_string())
}

/// What an operator says of an entry.
struct Said {
    who: String,
    why: String,
    upstream_id: Option<String>,
}

/// Who settles, and why; both are journaled.
fn said(body: &Bytes) -> Result<Said, Refusal> {
    let said: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string()))?
    };
    let word = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let named = |name| Some(word(name)).filter(|word| !word.is_empty());
    Ok(Said {
        who: named("who").unwrap_or_else(|| "operator".into()),
        why: word("why"),
        upstream_id: named("upstreamId"),
    })
}

fn asked(query: Option<&str>) -> Result<Asked, Refusal> {
    let mut asked = Asked { state: EntryState::Pending, after: 0, limit: PAGE, path: None, status: None };
    for (name, value) in query.unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')) {
        let number = || {
            value.parse::<u64>().map_err(|_| {
                Refusal::new(StatusCode::BAD_REQUEST, "bad_query", format!("{name}: allowed is a number."))
            })
        };
        match name {
            "state" => asked.state = state_named(value)?,
            "after" => asked.after = number()?,
            "limit" => asked.limit = usize::try_from(number()?).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE),
            "path" => {
                let path = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                asked.path = Some(path.into_owned());
            }
            "status" => asked.status = Some(number()?),
            _ => {}
        }
    }
    Ok(asked)
}

fn state_named(name: &str) -> Result<EntryState, Refusal> {
    match name {
        "pending" => Ok(EntryState::Pending),
        "parked" => Ok(EntryState::Parked),
        "done" => Ok(EntryState::Done),
        _ => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "bad_query",
            "state: allowed is pending, parked or done.",
        )),
    }
}

fn state_name(state: EntryState) -> &'static str {
    match state {
        EntryState::Pending => "pending",
        EntryState::Parked => "parked",
        EntryState::Done => "done",
    }
}

fn summary(summary: &EntrySummary, entry: Option<&Entry>, note: Option<Note>) -> Value {
    let note = note.unwrap_or_default();
    let parked = summary.parked.as_ref();
    json!({
        "id": summary.seq,
        "at": rfc3339(summary.at),
        "state": state_name(summary.state),
        "method": entry.map(|entry| &entry.method),
        "path": entry.map(|entry| &entry.path),
        "localId": entry.and_then(|entry| entry.created.as_ref()),
        "attempts": summary.attempts.max(note.attempts),
        "lastStatus": parked.map_or(note.status, |parked| parked.status),
        "lastError": parked.map(|parked| parked.reason.clone()).or(Some(note.error).filter(|error| !error.is_empty())),
    })
}

/// An entry, whole; `note` is what the drain knows of its attempts.
pub(super) fn detail(entry: &Entry, note: Option<Note>) -> Value {
    let note = note.unwrap_or_default();
    let parked = entry.parked.as_ref();
    json!({
        "id": entry.seq,
        "at": rfc3339(entry.at),
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "contentType": entry.content_type,
        "body": String::from_utf8_lossy(&entry.body),
        "idempotencyKey": entry.key,
        "attempts": entry.attempts.max(note.attempts),
        "state": state_name(entry.place),
        "possiblyApplied": matches!(entry.state, SendState::PossiblyApplied { .. }),
        "localId": entry.created,
        "lastStatus": parked.map_or(note.status, |parked| parked.status),
        "lastError": parked.map(|parked| parked.reason.clone()).or(Some(note.error).filter(|error| !error.is_empty())),
    })
}
