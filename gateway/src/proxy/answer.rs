//! Writing answers to clients.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use megamind_domain::Response;
use pingora::{Result, http::ResponseHeader, protocols::http::ServerSession};

use super::{RequestCtx, hop::by_hop, route::Route};
use crate::metrics::ServedBy;

/// Our name on the way of an answer (RFC 9110, section 7.6.3).
const VIA: HeaderValue = HeaderValue::from_static("1.1 megamind");
const MEGAMIND: HeaderValue = HeaderValue::from_static("megamind");
/// Tells an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a local answer carries besides the domain's response.
#[derive(Default)]
pub(crate) struct Extra {
    /// Headers by name.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The route whose `Access-Control-*` headers are added.
    pub(crate) route: Option<Arc<Route>>,
}

impl Extra {
    /// One more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says that it is the first answer to a repeated request.
    pub(crate) fn repeated(self) -> Self {
        self.with(REPLAYED, HeaderValue::from_static("true"))
    }
}

/// Writes an answer of the gateway's own.
pub(crate) async fn own(
    session: &mut ServerSession,
    ctx: &mut RequestCtx,
    response: &Response,
    extra: Extra,
) -> Result<()> {
    let mut head = ResponseHeader::build(response.status, Some(8))?;
    if !response.body.is_empty() {
        head.insert_header("Content-Type", response.content_type.as_ref())?;
    }
    if let Some(seconds) = response.retry_after {
        head.insert_header("Retry-After", seconds)?;
    }
    head.insert_header("X-Served-By", MEGAMIND)?;
    for (name, value) in extra.headers {
        head.insert_header(name, value)?;
    }
    if let Some(cors) = extra.route.and_then(|route| route.cors()) {
        for (name, value) in cors.iter() {
            head.insert_header(name.clone(), value.clone())?;
        }
    }
    ctx.served_by = ServedBy::Megamind;
    whole(session, ctx, Box::new(head), response.body.clone()).await
}

/// Writes a whole answer; `head` is free of headers of another connection.
pub(crate) async fn whole(
    session: &mut ServerSession,
    ctx: &mut RequestCtx,
    mut head: Box<ResponseHeader>,
    body: Bytes,
) -> Result<()> {
    let status = head.status.as_u16();
    ctx.status = status;
    head.append_header("Via", VIA)?;
    let without_body = status == 204 || status == 304;
    let is_head = session.req_header().method == Method::HEAD;
    if !without_body && !is_head {
        head.insert_header("Content-Length", body.len())?;
    }
    let silent = without_body || is_head || body.is_empty();
    session.write_response_header(head).await?;
    if !silent {
        session.write_response_body(body, true).await?;
    }
    Ok(())
}

/// Begins an answer whose body follows in pieces.
pub(crate) async fn begin(
    session: &mut ServerSession,
    ctx: &mut RequestCtx,
    mut head: Box<ResponseHeader>,
) -> Result<()> {
    ctx.status = head.status.as_u16();
    head.append_header("Via", VIA)?;
    if !head.headers.contains_key(header::CONTENT_LENGTH) {
        head.insert_header("Transfer-Encoding", "chunked")?;
    }
    session.write_response_header(head).await
}

/// Takes off what belongs to the connection that an answer came by.
pub(crate) fn strip_hop_by_hop(head: &mut ResponseHeader) {
    for name in by_hop(&head.headers) {
        head.remove_header(&name);
    }
}

/// Our name, for answers that pass through Pingora's own path.
pub(crate) fn add_via(head: &mut ResponseHeader) -> Result<()> {
    head.append_header("Via", VIA).map(|_| ())
}
