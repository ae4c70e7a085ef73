//! The story of one request.
//!
//! A request of a *handled* route is read whole and goes one of two ways: the handlers answer, or it is exchanged
//! with the upstream and the handlers answer after all where that fails, in the same exchange and on the same
//! connection ([`handled`]). Every other request goes the way of Pingora's own proxy ([`plain`]), streaming, with a
//! last-resort 503 where the upstream fails.

mod answer;
mod body;
mod connection;
mod forward;
mod handled;
mod handover;
pub(crate) mod head;
mod hop;
mod local;
mod plain;
mod query;
mod repeats;
mod route;
mod split;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use megamind_domain::{Domain, Rejection};
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::http::ServerSession,
    proxy::{FailToProxy, ProxyHttp, Session},
    upstreams::peer::HttpPeer,
};

pub(crate) use connection::{Connections, Requests};
pub(crate) use repeats::Recent;
pub(crate) use route::{Route, Routes};

use crate::{
    core::Core,
    log,
    metrics::ServedBy,
    upstream::{Exchanger, Tried},
};

/// The failover proxy: a Pingora application over one domain.
pub struct Proxy<D: Domain> {
    pub(crate) core: Arc<Core<D>>,
    pub(crate) exchanger: Exchanger,
}

/// What is known of one request while it is served.
pub struct RequestCtx {
    started: Instant,
    /// The label in metrics and logs.
    route: Option<Arc<str>>,
    served_by: ServedBy,
    /// The status of the answer; 0 until there is one.
    status: u16,
    /// The beginning of a long body, which has been read already.
    prefix: Option<Bytes>,
    /// The handled route of a request that is too long for the handlers.
    handled: Option<Arc<Route>>,
    /// The server chosen, for Pingora's own path.
    server: Option<usize>,
    /// Those that could not be connected.
    tried: Tried,
    /// A failure of the upstream has been counted.
    counted: bool,
    /// `None` once somebody else answers it.
    unanswered: Option<Unanswered>,
}

impl RequestCtx {
    /// Of a request of which nothing is known yet.
    fn new(started: Instant, unanswered: Option<Unanswered>) -> Self {
        Self {
            started,
            route: None,
            served_by: ServedBy::Upstream,
            status: 0,
            prefix: None,
            handled: None,
            server: None,
            tried: Tried::new(),
            counted: false,
            unanswered,
        }
    }

    /// All of it, for whoever goes on with the request.
    fn leave(&mut self) -> Self {
        let left = Self::new(self.started, None);
        std::mem::replace(self, left)
    }
}

/// Counts a request for as long as it lives.
struct Unanswered(Arc<AtomicUsize>);

impl Unanswered {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl<D: Domain> ProxyHttp for Proxy<D> {
    type CTX = RequestCtx;

