//! Numbers with a range, a unit or both.

use std::fmt::Display;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::form::{Form, integer};
use super::{At, Ledger, quote};
use crate::value::{Ratio, duration, size};

/// An integer type that a count may be kept in.
pub(crate) trait Whole: Copy + PartialOrd + Display {
    fn from_i64(number: i64) -> Option<Self>;
}

macro_rules! whole {
    ($($Int:ty),*) => { $(
        impl Whole for $Int {
            fn from_i64(number: i64) -> Option<Self> {
                Self::try_from(number).ok()
            }
        }
    )* };
}
whole!(u16, u32, u64, usize);

impl Whole for NonZeroU32 {
    fn from_i64(number: i64) -> Option<Self> {
        u32::from_i64(number).and_then(Self::new)
    }
}

impl Whole for NonZeroUsize {
    fn from_i64(number: i64) -> Option<Self> {
        usize::from_i64(number).and_then(Self::new)
    }
}

/// A number that is not 0, checked when this is compiled.
pub(crate) const fn nz<const N: usize>() -> NonZeroUsize {
    const { NonZeroUsize::new(N).expect("not 0") }
}

/// As [`nz`].
pub(crate) const fn nz32<const N: u32>() -> NonZeroU32 {
    const { NonZeroU32::new(N).expect("not 0") }
}

/// A whole number within a range.
pub(crate) fn count<T: Whole>(range: RangeInclusive<T>) -> impl Form<Value = T> {
    Count { range }
}

struct Count<T> {
    range: RangeInclusive<T>,
}

impl<T: Whole> Form for Count<T> {
    type Value = T;

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.range.start(), self.range.end())
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<T> {
        let within = |number: i64| T::from_i64(number).filter(|number| self.range.contains(number));
        let value = at.value.get_ref();
        let number = integer(value).and_then(within);
        if number.is_none() {
            let meant = value.as_str().and_then(|text| text.trim().parse().ok()).and_then(within);
            ledger.refuse(at, &self.allowed(), meant.map(|number| number.to_string()));
        }
        number
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A share of a whole, 0 to 1.
pub(crate) fn ratio() -> impl Form<Value = Ratio> {
    Share
}

struct Share;

impl Form for Share {
    type Value = Ratio;

    fn allowed(&self) -> String {
        "a number from 0.0 to 1.0".to_owned()
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<Ratio> {
        let number = match at.value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            value => integer(value).map(|number| number as f64),
        };
        let ratio = number.and_then(Ratio::new);
        if ratio.is_none() {
            let percent = at
                .value
                .get_ref()
                .as_str()
                .and_then(|text| text.trim().strip_suffix('%')?.trim().parse::<f64>().ok());
            let meant = percent
                .or(number.filter(|number| *number > 1.0))
                .and_then(|percent| Ratio::new(percent / 100.0));
            ledger.refuse(at, &self.allowed(), meant.map(|ratio| self.show(&ratio)));
        }
        ratio
    }

    fn show(&self, value: &Ratio) -> String {
        format!("{:?}", value.get())
    }
}

/// A number within a range, which may have decimals.
pub(crate) fn decimal(range: RangeInclusive<f64>) -> impl Form<Value = f64> {
    Decimal { range }
}

struct Decimal {
    range: RangeInclusive<f64>,
}

impl Form for Decimal {
    type Value = f64;

    fn allowed(&self) -> String {
        format!("a number from {:?} to {:?}", self.range.start(), self.range.end())
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<f64> {
        let within = |number: &f64| self.range.contains(number);
        let number = match at.value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            value => integer(value).map(|number| number as f64),
        };
        let number = number.filter(within);
        if number.is_none() {
            let text = at.value.get_ref().as_str().map(str::trim);
            let meant = text.and_then(|text| text.parse::<f64>().ok()).filter(within);
            ledger.refuse(at, &self.allowed(), meant.map(|number| self.show(&number)));
        }
        number
    }

    fn show(&self, value: &f64) -> String {
        format!("{value:?}")
    }
}

/// A duration within a range.
pub(crate) fn duration(range: RangeInclusive<Duration>) -> impl Form<Value = Duration> {
    Span { range }
}

struct Span {
    range: RangeInclusive<Duration>,
}

impl Form for Span {
    type Value = Duration;

    fn allowed(&self) -> String {
        let (least, most) = (self.show(self.range.start()), self.show(self.range.end()));
        format!("a duration from {least} to {most}")
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<Duration> {
        let within = |duration: &Duration| self.range.contains(duration);
        let value = at.value.get_ref();
        let read = value.as_str().and_then(duration::parse).filter(within);
        if read.is_none() {
            let text = value
                .as_str()
                .map(str::to_owned)
                .or_else(|| integer(value).map(|number| number.to_string()));
            let meant = text.and_then(|text| duration::guess(&text).find(within));
            let allowed = self.allowed() + ", in units of ms, s, m, h or d";
            ledger.refuse(at, &allowed, meant.map(|meant| self.show(&meant)));
        }
        read
    }

    fn show(&self, value: &Duration) -> String {
        quote(&duration::show(*value))
    }
}

/// An amount of memory or disk within a range, in bytes.
pub(crate) fn bytes(range: RangeInclusive<u64>) -> impl Form<Value = u64> {
    Bytes { range }
}

struct Bytes {
    range: RangeInclusive<u64>,
}

impl Form for Bytes {
    type Value = u64;

    fn allowed(&self) -> String {
        let (least, most) = (self.show(self.range.start()), self.show(self.range.end()));
        format!("a size from {least} to {most}")
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<u64> {
        let within = |bytes: &u64| self.range.contains(bytes);
        let value = at.value.get_ref();
        let read = value.as_str().and_then(size::parse).filter(within);
        if read.is_none() {
            let text = value
                .as_str()
                .map(str::to_owned)
                .or_else(|| integer(value).map(|number| number.to_string()));
            let meant = text.and_then(|text| size::guess(&text)).filter(within);
            let allowed = self.allowed() + ", in units of B, KiB, MiB or GiB";
            ledger.refuse(at, &allowed, meant.map(|meant| self.show(&meant)));
        }
        read
    }

    fn show(&self, value: &u64) -> String {
        quote(&size::show(*value))
    }
}
