//! A bulk request of which some items name what waits in the queue: the others are sent on, these are decided here and
//! queue behind, and the client gets one answer.
//!
//! The part that is sent on carries the request's own key, the part that is decided here one derived from it. The journal
//! knows of the split before the first byte leaves, so that a repetition of the request is split alike, whatever is
//! fenced by then; and each part is recognized by itself, so that what was done is not done again.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use megamind_domain::{Domain, Parsed, Rejection, Request, Response, Time};
use megamind_store::{Identity, Key, Prior, Repeat, Write};
use pingora::{Result, http::ResponseHeader, proxy::Session};

use super::{
    Proxy, RequestCtx,
    answer::{self, Extra},
    forward::{self, COLLECT_MAPPED},
    handled::Handled,
    local::admit,
    query::Said,
    repeats::{identity, rememberable},
};
use crate::{
    handback::PartSaid,
    ids::Alias,
    in_flight::Place,
    keys::Keys,
    upstream::{Answer, decoded},
};

/// How a request is split.
pub(super) struct Split {
    /// The places of the items that are sent on, of a request that was split before, and when that was.
    before: Option<(Vec<u32>, Time)>,
    /// The items that are decided here.
    here: Vec<bool>,
}

impl Split {
    /// For the first time.
    pub(super) fn new(here: Vec<bool>) -> Self {
        Self { before: None, here }
    }

    /// As it was split before.
    pub(super) fn as_before(forwarded: &[u32], at: Time) -> Self {
        Self { before: Some((forwarded.to_vec(), at)), here: Vec::new() }
    }
}

/// One part of a request.
struct Part<D: Domain> {
    items: Vec<bool>,
    request: Arc<Request>,
    parsed: Arc<Parsed<D::Command>>,
    key: Option<Key>,
    identity: Option<Identity>,
}

/// The body of the answer to a part, and whether that is a repeated one.
type PartAnswer = Result<(Bytes, bool), Rejection>;

/// What became of the part that is sent on.
enum There {
    /// The upstream took it.
    Taken { body: Bytes, repeated: bool },
    /// The upstream refused it as a whole: nothing is decided here either.
    Refused { head: Box<ResponseHeader>, body: Bytes },
    /// It has to be decided here after all. Until it is, later decisions about the same wait.
    Failed { prior: Prior, place: Option<Place> },
}

impl<D: Domain> Proxy<D> {
    /// Serves a request whose items go two ways.
    pub(super) async fn serve_split(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        handled: Handled<D>,
        split: Split,
    ) -> Result<()> {
        let route = handled.route.clone();
        if let Err(rejection) = admit(session, &handled) {
            return self.refuse(session, ctx, &route, &rejection).await;
        }
        let at = split.before.as_ref().map(|(_, at)| *at);
        let Some((there, here)) = self.parts(&handled, split) else {
            // It cannot be taken apart: all of it queues behind.
            self.wait_for_forwarded(&handled).await;
            let prior = at.map_or(Prior::NeverSent, |at| Prior::PossiblyApplied { at });
            return self.answer_here(session, ctx, handled, prior).await;
        };
        let key = there.key.clone();
        let (said, prior) = match self.there(session, &handled, &there, at).await? {
            There::Refused { head, body } => {
                return answer::whole(session.as_downstream_mut(), ctx, head, body).await;
            }
            There::Taken { body, repeated } => (Ok((body, repeated)), Prior::NeverSent),
            There::Failed { prior, place } => {
                let said = self.decide_part(session, &handled, there.clone(), prior).await;
                drop(place);
                (said, prior)
            }
        };
        if let (Err(rejection), Prior::PossiblyApplied { .. }) = (&said, prior) {
            return self.outcome_unknown(session, ctx, &route, key.as_ref(), rejection).await;
        }
        let touches = self.touches(&here.parsed);
        self.wait_for_earlier(&touches).await;
        let items = (there.items, here.items.clone());
        let own = self.decide_part(session, &handled, here, Prior::NeverSent).await;
        let merged = self.merge([(&items.0, &said), (&items.1, &own)]);
        let repeated = [&said, &own]
            .iter()
            .all(|said| said.as_ref().is_ok_and(|(_, repeated)| *repeated));
        let extra = Extra { headers: Vec::new(), route: Some(route) };
        let extra = if repeated { extra.repeated() } else { extra };
        answer::own(session.as_downstream_mut(), ctx, &merged, extra).await
    }

