//! Amounts of money as decimal numbers; never as floating point.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount that is not negative, with up to four decimals, written again as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    units: u64,
    /// Decimals, 0 to 4.
    scale: u8,
}

/// Decimals at most.
const MAX_SCALE: usize = 4;
/// Digits before the point at most.
const MAX_WHOLE: usize = 14;

/// A text that is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMoney;

impl fmt::Display for NotMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number that is not negative, with at most four decimals, such as \"349.50\"")
    }
}

impl std::error::Error for NotMoney {}

impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let point_without_decimals = text.ends_with('.');
        if whole.is_empty()
            || whole.len() > MAX_WHOLE
            || decimals.len() > MAX_SCALE
            || point_without_decimals
            || !digits(whole)
            || !digits(decimals)
        {
            return Err(NotMoney);
        }
        let units = whole
            .bytes()
            .chain(decimals.bytes())
            .fold(0, |units, byte| units * 10 + u64::from(byte - b'0'));
        Ok(Self { units, scale: decimals.len() as u8 })
    }
}

impl Money {
    /// Whether this is more than `limit`.
    pub fn exceeds(self, limit: Self) -> bool {
        self.normal() > limit.normal()
    }

    /// The amount in ten-thousandths, at most 10¹⁸.
    pub(crate) fn normal(self) -> u64 {
        self.units * 10_u64.pow(MAX_SCALE as u32 - u32::from(self.scale))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divisor = 10_u64.pow(u32::from(self.scale));
        let (whole, decimals) = (self.units / divisor, self.units % divisor);
        match usize::from(self.scale) {
            0 => write!(f, "{whole}"),
            width => write!(f, "{whole}.{decimals:0width$}"),
        }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parse(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_they_were_read() {
        for text in ["0", "349.50", "0.0001", "99999999999999.9999", "5000"] {
            assert_eq!(text.parse::<Money>().map(|money| money.to_string()), Ok(text.into()));
        }
        for text in ["", "-1", "1.", ".5", "1e3", "1.00000", "100000000000000", "1,5", "+1", "١"] {
            assert_eq!(text.parse::<Money>(), Err(NotMoney), "{text}");
        }
    }

    #[test]
    fn amounts_compare_by_value() {
        let money = |text: &str| text.parse::<Money>().expect("an amount");
        assert!(money("5000.01").exceeds(money("5000")));
        assert!(!money("5000.00").exceeds(money("5000")));
        assert!(!money("0.5").exceeds(money("0.51")));
    }
}