    fn new_ctx(&self) -> RequestCtx {
        RequestCtx::new(Instant::now(), Some(Unanswered::new(&self.core.unanswered)))
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
        let gateway = &self.core.config.gateway;
        // Only where the client and the framing of its request allow it: RFC 9112, 6.1 and 9.3.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(gateway.keepalive_timeout.as_secs().max(1)));
        }
        session.set_read_timeout(Some(gateway.keepalive_timeout));
        session.set_write_timeout(Some(gateway.keepalive_timeout));
        let route = self.core.routes.handled(session.req_header().uri.path());
        match route.cloned() {
            Some(route) => {
                ctx.route = Some(route.name.clone());
                self.serve_handled(session, ctx, &route).await
            }
            None => {
                ctx.route = Some(self.core.routes.label(session.req_header().uri.path()));
                self.serve_plain(session, ctx).await
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut RequestCtx) -> Result<Box<HttpPeer>> {
        let Some((server, peers)) = self.core.servers.pick(&ctx.tried) else {
            return Error::e_explain(ErrorType::ConnectNoRoute, "no server has an address");
        };
        ctx.server = Some(server);
        Ok(Box::new(peers.peer.clone()))
    }

    /// Nothing has been sent: the next server may be asked.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        ctx: &mut RequestCtx,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(server) = ctx.server {
            self.core.servers.pass_over(server);
            ctx.tried.push(server);
            error.set_retry(ctx.tried.len() < self.core.servers.iter().count());
        }
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut RequestCtx,
    ) -> Result<()> {
        head::add_origin(session.as_downstream(), request)?;
        if let Some(route) = &ctx.handled {
            self.add_key(route, request)?;
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut RequestCtx,
    ) -> Result<()> {
        if let Some(prefix) = ctx.prefix.take() {
            let mut joined = BytesMut::from(&prefix[..]);
            joined.extend_from_slice(body.as_deref().unwrap_or_default());
            *body = Some(joined.freeze());
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        answer: &mut ResponseHeader,
        ctx: &mut RequestCtx,
    ) -> Result<()> {
        let status = answer.status.as_u16();
        if answer.status.is_informational() {
            return Ok(());
        }
        if self.core.config.upstream.failure_status.contains(&status) {
            self.count_failure(ctx, "status");
        } else {
            self.core.modes.good();
        }
        if let Some(route) = &ctx.handled {
            route.learn_cors(&answer.headers);
        }
        Ok(())
    }

    async fn response_filter(&self, _: &mut Session, answer: &mut ResponseHeader, ctx: &mut RequestCtx) -> Result<()> {
        if !answer.status.is_informational() {
            ctx.status = answer.status.as_u16();
        }
        answer::add_via(answer)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut RequestCtx) -> FailToProxy {
        let error_code = self.last_resort(session, error, ctx).await;
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut RequestCtx) {
        if ctx.unanswered.is_some() {
            self.core.conclude(session.as_downstream(), ctx, error);
        }
    }

    /// The access log and the failure metrics say it already.
    fn suppress_error_log(&self, _: &Session, _: &RequestCtx, _: &Error) -> bool {
        true
    }
}

impl<D: Domain> Core<D> {
    /// Counts a request that is over, and logs it.
    fn conclude(&self, client: &ServerSession, ctx: &RequestCtx, error: Option<&Error>) {
        let took = ctx.started.elapsed();
        let route = ctx.route.as_deref().unwrap_or("other");
        self.metrics.request(route, ctx.served_by, ctx.status, took);
        if self.config.gateway.access_log {
            log::access(client, route, ctx.served_by, ctx.status, took, error);
        }
    }
}

impl<D: Domain> Proxy<D> {
    /// Counts a failure of the upstream on Pingora's own path, once a request.
    fn count_failure(&self, ctx: &mut RequestCtx, reason: &str) {
        if std::mem::replace(&mut ctx.counted, true) {
            return;
        }
        self.core.count_failure(ctx.server, reason);
    }

    /// The answer where Pingora's own path failed; the connection closes after it. Returns the status, 0 where the
    /// client is gone or its answer had begun.
    async fn last_resort(&self, session: &mut Session, error: &Error, ctx: &mut RequestCtx) -> u16 {
        if *error.esource() == ErrorSource::Downstream {
            return 0;
        }
        if *error.esource() == ErrorSource::Upstream || matches!(error.etype(), ErrorType::ConnectNoRoute) {
            self.count_failure(ctx, reason(error));
        }
        if session.response_written().is_some() {
            self.core.metrics.truncated.inc();
            return 0;
        }
        session.set_keepalive(None);
        let response = self.core.render(None, &upstream_down(&self.core.config.health.interval));
        match answer::own(session.as_downstream_mut(), ctx, &response, answer::Extra::default()).await {
            Ok(()) => response.status,
            Err(_) => 0,
        }
    }
}

/// What a route without handlers answers while the upstream is down. A retry makes sense after the next check.
fn upstream_down(interval: &Duration) -> Rejection {
    Rejection::new(503, "upstream_down", "The service behind this path cannot be reached now.")
        .retry_after(u32::try_from(interval.as_secs()).unwrap_or(u32::MAX).max(1))
}

fn reason(error: &Error) -> &'static str {
    match error.etype() {
        ErrorType::ConnectNoRoute => "no_address",
        ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => "timeout",
        ErrorType::ConnectRefused | ErrorType::ConnectError | ErrorType::TLSHandshakeFailure => "connect",
        ErrorType::InvalidHTTPHeader => "malformed",
        _ => "reset",
    }
}
