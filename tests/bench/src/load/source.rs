//! Requests, ready to be sent.

use std::fmt::Write as _;

/// The digits of a counter in a template.
const DIGITS: usize = 9;

/// A request with a counter in it: every `{n}` is nine digits that change with each request.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    slots: Vec<usize>,
    next: u64,
}

impl Template {
    /// A request of its own; `body` empty means none.
    fn new(method: &str, path: &str, body: &str) -> Self {
        const MARK: &str = "{n}";
        // Each mark grows to its digits, and the length says so.
        let length = body.len() + body.matches(MARK).count() * (DIGITS - MARK.len());
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n");
        if !body.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body);
        let mut bytes = Vec::with_capacity(text.len() + 64);
        let mut slots = Vec::new();
        let mut parts = text.split(MARK);
        bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
        for part in parts {
            slots.push(bytes.len());
            bytes.extend_from_slice(&[b'0'; DIGITS]);
            bytes.extend_from_slice(part.as_bytes());
        }
        Self { bytes, slots, next: 0 }
    }

    fn next_request(&mut self) -> &[u8] {
        self.next += 1;
        for slot in &self.slots {
            let mut rest = self.next;
            for byte in self.bytes[*slot..*slot + DIGITS].iter_mut().rev() {
                *byte = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.bytes
    }
}

/// Where a run takes its requests from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Each with a new number.
    Counted(Template),
    /// These, one after the other and again from the start. Never empty.
    Rotating { requests: Vec<Vec<u8>>, next: usize },
    /// One of each in turn.
    Mixed { sources: Vec<Self>, next: usize },
}

impl Source {
    pub(crate) fn counted(method: &str, path: &str, body: &str) -> Self {
        Self::Counted(Template::new(method, path, body))
    }

    /// GETs of these paths.
    pub(crate) fn rotating(paths: impl IntoIterator<Item = String>) -> Self {
        let request = |path: String| Template::new("GET", &path, "").bytes;
        let mut requests: Vec<Vec<u8>> = paths.into_iter().map(request).collect();
        if requests.is_empty() {
            requests.push(request("/".to_owned()));
        }
        Self::Rotating { requests, next: 0 }
    }

    /// One of each of these in turn; there is at least one.
    pub(crate) fn mixed(first: Self, others: impl IntoIterator<Item = Self>) -> Self {
        Self::Mixed { sources: std::iter::once(first).chain(others).collect(), next: 0 }
    }

    pub(crate) fn next_request(&mut self) -> &[u8] {
        match self {
            Self::Counted(template) => template.next_request(),
            Self::Rotating { requests, next } => {
                *next = (*next + 1) % requests.len();
                &requests[*next]
            }
            Self::Mixed { sources, next } => {
                *next = (*next + 1) % sources.len();
                sources[*next].next_request()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_carries_the_same_number() {
        let mut source = Source::counted("POST", "/x?n={n}", "{n}+{n}");
        source.next_request();
        let second = String::from_utf8_lossy(source.next_request()).into_owned();
        assert!(second.starts_with("POST /x?n=000000002 HTTP/1.1\r\n"), "{second}");
        assert!(second.contains("Content-Length: 19\r\n"), "{second}");
        assert!(second.ends_with("\r\n\r\n000000002+000000002"), "{second}");
    }

    #[test]
    fn mixed_sources_take_turns() {
        let one = |path: &str| Source::rotating([path.to_owned()]);
        let mut source = Source::mixed(one("/a"), [one("/b")]);
        let paths: Vec<u8> = (0..4).map(|_| source.next_request()[5]).collect();
        assert_eq!(paths, b"baba");
    }

    #[test]
    fn rotating_requests_come_back() {
        let mut source = Source::rotating(["/a".to_owned(), "/b".to_owned()]);
        let first = source.next_request().to_vec();
        assert_ne!(source.next_request(), first);
        assert_eq!(source.next_request(), first);
    }
}
