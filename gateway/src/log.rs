//! The access log: one line a request, under the target `access`.

use std::time::Duration;

use pingora::{Error, protocols::http::ServerSession};

use crate::metrics::ServedBy;

/// Writes one line. Bodies, queries and credentials are never logged.
pub(crate) fn access(
    session: &ServerSession,
    route: &str,
    served_by: ServedBy,
    status: u16,
    took: Duration,
    error: Option<&Error>,
) {
    let head = session.req_header();
    let client = session.client_addr().map(ToString::to_string).unwrap_or_default();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let error = error.map(|error| error.etype().as_str());
    tracing::info!(
        target: "access",
        client,
        method = head.method.as_str(),
        path = head.uri.path(),
        route,
        status,
        served_by = served_by.label(),
        micros,
        error,
    );
}
