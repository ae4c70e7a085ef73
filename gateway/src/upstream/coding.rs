//! Taking content codings off, with a limit on what comes out.

use std::io::Read;

use bytes::Bytes;
use http::{HeaderMap, header};

/// The longest decoded body, in bytes: what a small answer may blow up to.
const MAX_DECODED: u64 = 4 * 1024 * 1024;

/// The body without its content coding; `None` where the coding is unknown, broken or too large.
pub(crate) fn decoded(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let coding = match headers.get(header::CONTENT_ENCODING) {
        Some(coding) => Some(coding.to_str().ok()?),
        None => None,
    };
    decoded_from(coding, body)
}

/// The same for a coding by its name.
pub(crate) fn decoded_from(coding: Option<&str>, body: &Bytes) -> Option<Bytes> {
    let coding = coding.unwrap_or("").trim();
    if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
        Some(body.clone())
    } else if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
        read(flate2::read::MultiGzDecoder::new(&body[..]))
    } else if coding.eq_ignore_ascii_case("deflate") {
        read(flate2::read::ZlibDecoder::new(&body[..]))
    } else if coding.eq_ignore_ascii_case("br") {
        read(brotli_decompressor::Decompressor::new(&body[..], 4096))
    } else {
        None
    }
}

fn read(decoder: impl Read) -> Option<Bytes> {
    let mut out = Vec::new();
    decoder.take(MAX_DECODED + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= MAX_DECODED).then(|| out.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use http::HeaderValue;

    use super::*;

    fn coded(coding: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        headers
    }

    fn gzip(plain: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).expect("memory");
        encoder.finish().expect("memory").into()
    }

    #[test]
    fn gzip_comes_off() {
        assert_eq!(decoded(&coded("gzip"), &gzip(b"{\"a\":1}")).as_deref(), Some(&b"{\"a\":1}"[..]));
    }

    #[test]
    fn a_broken_unknown_or_exploding_body_is_none() {
        let bomb = vec![0; MAX_DECODED as usize + 1];
        assert_eq!(decoded(&coded("gzip"), &Bytes::from_static(b"no")), None);
        assert_eq!(decoded(&coded("zstd"), &Bytes::from_static(b"no")), None);
        assert_eq!(decoded(&coded("gzip"), &gzip(&bomb)), None);
    }
}
