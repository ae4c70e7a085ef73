//! Reading one answer off a connection.

use std::io::Read;
use std::time::Duration;

use super::{Answer, Trouble};

/// No head of ours is longer.
const MAX_HEAD: usize = 64 * 1024;

/// Bytes that have arrived and are not yet part of an answer.
#[derive(Debug, Default)]
pub(super) struct Wire {
    buffer: Vec<u8>,
}

fn violation<T>(what: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Violation(what.into()))
}

impl Wire {
    /// Whether bytes have come that nobody asked for.
    pub(super) fn has_stray(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads the answer to a request of the given method.
    pub(super) fn answer(&mut self, from: &mut dyn Read, method: &str) -> Result<Answer, Trouble> {
        let head = self.head(from)?;
        let (status, headers) = parse_head(&head)?;
        let mut answer = Answer { status, headers, body: Vec::new(), elapsed: Duration::ZERO };
        let bodiless = method == "HEAD" || status == 204 || status == 304 || status < 200;
        let lengths: Vec<&str> = answer.all("content-length").collect();
        let codings: Vec<&str> = answer.all("transfer-encoding").collect();
        answer.body = match (lengths.as_slice(), codings.as_slice()) {
            _ if bodiless => Vec::new(),
            ([length], []) => {
                let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
                match length.parse() {
                    Ok(length) if digits => self.take(from, length)?,
                    _ => return violation(format!("Content-Length: {length}")),
                }
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => self.chunks(from)?,
            _ => return violation(format!("lengths {lengths:?}, transfer codings {codings:?}")),
        };
        Ok(answer)
    }

    fn head(&mut self, from: &mut dyn Read) -> Result<String, Trouble> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return match String::from_utf8(head) {
                    Ok(head) => Ok(head),
                    Err(_) => violation("the head is not UTF-8"),
                };
            }
            if self.buffer.len() > MAX_HEAD {
                return violation("the head has no end");
            }
            self.fill(from)?;
        }
    }

    fn take(&mut self, from: &mut dyn Read, length: usize) -> Result<Vec<u8>, Trouble> {
        while self.buffer.len() < length {
            self.fill(from)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn line(&mut self, from: &mut dyn Read) -> Result<String, Trouble> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.fill(from)?;
        }
    }

    fn chunks(&mut self, from: &mut dyn Read) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        loop {
            let line = self.line(from)?;
            let Ok(size) = usize::from_str_radix(&line, 16) else {
                return violation(format!("chunk size {line:?}"));
            };
            body.extend(self.take(from, size)?);
            let end = self.line(from)?;
            if !end.is_empty() {
                return violation(format!("{end:?} after a chunk"));
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn fill(&mut self, from: &mut dyn Read) -> Result<(), Trouble> {
        let mut chunk = [0; 16 * 1024];
        match from.read(&mut chunk)? {
            0 => Err(Trouble::Closed),
            count => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

type Headers = Vec<(String, String)>;

fn parse_head(head: &str) -> Result<(u16, Headers), Trouble> {
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let start = lines.next().unwrap_or_default();
    let status = start
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split_once(' '))
        .filter(|(digits, _)| digits.len() == 3)
        .and_then(|(digits, _)| digits.parse().ok());
    let Some(status) = status else {
        return violation(format!("status line {start:?}"));
    };
    let mut headers = Vec::new();
    for line in lines {
        match line.split_once(':') {
            Some((name, value)) if is_token(name) && !value.contains(['\r', '\n', '\0']) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            _ => return violation(format!("header line {line:?}")),
        }
    }
    Ok((status, headers))
}

/// RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Answer, Trouble> {
        let mut wire = Wire::default();
        let answer = wire.answer(&mut text.as_bytes(), "GET")?;
        assert!(!wire.has_stray(), "stray bytes in {text:?}");
        Ok(answer)
    }

    #[test]
    fn good_answers_are_read_whole() {
        let sized = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: x\r\n\r\nhi").expect("good");
        assert_eq!((sized.status, sized.body.as_slice()), (200, &b"hi"[..]));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n2\r\ni!\r\n0\r\n\r\n";
        assert_eq!(read(chunked).expect("good").body, b"hi!");
        assert_eq!(read("HTTP/1.1 204 \r\n\r\n").expect("good").status, 204);
    }

    #[test]
    fn bad_answers_are_refused() {
        for bad in [
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nbad header\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhx\r\n0\r\n\r\n",
        ] {
            assert!(matches!(read(bad), Err(Trouble::Violation(_))), "{bad:?}");
        }
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi";
        assert!(matches!(read(short), Err(Trouble::Closed)));
    }
}
