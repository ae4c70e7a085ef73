//! Protocol data units of SMS as they cross a modem's serial line: SMS-DELIVER, SMS-SUBMIT and
//! SMS-STATUS-REPORT of 3GPP TS 23.040, behind the service centre's address of TS 27.005.
//!
//! ```
//! use megamind_sms::pdu::{Frame, Tpdu};
//!
//! let frame = Frame::from_hex("0791198948004544040C9119894882006200007050307040042206CF35689E9603")?;
//! let Tpdu::Deliver(message) = &frame.tpdu else { panic!("a delivery") };
//! assert_eq!(message.originator.to_string(), "+919884280026");
//! assert_eq!(message.user_data.text(), "Ok sir");
//! assert_eq!(frame.to_hex(), "0791198948004544040C9119894882006200007050307040042206CF35689E9603");
//! # Ok::<(), megamind_sms::pdu::Error>(())
//! ```

pub mod address;
pub mod alphabet;
pub mod compose;
pub mod dcs;
pub mod header;
pub mod hex;
mod reader;
#[cfg(test)]
mod tests;
pub mod time;
mod tpdu;
pub mod user_data;
pub mod validity;

pub use address::Address;
pub use dcs::{Alphabet, DataCoding};
pub use header::{Concat, Header, Reference};
pub use time::ServiceTime;
pub use tpdu::{Deliver, Outcome, Status, StatusReport, Submit};
pub use user_data::{Payload, UserData};
pub use validity::Validity;

use reader::Reader;
use std::{fmt, str::FromStr};

/// Why octets are not a PDU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An odd number of hexadecimal digits.
    #[error("an odd number of hexadecimal digits")]
    OddHex,
    /// Something else than a hexadecimal digit.
    #[error("no hexadecimal digit at position {at}")]
    Hex {
        /// Counted from zero.
        at: usize,
    },
    /// The octets end too early.
    #[error("cut off in the {field}: {needed} octets needed, {left} left")]
    Truncated {
        /// What was being read.
        field: &'static str,
        /// Octets that it takes.
        needed: usize,
        /// Octets that were left.
        left: usize,
    },
    /// An address longer than the standard allows.
    #[error("{field} of {semi_octets} digits")]
    AddressLength {
        /// Which address.
        field: &'static str,
        /// Its declared length.
        semi_octets: usize,
    },
    /// The user data header does not fit into the user data.
    #[error("user data header of {declared} octets in user data of {available}")]
    HeaderLength {
        /// TP-UDHL.
        declared: usize,
        /// Octets behind it.
        available: usize,
    },
    /// More user data than a PDU can hold.
    #[error("user data length {length} is beyond {limit}")]
    UserDataLength {
        /// TP-UDL.
        length: usize,
        /// Septets or octets allowed.
        limit: usize,
    },
    /// The first octet says that it is another PDU than was asked for.
    #[error("message type indicator {found} is no {expected}")]
    Type {
        /// What was asked for.
        expected: Direction,
        /// TP-MTI.
        found: u8,
    },
}

/// Which PDU: the same bits mean different PDUs in the two directions, so the caller may know
/// better than the first octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the service centre: an SMS-DELIVER.
    Deliver,
    /// To the service centre: an SMS-SUBMIT.
    Submit,
    /// From the service centre: an SMS-STATUS-REPORT.
    StatusReport,
}

impl Direction {
    const ALL: [Self; 3] = [Self::Deliver, Self::Submit, Self::StatusReport];

