//! The one test of failure: it serves traffic, checks and drain alike.

use std::{borrow::Cow, fmt};

use http::{HeaderMap, header};
use megamind_conf::{Scalar, Success};
use serde_json::Value;

/// Why an exchange did not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No server has an address.
    NoAddress,
    /// The connection was refused, reset while connecting, or its TLS handshake failed.
    Connect,
    /// The connection or the answer was not there in time.
    Timeout,
    /// The connection broke before the answer was whole.
    Reset,
    /// The answer was not HTTP.
    Malformed,
    /// A status of `failure_status`.
    Status(u16),
    /// An answer that the `success` rule does not accept; what about it.
    Unacceptable(&'static str),
}

impl Reason {
    /// The value of the metric's `reason` label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Reason::NoAddress => "no_address",
            Reason::Connect => "connect",
            Reason::Timeout => "timeout",
            Reason::Reset => "reset",
            Reason::Malformed => "malformed",
            Reason::Status(_) => "status",
            Reason::Unacceptable(_) => "unacceptable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoAddress => f.write_str("no server of the upstream has an address"),
            Reason::Connect => f.write_str("the upstream could not be connected"),
            Reason::Timeout => f.write_str("the upstream did not answer in time"),
            Reason::Reset => f.write_str("the connection to the upstream broke"),
            Reason::Malformed => f.write_str("the upstream's answer was not HTTP"),
            Reason::Status(status) => write!(f, "the upstream answered {status}"),
            Reason::Unacceptable(what) => write!(f, "the upstream's answer does not count: {what}"),
        }
    }
}

/// Whether an attempt may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Nothing was sent, or the upstream said that it did nothing (429, 503).
    No,
    /// The first byte was sent, and no definite answer came back.
    Possibly,
}

/// A failed exchange.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Why.
    pub reason: Reason,
    /// Whether it may have had an effect all the same.
    pub applied: Applied,
    /// The index of the server, if one was chosen.
    pub server: Option<usize>,
    /// Seconds of a `Retry-After`.
    pub retry_after: Option<u32>,
}

impl Failure {
    /// A failure before anything was sent to anybody.
    pub(crate) fn unsent(reason: Reason) -> Self {
        Self { reason, applied: Applied::No, server: None, retry_after: None }
    }

    /// Whether it failed before there was a connection to send anything by.
    pub(super) fn never_connected(&self) -> bool {
        self.applied == Applied::No && matches!(self.reason, Reason::Connect | Reason::Timeout)
    }

    /// The same, where an earlier attempt may have had an effect.
    pub(super) fn possibly(self) -> Self {
        Self { applied: Applied::Possibly, ..self }
    }
}

/// What an answer must look like to count.
#[derive(Clone, Debug)]
pub(crate) struct FailureTest {
    statuses: Vec<u16>,
    success: Option<Success>,
}

/// What an answer is tested as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Traffic or a replay: the whole rule.
    Traffic,
    /// A health page: it may be plain text, and need not have the member that the rule looks at.
    Check,
}

impl FailureTest {
    /// The test of a configuration.
    pub(crate) fn new(statuses: &[u16], success: Option<&Success>) -> Self {
        Self { statuses: statuses.to_vec(), success: success.cloned() }
    }

    /// Whether the body has to be seen to judge an answer.
    pub(crate) fn reads_body(&self) -> bool {
        self.success.as_ref().is_some_and(|rule| rule.pointer.is_some())
    }

    /// Judges the head of an answer. A 4xx outside `failure_status` is an answer, whatever the rule says:
    /// the upstream is there and refuses.
    pub(crate) fn head(&self, status: u16, headers: &HeaderMap, subject: Subject) -> Result<(), Reason> {
        if self.statuses.contains(&status) {
            return Err(Reason::Status(status));
        }
        if subject == Subject::Check && status >= 400 {
            return Err(Reason::Status(status));
        }
        let Some(rule) = self.success.as_ref().filter(|_| status < 400) else {
            return Ok(());
        };
        if !rule.status.is_empty() && !rule.status.contains(&status) {
            return Err(Reason::Unacceptable("status"));
        }
        let Some(expected) = &rule.content_type else {
            return Ok(());
        };
        let found = media_type(headers);
        let refused = match subject {
            Subject::Traffic => !found.eq_ignore_ascii_case(expected),
            Subject::Check => found.eq_ignore_ascii_case("text/html") && expected != "text/html",
        };
        if refused && status != 204 {
            return Err(Reason::Unacceptable("content type"));
        }
        Ok(())
    }

