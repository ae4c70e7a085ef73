//! Open orders of which too little is known: the upstream assigns without the gateway seeing it.

use bytes::Bytes;
use megamind_domain::{Endpoint, Request};

use crate::{City, Deliveries, dialect::Field, endpoints::Route, order::Status};

impl Deliveries {
    /// Requests whose answers, watched, fill the gaps: trackOrder for open orders of the upstream's that nobody is
    /// known to carry, oldest first, `limit` at most.
    pub fn gaps(&self, city: &City, limit: usize) -> Vec<(Endpoint, Request)> {
        let path = self.settings().dialect.path(Route::TrackOrder.path());
        let field = encoded(self.wire(Field::OrderId));
        city.orders()
            .filter(|order| matches!(order.status(), Status::Unknown | Status::Placed))
            .filter_map(|order| order.upstream())
            .take(limit)
            .map(|id| {
                let request = Request {
                    method: "GET".into(),
                    path: path.as_str().into(),
                    query: Some(format!("{field}={}", encoded(id)).into()),
                    body: Bytes::new(),
                    ..Request::default()
                };
                (Route::TrackOrder.endpoint(), request)
            })
            .collect()
    }
}

/// Percent-encoded as a query wants it (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
