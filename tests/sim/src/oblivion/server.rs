//! One request: control plane, fault, endpoint, answer.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::cloud::{Admission, Cloud, WriteRequest};
use super::dialect::{Dialect, Rendered};
use super::endpoint::{Endpoint, Read, Write};
use super::fault::{FaultKind, Faults, Strike};
use super::form;
use super::refusal::Refusal;

/// Larger bodies are refused.
const MAX_BODY: usize = 16 << 20;
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The connection ends here, without an answer or in the middle of one.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by a fault")]
pub(crate) struct Cut;

/// A body that may end too early.
#[derive(Debug)]
pub(crate) struct Answer {
    data: Option<Bytes>,
    cut: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let data = self.data.take().map(|data| Ok(Frame::data(data)));
        Poll::Ready(data.or_else(|| std::mem::take(&mut self.cut).then_some(Err(Cut))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, self.cut) {
            (_, true) => SizeHint::new(),
            (Some(data), false) => SizeHint::with_exact(data.len() as u64),
            (None, false) => SizeHint::with_exact(0),
        }
    }
}

type Reply = Result<Response<Answer>, Cut>;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) dialect: Dialect,
    pub(crate) latency: Duration,
    pub(crate) gzip: bool,
    /// Whether `/findOrder` is there.
    pub(crate) can_be_asked: bool,
}

/// A request that has been read to its end.
struct Whole {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Whole {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

impl Shared {
    /// Answers on the public listener.
    pub(crate) async fn public(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let request = match read(request).await {
            Ok(request) => request,
            Err(refusal) => return Ok(respond(self.dialect.render_refusal(&refusal))),
        };
        if request.path.starts_with("/__") {
            return Ok(self.control_plane(&request));
        }
        let accepts_gzip = self.gzip && request.header(header::ACCEPT_ENCODING).contains("gzip");
        let authorization = request.header(header::AUTHORIZATION);
        let response = match self.faults.strike(request.method.as_str(), &request.path, authorization) {
            Some(strike) => self.struck(strike, request).await?,
            None => self.serve(request).await,
        };
        Ok(if accepts_gzip { compressed(response) } else { response })
    }

    /// Answers on the control listener, which no fault touches.
    pub(crate) async fn control(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        Ok(match read(request).await {
            Ok(request) => self.control_plane(&request),
            Err(refusal) => respond(Dialect::Default.render_refusal(&refusal)),
        })
    }

    fn control_plane(&self, request: &Whole) -> Response<Answer> {
        let is_set = request.method == Method::POST || request.method == Method::PUT;
        match request.path.as_str() {
            "/__fault" if is_set => {
                let fault = serde_json::from_slice(&request.body).map_err(|error| error.to_string());
                match fault.and_then(|fault| self.faults.set(fault)) {
                    Ok(()) => json_response(StatusCode::OK, &self.faults.show()),
                    Err(why) => respond(Dialect::Default.render_refusal(&Refusal::MalformedBody(why))),
                }
            }
            "/__fault" if request.method == Method::DELETE => {
                self.faults.clear();
                json_response(StatusCode::OK, &Value::Null)
            }
            "/__fault" => json_response(StatusCode::OK, &self.faults.show()),
            "/__log" => {
                let since = form_urlencoded::parse(request.query.as_bytes())
                    .find_map(|(name, value)| (name == "since").then(|| value.parse().ok())?)
                    .unwrap_or(0);
                json_response(StatusCode::OK, &json!(self.cloud.log_since(since)))
            }
            "/__orders" => json_response(StatusCode::OK, &self.cloud.snapshot()),
            _ => respond(Dialect::Default.render_refusal(&Refusal::NotFound(request.path.clone()))),
        }
    }

