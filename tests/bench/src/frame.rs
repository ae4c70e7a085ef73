//! Just enough HTTP/1.1 to find where a message ends: a head, and a body by Content-Length.

use memchr::memmem;

/// Where the parts of one message are in a buffer that begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Length of the head with its empty line.
    pub(crate) head: usize,
    /// Length of head and body.
    pub(crate) total: usize,
}

/// A message that this parser does not take: chunked, or with a length that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsupported;

/// Finds the first message; `None` while its head is not complete. `total` may lie beyond the
/// end of the buffer.
pub(crate) fn frame(buffer: &[u8]) -> Result<Option<Frame>, Unsupported> {
    let Some(end) = memmem::find(buffer, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = end + 4;
    let mut body = 0;
    for line in buffer[..end].split(|byte| *byte == b'\n').skip(1) {
        if let Some(value) = header(line, b"content-length:") {
            body = number(value).ok_or(Unsupported)?;
        } else if header(line, b"transfer-encoding:").is_some() {
            return Err(Unsupported);
        }
    }
    Ok(Some(Frame { head, total: head + body }))
}

/// Whether a head has a header; its name is in lower case and ends with the colon.
pub(crate) fn has_header(head: &[u8], name: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| header(line, name).is_some())
}

fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// The decimal number that a text is.
pub(crate) fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The status of an answer: the three digits after `HTTP/1.1 `.
pub(crate) fn status(head: &[u8]) -> Option<u16> {
    number(head.get(9..12)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Option<(usize, usize)>, Unsupported>) {
        let found = frame(text.as_bytes()).map(|frame| frame.map(|frame| (frame.head, frame.total)));
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn messages_end_where_their_length_says() {
        check("HTTP/1.1 200 OK\r\n", Ok(None));
        check("HTTP/1.1 200 OK\r\n\r\n", Ok(Some((19, 19))));
        check("HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhel", Ok(Some((38, 43))));
        check("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Err(Unsupported));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Unsupported));
    }

    #[test]
    fn a_status_is_read_from_its_place() {
        assert_eq!(status(b"HTTP/1.1 201 Created\r\n"), Some(201));
        assert_eq!(status(b"HTTP/1.1"), None);
    }

    #[test]
    fn headers_are_found_by_any_spelling() {
        let head = b"POST / HTTP/1.1\r\nX-Replay: 1\r\n\r\n";
        assert!(has_header(head, b"x-replay:"));
        assert!(!has_header(head, b"x-other:"));
    }
}
