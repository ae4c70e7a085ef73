//! A handled request on its way to the upstream and back, watched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::header;
use megamind_conf::{OnTimeout, Settlement};
use megamind_domain::{Access, Domain, Endpoint, Exchange, Parsed, Request};
use megamind_store::{Identity, Prior, Span};
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};

use super::{
    Proxy, RequestCtx, Route, answer,
    handled::Handled,
    head,
    repeats::{Recognized, identity, rememberable},
};
use crate::{
    core::{seen, wall_clock},
    ids::{Alias, back_to_local, words_to_local},
    in_flight::Place,
    keys,
    outbound::Outbound,
    upstream::{Answer, Applied, Call, Failure, Stream, Subject, decoded},
};

/// The longest answer of a handled route that is collected before it is passed on: 256 KiB.
const COLLECT: usize = 256 * 1024;

/// The same for an answer whose ids have to be mapped back: a longer one passes as it is.
pub(super) const COLLECT_MAPPED: usize = 4 * 1024 * 1024;

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
    /// See [`Handled::recognized`].
    recognized: Option<Recognized>,
    /// What a repetition is recognized by while acting.
    natural: Option<Identity>,
}

/// An exchange, and when it was.
type Seen<D> = (Access, Exchange<<D as Domain>::Command>, Span);

