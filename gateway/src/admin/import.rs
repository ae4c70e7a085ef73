//! Files that an operator hands in.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use megamind_domain::{Domain, Endpoint, Parsed, Request, Stance};
use megamind_store::{Outcome, Prior, Write};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Admin, Body, Page, Refusal};

/// Rows that wait for the journal at once.
const SIDE_BY_SIDE: usize = 256;

impl<D: Domain> Admin<D> {
    /// Reads all lines first; takes none where one is wrong.
    pub(super) async fn import(&self, name: &str, body: &Bytes) -> Page {
        let (_, read) = self
            .desk
            .imports
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(Refusal::not_found)?;
        let text = std::str::from_utf8(body)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "bad_file", format!("not UTF-8: {error}")))?;
        let commands = read(&self.core.domain, text)
            .map_err(|mistakes| Refusal::new(StatusCode::BAD_REQUEST, "bad_file", mistakes.join("\n")))?;
        let request = Arc::new(Request::default());
        let (mut imported, mut refused) = (0_usize, Vec::new());
        let mut under_way = JoinSet::new();
        let mut rest = commands.into_iter();
        loop {
            for command in rest.by_ref().take(SIDE_BY_SIDE - under_way.len()) {
                let write = Write {
                    endpoint: Endpoint(u16::MAX),
                    parsed: Arc::new(Parsed { command, subject: None, natural: None, fact: true, patience: None }),
                    request: request.clone(),
                    key: None,
                    prior: Prior::NeverSent,
                    stance: Stance::Standby,
                    identity: None,
                    sealed: None,
                };
                let store = self.core.store.clone();
                under_way.spawn(async move { store.submit(write).await });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(Ok(Outcome::Rejected { rejection, .. }))) => refused.push(rejection.detail),
                Some(Ok(Ok(_))) => imported += 1,
                Some(Ok(Err(error))) => refused.push(error.to_string()),
                Some(Err(error)) => refused.push(error.to_string()),
            }
        }
        if refused.is_empty() {
            return Ok(Body::Json(json!({"imported": imported})));
        }
        Err(Refusal::new(
            StatusCode::CONFLICT,
            "partly_imported",
            format!("{imported} were taken, {} were not: {}", refused.len(), refused.join("; ")),
        ))
    }
}
