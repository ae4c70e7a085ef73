//! What is told, and what an operator may do.

use bytes::Bytes;
use http::StatusCode;
use megamind_domain::Domain;
use megamind_store::{Entry, EntryState, EntrySummary, Health, SendState, Settle, SubmitError};
use serde_json::{Value, json};

use super::{Admin, Body, Page, Refusal, exposition};
use crate::{
    core::rfc3339,
    modes::{Observation, Order},
};

/// Entries in one answer, where no limit is asked for.
const PAGE: usize = 100;

/// Entries in one answer at most.
const MAX_PAGE: usize = 1000;

impl<D: Domain> Admin<D> {
    /// Ready to take requests. Does not depend on the upstream: standing in for it is what the gateway is for.
    pub(super) fn ready(&self) -> Page {
        match self.core.store.health() {
            Health::Ok => Ok(Body::Text("text/plain", "ready\n".into())),
            Health::Failing { since, why } => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "journal_unavailable",
                format!("The journal cannot be written since {}: {why}", rfc3339(since)),
            )),
        }
    }

    pub(super) fn metrics(&self) -> Page {
        let text = exposition::text(&self.core, self.desk.census.as_ref());
        text.map(|text| Body::Text("text/plain; version=0.0.4", text))
            .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", error.to_string()))
    }

    pub(super) fn status(&self) -> Value {
        let core = &self.core;
        let published = core.store.published();
        let mode = core.modes.status();
        let upstreams: Vec<_> = core
            .servers
            .iter()
            .map(|server| json!({"server": server.name, "healthy": server.healthy()}))
            .collect();
        let journal = match core.store.health() {
            Health::Ok => json!({"healthy": true}),
            Health::Failing { since, why } => {
                json!({"healthy": false, "since": rfc3339(since), "why": why})
            }
        };
        let (clock, backup, restored) = self.kept();
        let (waiting, overdue) = core.credentials.waiting();
        json!({
            "mode": mode.mode.name(),
            "since": rfc3339(mode.since),
            "reason": mode.reason,
            "order": order_name(core.modes.order()),
            "version": env!("CARGO_PKG_VERSION"),
            "city": core.config.city.as_str(),
            "upstreams": upstreams,
            "queue": {
                "entries": published.entries,
                "parked": published.parked,
                "oldestAt": published.oldest_at.map(rfc3339),
            },
            "journal": journal,
            "clock": clock,
            "backup": backup,
            "credentials": {"waiting": waiting, "overdue": overdue},
            "restored": restored,
            "modems": [],
        })
    }

    pub(super) async fn set_mode(&self, body: &Bytes) -> Page {
        let asked: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string()))?;
        let order = match asked.get("mode").and_then(Value::as_str) {
            Some("auto") => Order::Auto,
            Some("act") => Order::Act,
            Some("forward") => Order::Forward,
            _ => {
                return Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "bad_mode",
                    "mode: allowed is \"auto\", \"act\" or \"forward\".",
                ));
            }
        };
        self.core.modes.observe(Observation::Ordered(order));
        // Answered when it is so, or after a second: the driver may be busy with the journal.
        for _ in 0..100 {
            if self.core.modes.order() == order {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Ok(Body::Json(self.status()))
    }

    pub(super) fn queue(&self, query: Option<&str>) -> Page {
        let mut state = EntryState::Pending;
        let (mut after, mut limit) = (0, PAGE);
        for (name, value) in query.unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')) {
            let number = || {
                value.parse::<u64>().map_err(|_| {
                    Refusal::new(StatusCode::BAD_REQUEST, "bad_query", format!("{name}: allowed is a number."))
                })
            };
            match name {
                "state" => state = state_named(value)?,
                "after" => after = number()?,
                "limit" => limit = usize::try_from(number()?).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE),
                _ => {}
            }
        }
        let entries = self.core.store.entries(state, after, limit);
        let entries: Vec<_> = entries.iter().map(summary).collect();
        Ok(Body::Json(json!({"entries": entries})))
    }

    pub(super) async fn entry(&self, id: &str) -> Page {
        Ok(Body::Json(detail(&self.read(id).await?)))
    }

    /// Retry or discard.
    pub(super) async fn settle(&self, id: &str, action: &str, body: &Bytes) -> Page {
        let seq = self.read(id).await?.seq;
        let settle = match action {
            "retry" => Settle::Retry { seq },
            "discard" => {
                let said: Value = serde_json::from_slice(body).unwrap_or_default();
                let word = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
                Settle::Discarded {
                    seq,
                    who: Some(word("who")).filter(|who| !who.is_empty()).unwrap_or("operator".into()),
                    why: word("why"),
                    then: None,
                }
            }
            _ => return Err(Refusal::not_found()),
        };
        match self.core.store.settle(settle).await {
            Ok(()) => {
                self.core.drain_wake.notify_one();
                Ok(Body::Json(json!({"id": seq, "done": action})))
            }
            Err(SubmitError::NotQueued) => {
                Err(Refusal::new(StatusCode::CONFLICT, "not_queued", "The entry does not wait in the queue."))
            }
            Err(error) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unavailable", error.to_string())),
        }
    }

    async fn read(&self, id: &str) -> Result<Entry, Refusal> {
        let seq: u64 = id.parse().map_err(|_| Refusal::not_found())?;
        let store = self.core.store.clone();
        let read = tokio::task::spawn_blocking(move || store.entry(seq)).await;
        match read {
            Ok(Ok(Some(entry))) => Ok(entry),
            Ok(Ok(None)) => Err(Refusal::not_found()),
            Ok(Err(error)) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", error.to_string())),
            Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", error.to_string())),
        }
    }
}

fn order_name(order: Order) -> &'static str {
    match order {
        Order::Auto => "auto",
        Order::Act => "act",
        Order::Forward => "forward",
    }
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

fn summary(entry: &EntrySummary) -> Value {
    json!({
        "id": entry.seq,
        "at": rfc3339(entry.at),
        "state": state_name(entry.state),
        "attempts": entry.attempts,
        "lastStatus": entry.parked.as_ref().and_then(|parked| parked.status),
        "lastError": entry.parked.as_ref().map(|parked| &parked.reason),
    })
}

pub(super) fn detail(entry: &Entry) -> Value {
    json!({
        "id": entry.seq,
        "at": rfc3339(entry.at),
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "contentType": entry.content_type,
        "body": String::from_utf8_lossy(&entry.body),
        "idempotencyKey": entry.key,
        "attempts": entry.attempts,
        "state": state_name(entry.place),
        "possiblyApplied": matches!(entry.state, SendState::PossiblyApplied { .. }),
        "localId": entry.created,
        "lastStatus": entry.parked.as_ref().and_then(|parked| parked.status),
        "lastError": entry.parked.as_ref().map(|parked| &parked.reason),
    })
}
