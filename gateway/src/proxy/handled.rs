//! Requests that the handlers can answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, header};
use megamind_conf::{OnTimeout, Settlement};
use megamind_domain::{Access, Domain, Parsed, Policy, Rejection, Request, Response, Touches, Touching};
use megamind_store::{Key, Prior};
use pingora::{Result, http::RequestHeader, proxy::Session};

use super::{
    Proxy, RequestCtx, Route,
    answer::{self, Extra},
    body::{self, Body},
    forward::LONG_WAIT,
    head,
    repeats::{Known, Recognized},
    split::Split,
};
use crate::{core::Core, in_flight::Place, keys, modes::Mode};

/// A request of a handled route, read.
pub(super) struct Handled<D: Domain> {
    pub(super) route: Arc<Route>,
    pub(super) request: Arc<Request>,
    pub(super) parsed: Result<Arc<Parsed<D::Command>>, Rejection>,
    /// The key of a write; the error where the client's own is no key.
    pub(super) key: Result<Option<Key>, Rejection>,
    /// Set for a write whose repetition is recognized.
    pub(super) recognized: Option<Recognized>,
}

/// Whether a request has to be decided here, because something that it names waits in the queue.
enum Fenced {
    No,
    Whole,
    /// Of a bulk request these items; the others can be sent on.
    Items(Vec<bool>),
}

impl<D: Domain> Proxy<D> {
    pub(super) async fn serve_handled(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        route: &Arc<Route>,
    ) -> Result<bool> {
        let ours = route.policy == Policy::Local || self.core.modes.current().stands_in();
        if session.req_header().method == Method::OPTIONS {
            return self.options(session, ctx, route, ours).await;
        }
        let body = match body::read(session.as_downstream_mut()).await? {
            Body::Whole(body) => body,
            Body::Longer { prefix, done } if ours => {
                return self.too_large(session, ctx, route, prefix.len(), done).await;
            }
            Body::Longer { prefix, done: true } => {
                let request = head::request(session.req_header(), prefix);
                let key = match route.access {
                    Access::Read => None,
                    Access::Write => self.core.keys.of::<D::Command>(session.req_header(), "", None),
                };
                Box::pin(self.forward_mapped(session, ctx, &request, key.as_ref())).await?;
                return Ok(true);
            }
            Body::Longer { prefix, .. } => {
                // It streams past: what it names is not read, so neither watched nor fenced.
                ctx.prefix = (!prefix.is_empty()).then_some(prefix);
                ctx.handled = Some(route.clone());
                return Ok(false);
            }
        };
        let mut handled = self.read(route, session.req_header(), body);
        // The mode may have changed while the body was on its way.
        let ours = || route.policy == Policy::Local || self.core.modes.current().stands_in();
        let prior = match self.recognize(session, ctx, &mut handled, ours()).await? {
            Known::Answered => return Ok(true),
            Known::New => Prior::NeverSent,
            Known::InDoubt { at } => Prior::PossiblyApplied { at },
            Known::Split { forwarded, at } => {
                let split = Split::as_before(&forwarded, at);
                Box::pin(self.serve_split(session, ctx, handled, split)).await?;
                return Ok(true);
            }
        };
        // What comes later about the same is decided after this, however this is decided.
        let place = self.place(&handled);
        if !ours() && self.wait_for_the_drain(&handled).await {
            // So did those that came before.
            self.wait_behind(place.as_ref()).await;
        }
        let fenced = if ours() { Fenced::Whole } else { self.fenced(&handled) };
        // What is known to be on its way under its key is not split: the upstream would take a part for something else.
        let in_doubt = prior != Prior::NeverSent;
        match fenced {
            Fenced::Items(here) if !in_doubt => {
                // Each part takes a place of its own.
                drop(place);
                Box::pin(self.serve_split(session, ctx, handled, Split::new(here))).await?;
            }
            Fenced::No if !in_doubt || self.upstream_knows_keys() => {
                // An exchange takes much room, which those that are answered here need not have.
                Box::pin(self.forward(session, ctx, handled, prior, place)).await?;
            }
            _ => {
                self.wait_behind(place.as_ref()).await;
                self.answer_here(session, ctx, handled, prior).await?;
            }
        }
        Ok(true)
    }