    /// Takes the request apart: what is sent on, and what is decided here.
    fn parts(&self, handled: &Handled<D>, split: Split) -> Option<(Part<D>, Part<D>)> {
        let here = match &split.before {
            None => split.here,
            Some((forwarded, _)) => {
                let parsed = handled.parsed.as_ref().ok()?;
                let published = self.core.store.published();
                let (handback, domain) = (&self.core.handback, &self.core.domain);
                let items = self
                    .core
                    .guarded(|| handback.fenced_items(domain, &published.city, &parsed.command, &|_| true));
                let mut here = vec![true; items.ok()??.len()];
                for place in forwarded {
                    *here.get_mut(*place as usize)? = false;
                }
                here
            }
        };
        let there: Vec<bool> = here.iter().map(|here| !here).collect();
        let whole = handled.key.as_ref().ok().cloned().flatten();
        let own = whole.as_ref().map(Keys::of_part);
        let identity = identity(handled);
        let there = self.part(handled, there, whole, identity.map(|identity| identity.part("forwarded")))?;
        let here = self.part(handled, here, own, identity.map(|identity| identity.part("here")))?;
        Some((there, here))
    }

    fn part(
        &self,
        handled: &Handled<D>,
        items: Vec<bool>,
        key: Option<Key>,
        identity: Option<Identity>,
    ) -> Option<Part<D>> {
        let (core, endpoint) = (&self.core, handled.route.endpoint);
        let part = core.guarded(|| core.handback.part(&core.domain, endpoint, &handled.request, &items));
        let request = Arc::new(part.ok().flatten()?);
        let parsed = core.parsed(endpoint, &request)?;
        Some(Part { items, request, parsed, key, identity })
    }

    /// Sends one part on, unless it was sent before and may not be sent again; `at` is when that was.
    async fn there(&self, session: &Session, handled: &Handled<D>, part: &Part<D>, at: Option<Time>) -> Result<There> {
        let mut prior = at.map_or(Prior::NeverSent, |at| Prior::PossiblyApplied { at });
        if let (Some(_), Some(identity)) = (at, &part.identity) {
            match self.core.store.first(identity).await {
                Ok(Repeat::Answered(response)) => {
                    return Ok(There::Taken { body: response.body, repeated: true });
                }
                // The attempt had no effect.
                Ok(Repeat::First) => prior = Prior::NeverSent,
                Ok(_) | Err(_) => {}
            }
        }
        let in_doubt = prior != Prior::NeverSent;
        if self.core.modes.current().stands_in() || in_doubt && !self.upstream_knows_keys() {
            self.wait_for_earlier(&self.touches(&part.parsed)).await;
            return Ok(There::Failed { prior, place: None });
        }
        self.note_split(handled, part).await;
        let (mut call, aliases) = self.call(session, &part.request, part.key.as_ref())?;
        call.collect = COLLECT_MAPPED;
        let place = self.core.in_flight.enter(&self.touches(&part.parsed));
        let (started, began) = (self.core.store.tick(), Instant::now());
        match self.exchanger.exchange(&self.core.servers, call).await {
            Ok(answer) => {
                self.core.live.note(began.elapsed());
                self.core.modes.good();
                let (head, body) = match answer {
                    Answer::Whole { head, body } => (head, body),
                    Answer::Long(stream) => (stream.head, Bytes::new()),
                };
                self.heard(session, handled, part, head, body, &aliases, started).await
            }
            Err(failure) => {
                self.core.note_failure(&failure);
                self.wait_behind(Some(&place)).await;
                let now = forward::prior(&failure);
                if now == Prior::NeverSent && !in_doubt {
                    self.forget_part(part).await;
                }
                let prior = if in_doubt { prior } else { now };
                Ok(There::Failed { prior, place: Some(place) })
            }
        }
    }

