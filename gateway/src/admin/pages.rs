//! What is told, and what an operator may do.

use bytes::Bytes;
use http::StatusCode;
use megamind_domain::Domain;
use megamind_store::Health;
use serde_json::{Value, json};

use super::{Admin, Body, Page, Refusal, exposition};
use crate::{
    core::rfc3339,
    handle::Handle,
    modes::{Observation, Order},
};

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
        let (width, paused) = core.drain.state();
        let mut status = json!({
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
            "drain": {"width": width, "paused": paused},
            "journal": journal,
            "clock": clock,
            "backup": backup,
            "credentials": {"waiting": waiting, "overdue": overdue},
            "restored": restored,
            "modems": [],
        });
        let handle = Handle(core.clone());
        for (name, tell) in &self.desk.status {
            status[*name] = tell(&handle);
        }
        status
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
}

fn order_name(order: Order) -> &'static str {
    match order {
        Order::Auto => "auto",
        Order::Act => "act",
        Order::Forward => "forward",
    }
}
