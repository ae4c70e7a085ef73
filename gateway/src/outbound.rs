//! A request as it goes out to the upstream, by proxy, drain, checks and refresh alike: with the upstream's ids in
//! place of the local ones, and nothing else changed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use megamind_domain::{Domain, Endpoint, Exchange, Request};
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
};

use crate::{
    core::{Core, seen},
    credentials::Secret,
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

    fn head(&self, ask: &Ask<'_>, authority: &str) -> Result<RequestHeader> {
        let mut head = head::replayed(ask.request, &self.target, &self.body, authority, ask.key)?;
        self.adapt(&mut head);
        for (name, value) in &ask.headers {
            head.insert_header(*name, value.as_str())?;
        }
        if let Some(secret) = ask.secret {
            secret.put(&mut head)?;
        }
        Ok(head)
    }

    /// Takes off the head what no longer holds of the body.
    pub(crate) fn adapt(&self, head: &mut RequestHeader) {
        if self.uncoded {
            head.remove_header(&http::header::CONTENT_ENCODING);
        }
    }
}

/// A request that no client waits for.
pub(crate) struct Ask<'a> {
    pub(crate) request: &'a Request,
    /// The `Idempotency-Key` that it carries.
    pub(crate) key: Option<&'a str>,
    /// The credential that it carries.
    pub(crate) secret: Option<&'a Secret>,
    /// Headers besides.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The longest answer that is collected, in bytes.
    pub(crate) collect: usize,
    /// Whether a second attempt on a new connection cannot have a second effect.
    pub(crate) repeatable: bool,
}

impl<'a> Ask<'a> {
    /// Something that changes nothing at the upstream.
    pub(crate) fn read(request: &'a Request, secret: Option<&'a Secret>, collect: usize) -> Self {
        Self { request, key: None, secret, headers: Vec::new(), collect, repeatable: true }
    }
}

/// Sends a request with the upstream's ids in it. An answer longer than `collect` comes without its body.
///
/// # Errors
/// A [`Failure`] where no answer came that counts.
pub(crate) async fn ask<D: Domain>(
    core: &Core<D>,
    exchanger: &Exchanger,
    ask: Ask<'_>,
) -> Result<(Box<ResponseHeader>, Option<Bytes>), Failure> {
    let outbound = Outbound::of(core, ask.request);
    let head = outbound
        .head(&ask, core.servers.authority())
        .map_err(|_| Failure::unsent(Reason::Malformed))?;
    let call = Call {
        head,
        body: outbound.body,
        deadline: core.config.upstream.response_timeout,
        patience: Duration::ZERO,
        collect: ask.collect,
        repeatable: ask.repeatable,
        subject: Subject::Traffic,
    };
    Ok(match exchanger.exchange(&core.servers, call).await? {
        Answer::Whole { head, body } => (head, Some(body)),
        Answer::Long(stream) => (stream.head, None),
    })
}

/// Asks the upstream something, as the domain sees the answer; `None` where it cannot be read.
///
/// # Errors
/// See [`ask`].
pub(crate) async fn watch<D: Domain>(
    core: &Core<D>,
    exchanger: &Exchanger,
    endpoint: Endpoint,
    request: Request,
    secret: Option<&Secret>,
    collect: usize,
) -> Result<Option<Exchange<D::Command>>, Failure> {
    let answer = ask(core, exchanger, Ask::read(&request, secret, collect)).await;
    let (head, body) = answer.inspect_err(|failure| core.note_failure(failure))?;
    core.modes.good();
    let parsed = core.parsed(endpoint, &request);
    Ok(body.and_then(|body| seen(endpoint, Arc::new(request), parsed, &head, &body)))
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
