//! Who may come in: a bearer token where one is configured, and no page of another site.

use http::{StatusCode, header};
use pingora::http::RequestHeader;

use super::Refusal;

/// Lets requests in or not.
pub(super) struct Guard {
    token: Option<blake3::Hash>,
}

impl Guard {
    pub(super) fn new(token: Option<String>) -> Self {
        Self { token: token.map(|token| blake3::hash(token.as_bytes())) }
    }

    pub(super) fn admit(&self, head: &RequestHeader) -> Result<(), Refusal> {
        if foreign(head) {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "A page of another site may not ask here.",
            ));
        }
        // What load balancers and Prometheus ask for names nobody.
        let open = matches!(head.uri.path().trim_end_matches('/'), "/healthz" | "/readyz");
        let Some(token) = self.token.filter(|_| !open) else {
            return Ok(());
        };
        let given = head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        // Hashes compare in constant time.
        match given {
            Some(given) if blake3::hash(given.trim().as_bytes()) == token => Ok(()),
            _ => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "The token of admin.token_file is needed: Authorization: Bearer TOKEN.",
            )),
        }
    }
}

/// Whether a browser asks on behalf of a page that is not this listener's own (RFC 6454).
fn foreign(head: &RequestHeader) -> bool {
    let Some(origin) = head.headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let host = head
        .headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    origin.split_once("://").is_none_or(|(_, authority)| authority != host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(guard: &Guard, path: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut head = RequestHeader::build("GET", path.as_bytes(), None).expect("a request");
        for (name, value) in headers {
            head.insert_header(*name, *value).expect("a header");
        }
        guard.admit(&head).is_ok()
    }

    #[test]
    fn a_token_is_asked_for_where_there_is_one() {
        let guard = Guard::new(Some("s3cret".into()));
        assert!(!admits(&guard, "/admin/status", &[]));
        assert!(!admits(&guard, "/admin/status", &[("Authorization", "Bearer wrong")]));
        assert!(admits(&guard, "/admin/status", &[("Authorization", "Bearer s3cret")]));
        assert!(admits(&guard, "/readyz", &[]));
        assert!(admits(&Guard::new(None), "/admin/status", &[]));
    }

    #[test]
    fn pages_of_other_sites_are_kept_out() {
        let guard = Guard::new(None);
        let host = ("Host", "127.0.0.1:9900");
        assert!(!admits(&guard, "/admin/mode", &[host, ("Origin", "http://evil.example")]));
        assert!(admits(&guard, "/admin/mode", &[host, ("Origin", "http://127.0.0.1:9900")]));
    }
}
