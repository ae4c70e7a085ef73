//! Money as text: exact, and of any currency.

use std::fmt;

use crate::read::form::Text;

/// A non-negative amount of money, kept as the decimal that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount(String);

impl Amount {
    /// The decimal as written, for instance `5000` or `99.50`: up to 15 digits, and up to 4 more
    /// after the point.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn whole(units: u32) -> Self {
        Self(units.to_string())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for Amount {
    const ALLOWED: &'static str = "a decimal in quotes such as \"5000\" or \"99.50\"";

    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        (digits(whole, 15) && digits(fraction, 4)).then(|| Self(text.to_owned()))
    }

    fn meant(refused: &str) -> Option<String> {
        Some(refused.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect())
    }

    fn meant_by_integer(refused: i64) -> Option<String> {
        Some(refused.to_string())
    }
}