    /// A request that is hit by a fault.
    async fn struck(self: &Arc<Self>, strike: Strike, request: Whole) -> Reply {
        tracing::debug!(kind = ?strike.fault.kind, path = request.path, "a fault hits");
        let fault = &strike.fault;
        let refuse = |status: StatusCode| {
            let refusal = Refusal::Injected(format!("fault {:?} is set", fault.kind), status);
            respond(self.dialect.render_refusal(&refusal))
        };
        Ok(match fault.kind {
            FaultKind::Status | FaultKind::Flap => {
                refuse(StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            }
            FaultKind::RateLimit => {
                let mut response = refuse(StatusCode::TOO_MANY_REQUESTS);
                let seconds = fault.delay().as_millis().div_ceil(1_000) as u64;
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            FaultKind::ErrorBody => json_response(StatusCode::OK, &self.dialect.error_body()),
            FaultKind::Html => {
                let page = "<!doctype html><title>Under maintenance</title><h1>We will be back soon</h1>";
                response(StatusCode::OK, "text/html; charset=utf-8", page.into())
            }
            FaultKind::CaptivePortal => {
                let mut response = response(StatusCode::FOUND, "text/html", "<a href=\"/\">Log in</a>".into());
                response
                    .headers_mut()
                    .insert(header::LOCATION, HeaderValue::from_static("http://portal.invalid/"));
                response
            }
            FaultKind::NoBackend => {
                let page = "<!doctype html><title>404</title><h1>No backend serves this host</h1>";
                response(StatusCode::NOT_FOUND, "text/html; charset=utf-8", page.into())
            }
            FaultKind::ExpiredCredentials => {
                let mut response = refuse(StatusCode::UNAUTHORIZED);
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
            FaultKind::Slow => {
                tokio::time::sleep(fault.delay()).await;
                self.serve(request).await
            }
            FaultKind::Truncate => truncated(self.serve(request).await),
            FaultKind::LoseReply => {
                self.serve(request).await;
                return Err(Cut);
            }
            FaultKind::ApplyLate => {
                let (shared, delay) = (Arc::clone(self), fault.delay());
                // A task of its own: it goes on when the client gives up.
                tokio::spawn(async move { shared.serve_after(delay, request).await });
                self.faults.until_changed(&strike).await;
                return Err(Cut);
            }
            // A request that was on its way while the port was being closed.
            FaultKind::Reset | FaultKind::Refuse => return Err(Cut),
            FaultKind::Hang => {
                self.faults.until_changed(&strike).await;
                return Err(Cut);
            }
        })
    }

    async fn serve_after(&self, delay: Duration, request: Whole) {
        let Some(Ok(write)) = self.prepare_write(&request) else {
            return;
        };
        // The key is claimed before the delay: all the while it is in use.
        if let Ok(Admission::Apply(claim)) = self.cloud.admit(&write).await {
            tokio::time::sleep(delay).await;
            if let Err(refusal) = self.cloud.apply(claim, write).await {
                tracing::debug!(%refusal, "a late write is refused");
            }
        }
    }

    /// A request that works.
    async fn serve(&self, request: Whole) -> Response<Answer> {
        tokio::time::sleep(self.latency).await;
        let path = request.path.as_str();
        if path == "/healthz" {
            return respond(self.dialect.render(None, json!({ "status": "ok" })));
        }
        if request.method == Method::OPTIONS {
            return preflight();
        }
        match self.prepare_write(&request) {
            Some(Ok(write)) => self.serve_write(write, &request).await,
            Some(Err(refusal)) => respond(self.dialect.render_refusal(&refusal)),
            None if path == "/echo" => echo(&request),
            None if is_catalogue(path) => response(StatusCode::OK, "application/json", self.cloud.page(path).into()),
            None => match self.serve_read(&request) {
                Ok(value) => respond(self.dialect.render(None, value)),
                Err(refusal) => respond(self.dialect.render_refusal(&refusal)),
            },
        }
    }

    fn serve_read(&self, request: &Whole) -> Result<Value, Refusal> {
        match self.dialect.endpoint(&request.path) {
            Some(Endpoint::Read(Read::FindOrder)) if !self.can_be_asked => Err(Refusal::NotFound(request.path.clone())),
            Some(Endpoint::Read(read)) => {
                let params = form::parse(&request.query, request.header(header::CONTENT_TYPE), &request.body)?;
                self.cloud.read(read, &self.dialect.read(params))
            }
            _ => Err(Refusal::NotFound(request.path.clone())),
        }
    }

    /// The write that a request is, if it is one. The path makes it one, not the method: old
    /// clients cancel by GET.
    fn prepare_write(&self, request: &Whole) -> Option<Result<WriteRequest, Refusal>> {
        let endpoint = self.dialect.endpoint(&request.path);
        let (write, has_params) = match endpoint {
            Some(Endpoint::Write(write)) => (write, true),
            None if request.path == "/echo" && !request.is_read() => (Write::Echo, false),
            None if is_catalogue(&request.path) && !request.is_read() => (Write::Catalogue, false),
            _ => return None,
        };
        let content_type = request.header(header::CONTENT_TYPE);
        let params = if has_params {
            match form::parse(&request.query, content_type, &request.body) {
                Ok(params) => self.dialect.read(params),
                Err(refusal) => return Some(Err(refusal)),
            }
        } else {
            serde_json::Map::new()
        };
        let ours = request
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-megamind-"));
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: BTreeMap<_, _> = ours.map(|(name, value)| (name.to_string(), text(value))).collect();
        let rendered = self.dialect.render(Some(write), Value::Null);
        Some(Ok(WriteRequest {
            write,
            params,
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.query.clone(),
            content_type: content_type.to_owned(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            key: request.headers.get("idempotency-key").map(text),
            headers,
            success: rendered.status.as_u16(),
        }))
    }

    async fn serve_write(&self, write: WriteRequest, request: &Whole) -> Response<Answer> {
        let kind = write.write;
        let answer = match self.cloud.admit(&write).await {
            Ok(Admission::Answered(answer)) => Ok(answer),
            Ok(Admission::Apply(claim)) => self.cloud.apply(claim, write).await,
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(answer) => {
                let mut response = match kind {
                    Write::Echo => echo(request),
                    Write::Catalogue => json_response(StatusCode::OK, &answer.value),
                    _ => respond(self.dialect.render(Some(kind), answer.value)),
                };
                if answer.replayed {
                    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                }
                response
            }
            Err(refusal) => respond(self.dialect.render_refusal(&refusal)),
        }
    }
}

async fn read(request: Request<Incoming>) -> Result<Whole, Refusal> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Refusal::TooLarge(MAX_BODY)
        } else {
            Refusal::MalformedBody(error.to_string())
        }
    })?;
    Ok(Whole {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.to_bytes(),
    })
}

fn is_catalogue(path: &str) -> bool {
    path.starts_with("/catalogue/")
}

/// The request, told back.
fn echo(request: &Whole) -> Response<Answer> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect();
    let said = json!({
        "method": request.method.as_str(),
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "body": String::from_utf8_lossy(&request.body),
        "bodyBytes": request.body.len(),
    });
    json_response(StatusCode::OK, &said)
}

fn preflight() -> Response<Answer> {
    let mut answer = response(StatusCode::NO_CONTENT, "", Bytes::new());
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer
}

fn respond(rendered: Rendered) -> Response<Answer> {
    response(rendered.status, rendered.content_type, rendered.body)
}

fn json_response(status: StatusCode, value: &Value) -> Response<Answer> {
    response(status, "application/json", value.to_string().into())
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Answer> {
    let mut response = Response::new(Answer { data: Some(body), cut: false });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::SERVER, HeaderValue::from_static("oblivion"));
    response
}

/// The same answer with half of its body, under the length of the whole.
fn truncated(mut response: Response<Answer>) -> Response<Answer> {
    let body = response.body_mut();
    let length = body.data.as_ref().map_or(0, Bytes::len);
    body.data = body.data.take().map(|data| data.slice(..length / 2));
    body.cut = true;
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length as u64));
    response
}

fn compressed(mut response: Response<Answer>) -> Response<Answer> {
    if response.body().cut || response.status() == StatusCode::NO_CONTENT {
        return response;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let plain = response.body_mut().data.take().unwrap_or_default();
    match encoder.write_all(&plain).and_then(|()| encoder.finish()) {
        Ok(packed) => {
            response.body_mut().data = Some(packed.into());
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
                .headers_mut()
                .insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        // Writing to memory does not fail; if it did, the answer goes as it was.
        Err(_) => response.body_mut().data = Some(plain),
    }
    response
}
