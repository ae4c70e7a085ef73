//! A handled request on its way to the upstream and back, watched.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::header;
use megamind_conf::{OnTimeout, Settlement};
use megamind_domain::{Access, Domain, Parsed, Request};
use megamind_store::{Prior, Span};
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};

use super::{Proxy, RequestCtx, Route, answer, handled::Handled, head};
use crate::{
    core::{seen, wall_clock},
    ids::{Alias, back_to_local},
    keys,
    upstream::{Answer, Applied, Call, Failure, Stream, Subject, decoded},
};

/// The longest answer of a handled route that is collected before it is passed on: 256 KiB.
const COLLECT: usize = 256 * 1024;

/// The longest that a write which was sent waits for its answer with `on_timeout = "wait"`.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(25);

/// Validators and digests of an answer whose ids are mapped: they no longer hold.
const DIGESTS: [&str; 5] = ["etag", "content-md5", "digest", "content-digest", "repr-digest"];

/// What is needed to watch an exchange.
struct Watched<D: Domain> {
    route: Arc<Route>,
    request: Arc<Request>,
    parsed: Option<Arc<Parsed<D::Command>>>,
    started: u64,
}

impl<D: Domain> Proxy<D> {
    /// Exchanges the request with the upstream; where that fails, the handlers answer after all.
    pub(super) async fn forward(&self, session: &mut Session, ctx: &mut RequestCtx, handled: Handled<D>) -> Result<()> {
        let mut aliases = Vec::new();
        let key = handled.key.as_ref().ok().and_then(Option::as_ref);
        let call = self.call(session, &handled.request, key, &mut aliases)?;
        let watched = Watched {
            route: handled.route.clone(),
            request: handled.request.clone(),
            parsed: handled.parsed.as_ref().ok().cloned(),
            started: self.core.store.tick(),
        };
        let place = match (&handled.parsed, handled.route.access) {
            (Ok(parsed), Access::Write) => Some(self.core.in_flight.enter(&self.touches(parsed))),
            _ => None,
        };
        match self.exchanger.exchange(&self.core.servers, call).await {
            Ok(answer) => {
                self.core.modes.good();
                if answer.head().status.is_success() {
                    let speaker = watched.parsed.as_ref().and_then(|parsed| parsed.subject.as_deref());
                    self.core.credentials.accepted(speaker, &session.req_header().headers);
                }
                self.pass_on(session, ctx, answer, &aliases, Some(watched)).await
            }
            Err(failure) => {
                self.core.note_failure(&failure);
                if let Some(place) = &place {
                    place.wait_for_earlier().await;
                }
                if handled.route.access == Access::Read {
                    self.core.remember_probe(&handled.request);
                }
                let prior = prior(&failure);
                self.answer_here(session, ctx, handled, prior).await
            }
        }
    }

    /// A request without handlers that names local ids: mapped, exchanged and passed on.
    pub(super) async fn forward_mapped(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        request: &Request,
    ) -> Result<()> {
        let mut aliases = Vec::new();
        let call = self.call(session, request, None, &mut aliases)?;
        match self.exchanger.exchange(&self.core.servers, call).await {
            Ok(answer) => {
                self.core.modes.good();
                self.pass_on(session, ctx, answer, &aliases, None).await
            }
            Err(failure) => {
                self.core.note_failure(&failure);
                self.answer_down(session, ctx).await
            }
        }
    }

    /// The request as it goes out: ids mapped, the key added, nothing else changed.
    fn call(
        &self,
        session: &Session,
        request: &Request,
        key: Option<&megamind_store::Key>,
        aliases: &mut Vec<Alias>,
    ) -> Result<Call> {
        let core = &self.core;
        let lookup = |local: &str| core.store.aliases().upstream_of(local);
        let target = core.ids.replace(&head::target(request), aliases, lookup);
        let body = core.ids.replace(&request.body, aliases, lookup);
        let mut head = head::forwarded(session.as_downstream(), &target, &body)?;
        if let Some(key) = key
            && !key.from_client
        {
            head.insert_header(keys::HEADER, &*key.text)?;
        }
        if !aliases.is_empty() {
            // The answer has to be read to map ids back, and must not come from a cache of the other id.
            for name in [header::ACCEPT_ENCODING, header::IF_NONE_MATCH, header::IF_MATCH] {
                head.remove_header(&name);
            }
        }
        Ok(Call {
            repeatable: repeatable(&head, core.config.upstream.idempotency, key.is_some()),
            head,
            body,
            deadline: core.config.upstream.response_timeout,
            patience: self.patience(key),
            collect: COLLECT,
            subject: Subject::Traffic,
        })
    }

