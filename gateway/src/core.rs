//! What proxy, drain, checks and administration share.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicUsize},
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use megamind_conf::Config;
use megamind_domain::{Domain, Endpoint, Exchange, Parsed, Rejection, Request, Response, Time};
use megamind_store::Store;
use pingora::http::ResponseHeader;
use tokio::sync::Notify;

use crate::{
    ahead::Ahead,
    backup::Backups,
    credentials::Credentials,
    drain,
    handback::Handback,
    ids::LocalIds,
    in_flight::InFlight,
    keys::Keys,
    metrics::Metrics,
    modes::Modes,
    proxy::{Recent, Routes},
    recall::Recall,
    upstream::{Failure, Servers, decoded},
};

/// One gateway.
pub(crate) struct Core<D: Domain> {
    pub(crate) config: Arc<Config>,
    pub(crate) domain: Arc<D>,
    pub(crate) store: Store<D>,
    pub(crate) modes: Modes,
    pub(crate) servers: Servers,
    pub(crate) routes: Routes,
    pub(crate) metrics: Metrics,
    pub(crate) ids: LocalIds,
    pub(crate) keys: Keys,
    /// Requests that have been read and not yet answered.
    pub(crate) unanswered: Arc<AtomicUsize>,
    /// Forwarded writes among them.
    pub(crate) in_flight: Arc<InFlight>,
    /// Writes under way by what makes their repetition recognizable.
    pub(crate) twins: Arc<InFlight>,
    /// The upstream's answers to natural content.
    pub(crate) recent: Recent,
    /// The last read of a handled route that failed.
    pub(crate) probe: ArcSwapOption<Request>,
    /// Whose credentials the replays carry.
    pub(crate) credentials: Credentials,
    /// What takes too long for the writer.
    pub(crate) ahead: Option<Ahead<D>>,
    /// How what has left the city comes back.
    pub(crate) recall: Option<Recall<D>>,
    /// Copies of the journal.
    pub(crate) backups: Backups,
    /// Work for the drain, or a mode that lets it go on.
    pub(crate) drain_wake: Notify,
    /// What the drain asks of the domain.
    pub(crate) handback: Arc<dyn Handback<D>>,
    /// What the drain shows of itself.
    pub(crate) drain: drain::View,
    /// How long live exchanges take.
    pub(crate) live: drain::Live,
}

impl<D: Domain> Core<D> {
    /// A refusal of the gateway's own, in the dialect.
    pub(crate) fn render(&self, endpoint: Option<Endpoint>, rejection: &Rejection) -> Response {
        let published = self.store.published();
        self.guarded(|| self.domain.render(&published.city, endpoint, Err(rejection)))
            .unwrap_or_else(|_| Response {
                status: rejection.status,
                content_type: "application/problem+json".into(),
                retry_after: rejection.retry_after,
                body: Bytes::new(),
            })
    }

    /// Runs the domain's code; a panic in it is counted and becomes a refusal.
    ///
    /// # Errors
    /// 500 `internal_error` after a panic.
    pub(crate) fn guarded<T>(&self, run: impl FnOnce() -> T) -> Result<T, Rejection> {
        // The domain is pure: what a panic leaves behind is dropped with the value it was making.
        catch_unwind(AssertUnwindSafe(run)).map_err(|_| {
            self.metrics.panics.inc();
            Rejection::new(500, "internal_error", "The request could not be answered. Nothing was changed.")
        })
    }

    /// A request, read by the domain; `None` where it cannot be.
    pub(crate) fn parsed(&self, endpoint: Endpoint, request: &Request) -> Option<Arc<Parsed<D::Command>>> {
        let parsed = self.guarded(|| self.domain.parse(endpoint, request)).ok()?;
        parsed.ok().map(Arc::new)
    }

    /// A failed exchange goes to the passive check and the metrics.
    pub(crate) fn note_failure(&self, failure: &Failure) {
        self.count_failure(failure.server, failure.reason.label());
        tracing::debug!(reason = %failure.reason, "exchange with the upstream failed");
    }

    /// Counts a failure of a server.
    pub(crate) fn count_failure(&self, server: Option<usize>, reason: &str) {
        let name = server
            .and_then(|index| self.servers.get(index))
            .map_or("none", |server| &server.name);
        self.metrics.upstream_failures.with_label_values(&[name, reason]).inc();
        self.modes.failed();
    }

    /// Keeps a read that failed: asked again in the background, it proves that the upstream is back.
    pub(crate) fn remember_probe(&self, request: &Arc<Request>) {
        self.probe.store(Some(request.clone()));
    }
}

/// An exchange as the domain sees it; `None` where its content coding cannot be taken off.
pub(crate) fn seen<C>(
    endpoint: Endpoint,
    request: Arc<Request>,
    parsed: Option<Arc<Parsed<C>>>,
    head: &ResponseHeader,
    body: &Bytes,
) -> Option<Exchange<C>> {
    let content_type = head.headers.get(http::header::CONTENT_TYPE);
    Some(Exchange {
        endpoint,
        request,
        parsed,
        status: head.status.as_u16(),
        content_type: content_type.and_then(|value| value.to_str().ok()).map(Box::from),
        body: decoded(&head.headers, body)?,
        at: wall_clock(),
        created: None,
        named: None,
        settles: false,
    })
}

/// The wall clock. A clock before 1970 counts back from there.
pub(crate) fn wall_clock() -> Time {
    let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Time(millis)
}

/// RFC 3339 in UTC, with milliseconds.
pub(crate) fn rfc3339(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}
