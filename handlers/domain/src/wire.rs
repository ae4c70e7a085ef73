//! Requests and answers as plain values: HTTP without a connection.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;

use crate::{Endpoint, Parsed, Time};

/// A request as the client sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, … as sent.
    pub method: Box<str>,
    /// The path, still percent-encoded, without the query.
    pub path: Box<str>,
    /// The query without `?`, still encoded.
    pub query: Option<Box<str>>,
    /// The `Content-Type` header.
    pub content_type: Option<Box<str>>,
    /// The `Content-Encoding` header of the request body.
    pub content_encoding: Option<Box<str>>,
    /// The whole body.
    pub body: Bytes,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: Cow<'static, str>,
    /// Seconds for a `Retry-After` header.
    pub retry_after: Option<u32>,
    /// The whole body.
    pub body: Bytes,
}

/// Why something was not done. Rendered as RFC 9457 problem details or in the dialect's error envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status code.
    pub status: u16,
    /// A stable word for programs, such as `order_not_found`.
    pub code: &'static str,
    /// A sentence for people. Says nothing about the inside of the machine.
    pub detail: String,
    /// The field at fault, as a dotted path in the client's own names.
    pub field: Option<String>,
    /// Seconds after which a retry makes sense; present exactly where a retry is safe and useful.
    pub retry_after: Option<u32>,
}

impl Rejection {
    /// A refusal without a field.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None, retry_after: None }
    }

    /// The same, naming the field at fault.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, asking for a retry after `seconds`.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// A request and the upstream's answer to it, as seen in passing or in a replay.
#[derive(Clone, Debug)]
pub struct Exchange<C> {
    /// The endpoint of the route.
    pub endpoint: Endpoint,
    /// The request as the client sent it.
    pub request: Arc<Request>,
    /// The request, read; `None` where it could not be.
    pub parsed: Option<Arc<Parsed<C>>>,
    /// The upstream's status code.
    pub status: u16,
    /// The `Content-Type` of the answer.
    pub content_type: Option<Box<str>>,
    /// The body of the answer, with any content coding already taken off.
    pub body: Bytes,
    /// When the answer was complete.
    pub at: Time,
    /// For a replay: the local id that the replayed decision created.
    pub created: Option<Box<str>>,
    /// The upstream's id for it, where that is known from elsewhere than the answer.
    pub named: Option<Box<str>>,
    /// A read that the gateway asked once nothing was queued about its subject any more: the upstream has seen all of
    /// it, so where the two differ in what may be decided otherwise, the upstream's word counts.
    pub settles: bool,
}

/// What an exchange tells.
#[derive(Debug)]
pub struct Observed<C> {
    /// What to journal, if anything.
    pub command: Option<C>,
    /// The upstream's id for what the request created.
    pub upstream_id: Option<Box<str>>,
}

impl<C> Observed<C> {
    /// An exchange that tells nothing.
    pub fn nothing() -> Self {
        Self { command: None, upstream_id: None }
    }
}
