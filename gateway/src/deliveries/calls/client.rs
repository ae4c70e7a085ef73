//! One POST to a pilot's app or a merchant's service: to the address that was checked, without redirects, within a time
//! and a size.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use megamind_handlers::calls::allow::{AllowList, CallUrl};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::address::{NoAddress, Resolve, System, checked};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The longest `Retry-After` that is followed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Makes calls.
pub(super) struct Client {
    timeout: Duration,
    allow: AllowList,
    tls: TlsConnector,
    resolver: Box<dyn Resolve>,
}

/// Why a call did not count.
#[derive(Debug)]
pub(in crate::deliveries) enum Failure {
    /// The target may not be called, or there is none.
    NotAllowed(String),
    /// Nobody there: no address, no connection, no TLS.
    Unreachable(String),
    /// No whole answer in time.
    TimedOut(Duration),
    /// An answer other than 2xx.
    Status {
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// No proper answer.
    Broken(String),
    /// It could not be made as it should be; the fault is on this side.
    Unready(String),
}

impl Failure {
    /// Whether the target as a whole is away, not only this call refused.
    pub(super) fn is_targets(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed(why) | Self::Unreachable(why) | Self::Broken(why) | Self::Unready(why) => f.write_str(why),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::Status { status, .. } if status.is_redirection() => {
                write!(f, "answered {status}; redirects are not followed")
            }
            Self::Status { status, .. } => write!(f, "answered {status}"),
        }
    }
}

impl Client {
    /// A client that verifies TLS by the certificates in a file, or the system's.
    pub(super) fn new(timeout: Duration, allow: AllowList, ca: Option<&Path>) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(ca, "callbacks.ca")?)
            .with_no_client_auth();
        Ok(Self { timeout, allow, tls: TlsConnector::from(Arc::new(config)), resolver: Box::new(System) })
    }

    /// Posts JSON to `path` behind a URL. It is told once 2xx is answered: what else the answer says is the target's own
    /// affair, and read only because there are programs that end half-way where nobody listens.
    pub(super) async fn tell(
        &self,
        url: &CallUrl,
        path: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout;
        let taken = self.post(url, path, headers, body, deadline).await?;
        let _ = timeout_at(deadline, taken.answer()).await;
        Ok(())
    }

    /// Posts JSON to `path` behind a URL, and gives the answer of a 2xx.
    pub(super) async fn ask(&self, url: &CallUrl, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let deadline = Instant::now() + self.timeout;
        let taken = self.post(url, path, Vec::new(), body, deadline).await?;
        let answer = timeout_at(deadline, taken.answer()).await;
        answer.unwrap_or(Err(Failure::TimedOut(self.timeout)))
    }

    async fn post(
        &self,
        url: &CallUrl,
        path: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Taken, Failure> {
        let call = async {
            let address = checked(&*self.resolver, &self.allow, url).await.map_err(|error| match error {
                NoAddress::Unresolved(why) => Failure::Unreachable(why),
                NoAddress::NotAllowed(why) => Failure::NotAllowed(why),
            })?;
            let stream = (TcpStream::connect(address).await)
                .map_err(|error| Failure::Unreachable(format!("no connection to {address}: {error}")))?;
            let _ = stream.set_nodelay(true);
            let request = request(url, path, headers, body)?;
            if url.tls {
                let name = ServerName::try_from(url.host.to_string())
                    .map_err(|error| Failure::NotAllowed(error.to_string()))?;
                let stream = (self.tls.connect(name, stream).await)
                    .map_err(|error| Failure::Unreachable(format!("no TLS with {}: {error}", url.host)))?;
                exchange(stream, request).await
            } else {
                exchange(stream, request).await
            }
        };
        let taken = timeout_at(deadline, call).await;
        taken.unwrap_or(Err(Failure::TimedOut(self.timeout)))
    }

    /// Whom it may call.
    pub(super) fn allow(&self) -> &AllowList {
        &self.allow
    }
}

/// The certificates in a file, or the system's. `key` is what the configuration calls the file.
pub(in crate::deliveries) fn roots(ca: Option<&Path>, key: &str) -> anyhow::Result<RootCertStore> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let named = || format!("{key}: {}", path.display());
        for certificate in CertificateDer::pem_file_iter(path).with_context(named)? {
            roots.add(certificate.with_context(named)?).with_context(named)?;
        }
        return Ok(roots);
    }
    // A machine without certificates can still call services without TLS; those with it fail by name.
    let found = rustls_native_certs::load_native_certs().unwrap_or_default();
    let (_, refused) = roots.add_parsable_certificates(found);
    if refused > 0 {
        tracing::debug!(refused, "certificates of the system that cannot be used");
    }
    Ok(roots)
}

fn request(
    url: &CallUrl,
    path: &str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::post(format!("{}{path}", url.base))
        .header(header::HOST, url.authority())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, concat!("megamind/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(body))
        .map_err(|error| Failure::NotAllowed(format!("the URL cannot be called: {error}")))?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// One request over a connection, and the body of a 2xx.
pub(in crate::deliveries) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Taken, Failure> {
    let broken = |error: hyper::Error| Failure::Broken(format!("the exchange broke off: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends with the call: dropped, it closes the connection.
    let connection = AbortOnDrop(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    if !status.is_success() {
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let seconds = retry_after.and_then(|text| text.trim().parse().ok());
        let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        return Err(Failure::Status { status, retry_after });
    }
    Ok(Taken { body: response.into_body(), _connection: connection })
}

/// A call that was answered with 2xx.
pub(in crate::deliveries) struct Taken {
    body: Incoming,
    _connection: AbortOnDrop<hyper::Result<()>>,
}

impl Taken {
    /// The whole body.
    pub(in crate::deliveries) async fn answer(self) -> Result<Bytes, Failure> {
        let body = Limited::new(self.body, MAX_ANSWER).collect().await;
        body.map(Collected::to_bytes)
            .map_err(|error| Failure::Broken(format!("the answer broke off: {error}")))
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