    /// What the TP-MTI bits mean on a modem's line, where neither SMS-COMMAND nor the
    /// acknowledging reports occur. The reserved value is to be treated as SMS-DELIVER
    /// (§9.2.3.1).
    const fn of(first: u8) -> Self {
        match first & 0b11 {
            0b01 => Self::Submit,
            0b10 => Self::StatusReport,
            _ => Self::Deliver,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Submit => "submit",
            Self::StatusReport => "status-report",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Direction`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of deliver, submit, status-report")]
pub struct UnknownDirection(String);

impl FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(name: &str) -> Result<Self, UnknownDirection> {
        Self::ALL
            .into_iter()
            .find(|direction| direction.name() == name)
            .ok_or_else(|| UnknownDirection(name.to_owned()))
    }
}

/// A PDU of the transfer layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tpdu {
    /// A message that came.
    Deliver(Deliver),
    /// A message that goes.
    Submit(Submit),
    /// A report on a message that went.
    StatusReport(StatusReport),
}

impl Tpdu {
    /// Decodes a PDU without the service centre in front. With `expected`, another PDU is an
    /// error. Octets behind the PDU are ignored: modems pad.
    pub fn decode(octets: &[u8], expected: Option<Direction>) -> Result<Self, Error> {
        let mut reader = Reader::new(octets);
        let first = reader.octet("first octet")?;
        let direction = Direction::of(first);
        if let Some(expected) = expected.filter(|expected| *expected != direction) {
            return Err(Error::Type { expected, found: first & 0b11 });
        }
        Ok(match direction {
            Direction::Deliver => Self::Deliver(Deliver::read(first, &mut reader)?),
            Direction::Submit => Self::Submit(Submit::read(first, &mut reader)?),
            Direction::StatusReport => Self::StatusReport(StatusReport::read(first, reader)?),
        })
    }

    /// The octets.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(180);
        match self {
            Self::Deliver(pdu) => pdu.write(&mut out),
            Self::Submit(pdu) => pdu.write(&mut out),
            Self::StatusReport(pdu) => pdu.write(&mut out),
        }
        out
    }

    /// Which PDU it is.
    pub const fn direction(&self) -> Direction {
        match self {
            Self::Deliver(_) => Direction::Deliver,
            Self::Submit(_) => Direction::Submit,
            Self::StatusReport(_) => Direction::StatusReport,
        }
    }

    /// The other party's address.
    pub const fn address(&self) -> &Address {
        match self {
            Self::Deliver(pdu) => &pdu.originator,
            Self::Submit(pdu) => &pdu.destination,
            Self::StatusReport(pdu) => &pdu.recipient,
        }
    }

    /// The service centre's time stamp.
    pub const fn timestamp(&self) -> Option<ServiceTime> {
        match self {
            Self::Deliver(pdu) => Some(pdu.timestamp),
            Self::Submit(_) => None,
            Self::StatusReport(pdu) => Some(pdu.timestamp),
        }
    }

    /// The user data of a message.
    pub const fn user_data(&self) -> Option<&UserData> {
        match self {
            Self::Deliver(pdu) => Some(&pdu.user_data),
            Self::Submit(pdu) => Some(&pdu.user_data),
            Self::StatusReport(_) => None,
        }
    }
}

impl From<Deliver> for Tpdu {
    fn from(pdu: Deliver) -> Self {
        Self::Deliver(pdu)
    }
}

impl From<Submit> for Tpdu {
    fn from(pdu: Submit) -> Self {
        Self::Submit(pdu)
    }
}

impl From<StatusReport> for Tpdu {
    fn from(pdu: StatusReport) -> Self {
        Self::StatusReport(pdu)
    }
}

/// Whether the service centre's address stands in front of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefix {
    /// It does, as TS 27.005 prescribes.
    Present,
    /// It does not, as with a few old modems.
    Absent,
    /// It does, unless that makes no sense and its absence does.
    #[default]
    Detect,
}

/// A PDU as AT commands carry it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The service centre; `None` for the one that the SIM knows.
    pub smsc: Option<Address>,
    /// The PDU.
    pub tpdu: Tpdu,
}

impl Frame {
    /// A frame that goes by the SIM's service centre.
    pub fn new(tpdu: impl Into<Tpdu>) -> Self {
        Self { smsc: None, tpdu: tpdu.into() }
    }

    /// Decodes what an AT response carries, without further knowledge.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        Self::decode(&hex::parse(text)?, None, Prefix::default())
    }

    /// Decodes `octets`. With `expected`, another PDU is an error.
    pub fn decode(octets: &[u8], expected: Option<Direction>, prefix: Prefix) -> Result<Self, Error> {
        let bare = || Ok(Self { smsc: None, tpdu: Tpdu::decode(octets, expected)? });
        match prefix {
            Prefix::Present => Self::decode_prefixed(octets, expected),
            Prefix::Absent => bare(),
            Prefix::Detect => Self::decode_prefixed(octets, expected)
                // Only what comes out again octet by octet is believed to have no prefix;
                // otherwise the first error says more.
                .or_else(|error| bare().ok().filter(|f| f.is_exactly(octets)).ok_or(error)),
        }
    }

    fn decode_prefixed(octets: &[u8], expected: Option<Direction>) -> Result<Self, Error> {
        let mut reader = Reader::new(octets);
        let smsc = Address::read_smsc(&mut reader)?;
        let tpdu = Tpdu::decode(reader.rest(), expected)?;
        Ok(Self { smsc, tpdu })
    }

    fn is_exactly(&self, octets: &[u8]) -> bool {
        let sane_time = self.tpdu.timestamp().is_none_or(|time| time.parts().is_some());
        sane_time && self.tpdu.encode() == octets
    }

    /// The octets with the service centre in front, and the length without it, which is what
    /// `AT+CMGS` wants to be told.
    pub fn encode(&self) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(180);
        Address::write_smsc(self.smsc.as_ref(), &mut out);
        let tpdu = self.tpdu.encode();
        out.extend(&tpdu);
        (out, tpdu.len())
    }

    /// The octets in hexadecimal.
    pub fn to_hex(&self) -> String {
        hex::format(&self.encode().0)
    }
}
