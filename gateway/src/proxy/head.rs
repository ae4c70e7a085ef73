//! The head of a request on its way to the upstream.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use megamind_domain::Request;
use pingora::{
    Result,
    http::RequestHeader,
    protocols::{http::ServerSession, l4::socket::SocketAddr},
};

use super::hop::by_hop;
use crate::keys;

/// The client's head, ready for the upstream: its own headers, and where it came from.
pub(crate) fn forwarded(session: &ServerSession, target: &Bytes, content: &Bytes) -> Result<RequestHeader> {
    let mut head = session.req_header().clone();
    let framed =
        head.headers.contains_key(header::CONTENT_LENGTH) || head.headers.contains_key(header::TRANSFER_ENCODING);
    for name in by_hop(&head.headers) {
        head.remove_header(&name);
    }
    // Answered here.
    head.remove_header(&header::EXPECT);
    head.set_version(http::Version::HTTP_11);
    if head.raw_path() != &target[..] {
        head.set_raw_path(target)?;
    }
    // The body is whole, and may have another length than it came with.
    if !says_length(&head, content.len()) {
        head.remove_header(&header::CONTENT_LENGTH);
        if framed || !content.is_empty() {
            head.insert_header(header::CONTENT_LENGTH, content.len())?;
        }
    }
    add_origin(session, &mut head)?;
    Ok(head)
}

/// Whether a message has one `Content-Length`, and this one.
fn says_length(head: &RequestHeader, length: usize) -> bool {
    let mut values = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let first = values.next().map(HeaderValue::as_bytes);
    first == Some(length.to_string().as_bytes()) && values.next().is_none()
}

/// Adds `X-Forwarded-For`, `-Proto` and `-Host`, as other proxies do.
pub(crate) fn add_origin(session: &ServerSession, head: &mut RequestHeader) -> Result<()> {
    if let Some(SocketAddr::Inet(client)) = session.client_addr() {
        let mut chain = String::with_capacity(40);
        for earlier in head.headers.get_all("x-forwarded-for") {
            if let Ok(earlier) = earlier.to_str() {
                let _ = write!(chain, "{earlier}, ");
            }
        }
        let _ = write!(chain, "{}", client.ip());
        head.insert_header("X-Forwarded-For", chain)?;
    }
    if !head.headers.contains_key("x-forwarded-proto") {
        let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        head.insert_header("X-Forwarded-Proto", if tls { "https" } else { "http" })?;
    }
    if !head.headers.contains_key("x-forwarded-host") {
        let host = head.headers.get(header::HOST).cloned().or_else(|| {
            let authority = head.uri.authority()?;
            HeaderValue::from_str(authority.as_str()).ok()
        });
        if let Some(host) = host {
            head.insert_header("X-Forwarded-Host", host)?;
        }
    }
    Ok(())
}

/// The head of a replay: what the client sent, as far as the journal keeps it.
pub(crate) fn replayed(
    request: &Request,
    target: &Bytes,
    body: &Bytes,
    authority: &str,
    key: Option<&str>,
) -> Result<RequestHeader> {
    let mut head = RequestHeader::build(request.method.as_bytes(), target, Some(12))?;
    head.insert_header("Host", authority)?;
    if let Some(content_type) = &request.content_type {
        head.insert_header("Content-Type", &**content_type)?;
    }
    if let Some(coding) = &request.content_encoding {
        head.insert_header("Content-Encoding", &**coding)?;
    }
    if !body.is_empty() || matches!(&*request.method, "POST" | "PUT" | "PATCH") {
        head.insert_header("Content-Length", body.len())?;
    }
    if let Some(key) = key {
        head.insert_header(keys::HEADER, key)?;
    }
    head.insert_header("Accept", "*/*")?;
    Ok(head)
}

/// A request as plain values.
pub(crate) fn request(head: &RequestHeader, body: Bytes) -> Request {
    let text = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).map(Box::from);
    Request {
        method: head.method.as_str().into(),
        path: head.uri.path().into(),
        query: head.uri.query().map(Box::from),
        content_type: text(&header::CONTENT_TYPE),
        content_encoding: text(&header::CONTENT_ENCODING),
        body,
    }
}

/// Path and query of a request, as in its request line.
pub(crate) fn target(request: &Request) -> Bytes {
    match &request.query {
        Some(query) => format!("{}?{query}", request.path).into(),
        None => request.path.to_string().into(),
    }
}
