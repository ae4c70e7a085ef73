//! One exchange with the upstream: a whole request out, an answer in, one deadline over all of it.
//!
//! Traffic of handled routes, health checks and replays all go through here. Answers up to
//! [`Call::collect`] bytes are collected before anything reaches a client, so that an error body, a truncated or
//! a missing answer can still be replaced by the handlers' own; longer ones are handed on as a [`Stream`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::Method;
use pingora::{
    Error, ErrorType,
    connectors::{ConnectorOptions, TransportConnector},
    http::{RequestHeader, ResponseHeader},
    protocols::{
        self,
        http::v1::client::{HttpSession, http_req_header_to_wire},
    },
    time::timeout,
};
use tokio::io::AsyncWriteExt;

use super::{
    coding::decoded,
    failure::{Applied, Failure, FailureTest, Reason, Subject, refuses_content},
    idle::Idle,
    servers::{Peers, Servers, Tried},
};
use crate::keys;

/// What is to be exchanged.
pub(crate) struct Call {
    /// The head as it goes out.
    pub head: RequestHeader,
    /// The whole body.
    pub body: Bytes,
    /// The time for everything up to the end of a collected answer, or the head of a longer one.
    pub deadline: Duration,
    /// The same once the request has been sent, where that is longer.
    pub patience: Duration,
    /// The longest answer that is collected, in bytes.
    pub collect: usize,
    /// Whether a pooled connection that turns out dead may be tried once more on a new one: only where a second
    /// attempt cannot have a second effect.
    pub repeatable: bool,
    /// What the answer is tested as.
    pub subject: Subject,
}

/// An answer that counts.
pub(crate) enum Answer {
    /// All of it.
    Whole {
        /// The head as it came.
        head: Box<ResponseHeader>,
        /// The body as it came, content coding and all.
        body: Bytes,
    },
    /// The head and the beginning; the rest follows.
    Long(Box<Stream>),
}

impl Answer {
    /// The head as it came.
    pub(crate) fn head(&self) -> &ResponseHeader {
        match self {
            Self::Whole { head, .. } => head,
            Self::Long(stream) => &stream.head,
        }
    }
}

/// The rest of a long answer.
pub(crate) struct Stream {
    /// The head as it came.
    pub head: Box<ResponseHeader>,
    first: Option<Bytes>,
    session: HttpSession,
    peers: Arc<Peers>,
}

impl Stream {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The answer broke off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Box<Error>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        self.session.read_body_bytes().await
    }

    /// Gives the connection back, if its answer has been read to the end.
    pub(crate) async fn release(self) {
        keep(self.session, &self.peers.idle).await;
    }
}

/// Talks to the upstream.
pub(crate) struct Exchanger {
    connector: TransportConnector,
    test: FailureTest,
}

/// Where a single attempt failed.
struct Broken {
    reason: Reason,
    sent: bool,
    /// Nothing of an answer had come yet.
    silent: bool,
}

impl Exchanger {
    /// `options` names the trusted certificates.
    pub(crate) fn new(options: ConnectorOptions, test: FailureTest) -> Self {
        Self { connector: TransportConnector::new(Some(options)), test }
    }

    /// Sends a request to the next server in turn; to those after it as long as nothing could be sent.
    ///
    /// # Errors
    /// A [`Failure`] where no answer came that counts.
    pub(crate) async fn exchange(&self, servers: &Servers, call: Call) -> Result<Answer, Failure> {
        let started = Instant::now();
        let mut tried = Tried::new();
        let mut failed = Failure::unsent(Reason::NoAddress);
        while let Some((server, peers)) = servers.pick(&tried) {
            failed = match self.exchange_with(server, &peers, &call, started).await {
                Err(failure) if failure.never_connected() && started.elapsed() < call.deadline => failure,
                ended => return ended,
            };
            servers.pass_over(server);
            tried.push(server);
        }
        Err(failed)
    }

    async fn exchange_with(
        &self,
        server: usize,
        peers: &Arc<Peers>,
        call: &Call,
        started: Instant,
    ) -> Result<Answer, Failure> {
        let Some(resting) = peers.idle.take() else {
            return self.first(server, peers, Some(&peers.idle), call, started).await;
        };
        match self.converse(resting, peers, Some(&peers.idle), call, started).await {
            Ok(answer) => self.judge(server, answer, call),
            // A resting connection that the server had closed already says nothing about the server.
            Err(broken) if broken.silent && broken.reason == Reason::Reset && call.repeatable => {
                let again = self.first(server, peers, Some(&peers.idle), call, started).await;
                if broken.sent { after_doubt(again, broken, server, call) } else { again }
            }
            Err(broken) => Err(broken.into_failure(server)),
        }
    }