    /// How long the answer to a request that has been sent is waited for. Only writes have a key.
    fn patience(&self, key: Option<&megamind_store::Key>) -> Duration {
        match (self.core.config.upstream.on_timeout, key) {
            (OnTimeout::Wait, Some(_)) => LONG_WAIT,
            _ => Duration::ZERO,
        }
    }

    async fn pass_on(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        answer: Answer,
        aliases: &[Alias],
        watched: Option<Watched<D>>,
    ) -> Result<()> {
        match answer {
            Answer::Whole { mut head, body } => {
                if let Some(watched) = watched {
                    watched.route.learn_cors(&head.headers);
                    self.watch(watched, &head, &body).await;
                }
                answer::strip_hop_by_hop(&mut head);
                let body = if aliases.is_empty() { body } else { map_back(&mut head, &body, aliases)? };
                answer::whole(session, ctx, head, body).await
            }
            Answer::Long(stream) => self.stream(session, ctx, *stream).await,
        }
    }

    /// Hands an exchange to the journal, before the last byte of its answer leaves. Waits for room with a write:
    /// its outcome is never dropped.
    async fn watch(&self, watched: Watched<D>, head: &ResponseHeader, body: &Bytes) {
        let Watched { route, request, parsed, started } = watched;
        let Some(exchange) = seen(route.endpoint, request, parsed, head, body) else {
            return;
        };
        let span = Span { started, finished: self.core.store.tick() };
        match route.access {
            Access::Write => self.core.store.observe_write(exchange, span).await,
            Access::Read => {
                // Dropped under pressure; the store counts it.
                let _ = self.core.store.observe_read(exchange, span);
            }
        }
    }

    /// Passes on an answer too long to be collected. Where it breaks off, so does the client's.
    async fn stream(&self, session: &mut Session, ctx: &mut RequestCtx, mut stream: Stream) -> Result<()> {
        let mut head = stream.head.clone();
        answer::strip_hop_by_hop(&mut head);
        answer::begin(session, ctx, head).await?;
        loop {
            match stream.next().await {
                Ok(Some(piece)) => {
                    session.as_downstream_mut().write_response_body(piece, false).await?;
                }
                Ok(None) => break,
                Err(error) => {
                    self.core.metrics.truncated.inc();
                    session.set_keepalive(None);
                    return Err(error);
                }
            }
        }
        session.as_downstream_mut().finish_body().await?;
        stream.release().await;
        Ok(())
    }
}

/// What a failed forward means for the decision here.
fn prior(failure: &Failure) -> Prior {
    match failure.applied {
        Applied::No => Prior::NeverSent,
        Applied::Possibly => Prior::PossiblyApplied { at: wall_clock() },
    }
}

/// Whether a second attempt on a new connection cannot have a second effect.
fn repeatable(head: &RequestHeader, settlement: Settlement, has_key: bool) -> bool {
    (has_key && settlement == Settlement::Key) || head.method.is_safe() && !has_key
}

/// Puts local ids back into an answer, and takes off what no longer holds of it.
fn map_back(head: &mut ResponseHeader, body: &Bytes, aliases: &[Alias]) -> Result<Bytes> {
    let Some(plain) = decoded(&head.headers, body) else {
        return Ok(body.clone());
    };
    head.remove_header(&header::CONTENT_ENCODING);
    for name in DIGESTS {
        head.remove_header(name);
    }
    if let Some(location) = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) {
        let mapped = aliases
            .iter()
            .fold(location.to_owned(), |location, alias| location.replace(&*alias.upstream, &alias.local));
        head.insert_header(header::LOCATION, mapped)?;
    }
    Ok(back_to_local(&plain, aliases))
}
