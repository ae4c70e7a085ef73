//! One exchange with the upstream: a whole request out, an answer in, one deadline over all of it.
//!
//! Traffic of handled routes, health checks and replays all go through here. Answers up to
//! [`Call::collect`] bytes are collected before anything reaches a client, so that an error body, a truncated or
//! a missing answer can still be replaced by the handlers' own; longer ones are handed on as a [`Stream`].

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use pingora::{
    Error, ErrorType,
    connectors::{ConnectorOptions, http::Connector},
    http::{RequestHeader, ResponseHeader},
    protocols::http::client::HttpSession,
    upstreams::peer::{HttpPeer, Peer},
};

use super::{
    coding::decoded,
    failure::{Applied, Failure, FailureTest, Reason, Subject},
    servers::Servers,
};

/// What is to be exchanged.
pub(crate) struct Call {
    /// The head as it goes out.
    pub head: RequestHeader,
    /// The whole body.
    pub body: Bytes,
    /// The time for everything up to the end of a collected answer, or the head of a longer one.
    pub deadline: Duration,
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

/// The rest of a long answer.
pub(crate) struct Stream {
    /// The head as it came.
    pub head: Box<ResponseHeader>,
    first: Option<Bytes>,
    session: HttpSession,
    peer: HttpPeer,
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
        self.session.read_response_body().await
    }
}

/// Connections to the upstream, for one runtime.
pub(crate) struct Exchanger {
    connector: Connector,
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
    /// A pool of its own. `options` names the trusted certificates.
    pub(crate) fn new(options: ConnectorOptions, test: FailureTest) -> Self {
        Self { connector: Connector::new(Some(options)), test }
    }

    /// Sends a request to the next server in turn.
    ///
    /// # Errors
    /// A [`Failure`] where no answer came that counts.
    pub(crate) async fn exchange(&self, servers: &Servers, call: Call) -> Result<Answer, Failure> {
        let Some((index, peers)) = servers.pick() else {
            return Err(Failure::unsent(Reason::NoAddress));
        };
        self.exchange_with(index, &peers.pooled, &peers.fresh, call).await
    }

    /// Sends a request to one server.
    ///
    /// # Errors
    /// A [`Failure`] where no answer came that counts.
    pub(crate) async fn exchange_with(
        &self,
        server: usize,
        pooled: &HttpPeer,
        fresh: &HttpPeer,
        call: Call,
    ) -> Result<Answer, Failure> {
        let until = Instant::now() + call.deadline;
        let first = self.attempt(pooled, pooled, &call, until).await;
        let (broken, reused) = match first {
            Ok(answer) => return self.judge(server, answer, &call),
            Err(failed) => failed,
        };
        // A pooled connection that the server had closed already says nothing about the server.
        if reused && broken.silent && broken.reason == Reason::Reset && call.repeatable {
            return match self.attempt(fresh, pooled, &call, until).await {
                Ok(answer) => self.judge(server, answer, &call),
                Err((mut again, _)) => {
                    again.sent |= broken.sent;
                    Err(again.into_failure(server))
                }
            };
        }
        Err(broken.into_failure(server))
    }

    async fn attempt(
        &self,
        peer: &HttpPeer,
        pool: &HttpPeer,
        call: &Call,
        until: Instant,
    ) -> Result<Answer, (Broken, bool)> {
        let left = || until.saturating_duration_since(Instant::now());
        let connected = tokio::time::timeout(left(), self.connector.get_http_session(peer)).await;
        let (mut session, reused) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err((Broken::connecting(&error), false)),
            Err(_) => return Err((Broken::late(false), false)),
        };
        session.set_read_timeout(None);
        let exchanged = tokio::time::timeout(left(), converse(&mut session, call)).await;
        match exchanged {
            Ok(Ok((head, body, true))) => {
                self.connector.release_http_session(session, pool, pool.idle_timeout()).await;
                Ok(Answer::Whole { head, body })
            }
            Ok(Ok((head, body, false))) => {
                session.set_read_timeout(Some(call.deadline));
                Ok(Answer::Long(Box::new(Stream { head, first: Some(body), session, peer: pool.clone() })))
            }
            Ok(Err(broken)) => {
                session.shutdown().await;
                Err((broken, reused))
            }
            Err(_) => {
                session.shutdown().await;
                Err((Broken::late(true), reused))
            }
        }
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

    /// Gives the connection of a long answer back to the pool, if its answer has been read to the end.
    pub(crate) async fn release(&self, stream: Stream) {
        let idle = stream.peer.idle_timeout();
        self.connector.release_http_session(stream.session, &stream.peer, idle).await;
    }
}

/// The seconds of a `Retry-After` header, where it has that form.
pub(crate) fn retry_after(head: &ResponseHeader) -> Option<u32> {
    head.headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Writes the request and reads the answer: its head, its body up to the limit, and whether that is all.
async fn converse(session: &mut HttpSession, call: &Call) -> Result<(Box<ResponseHeader>, Bytes, bool), Broken> {
    write(session, call).await.map_err(|error| Broken::talking(&error, true))?;
    let head = loop {
        session
            .read_response_header()
            .await
            .map_err(|error| Broken::talking(&error, true))?;
        let head = session
            .response_header()
            .ok_or(Broken { reason: Reason::Malformed, sent: true, silent: false })?;
        if !head.status.is_informational() {
            break Box::new(head.clone());
        }
    };
    let (body, whole) = collect(session, call.collect)
        .await
        .map_err(|error| Broken::talking(&error, false))?;
    Ok((head, body, whole))
}

async fn write(session: &mut HttpSession, call: &Call) -> Result<(), Box<Error>> {
    session.write_request_header(Box::new(call.head.clone())).await?;
    if !call.body.is_empty() {
        session.write_request_body(call.body.clone(), true).await?;
    }
    session.finish_request_body().await
}

async fn collect(session: &mut HttpSession, limit: usize) -> Result<(Bytes, bool), Box<Error>> {
    let Some(first) = session.read_response_body().await? else {
        return Ok((Bytes::new(), true));
    };
    if session.response_done() {
        return Ok((first, true));
    }
    let mut body = BytesMut::from(&first[..]);
    while body.len() <= limit {
        match session.read_response_body().await? {
            Some(piece) => body.extend_from_slice(&piece),
            None => return Ok((body.freeze(), true)),
        }
        if session.response_done() {
            return Ok((body.freeze(), true));
        }
    }
    Ok((body.freeze(), false))
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