    /// Sends a request to one server, by a connection of its own that is closed afterwards.
    ///
    /// # Errors
    /// A [`Failure`] where no answer came that counts.
    pub(crate) async fn exchange_alone(
        &self,
        server: usize,
        peers: &Arc<Peers>,
        call: Call,
    ) -> Result<Answer, Failure> {
        self.first(server, peers, None, &call, Instant::now()).await
    }

    /// Sends a request by a new connection.
    async fn first(
        &self,
        server: usize,
        peers: &Arc<Peers>,
        idle: Option<&Idle>,
        call: &Call,
        started: Instant,
    ) -> Result<Answer, Failure> {
        let answer = match self.connect(peers, started + call.deadline).await {
            Ok(stream) => self.converse(stream, peers, idle, call, started).await,
            Err(broken) => Err(broken),
        };
        match answer {
            Ok(answer) => self.judge(server, answer, call),
            Err(broken) => Err(broken.into_failure(server)),
        }
    }

    async fn connect(&self, peers: &Peers, until: Instant) -> Result<protocols::Stream, Broken> {
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, self.connector.new_stream(&peers.peer)).await {
            Ok(connected) => connected.map_err(|error| Broken::connecting(&error)),
            Err(_) => Err(Broken::late(false)),
        }
    }

    /// Sends the request by a connection and reads the answer. The connection is kept for the next one in `idle`; where
    /// anything went wrong it is closed.
    async fn converse(
        &self,
        stream: protocols::Stream,
        peers: &Arc<Peers>,
        idle: Option<&Idle>,
        call: &Call,
        started: Instant,
    ) -> Result<Answer, Broken> {
        let until = started + call.deadline.max(call.patience);
        let left = until.saturating_duration_since(Instant::now());
        let (head, body, mut session) = match timeout(left, talk(stream, peers, call)).await {
            Ok(talked) => talked?,
            Err(_) => return Err(Broken::late(true)),
        };
        if !session.is_body_done() {
            session.read_timeout = Some(call.deadline);
            return Ok(Answer::Long(Box::new(Stream { head, first: Some(body), session, peers: peers.clone() })));
        }
        if let Some(idle) = idle {
            keep(session, idle).await;
        }
        Ok(Answer::Whole { head, body })
    }

    fn judge(&self, server: usize, answer: Answer, call: &Call) -> Result<Answer, Failure> {
        let (head, body) = match &answer {
            Answer::Whole { head, body } => (head, Some(body)),
            Answer::Long(stream) => (&stream.head, None),
        };
        let status = head.status.as_u16();
        let verdict = self.test.head(status, &head.headers, call.subject).and_then(|()| match body {
            Some(body) if self.test.reads_body() => {
                let plain = decoded(&head.headers, body).unwrap_or_default();
                self.test.body(status, &plain, call.subject)
            }
            _ => Ok(()),
        });
        match verdict {
            Ok(()) => Ok(answer),
            Err(reason) => Err(Failure {
                applied: if matches!(status, 429 | 503) { Applied::No } else { Applied::Possibly },
                reason,
                server: Some(server),
                retry_after: retry_after(head),
            }),
        }
    }
}

/// The answer to a second attempt where the connection that broke may have brought the first all the same.
///
/// A read is answered like any other. To a write, success is the answer of both, since the upstream honours its key, and
/// a refusal of its content would not have been given after a first attempt that was applied. Any other refusal (a
/// limit, credentials, a conflict with the first attempt that still runs) says nothing about the first.
fn after_doubt(again: Result<Answer, Failure>, first: Broken, server: usize, call: &Call) -> Result<Answer, Failure> {
    let answer = again.map_err(Failure::possibly)?;
    let head = answer.head();
    let is_read = call.head.method.is_safe() && !call.head.headers.contains_key(keys::HEADER);
    if is_read || head.status.is_success() || refuses_content(head.status.as_u16(), &head.headers) {
        return Ok(answer);
    }
    let retry_after = retry_after(head);
    Err(Failure { retry_after, ..first.into_failure(server) })
}

