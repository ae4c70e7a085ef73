//! The checked types that sections are made of.

use std::fmt;
use std::net::SocketAddr;

use crate::read::form::Text;

pub(crate) mod amount;
pub(crate) mod duration;
pub(crate) mod net;
pub(crate) mod path;
pub(crate) mod size;

pub use amount::Amount;
pub use net::{CallbackTarget, Server};
pub use path::{JsonPointer, PathPattern, UrlPath};

/// The city's short name, 2 to 12 characters of `a`–`z` and `0`–`9`: the prefix of local ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct City(String);

impl City {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn sample() -> Self {
        Self("demo".to_owned())
    }
}

impl fmt::Display for City {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for City {
    const ALLOWED: &'static str = "2 to 12 characters of a-z and 0-9";

    fn parse(text: &str) -> Option<Self> {
        let fits = (2..=12).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        fits.then(|| Self(text.to_owned()))
    }

    fn meant(refused: &str) -> Option<String> {
        Some(
            refused
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_lowercase())
                .take(12)
                .collect(),
        )
    }
}

/// A share of a whole, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// `None` for what is not within 0 and 1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The share, 0.0 to 1.0.
    pub const fn get(self) -> f64 {
        self.0
    }

    pub(crate) const HALF: Self = Self(0.5);
    pub(crate) const THIRTY_PERCENT: Self = Self(0.3);
}

/// A JSON value that is neither list nor object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Flag(bool),
}

impl Text for SocketAddr {
    const ALLOWED: &'static str = "an address and a port such as \"0.0.0.0:8080\" or \"[::]:8080\"";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn meant(refused: &str) -> Option<String> {
        let text = refused.trim();
        Some(match text.split_once(':') {
            Some(("" | "*", port)) => format!("0.0.0.0:{port}"),
            Some(("localhost", port)) => format!("127.0.0.1:{port}"),
            Some(_) => text.trim_start_matches("tcp://").trim_start_matches("http://").to_owned(),
            None if text.parse::<u16>().is_ok() => format!("0.0.0.0:{text}"),
            None => format!("{text}:8080"),
        })
    }

    fn meant_by_integer(refused: i64) -> Option<String> {
        u16::try_from(refused).ok().map(|port| format!("0.0.0.0:{port}"))
    }
}

/// A name that is put on the wire: a header's value, a member's name, a path that is no URL.
pub(crate) fn is_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.trim() == text && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
