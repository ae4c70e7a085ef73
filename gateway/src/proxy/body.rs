//! Reading a request's body to its end, up to a limit.

use bytes::{Bytes, BytesMut};
use pingora::{Result, http::RequestHeader, protocols::http::ServerSession};

/// The longest body that the handlers take: 64 KiB.
pub(crate) const LIMIT: usize = 64 * 1024;

/// What was read.
pub(crate) enum Body {
    /// All of it.
    Whole(Bytes),
    /// More than the limit.
    Longer {
        /// What has been read so far.
        prefix: Bytes,
        /// Whether that is all; else the rest is still in the connection.
        done: bool,
    },
}

/// Reads up to [`LIMIT`] bytes.
pub(crate) async fn read(session: &mut ServerSession) -> Result<Body> {
    if declared_length(session.req_header()).is_some_and(|length| length > LIMIT as u64) {
        return Ok(Body::Longer { prefix: Bytes::new(), done: false });
    }
    if wants_continue(session.req_header()) {
        session.write_continue_response().await?;
    }
    let Some(first) = session.read_request_body().await? else {
        return Ok(Body::Whole(Bytes::new()));
    };
    if session.is_body_done() && first.len() <= LIMIT {
        return Ok(Body::Whole(first));
    }
    let mut body = BytesMut::from(&first[..]);
    while body.len() <= LIMIT {
        match session.read_request_body().await? {
            Some(piece) => body.extend_from_slice(&piece),
            None => return Ok(Body::Whole(body.freeze())),
        }
    }
    Ok(Body::Longer { done: session.is_body_done(), prefix: body.freeze() })
}

/// The value of `Content-Length`.
pub(crate) fn declared_length(head: &RequestHeader) -> Option<u64> {
    head.headers
        .get(http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn wants_continue(head: &RequestHeader) -> bool {
    head.headers
        .get(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