/// The seconds of a `Retry-After` header, where it has that form.
pub(crate) fn retry_after(head: &ResponseHeader) -> Option<u32> {
    head.headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Keeps the connection of an exchange for the next one, if its answer has been read to the end and both sides want to.
async fn keep(mut session: HttpSession, idle: &Idle) {
    session.respect_keepalive();
    if let Some(stream) = session.reuse().await {
        idle.put(stream);
    }
}

/// Writes the request and reads the answer: its head, and its body up to the limit.
async fn talk(
    stream: protocols::Stream,
    peers: &Peers,
    call: &Call,
) -> Result<(Box<ResponseHeader>, Bytes, HttpSession), Broken> {
    let mut session = send(stream, peers, call).await?;
    let head = loop {
        session.read_response().await.map_err(|error| Broken::talking(&error, true))?;
        let head = session
            .resp_header()
            .ok_or(Broken { reason: Reason::Malformed, sent: true, silent: false })?;
        if !head.status.is_informational() {
            break Box::new(head.clone());
        }
    };
    let body = collect(&mut session, call.collect)
        .await
        .map_err(|error| Broken::talking(&error, false))?;
    Ok((head, body, session))
}

/// Writes the request, head and body in one go: the server is woken once.
async fn send(mut stream: protocols::Stream, peers: &Peers, call: &Call) -> Result<HttpSession, Broken> {
    if call.head.method == Method::HEAD && call.body.is_empty() {
        // The session has to know that no body comes with the answer, whatever its head says.
        let mut session = HttpSession::new_with_options(stream, &peers.peer);
        let head = Box::new(call.head.clone());
        session
            .write_request_header(head)
            .await
            .map_err(|error| Broken::talking(&error, true))?;
        return Ok(session);
    }
    let mut wire =
        http_req_header_to_wire(&call.head).ok_or(Broken { reason: Reason::Malformed, sent: false, silent: true })?;
    wire.extend_from_slice(&call.body);
    let written = async {
        stream.write_all(&wire).await?;
        stream.flush().await
    };
    match written.await {
        Ok(()) => Ok(HttpSession::new_with_options(stream, &peers.peer)),
        Err(_) => Err(Broken { reason: Reason::Reset, sent: true, silent: true }),
    }
}

/// The body up to the limit; the session knows whether that is all.
async fn collect(session: &mut HttpSession, limit: usize) -> Result<Bytes, Box<Error>> {
    let Some(first) = session.read_body_bytes().await? else {
        return Ok(Bytes::new());
    };
    if session.is_body_done() {
        return Ok(first);
    }
    let mut body = BytesMut::from(&first[..]);
    while body.len() <= limit && !session.is_body_done() {
        match session.read_body_bytes().await? {
            Some(piece) => body.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(body.freeze())
}

impl Broken {
    fn late(sent: bool) -> Self {
        Self { reason: Reason::Timeout, sent, silent: false }
    }

    fn connecting(error: &Error) -> Self {
        let reason = match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Reason::Timeout,
            _ => Reason::Connect,
        };
        Self { reason, sent: false, silent: true }
    }

    fn talking(error: &Error, silent: bool) -> Self {
        let reason = match error.etype() {
            ErrorType::ReadTimedout | ErrorType::WriteTimedout => Reason::Timeout,
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::InvalidH2 => Reason::Malformed,
            _ => Reason::Reset,
        };
        Self { reason, sent: true, silent }
    }

    fn into_failure(self, server: usize) -> Failure {
        Failure {
            reason: self.reason,
            applied: if self.sent { Applied::Possibly } else { Applied::No },
            server: Some(server),
            retry_after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: usize = 0;

    fn call(method: Method, key: Option<&str>) -> Call {
        let mut head = RequestHeader::build(method, b"/placeOrder", None).expect("a head");
        if let Some(key) = key {
            head.insert_header(keys::HEADER, key).expect("a header");
        }
        Call {
            head,
            body: Bytes::new(),
            deadline: Duration::from_secs(1),
            patience: Duration::ZERO,
            collect: 0,
            repeatable: true,
            subject: Subject::Traffic,
        }
    }

    fn second(status: u16, kind: &str, call: &Call) -> Result<Answer, Failure> {
        let mut head = ResponseHeader::build(status, None).expect("a head");
        head.insert_header("Content-Type", kind).expect("a header");
        let answer = Answer::Whole { head: Box::new(head), body: Bytes::new() };
        let first = Broken { reason: Reason::Reset, sent: true, silent: true };
        after_doubt(Ok(answer), first, SERVER, call)
    }

    #[test]
    fn a_refusal_of_the_second_attempt_says_nothing_of_a_first_that_may_have_arrived() {
        let call = call(Method::POST, Some("k"));
        for (status, kind) in [
            (401, "application/json"),
            (403, "application/json"),
            (404, "text/html"),
            (409, "application/json"),
            (425, "application/json"),
            (429, "application/json"),
            (302, "text/html"),
        ] {
            let failure = second(status, kind, &call).err().expect("no answer that counts");
            assert_eq!(failure.applied, Applied::Possibly, "{status}");
        }
    }

    #[test]
    fn success_is_the_answer_of_both_attempts_and_so_is_a_refusal_of_the_content() {
        let call = call(Method::POST, Some("k"));
        for status in [200, 201, 400, 404, 410, 422] {
            assert!(second(status, "application/json", &call).is_ok(), "{status}");
        }
    }

    #[test]
    fn a_second_read_is_answered_like_a_first() {
        assert!(second(429, "text/html", &call(Method::GET, None)).is_ok());
        // The path makes a write, not the method.
        assert!(second(429, "text/html", &call(Method::GET, Some("k"))).is_err());
    }
}
