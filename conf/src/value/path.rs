//! Paths of URLs and of JSON documents.

use std::fmt;

use crate::read::form::Text;

/// An absolute path of a URL, without query, as it stands in a request line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UrlPath(String);

impl UrlPath {
    /// The path, beginning with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn known(path: &'static str) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for UrlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for UrlPath {
    const ALLOWED: &'static str = "a path such as \"/healthz\"";

    fn parse(text: &str) -> Option<Self> {
        is_path(text).then(|| Self(text.to_owned()))
    }

    fn meant(refused: &str) -> Option<String> {
        Some(rooted(refused))
    }
}

/// Which paths a route is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPattern {
    /// One path; kept without a trailing slash, which is the same path.
    Exact(String),
    /// `/base/*`: the base (kept without a trailing slash) and everything below it.
    Below(String),
}

impl PathPattern {
    /// Whether the pattern is about this path of a request (without its query).
    pub fn matches(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        match self {
            Self::Exact(exact) => path == exact,
            Self::Below(base) => path
                .strip_prefix(base.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    pub(crate) fn known(pattern: &'static str) -> Self {
        match pattern.strip_suffix("/*") {
            Some(base) => Self::Below(base.to_owned()),
            None => Self::Exact(pattern.strip_suffix('/').unwrap_or(pattern).to_owned()),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) if path.is_empty() => f.write_str("/"),
            Self::Exact(path) => f.write_str(path),
            Self::Below(base) => write!(f, "{base}/*"),
        }
    }
}

impl Text for PathPattern {
    const ALLOWED: &'static str = "a path such as \"/prices\", or \"/catalogue/*\" for all below one";

    fn parse(text: &str) -> Option<Self> {
        if let Some(base) = text.strip_suffix("/*") {
            return (base.is_empty() || is_path(base) && !base.ends_with('/')).then(|| Self::Below(base.to_owned()));
        }
        is_path(text).then(|| Self::Exact(text.strip_suffix('/').unwrap_or(text).to_owned()))
    }

    fn meant(refused: &str) -> Option<String> {
        let rooted = rooted(refused);
        Some(match rooted.find('*') {
            Some(star) => format!("{}/*", rooted[..star].trim_end_matches('/')),
            None => rooted,
        })
    }
}

fn is_path(text: &str) -> bool {
    const LONGEST: usize = 1024;
    // RFC 3986: pchar, "/" and percent-encoding; no "*" here, so that a pattern is never taken
    // for a path.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@/%".contains(&byte);
    text.starts_with('/') && text.len() <= LONGEST && text.bytes().all(allowed) && !text.contains("//")
}

/// The path of a text that may be a whole URL, or lack its first slash, or carry a query.
fn rooted(refused: &str) -> String {
    let text = refused.trim();
    let text = text
        .split_once("://")
        .map_or(text, |(_, rest)| rest.find('/').map_or("/", |slash| &rest[slash..]));
    let text = text.split(['?', '#']).next().unwrap_or_default();
    format!("/{}", text.trim_start_matches('/'))
}

/// A place in a JSON document (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer(String);

impl JsonPointer {
    /// The pointer as written; empty, it is the whole document.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn known(pointer: &'static str) -> Self {
        Self(pointer.to_owned())
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for JsonPointer {
    const ALLOWED: &'static str = "a JSON pointer (RFC 6901) such as \"/orders/0/orderId\"";

    fn parse(text: &str) -> Option<Self> {
        let rooted = text.is_empty() || text.starts_with('/');
        // "~" only as "~0" and "~1": what follows the first piece must begin so.
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        (rooted && escaped && text.len() <= 1024).then(|| Self(text.to_owned()))
    }

    fn meant(refused: &str) -> Option<String> {
        let text = refused.trim().trim_start_matches('$').trim_start_matches(['.', '/']);
        Some(format!("/{}", text.replace('[', "/").replace(']', "").replace('.', "/")))
    }
}