    fn read(&self, route: &Arc<Route>, head: &RequestHeader, body: bytes::Bytes) -> Handled<D> {
        let request = Arc::new(head::request(head, body));
        let parsed = self
            .core
            .guarded(|| self.core.domain.parse(route.endpoint, &request))
            .and_then(|parsed| parsed)
            .map(Arc::new);
        let key = match route.access {
            Access::Read => Ok(None),
            Access::Write => self
                .core
                .keys
                .of(head, &request.path, parsed.as_deref().ok())
                .map(Some)
                .ok_or_else(|| {
                    Rejection::new(
                        400,
                        "bad_idempotency_key",
                        format!("An Idempotency-Key has 1 to {} visible ASCII characters.", keys::MAX),
                    )
                    .at(keys::HEADER)
                }),
        };
        Handled { route: route.clone(), request, parsed, key, recognized: None }
    }

    /// The entities that a request names.
    pub(super) fn touches(&self, parsed: &Parsed<D::Command>) -> Touches {
        let published = self.core.store.published();
        self.core
            .guarded(|| self.core.domain.touches(&published.city, Touching::Command(&parsed.command)))
            .unwrap_or_default()
    }

    /// The longest that a write is under way to the upstream.
    pub(super) fn longest_forward(&self) -> Duration {
        let upstream = &self.core.config.upstream;
        match upstream.on_timeout {
            OnTimeout::Act => upstream.response_timeout,
            OnTimeout::Wait => upstream.response_timeout.max(LONG_WAIT),
        }
    }

    /// The place of a write among those about the same, in the order of arrival.
    fn place(&self, handled: &Handled<D>) -> Option<Place> {
        match (&handled.parsed, handled.route.access) {
            (Ok(parsed), Access::Write) => Some(self.core.in_flight.enter(&self.touches(parsed))),
            _ => None,
        }
    }

    /// A write that is decided here waits for those about the same that are still under way to the upstream.
    pub(super) async fn wait_for_forwarded(&self, handled: &Handled<D>) {
        let place = self.place(handled);
        self.wait_behind(place.as_ref()).await;
    }

    pub(super) async fn wait_for_earlier(&self, touches: &Touches) {
        let place = self.core.in_flight.enter(touches);
        self.wait_behind(Some(&place)).await;
    }

    /// Waits for the writes before this place. They end within `response_timeout`, or as late as `on_timeout` lets them,
    /// and are decided then; twice that is enough, whatever else happens.
    pub(super) async fn wait_behind(&self, place: Option<&Place>) {
        if let Some(place) = place {
            // After that the order of arrival is not known to matter any more.
            let _ = tokio::time::timeout(self.longest_forward() * 2, place.wait_for_earlier()).await;
        }
    }

    /// Whether something that the request names waits in the queue: you read what you wrote.
    fn fenced(&self, handled: &Handled<D>) -> Fenced {
        let published = self.core.store.published();
        let Ok(parsed) = &handled.parsed else {
            return Fenced::No;
        };
        if published.entries == 0 {
            return Fenced::No;
        }
        let touches = self.touches(parsed);
        if !published.fenced(&touches) {
            return Fenced::No;
        }
        if handled.route.access == Access::Read || touches.len() < 2 {
            return Fenced::Whole;
        }
        let items = self.core.guarded(|| {
            let is_fenced = |touches: &Touches| published.fenced(touches);
            let handback = &self.core.handback;
            handback.fenced_items(&self.core.domain, &published.city, &parsed.command, &is_fenced)
        });
        match items {
            Ok(Some(items)) if items.contains(&false) && items.contains(&true) => Fenced::Items(items),
            _ => Fenced::Whole,
        }
    }

