//! Requests.

use serde_json::Value;

/// A request, as it will be written.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Sent in place of the body's length.
    pub(super) claimed_length: Option<String>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            claimed_length: None,
        }
    }

    /// GET.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// POST of a JSON body.
    pub fn post(target: impl Into<String>, body: &Value) -> Self {
        Self::post_as(target, "application/json", body.to_string())
    }

    /// POST of a form, already encoded.
    pub fn form(target: impl Into<String>, body: &str) -> Self {
        Self::post_as(target, "application/x-www-form-urlencoded", body)
    }

    /// POST of any bytes.
    pub fn post_as(target: impl Into<String>, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).header("Content-Type", content_type).body(body)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Claims another length of the body than it has.
    pub fn claiming_length(mut self, length: &str) -> Self {
        self.claimed_length = Some(length.to_owned());
        self
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.target), "Host: city.test".to_owned()];
        let actual = (!self.body.is_empty() || self.method == "POST").then(|| self.body.len().to_string());
        if let Some(length) = self.claimed_length.clone().or(actual) {
            lines.push(format!("Content-Length: {length}"));
        }
        let headers = self.headers.iter();
        lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
        lines.extend([String::new(), String::new()]);
        let mut bytes = lines.join("\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
