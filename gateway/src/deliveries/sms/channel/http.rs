//! A provider that is asked by HTTP, with a request of a template.

use std::{fs, sync::Arc};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use megamind_conf::{HttpMethod, HttpSms};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    Channel, Message, Sending,
    pattern::{Place, fill},
};
use crate::deliveries::calls::client::{Failure, exchange, roots};

pub(super) struct HttpChannel {
    settings: HttpSms,
    headers: Vec<(HeaderName, String)>,
    body_place: Place,
    /// Where the provider is, whatever the message.
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

impl HttpChannel {
    /// # Errors
    /// The certificates cannot be read, or a header or URL is none.
    pub(super) fn new(settings: &HttpSms) -> anyhow::Result<Self> {
        let key = |what: &str| format!("sms.http {}: {what}", settings.name);
        let headers: Vec<(HeaderName, String)> = (settings.headers.iter())
            .map(|(name, value)| Ok((name.parse().with_context(|| key(&format!("headers: {name}")))?, value.clone())))
            .collect::<anyhow::Result<_>>()?;
        let sample = Message {
            row: 0,
            id: "x".into(),
            number: "+1".into(),
            text: "x".into(),
            template_id: "x".into(),
            assignment: false,
            report: false,
        };
        let uri: Uri = fill(&settings.url, &sample, "x", Place::Encoded)
            .parse()
            .with_context(|| key("url"))?;
        let host = uri
            .host()
            .map(|host| host.trim_matches(['[', ']']).to_owned())
            .with_context(|| key("url: no host"))?;
        let is_tls = uri.scheme_str() == Some("https");
        let tls = is_tls.then(|| connector(settings)).transpose().with_context(|| key("ca"))?;
        let content_type = settings
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        Ok(Self {
            body_place: content_type.map_or(Place::Plain, |(_, value)| Place::of(value)),
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            settings: settings.clone(),
            headers,
            host,
            tls,
        })
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let connecting = timeout(self.settings.timeout, TcpStream::connect((&*self.host, self.port)));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(format!("no connection to {}:{}: {error}", self.host, self.port)),
            Err(_) => {
                return Err(format!("no connection to {}:{} within {:?}", self.host, self.port, self.settings.timeout));
            }
        };
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn request(&self, message: &Message, secret: &str) -> Result<Request<Full<Bytes>>, String> {
        let settings = &self.settings;
        let url = fill(&settings.url, message, secret, Place::Encoded);
        let uri: Uri = url.parse().map_err(|error| format!("its URL is none: {error}"))?;
        let authority = uri.authority().ok_or("its URL has no host")?.as_str().to_owned();
        let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let (method, body) = match settings.method {
            HttpMethod::Get => ("GET", String::new()),
            HttpMethod::Post => ("POST", fill(&settings.body, message, secret, self.body_place)),
            HttpMethod::Put => ("PUT", fill(&settings.body, message, secret, self.body_place)),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, authority)
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, concat!("megamind/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| format!("its URL cannot be asked: {error}"))?;
        for (name, pattern) in &self.headers {
            let value = HeaderValue::from_str(&fill(pattern, message, secret, Place::Line))
                .map_err(|_| format!("its header {name} is none"))?;
            request.headers_mut().insert(name.clone(), value);
        }
        Ok(request)
    }

    fn secret(&self) -> Result<String, String> {
        let Some(path) = &self.settings.secret_file else { return Ok(String::new()) };
        let secret = fs::read_to_string(path).map_err(|error| format!("secret_file: {}: {error}", path.display()))?;
        Ok(secret.trim().to_owned())
    }

    async fn ask(&self, message: &Message) -> Result<Bytes, Sending> {
        let secret = self.secret().map_err(Sending::NotSent)?;
        let request = self.request(message, &secret).map_err(Sending::Refused)?;
        let stream = self.connect().await.map_err(Sending::NotSent)?;
        let limit = self.settings.timeout;
        let late = || Sending::Unknown(format!("no answer within {limit:?}"));
        let Some(tls) = &self.tls else {
            return timeout(limit, answered(stream, request))
                .await
                .map_err(|_| late())?
                .map_err(judged);
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| Sending::NotSent(error.to_string()))?;
        let stream = timeout(limit, tls.connect(name, stream))
            .await
            .map_err(|_| Sending::NotSent(format!("no TLS within {limit:?}")))?
            .map_err(|error| Sending::NotSent(format!("no TLS with {}: {error}", self.host)))?;
        timeout(limit, answered(stream, request))
            .await
            .map_err(|_| late())?
            .map_err(judged)
    }
}

/// One request over a connection, and the body of its good answer.
async fn answered(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Bytes, Failure> {
    exchange(stream, request).await?.answer().await
}

fn connector(settings: &HttpSms) -> anyhow::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(settings.ca.as_deref(), "sms.http.ca")?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What a failure says about the message. As for Oblivion, whatever was answered but 429 and 503 may have had effect,
/// unless it is the provider's plain no.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn judged(failure: Failure) -> Sending {
    let text = failure.to_string();
    let Failure::Status { status, .. } = failure else {
        return match failure {
            Failure::NotAllowed(_) | Failure::Unreachable(_) => Sending::NotSent(text),
            _ => Sending::Unknown(text),
        };
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE
        // Who asks is wrong, not what is asked: the operator has to look, and other messages would fare no better.
        | StatusCode::UNAUTHORIZED
        | StatusCode::PAYMENT_REQUIRED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED => Sending::NotSent(text),
        status if status.is_client_error() || status.is_redirection() => Sending::Refused(text),
        _ => Sending::Unknown(text),
    }
}

#[async_trait]
impl Channel for HttpChannel {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn most(&self) -> usize {
        self.settings.max_concurrency
    }

    /// Somebody listens there. Whether they send, the messages will tell.
    async fn beat(&self) -> Result<(), String> {
        self.connect().await.map(drop)
    }

    async fn send(&self, message: &Message) -> Sending {
        match self.ask(message).await {
            Err(sending) => sending,
            Ok(body) => match &self.settings.success {
                Some(wanted) if !String::from_utf8_lossy(&body).contains(&**wanted) => {
                    Sending::Refused(format!("its answer does not contain {wanted:?}"))
                }
                _ => Sending::Sent,
            },
        }
    }
}
