//! How long the service centre keeps trying (3GPP TS 23.040 §9.2.3.12).

use super::{
    Error,
    reader::Reader,
    time::{ServiceTime, swap, swapped},
};
use std::time::Duration;

/// The TP validity period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validity {
    /// One octet, from the moment the service centre has it.
    Relative(Relative),
    /// Until a time.
    Absolute(ServiceTime),
    /// Seven octets with a format of their own.
    Enhanced(Enhanced),
}

/// A relative period: 5 minutes to 63 weeks in steps that grow (§9.2.3.12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Relative(pub u8);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

impl Relative {
    /// The period.
    pub const fn duration(self) -> Duration {
        let value = self.0 as u64;
        Duration::from_secs(match self.0 {
            0..=143 => (value + 1) * 5 * MINUTE,
            144..=167 => 12 * HOUR + (value - 143) * 30 * MINUTE,
            168..=196 => (value - 166) * DAY,
            197.. => (value - 192) * WEEK,
        })
    }

    /// The shortest period that is at least `duration`, or the longest there is (63 weeks).
    pub fn at_least(duration: Duration) -> Self {
        (0..=u8::MAX)
            .map(Self)
            .find(|period| period.duration() >= duration)
            .unwrap_or(Self(u8::MAX))
    }
}

/// An enhanced period (§9.2.3.12.3), kept as it came: the first octet is the functionality
/// indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enhanced(pub [u8; 7]);

impl Enhanced {
    const SINGLE_SHOT: u8 = 0x40;
    const EXTENDED: u8 = 0x80;

    /// A period of 1 to 255 seconds.
    pub const fn seconds(seconds: u8) -> Self {
        Self([0x02, seconds, 0, 0, 0, 0, 0])
    }

    /// A period in hours, minutes and seconds, each below 100.
    pub fn clock(hours: u8, minutes: u8, seconds: u8) -> Self {
        Self([0x03, swap(hours), swap(minutes), swap(seconds), 0, 0, 0])
    }

    /// The same period with one attempt only.
    pub const fn single_shot(mut self) -> Self {
        self.0[0] |= Self::SINGLE_SHOT;
        self
    }

    /// Whether the service centre tries once only.
    pub const fn is_single_shot(self) -> bool {
        self.0[0] & Self::SINGLE_SHOT != 0
    }

    /// The period; `None` where none is given or the format is reserved.
    pub fn duration(self) -> Option<Duration> {
        // An extended indicator takes one more octet before the value.
        let value = &self.0[if self.0[0] & Self::EXTENDED == 0 { 1 } else { 2 }..];
        match self.0[0] & 0x07 {
            1 => Some(Relative(value[0]).duration()),
            2 => Some(Duration::from_secs(u64::from(value[0]))),
            3 => {
                let field = |octet| swapped(octet).map(u64::from);
                Some(Duration::from_secs(
                    field(value[0])? * HOUR + field(value[1])? * MINUTE + field(value[2])?,
                ))
            }
            _ => None,
        }
    }
}

impl Validity {
    /// The TP-VPF bits of the first octet for `validity`, in their place.
    pub(super) const fn format_bits(validity: Option<Self>) -> u8 {
        match validity {
            None => 0x00,
            Some(Self::Enhanced(_)) => 0x08,
            Some(Self::Relative(_)) => 0x10,
            Some(Self::Absolute(_)) => 0x18,
        }
    }

    /// Reads what the first octet of the PDU announces.
    pub(super) fn read(first: u8, reader: &mut Reader<'_>) -> Result<Option<Self>, Error> {
        const FIELD: &str = "validity period";
        Ok(match first & 0x18 {
            0x08 => Some(Self::Enhanced(Enhanced(reader.array(FIELD)?))),
            0x10 => Some(Self::Relative(Relative(reader.octet(FIELD)?))),
            0x18 => Some(Self::Absolute(ServiceTime(reader.array(FIELD)?))),
            _ => None,
        })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Relative(period) => out.push(period.0),
            Self::Absolute(until) => out.extend(until.0),
            Self::Enhanced(period) => out.extend(period.0),
        }
    }
}
