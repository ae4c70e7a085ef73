//! Open orders of which too little is known: the upstream assigns without the gateway seeing it.

use std::fmt::Display;

use bytes::Bytes;
use megamind_domain::{Endpoint, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{City, Deliveries, dialect::Field, endpoints::Route, order::Status};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Deliveries {
    /// Requests whose answers, watched, fill the gaps: trackOrder for open orders of the upstream's that nobody is
    /// known to carry, oldest first, `limit` at most.
    pub fn gaps(&self, city: &City, limit: usize) -> Vec<(Endpoint, Request)> {
        city.orders()
            .filter(|order| matches!(order.status(), Status::Unknown | Status::Placed))
            .filter_map(|order| order.upstream())
            .take(limit)
            .map(|id| self.question_about(id))
            .collect()
    }

    /// trackOrder, by the upstream's id.
    pub(crate) fn question_about(&self, id: &str) -> (Endpoint, Request) {
        let field = encoded(self.wire(Field::OrderId));
        let request = Request {
            method: "GET".into(),
            path: self.settings().dialect.path(Route::TrackOrder.path()).as_str().into(),
            query: Some(format!("{field}={}", encoded(id)).into()),
            body: Bytes::new(),
            ..Request::default()
        };
        (Route::TrackOrder.endpoint(), request)
    }
}

/// Percent-encoded as a query wants it.
fn encoded(text: &str) -> impl Display + '_ {
    utf8_percent_encode(text, &RESERVED)
}