    /// Judges the whole body, any content coding taken off, of an answer whose head has passed.
    pub(crate) fn body(&self, status: u16, body: &[u8], subject: Subject) -> Result<(), Reason> {
        let Some(rule) = self.success.as_ref().filter(|_| status < 400) else {
            return Ok(());
        };
        let Some(pointer) = &rule.pointer else {
            return Ok(());
        };
        let found = serde_json::from_slice::<Value>(body).ok();
        match found.as_ref().and_then(|value| value.pointer(pointer.as_str())) {
            Some(value) if rule.values.is_empty() || rule.values.iter().any(|ok| same(ok, value)) => Ok(()),
            Some(_) => Err(Reason::Unacceptable("value in the body")),
            None if subject == Subject::Check => Ok(()),
            None => Err(Reason::Unacceptable("body")),
        }
    }
}

/// Refusals that say nothing about the content of a request, or may turn out otherwise a moment later.
const NOT_ABOUT_THE_CONTENT: [u16; 9] = [401, 403, 405, 407, 408, 409, 421, 425, 429];

/// Whether an answer refuses what was asked for, rather than who asked, when, or by which way. A 404 that is not of the
/// upstream's form comes from something between.
pub(crate) fn refuses_content(status: u16, headers: &HeaderMap) -> bool {
    match status {
        404 => media_type(headers).contains("json"),
        400..=499 => !NOT_ABOUT_THE_CONTENT.contains(&status),
        _ => false,
    }
}

/// Whether a configured value is this one of an answer.
fn same(expected: &Scalar, found: &Value) -> bool {
    match expected {
        Scalar::Text(text) => found.as_str() == Some(text),
        Scalar::Integer(number) => found.as_i64() == Some(*number),
        Scalar::Flag(flag) => found.as_bool() == Some(*flag),
    }
}

/// The media type without its parameters, empty where there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> Cow<'_, str> {
    headers
        .get(header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .map(|value| match value {
            Cow::Borrowed(text) => Cow::Borrowed(text.split(';').next().unwrap_or("").trim()),
            Cow::Owned(text) => Cow::Owned(text.split(';').next().unwrap_or("").trim().to_owned()),
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/html; charset=utf-8"));
        headers
    }

    fn rule() -> FailureTest {
        let config = megamind_conf::parse(
            "test.toml",
            r#"
            city = "demo"
            [upstream]
            servers = ["127.0.0.1:1"]
            idempotency = "key"
            failure_status = [500]
            [upstream.success]
            status = [200]
            content_type = "application/json"
            pointer = "/success"
            values = [true]
            "#,
        )
        .expect("a valid configuration");
        let upstream = config.upstream;
        FailureTest::new(&upstream.failure_status, upstream.success.as_ref())
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_portal_is_none() {
        let test = rule();
        assert_eq!(test.head(404, &html(), Subject::Traffic), Ok(()));
        assert_eq!(test.head(500, &html(), Subject::Traffic), Err(Reason::Status(500)));
        assert_eq!(test.head(302, &html(), Subject::Traffic), Err(Reason::Unacceptable("status")));
        assert_eq!(test.head(200, &html(), Subject::Traffic), Err(Reason::Unacceptable("content type")));
    }

    #[test]
    fn an_error_body_under_200_does_not_count() {
        let test = rule();
        let judge = |body: &str| test.body(200, body.as_bytes(), Subject::Traffic);
        assert_eq!(judge(r#"{"success":true}"#), Ok(()));
        assert!(judge(r#"{"success":false}"#).is_err());
        assert!(judge("{}").is_err());
        assert!(judge("not json").is_err());
    }

    #[test]
    fn a_health_page_may_be_plain_text_but_not_an_error() {
        let test = rule();
        assert_eq!(test.body(200, b"ok", Subject::Check), Ok(()));
        assert!(test.body(200, br#"{"success":false}"#, Subject::Check).is_err());
        assert!(test.head(200, &html(), Subject::Check).is_err());
        assert!(test.head(404, &HeaderMap::new(), Subject::Check).is_err());
    }
}
