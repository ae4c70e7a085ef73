//! A request as it goes out to the upstream, by proxy, drain, checks and refresh alike: with the upstream's ids in
//! place of the local ones, and nothing else changed.

use std::time::Duration;

use bytes::Bytes;
use megamind_domain::{Domain, Request};
use pingora::{Result, http::RequestHeader};

use crate::{
    core::Core,
    ids::{Alias, Place},
    proxy::head,
    upstream::{Answer, Call, Exchanger, Failure, Reason, Subject, decoded_from},
};

/// Target and body of a request with ids mapped.
pub(crate) struct Outbound {
    /// Path and query.
    pub(crate) target: Bytes,
    /// The whole body.
    pub(crate) body: Bytes,
    /// The ids that were mapped.
    pub(crate) aliases: Vec<Alias>,
    /// Whether the body had a content coding, which was taken off to reach its ids.
    pub(crate) uncoded: bool,
}

impl Outbound {
    /// Maps a request's ids.
    pub(crate) fn of<D: Domain>(core: &Core<D>, request: &Request) -> Self {
        let mut aliases = Vec::new();
        let alias = |local: &str| core.store.aliases().upstream_of(local);
        let target = core.ids.replace(&head::target(request), Place::Url, &mut aliases, alias);
        let Some(coding) = request.content_encoding.as_deref() else {
            let place = place_of(request.content_type.as_deref(), &request.body);
            let body = core.ids.replace(&request.body, place, &mut aliases, alias);
            return Self { target, body, aliases, uncoded: false };
        };
        let before = aliases.len();
        let body = decoded_from(Some(coding), &request.body).map(|plain| {
            let place = place_of(request.content_type.as_deref(), &plain);
            core.ids.replace(&plain, place, &mut aliases, alias)
        });
        match body {
            Some(body) if aliases.len() > before => Self { target, body, aliases, uncoded: true },
            _ => Self { target, body: request.body.clone(), aliases, uncoded: false },
        }
    }

    /// The head of a request that no client waits for.
    pub(crate) fn replayed(&self, request: &Request, authority: &str, key: Option<&str>) -> Result<RequestHeader> {
        let mut head = head::replayed(request, &self.target, &self.body, authority, key)?;
        self.adapt(&mut head);
        Ok(head)
    }

    /// Takes off the head what no longer holds of the body.
    pub(crate) fn adapt(&self, head: &mut RequestHeader) {
        if self.uncoded {
            head.remove_header(&http::header::CONTENT_ENCODING);
        }
    }
}

/// Asks the upstream something that changes nothing there.
///
/// # Errors
/// A [`Failure`] where no answer came that counts.
pub(crate) async fn ask<D: Domain>(
    core: &Core<D>,
    exchanger: &Exchanger,
    request: &Request,
    collect: usize,
) -> Result<Answer, Failure> {
    let outbound = Outbound::of(core, request);
    let head = outbound
        .replayed(request, core.servers.authority(), None)
        .map_err(|_| Failure::unsent(Reason::Malformed))?;
    let call = Call {
        head,
        body: outbound.body,
        deadline: core.config.upstream.response_timeout,
        patience: Duration::ZERO,
        collect,
        repeatable: true,
        subject: Subject::Traffic,
    };
    exchanger.exchange(&core.servers, call).await
}

/// How ids in a body are escaped: as its type says, and where that says nothing, as it looks.
fn place_of(content_type: Option<&str>, body: &[u8]) -> Place {
    let kind = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Place::Url
    } else if kind.to_ascii_lowercase().ends_with("json")
        || matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
    {
        Place::Json
    } else {
        Place::Raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_body_says_how_ids_are_escaped() {
        for (kind, body, place) in [
            (Some("application/json; charset=utf-8"), "", Place::Json),
            (Some("application/problem+json"), "", Place::Json),
            (Some("application/x-www-form-urlencoded"), "{", Place::Url),
            (None, " [1]", Place::Json),
            (Some("text/plain"), "a", Place::Raw),
        ] {
            assert_eq!(place_of(kind, body.as_bytes()), place);
        }
    }
}
