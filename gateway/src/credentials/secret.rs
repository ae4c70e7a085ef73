//! The headers of a request that say who speaks.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::RequestHeader;

/// Some headers and their values. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Arc<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The credentials of a request; `None` where it has none.
    pub(crate) fn of(headers: &HeaderMap, names: &[HeaderName]) -> Option<Self> {
        let mut lines = Vec::new();
        for name in names {
            for value in headers.get_all(name) {
                lines.extend_from_slice(name.as_str().as_bytes());
                lines.push(b':');
                lines.extend_from_slice(value.as_bytes());
                lines.push(b'\n');
            }
        }
        (!lines.is_empty()).then(|| Self(lines.into()))
    }

    /// One that was kept.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The gateway's own: a header as it stands on a line, or a token alone, which is a bearer's (RFC 6750).
    pub(crate) fn service(text: &str) -> Option<Self> {
        let line = text.trim();
        let line = match line.split_once(':') {
            Some((name, value)) => format!("{}:{}\n", name.trim().to_ascii_lowercase(), value.trim()),
            None if line.is_empty() => return None,
            None => format!("authorization:Bearer {line}\n"),
        };
        let secret = Self(line.into_bytes().into());
        (secret.headers().count() == 1).then_some(secret)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let mut value = HeaderValue::from_bytes(&line[colon + 1..]).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        })
    }

    /// Puts the headers into a request.
    ///
    /// # Errors
    /// The head does not take them, which cannot be: they are well formed.
    pub(crate) fn put(&self, head: &mut RequestHeader) -> pingora::Result<()> {
        for (name, value) in self.headers() {
            head.append_header(name, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_kept_as_they_are_and_never_shown() {
        let mut headers = HeaderMap::new();
        let names = [http::header::AUTHORIZATION, http::header::COOKIE];
        assert_eq!(Secret::of(&headers, &names), None);
        headers.insert("authorization", HeaderValue::from_static("Basic bWU6cGFzczp3b3Jk"));
        headers.append("cookie", HeaderValue::from_static("PHPSESSID=1; a=b:c"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        let secret = Secret::of(&headers, &names).expect("has some");
        assert!(!format!("{secret:?}").contains("PHP"));
        let secret = Secret::from_bytes(secret.bytes().to_vec());
        let mut head = RequestHeader::build("POST", b"/", None).expect("a head");
        secret.put(&mut head).expect("well formed");
        assert_eq!(head.headers["authorization"], "Basic bWU6cGFzczp3b3Jk");
        assert_eq!(head.headers["cookie"], "PHPSESSID=1; a=b:c");
        assert!(head.headers.get("accept").is_none());
    }

    #[test]
    fn the_gateway_s_own_is_a_header_or_a_token() {
        let put = |text: &str| {
            let mut head = RequestHeader::build("POST", b"/", None).expect("a head");
            Secret::service(text)?.put(&mut head).expect("well formed");
            Some(head.headers.clone())
        };
        assert_eq!(put("abc\n").expect("a token")["authorization"], "Bearer abc");
        assert_eq!(put("X-Api-Key: k-1\n").expect("a header")["x-api-key"], "k-1");
        assert!(put(" \n").is_none());
        assert!(put("two words: x").is_none());
    }
}
