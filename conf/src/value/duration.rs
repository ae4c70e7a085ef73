//! Durations as operators write them: `"250ms"`, `"3s"`, `"1m30s"`, `"7d"`.

use std::time::Duration;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// Units with their length in milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Reads numbers with units, the units falling: `1h30m`, not `30m1h`.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(Duration::from_millis(total))
}

/// The shortest text that [`parse`] reads back as the same duration in one unit. Whole days are
/// written as hours up to two of them, as people do.
pub(crate) fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, length) = UNITS
        .into_iter()
        .find(|(unit, length)| {
            millis.is_multiple_of(*length) && millis >= if *unit == "d" { 2 * length } else { *length }
        })
        .unwrap_or(("s", 1_000));
    format!("{}{unit}", millis / length)
}

/// What a refused text may have been meant to say, the likeliest first.
pub(crate) fn guess(text: &str) -> impl Iterator<Item = Duration> {
    let text: String = text
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '_')
        .collect();
    let (number, unit) = split(&text, |c| c.is_ascii_digit() || c == '.');
    let lengths: &[u64] = match unit {
        "" => &[1_000, 1, 60_000],
        "ms" | "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => &[1],
        "s" | "sec" | "secs" | "second" | "seconds" => &[1_000],
        "m" | "min" | "mins" | "minute" | "minutes" => &[60_000],
        "h" | "hr" | "hrs" | "hour" | "hours" => &[3_600_000],
        "d" | "day" | "days" => &[86_400_000],
        "w" | "week" | "weeks" => &[7 * 86_400_000],
        _ => &[],
    };
    let number = number.parse::<f64>().ok().filter(|number| *number < 1e9);
    // `as` saturates, and the product is far below the limit anyway.
    lengths
        .iter()
        .filter_map(move |length| Some(Duration::from_millis((number? * *length as f64).round() as u64)))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}