    /// The journal knows of the split before it is made.
    async fn note_split(&self, handled: &Handled<D>, part: &Part<D>) {
        let (Some(whole), Some(identity)) = (identity(handled), &part.identity) else {
            return;
        };
        let places = (0u32..).zip(&part.items).filter(|(_, is_in)| **is_in).map(|(place, _)| place);
        if let Err(error) = self.core.store.split(&whole, identity, places.collect()).await {
            // The upstream serves; that the disk does not is no reason to refuse.
            tracing::warn!(%error, "a part of a request is sent on without a trace in the journal");
        }
    }

    async fn forget_part(&self, part: &Part<D>) {
        if let Some(identity) = &part.identity {
            self.core.store.answered(identity, None, None).await;
        }
    }

    /// The upstream answered: what it told is watched, and remembered for a repetition.
    #[allow(clippy::too_many_arguments)]
    async fn heard(
        &self,
        session: &Session,
        handled: &Handled<D>,
        part: &Part<D>,
        mut head: Box<ResponseHeader>,
        body: Bytes,
        aliases: &[Alias],
        started: u64,
    ) -> Result<There> {
        let taken = head.status.is_success();
        if taken {
            let speaker = part.parsed.subject.as_deref();
            self.core.credentials.accepted(speaker, &session.req_header().headers);
        }
        handled.route.learn_cors(&head.headers);
        let (request, parsed) = (part.request.clone(), part.parsed.clone());
        self.watch_write(handled.route.endpoint, request, parsed, &head, &body, started)
            .await;
        answer::strip_hop_by_hop(&mut head);
        let body = if aliases.is_empty() {
            body
        } else {
            forward::map_back(&mut head, &body, aliases)?
        };
        if !taken {
            self.forget_part(part).await;
            return Ok(There::Refused { head, body });
        }
        let plain = decoded(&head.headers, &body).unwrap_or_default();
        if let Some(identity) = &part.identity {
            // One that is too long to be kept is as good as a plain yes.
            let kept = rememberable(&head, &plain).or_else(|| rememberable(&head, &Bytes::new()));
            self.core.store.answered(identity, kept, None).await;
        }
        Ok(There::Taken { body: plain, repeated: false })
    }

    /// Decides one part here.
    async fn decide_part(&self, session: &Session, handled: &Handled<D>, part: Part<D>, prior: Prior) -> PartAnswer {
        let parsed = self.within_limits(&handled.route, part.parsed)?;
        let headers = &session.req_header().headers;
        let sealed = self.core.credentials.kept_with(parsed.subject.as_deref(), headers, prior);
        let write = Write {
            endpoint: handled.route.endpoint,
            parsed,
            request: part.request,
            key: part.key,
            prior,
            stance: self.core.modes.stance(),
            identity: part.identity,
            sealed,
        };
        let Said { response, repeated, rejection } = self.submit(write).await?;
        match rejection {
            Some(rejection) => Err(rejection),
            None => Ok((response.body, repeated)),
        }
    }

    fn merge(&self, parts: [(&[bool], &PartAnswer); 2]) -> Response {
        let parts = parts.map(|(items, said)| {
            let said = match said {
                Ok((body, _)) => PartSaid::Body(body),
                Err(rejection) => PartSaid::Refused(rejection),
            };
            (items, said)
        });
        let core = &self.core;
        let merged = core.guarded(|| core.handback.merged(&core.domain, &parts));
        merged.ok().flatten().unwrap_or_else(|| Response {
            status: 200,
            content_type: "".into(),
            retry_after: None,
            body: Bytes::new(),
        })
    }
}

impl<D: Domain> Clone for Part<D> {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            request: self.request.clone(),
            parsed: self.parsed.clone(),
            key: self.key.clone(),
            identity: self.identity,
        }
    }
}
