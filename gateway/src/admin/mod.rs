//! The operator's listener: health, metrics, status, mode and queue as JSON.

mod exposition;
mod guard;
mod import;
mod keeping;
mod pages;
mod queue;

use std::{fs, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Response, StatusCode, header};
use megamind_domain::Domain;
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession};
use serde_json::{Value, json};

use crate::{
    core::Core,
    gateway::{Desk, StartError},
    handle::{Asked, Handle},
};
use guard::Guard;

/// The longest body that is read: a file of some ten thousand pilots.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The administration: a Pingora application.
pub struct Admin<D: Domain> {
    core: Arc<Core<D>>,
    desk: Desk<D>,
    guard: Guard,
}

/// What a page answers.
type Page = Result<Body, Refusal>;

/// The body of a page.
enum Body {
    Json(Value),
    Text(&'static str, String),
}

/// Why a page does not answer.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing under this path.")
    }
}

impl<D: Domain> Admin<D> {
    pub(crate) fn new(core: Arc<Core<D>>, desk: Desk<D>) -> Result<Self, StartError> {
        let token = match &core.config.admin.token_file {
            None => None,
            Some(path) => Some(
                fs::read_to_string(path)
                    .map_err(|error| StartError::File(format!("admin.token_file: {}: {error}", path.display())))?
                    .trim()
                    .to_owned(),
            ),
        };
        Ok(Self { core, desk, guard: Guard::new(token) })
    }

    async fn page(&self, method: &Method, path: &str, query: Option<&str>, body: &Bytes) -> Page {
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            (&Method::GET, ["healthz"]) => Ok(Body::Text("text/plain", "ok\n".into())),
            (&Method::GET, ["readyz"]) => self.ready(),
            (&Method::GET, ["metrics"]) => self.metrics(),
            (&Method::GET, ["admin", "status"]) => Ok(Body::Json(self.status())),
            (&Method::POST, ["admin", "mode"]) => self.set_mode(body).await,
            (&Method::GET, ["admin", "queue"]) => self.queue(query).await,
            (&Method::GET, ["admin", "queue", "export"]) => self.export(query).await,
            (&Method::POST, ["admin", "queue", "release"]) => self.release(body).await,
            (&Method::POST, ["admin", "backup"]) => self.backup(body).await,
            (&Method::GET, ["admin", "queue", id]) => self.entry(id).await,
            (&Method::POST, ["admin", "queue", id, action]) => self.settle(id, action, body).await,
            (&Method::POST, ["admin", "import", name]) => self.import(name, body).await,
            (
                _,
                ["healthz" | "readyz" | "metrics"] | ["admin", "status" | "mode" | "queue" | "import" | "backup", ..],
            ) => Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("{method} does not work on this path."),
            )),
            _ => self.own(method, path, query, body).await,
        }
    }

    /// A page of the domain's own.
    async fn own(&self, method: &Method, path: &str, query: Option<&str>, body: &Bytes) -> Page {
        let found = self.desk.pages.iter().find_map(|pages| Some((pages, pages.rest(path)?)));
        let (pages, rest) = found.ok_or_else(Refusal::not_found)?;
        if !matches!(*method, Method::GET | Method::POST) {
            return Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("{method} does not work on this path."),
            ));
        }
        let asked = Asked {
            post: *method == Method::POST,
            rest,
            query: query.unwrap_or_default().to_owned(),
            body: body.clone(),
        };
        let answer = (pages.answer)(Handle(self.core.clone()), asked).await;
        answer.map(Body::Json).map_err(|error| {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Refusal::new(status, error.code, error.detail)
        })
    }
}

#[async_trait]
impl<D: Domain> ServeHttp for Admin<D> {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header().clone();
        let path = head.uri.path();
        let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
        let page = match self.guard.admit(&head) {
            Err(refusal) => Err(refusal),
            Ok(()) => match read(session).await {
                Ok(body) => self.page(&method, path, head.uri.query(), &body).await,
                Err(refusal) => Err(refusal),
            },
        };
        render(page, head.method == Method::HEAD)
    }
}

async fn read(session: &mut ServerSession) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Ok(body.freeze()),
            Err(_) => {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "broken_body", "The body broke off."));
            }
        }
        if body.len() > MAX_BODY {
            session.set_keepalive(None);
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("A body has {MAX_BODY} bytes at most."),
            ));
        }
    }
}

fn render(page: Page, head_only: bool) -> Response<Vec<u8>> {
    let (status, kind, body) = match page {
        Ok(Body::Json(value)) => (StatusCode::OK, "application/json", format!("{value}\n")),
        Ok(Body::Text(kind, text)) => (StatusCode::OK, kind, text),
        Err(refusal) => {
            let problem = json!({
                "type": "about:blank",
                "title": refusal.status.canonical_reason(),
                "status": refusal.status.as_u16(),
                "code": refusal.code,
                "detail": refusal.detail,
            });
            (refusal.status, "application/problem+json", format!("{problem}\n"))
        }
    };
    let length = body.len();
    let mut response = Response::new(if head_only { Vec::new() } else { body.into_bytes() });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
