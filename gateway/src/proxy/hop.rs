//! Headers that belong to one connection, not to the message (RFC 9110, section 7.6.1).

use http::{HeaderMap, HeaderName, header};

const ALWAYS: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// Those of `headers`, the ones that its `Connection` header names included.
pub(super) fn by_hop(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // A client that names the host would have the upstream guess it.
        .filter(|name: &HeaderName| *name != header::HOST);
    ALWAYS
        .into_iter()
        .chain(named)
        .filter(|name| headers.contains_key(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_connection_names_is_of_one_hop_too_but_never_the_host() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Trace, host"),
            ("x-trace", "1"),
            ("host", "api"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let names: Vec<_> = by_hop(&headers).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["connection", "x-trace"]);
    }
}
