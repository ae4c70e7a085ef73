//! Answers.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::Value;

/// An answer that the checker has accepted.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The body, any content coding still on.
    pub body: Vec<u8>,
    /// From the request's first byte to the answer's last.
    pub elapsed: Duration,
}

impl Answer {
    /// All values of a header, named in lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Whether the gateway made it, and not Oblivion.
    pub fn is_local(&self) -> bool {
        self.header("x-served-by").is_some()
    }

    /// Whether the server closes the connection after it.
    pub fn closes(&self) -> bool {
        self.all("connection").any(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The body as text, without its gzip coding.
    pub fn text(&self) -> String {
        let plain = if self.header("content-encoding") == Some("gzip") {
            let mut plain = Vec::new();
            GzDecoder::new(self.body.as_slice())
                .read_to_end(&mut plain)
                .expect("a good gzip body");
            plain
        } else {
            self.body.clone()
        };
        String::from_utf8(plain).expect("a UTF-8 body")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in the body of {}: {text}", self.status))
    }

    /// The stable code of an error, in whichever form it came.
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let code = body
            .get("code")
            .or_else(|| body.pointer("/error/code"))
            .or_else(|| body.get("error_code"))?;
        code.as_str().map(str::to_owned)
    }

    /// The field that an error names.
    pub fn field(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get("field")?.as_str().map(str::to_owned)
    }

    /// Fails the test unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Fails the test unless the gateway answered this problem.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, self.code().as_deref(), self.is_local()),
            (status, Some(code), true),
            "{self}"
        );
        self
    }

    /// Fails the test unless the gateway made it itself.
    #[track_caller]
    pub fn expect_local(self) -> Self {
        assert!(self.is_local(), "Oblivion answered: {self}");
        self
    }

    /// Fails the test unless Oblivion made it.
    #[track_caller]
    pub fn expect_forwarded(self) -> Self {
        assert!(!self.is_local(), "the gateway answered: {self}");
        self
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?} {body}", self.status, self.headers)
    }
}