impl<D: Domain> Proxy<D> {
    /// Exchanges the request with the upstream; where that fails, the handlers answer after all, once what has an earlier
    /// `place` is decided. `earlier` says what an earlier attempt at the same request may have done.
    pub(super) async fn forward(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        mut handled: Handled<D>,
        earlier: Prior,
        place: Option<Place>,
    ) -> Result<()> {
        let key = handled.key.as_ref().ok().and_then(Option::as_ref);
        let (call, aliases) = self.call(session, &handled.request, key)?;
        self.note_attempt(handled.recognized.as_ref()).await;
        let started = self.core.store.tick();
        let began = Instant::now();
        match self.exchanger.exchange(&self.core.servers, call).await {
            Ok(answer) => {
                self.core.live.note(began.elapsed());
                self.core.modes.good();
                if answer.head().status.is_success() {
                    let speaker = handled.parsed.as_ref().ok().and_then(|parsed| parsed.subject.as_deref());
                    self.core.credentials.accepted(speaker, &session.req_header().headers);
                }
                let recognized = handled.recognized.take();
                let watched = Watched {
                    natural: if recognized.is_none() { identity(&handled) } else { None },
                    recognized,
                    route: handled.route,
                    request: handled.request,
                    parsed: handled.parsed.ok(),
                    started,
                };
                self.pass_on(session, ctx, answer, &aliases, Some(watched)).await
            }
            Err(failure) => {
                self.core.note_failure(&failure);
                self.wait_behind(place.as_ref()).await;
                if handled.route.access == Access::Read {
                    self.core.remember_probe(&handled.request);
                }
                let prior = match earlier {
                    Prior::NeverSent => prior(&failure),
                    // What an earlier attempt may have done stays possible.
                    Prior::PossiblyApplied { .. } => earlier,
                };
                if prior == Prior::NeverSent {
                    self.forget_attempt(handled.recognized.as_ref()).await;
                }
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
        key: Option<&megamind_store::Key>,
    ) -> Result<()> {
        let (call, aliases) = self.call(session, request, key)?;
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
    pub(super) fn call(
        &self,
        session: &Session,
        request: &Request,
        key: Option<&megamind_store::Key>,
    ) -> Result<(Call, Vec<Alias>)> {
        let core = &self.core;
        let outbound = Outbound::of(core, request);
        let mut head = head::forwarded(session.as_downstream(), &outbound.target, &outbound.body)?;
        outbound.adapt(&mut head);
        if let Some(key) = key
            && !key.from_client
        {
            head.insert_header(keys::HEADER, &*key.text)?;
        }
        let aliases = outbound.aliases;
        if !aliases.is_empty() {
            // The answer has to be read to map ids back, and must not come from a cache of the other id.
            for name in [header::ACCEPT_ENCODING, header::IF_NONE_MATCH, header::IF_MATCH] {
                head.remove_header(&name);
            }
        }
        let call = Call {
            repeatable: repeatable(&head, core.config.upstream.idempotency, key.is_some()),
            head,
            body: outbound.body,
            deadline: core.config.upstream.response_timeout,
            patience: self.patience(key),
            collect: if aliases.is_empty() { COLLECT } else { COLLECT_MAPPED },
            subject: Subject::Traffic,
        };
        Ok((call, aliases))
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
                let seen = watched.map(|mut watched| {
                    watched.route.learn_cors(&head.headers);
                    let memory = (watched.recognized.take(), watched.natural.take());
                    (self.exchange_of(watched, &head, &body), memory)
                });
                answer::strip_hop_by_hop(&mut head);
                let body = if aliases.is_empty() { body } else { map_back(&mut head, &body, aliases)? };
                if let Some((exchange, (recognized, natural))) = seen {
                    self.watch(exchange).await;
                    if recognized.is_some() || natural.is_some() {
                        let plain = decoded(&head.headers, &body);
                        let answer = plain.and_then(|plain| rememberable(&head, &plain));
                        self.remember(recognized, natural, answer).await;
                    }
                }
                answer::whole(session.as_downstream_mut(), ctx, head, body).await
            }
            Answer::Long(stream) => self.stream(session, ctx, *stream).await,
        }
    }

    /// What was seen, for the journal.
    fn exchange_of(&self, watched: Watched<D>, head: &ResponseHeader, body: &Bytes) -> Option<Seen<D>> {
        let Watched { route, request, parsed, started, .. } = watched;
        let exchange = seen(route.endpoint, request, parsed, head, body)?;
        Some((route.access, exchange, Span { started, finished: self.core.store.tick() }))
    }

    /// Hands the outcome of a write to the journal.
    pub(super) async fn watch_write(
        &self,
        endpoint: Endpoint,
        request: Arc<Request>,
        parsed: Arc<Parsed<D::Command>>,
        head: &ResponseHeader,
        body: &Bytes,
        started: u64,
    ) {
        let exchange = seen(endpoint, request, Some(parsed), head, body);
        let span = Span { started, finished: self.core.store.tick() };
        self.watch(exchange.map(|exchange| (Access::Write, exchange, span))).await;
    }

    /// Hands an exchange to the journal, before the last byte of its answer leaves. Waits for room with a write:
    /// its outcome is never dropped.
    async fn watch(&self, seen: Option<Seen<D>>) {
        match seen {
            None => {}
            Some((Access::Write, exchange, span)) => self.core.store.observe_write(exchange, span).await,
            Some((Access::Read, exchange, span)) => {
                // Dropped under pressure; the store counts it.
                let _ = self.core.store.observe_read(exchange, span);
            }
        }
    }

    /// Passes on an answer too long to be collected. Where it breaks off, so does the client's.
    async fn stream(&self, session: &mut Session, ctx: &mut RequestCtx, mut stream: Stream) -> Result<()> {
        let mut head = stream.head.clone();
        answer::strip_hop_by_hop(&mut head);
        answer::begin(session.as_downstream_mut(), ctx, head).await?;
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
pub(super) fn prior(failure: &Failure) -> Prior {
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
pub(super) fn map_back(head: &mut ResponseHeader, body: &Bytes, aliases: &[Alias]) -> Result<Bytes> {
    let Some(plain) = decoded(&head.headers, body) else {
        return Ok(body.clone());
    };
    head.remove_header(&header::CONTENT_ENCODING);
    for name in DIGESTS {
        head.remove_header(name);
    }
    if let Some(location) = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) {
        head.insert_header(header::LOCATION, words_to_local(location, aliases))?;
    }
    Ok(back_to_local(&plain, aliases))
}
