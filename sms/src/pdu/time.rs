//! Time stamps of the service centre (3GPP TS 23.040 §9.2.3.11).

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use std::fmt;

/// A TP time stamp as it came: seven octets of swapped semi-octets, the last one a time zone in
/// quarters of an hour. The two digits of the year mean 2000 to 2089.
///
/// Networks send impossible ones (zeros, month 0), so the octets are kept and asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceTime(pub [u8; 7]);

impl ServiceTime {
    /// The local time and its offset in quarters of an hour; `None` where the octets are no time.
    pub fn parts(self) -> Option<(DateTime, i8)> {
        let [year, month, day, hour, minute, second, zone] = self.0;
        let field = |octet| swapped(octet).map(|value| value as i8);
        let local = DateTime::new(
            full_year(swapped(year)?),
            field(month)?,
            field(day)?,
            field(hour)?,
            field(minute)?,
            field(second)?,
            0,
        )
        .ok()?;
        // The sign is the top bit of the first digit's nibble (§9.2.3.11).
        let quarters = swapped(zone & !0x08)? as i8;
        Some((local, if zone & 0x08 == 0 { quarters } else { -quarters }))
    }

    /// The instant.
    pub fn timestamp(self) -> Option<Timestamp> {
        let (local, quarters) = self.parts()?;
        offset(quarters)?.to_timestamp(local).ok()
    }

    /// The octets for `instant` as told at an offset of `quarters` of an hour; `None` outside the
    /// years 2000 to 2089 and beyond 79 quarters.
    pub fn at(instant: Timestamp, quarters: i8) -> Option<Self> {
        let local = instant.to_zoned(TimeZone::fixed(offset(quarters)?)).datetime();
        let year = u8::try_from(local.year().checked_sub(2000)?).ok()?;
        if year > 89 || quarters.unsigned_abs() > 79 {
            return None;
        }
        let field = |value: i8| swap(value.unsigned_abs());
        let sign = if quarters < 0 { 0x08 } else { 0 };
        Some(Self([
            swap(year),
            field(local.month()),
            field(local.day()),
            field(local.hour()),
            field(local.minute()),
            field(local.second()),
            swap(quarters.unsigned_abs()) | sign,
        ]))
    }

    /// RFC 3339 with the offset that was sent; `None` where the octets are no time.
    pub fn rfc3339(self) -> Option<String> {
        self.parts().map(|(local, quarters)| {
            let sign = if quarters < 0 { '-' } else { '+' };
            let minutes = u32::from(quarters.unsigned_abs()) * 15;
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
                local.year(),
                local.month(),
                local.day(),
                local.hour(),
                local.minute(),
                local.second(),
                minutes / 60,
                minutes % 60
            )
        })
    }
}

impl fmt::Display for ServiceTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rfc3339().as_deref().unwrap_or("no time"))
    }
}

/// The standard leaves the century open. 90 to 99 would be before the service centres of today;
/// only test messages carry them, and those are read as gammu reads them (1990 added), so that
/// recorded PDUs decode here as they do there.
const fn full_year(two_digits: u8) -> i16 {
    match two_digits {
        0..=89 => 2000 + two_digits as i16,
        90.. => 1990 + two_digits as i16,
    }
}

fn offset(quarters: i8) -> Option<Offset> {
    Offset::from_seconds(i32::from(quarters) * 15 * 60).ok()
}

/// The value of two swapped decimal digits.
pub(super) fn swapped(octet: u8) -> Option<u8> {
    let (tens, ones) = (octet & 0xF, octet >> 4);
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

/// Two decimal digits of `value` (below 100), swapped.
pub(super) fn swap(value: u8) -> u8 {
    (value / 10 % 10) | ((value % 10) << 4)
}
