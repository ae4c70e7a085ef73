//! Requests that only the upstream answers.

use bytes::Bytes;
use http::header;
use megamind_domain::{Domain, Rejection};
use pingora::{Error, ErrorType, Result, http::RequestHeader, proxy::Session};

use super::{
    Proxy, RequestCtx,
    answer::{self, Extra},
    body::{self, Body},
    head, upstream_down,
};

impl<D: Domain> Proxy<D> {
    /// Sends a request on, streaming, by Pingora's own path; unless the upstream is down, or the request names a local
    /// id.
    pub(super) async fn serve_plain(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
        if self.upstream_is_down() {
            self.drop_body(session).await?;
            self.answer_down(session, ctx).await?;
            return Ok(true);
        }
        if is_upgrade(session.req_header()) {
            return Ok(false);
        }
        let body = if may_name_ids(session.req_header()) {
            session.enable_retry_buffering();
            match body::read(session.as_downstream_mut()).await? {
                Body::Whole(body) => Some(body),
                // Its declared length was within the limit.
                Body::Longer { .. } => {
                    return Error::e_explain(ErrorType::ReadError, "body longer than declared");
                }
            }
        } else {
            None
        };
        let Some(unknown) = self.local_ids(session.req_header(), body.as_ref()) else {
            return Ok(false);
        };
        if unknown {
            self.drop_body(session).await?;
            let rejection = Rejection::new(
                503,
                "pending_upstream",
                "The order was taken here and is not known to the service behind this path yet.",
            )
            .retry_after(5);
            let response = self.core.render(None, &rejection);
            answer::own(session.as_downstream_mut(), ctx, &response, Extra::default()).await?;
        } else {
            let request = head::request(session.req_header(), body.unwrap_or_default());
            Box::pin(self.forward_mapped(session, ctx, &request, None)).await?;
        }
        Ok(true)
    }

    /// `None` where no local id is named; else whether one is named that the upstream does not know yet.
    fn local_ids(&self, head: &RequestHeader, body: Option<&Bytes>) -> Option<bool> {
        let ids = &self.core.ids;
        let target = head.raw_path();
        let mut named = ids
            .find(target)
            .chain(body.into_iter().flat_map(|body| ids.find(body)))
            .peekable();
        named.peek()?;
        Some(named.any(|local| self.core.store.aliases().upstream_of(&local).is_none()))
    }

    /// 503 on a connection that stays usable.
    pub(super) async fn answer_down(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<()> {
        let rejection = upstream_down(&self.core.config.health.interval);
        let response = self.core.render(None, &rejection);
        answer::own(session.as_downstream_mut(), ctx, &response, Extra::default()).await
    }

    /// Reads the rest of a body that nobody wants, if it is not too much; closes the connection otherwise.
    async fn drop_body(&self, session: &mut Session) -> Result<()> {
        match body::read(session.as_downstream_mut()).await? {
            Body::Whole(_) => {}
            Body::Longer { .. } => session.set_keepalive(None),
        }
        Ok(())
    }
}

fn is_upgrade(head: &RequestHeader) -> bool {
    head.headers.contains_key(header::UPGRADE)
}

/// Whether the body is short and of a form that names ids.
fn may_name_ids(head: &RequestHeader) -> bool {
    let short = body::declared_length(head).is_some_and(|length| length > 0 && length <= body::LIMIT as u64);
    short
        && head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind.as_bytes();
            kind.starts_with(b"application/json") || kind.starts_with(b"application/x-www-form-urlencoded")
        })
}
