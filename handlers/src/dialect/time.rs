//! Times as the dialect writes them.

use jiff::{
    Timestamp,
    fmt::strtime,
    tz::{Offset, TimeZone},
};
use megamind_domain::Time;

/// How times are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 with offset.
    Rfc3339,
    /// Seconds since 1970, a number.
    Unix,
    /// Milliseconds since 1970, a number.
    UnixMillis,
    /// A strftime pattern; UTC unless the pattern carries an offset.
    Pattern(String),
}

impl TimeFormat {
    /// Reads a time. RFC 3339 is always taken beside the format itself.
    pub(crate) fn read(&self, text: &str) -> Option<Time> {
        let own = match self {
            Self::Rfc3339 => None,
            Self::Unix => seconds(text),
            Self::UnixMillis => text.parse().ok().map(Time),
            Self::Pattern(pattern) => by_pattern(pattern, text),
        };
        own.or_else(|| rfc3339(text)).filter(|time| timestamp(*time).is_some())
    }

    /// Whether times are numbers on the wire.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Unix | Self::UnixMillis)
    }

    /// Writes a time into JSON.
    pub(crate) fn write(&self, time: Time, out: &mut Vec<u8>) {
        let Some(at) = timestamp(time) else {
            // Nothing that was read or decided is beyond the calendar.
            out.extend_from_slice(b"null");
            return;
        };
        match self {
            Self::Rfc3339 => {
                out.push(b'"');
                rfc3339_into(at, out);
                out.push(b'"');
            }
            Self::Unix => out.extend_from_slice(at.as_second().to_string().as_bytes()),
            Self::UnixMillis => out.extend_from_slice(time.0.to_string().as_bytes()),
            Self::Pattern(pattern) => {
                let zoned = at.to_zoned(TimeZone::UTC);
                let text = strtime::format(pattern, &zoned).unwrap_or_else(|_| at.to_string());
                super::json::text_into(&text, out);
            }
        }
    }
}

fn rfc3339_into(at: Timestamp, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to a vector does not fail.
    let _ = write!(out, "{at}");
}

fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.0).ok()
}

fn rfc3339(text: &str) -> Option<Time> {
    let at: Timestamp = text.parse().ok()?;
    Some(Time(at.as_millisecond()))
}

fn seconds(text: &str) -> Option<Time> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    let millis: i64 = match part.len() {
        0 => 0,
        _ if !part.bytes().all(|byte| byte.is_ascii_digit()) => return None,
        _ => format!("{part:0<3}").get(..3)?.parse().ok()?,
    };
    Some(Time(whole.checked_mul(1000)?.checked_add(millis)?))
}

fn by_pattern(pattern: &str, text: &str) -> Option<Time> {
    let parts = strtime::parse(pattern, text).ok()?;
    let at = parts.to_timestamp().or_else(|_| {
        let civil = parts.to_datetime()?;
        Offset::UTC.to_timestamp(civil)
    });
    Some(Time(at.ok()?.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &TimeFormat, time: Time) -> String {
        let mut out = Vec::new();
        format.write(time, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_format_reads_what_it_writes() {
        let time = Time(1_700_000_000_000);
        for (format, expect) in [
            (TimeFormat::Rfc3339, "\"2023-11-14T22:13:20Z\""),
            (TimeFormat::Unix, "1700000000"),
            (TimeFormat::UnixMillis, "1700000000000"),
            (TimeFormat::Pattern("%d/%m/%Y %H:%M:%S".into()), "\"14/11/2023 22:13:20\""),
            (TimeFormat::Pattern("%Y-%m-%dT%H:%M:%S%z".into()), "\"2023-11-14T22:13:20+0000\""),
        ] {
            assert_eq!(written(&format, time), expect);
            assert_eq!(format.read(expect.trim_matches('"')), Some(time));
            assert_eq!(format.read("2023-11-15T03:43:20+05:30"), Some(time), "{format:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2023-11-14", "2023-11-14T22:13:20", "99999999999999999999"] {
            assert_eq!(TimeFormat::Rfc3339.read(text), None, "{text}");
            assert_eq!(TimeFormat::Unix.read(text), None, "{text}");
        }
        assert_eq!(TimeFormat::Unix.read("1700000000.25"), Some(Time(1_700_000_000_250)));
        assert_eq!(TimeFormat::Unix.read("9223372036854775807"), None);
    }
}