    /// Whether the upstream takes the same request under the same key for the same.
    pub(super) fn upstream_knows_keys(&self) -> bool {
        self.core.config.upstream.idempotency == Settlement::Key
    }

    /// `OPTIONS`: the upstream's own answer while it is there, else the headers last seen from it.
    async fn options(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        route: &Arc<Route>,
        ours: bool,
    ) -> Result<bool> {
        if !ours {
            ctx.handled = Some(route.clone());
            return Ok(false);
        }
        session.as_downstream_mut().drain_request_body().await?;
        let response = megamind_domain::Response {
            status: 204,
            content_type: "".into(),
            retry_after: None,
            body: bytes::Bytes::new(),
        };
        let extra = Extra { headers: vec![(header::ALLOW, allowed(route.access))], route: Some(route.clone()) };
        answer::own(session.as_downstream_mut(), ctx, &response, extra).await?;
        Ok(true)
    }

    /// A body over the limit, while nobody else could take it.
    async fn too_large(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        route: &Arc<Route>,
        read: usize,
        done: bool,
    ) -> Result<bool> {
        // The rest of the body stands in the connection. It is read and dropped where it is announced and not
        // much more than the limit, so that the connection stays usable; otherwise the connection closes.
        let rest = body::declared_length(session.req_header()).map(|length| length.saturating_sub(read as u64));
        if done {
            // Nothing is left.
        } else if rest.is_none_or(|rest| rest > 16 * body::LIMIT as u64) {
            session.set_keepalive(None);
        } else {
            session.as_downstream_mut().drain_request_body().await?;
        }
        let rejection = Rejection::new(
            413,
            "body_too_large",
            format!("A request to this path has a body of {} bytes at most.", body::LIMIT),
        );
        self.refuse(session, ctx, route, &rejection).await?;
        Ok(true)
    }

    /// Writes a refusal of the gateway's own.
    pub(super) async fn refuse(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        route: &Arc<Route>,
        rejection: &Rejection,
    ) -> Result<()> {
        let (response, extra) = self.core.refusal(route.clone(), rejection);
        answer::own(session.as_downstream_mut(), ctx, &response, extra).await
    }

    /// The key of a write that is too long to be read.
    pub(super) fn add_key(&self, route: &Route, request: &mut RequestHeader) -> Result<()> {
        if route.access == Access::Write
            && !request.headers.contains_key(keys::HEADER)
            && let Some(key) = self.core.keys.of::<D::Command>(request, "", None)
        {
            request.insert_header(keys::HEADER, &*key.text)?;
        }
        Ok(())
    }

    /// Whether plain routes can be sent on at all.
    pub(super) fn upstream_is_down(&self) -> bool {
        self.core.modes.current() == Mode::Acting
    }
}

impl<D: Domain> Core<D> {
    /// A refusal, counted.
    pub(super) fn refusal(&self, route: Arc<Route>, rejection: &Rejection) -> (Response, Extra) {
        if rejection.status < 500 {
            self.metrics.bad_input.with_label_values(&[rejection.code]).inc();
        }
        let response = self.render(Some(route.endpoint), rejection);
        let access = route.access;
        let extra = Extra { headers: Vec::new(), route: Some(route) };
        match rejection.status {
            405 => (response, extra.with(header::ALLOW, allowed(access))),
            _ => (response, extra),
        }
    }
}

/// The methods that the handlers take. The path makes a write, so GET works everywhere; HEAD must not change
/// anything, so it works on reads alone.
pub(super) fn allowed(access: Access) -> HeaderValue {
    HeaderValue::from_static(match access {
        Access::Read => "GET, HEAD, POST, OPTIONS",
        Access::Write => "GET, POST, OPTIONS",
    })
}
