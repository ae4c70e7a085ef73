//! The three PDUs of the transfer layer that cross a modem's serial line (3GPP TS 23.040 §9.2.2).

use super::{
    Error, address::Address, dcs::DataCoding, reader::Reader, time::ServiceTime, user_data::UserData,
    validity::Validity,
};
use std::fmt;

/// Bits of the first octet (§9.2.3.1 to §9.2.3.26).
mod bit {
    pub(super) const DELIVER: u8 = 0x00;
    pub(super) const SUBMIT: u8 = 0x01;
    pub(super) const STATUS_REPORT: u8 = 0x02;
    /// TP-MMS: *no* more messages are waiting.
    pub(super) const NO_MORE: u8 = 0x04;
    pub(super) const REJECT_DUPLICATES: u8 = 0x04;
    pub(super) const LOOP_PREVENTION: u8 = 0x08;
    /// TP-SRI, TP-SRR or TP-SRQ.
    pub(super) const STATUS: u8 = 0x20;
    pub(super) const HEADER: u8 = 0x40;
    pub(super) const REPLY_PATH: u8 = 0x80;
}

const fn flag(on: bool, bit: u8) -> u8 {
    if on { bit } else { 0 }
}

/// A message from the service centre (§9.2.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "independent bits of the first octet")]
pub struct Deliver {
    /// More messages wait at the service centre.
    pub more_messages: bool,
    /// The message has been forwarded and shall not be again.
    pub loop_prevention: bool,
    /// The sender asked for a report.
    pub status_report: bool,
    /// A reply may go by the same service centre at the sender's cost.
    pub reply_path: bool,
    /// The sender.
    pub originator: Address,
    /// TP-PID.
    pub protocol: u8,
    /// When the service centre took it.
    pub timestamp: ServiceTime,
    /// What it says.
    pub user_data: UserData,
}

impl Deliver {
    /// A plain message, as a service centre would send it.
    pub fn new(originator: Address, timestamp: ServiceTime, user_data: UserData) -> Self {
        Self {
            more_messages: false,
            loop_prevention: false,
            status_report: false,
            reply_path: false,
            originator,
            protocol: 0,
            timestamp,
            user_data,
        }
    }

    pub(super) fn read(first: u8, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let originator = Address::read(reader, "originating address")?;
        let protocol = reader.octet("protocol identifier")?;
        let coding = DataCoding(reader.octet("data coding scheme")?);
        let timestamp = ServiceTime(reader.array("service centre time stamp")?);
        let user_data = UserData::read(coding, first & bit::HEADER != 0, reader)?;
        Ok(Self {
            more_messages: first & bit::NO_MORE == 0,
            loop_prevention: first & bit::LOOP_PREVENTION != 0,
            status_report: first & bit::STATUS != 0,
            reply_path: first & bit::REPLY_PATH != 0,
            originator,
            protocol,
            timestamp,
            user_data,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(
            bit::DELIVER
                | flag(!self.more_messages, bit::NO_MORE)
                | flag(self.loop_prevention, bit::LOOP_PREVENTION)
                | flag(self.status_report, bit::STATUS)
                | flag(self.user_data.header().is_some(), bit::HEADER)
                | flag(self.reply_path, bit::REPLY_PATH),
        );
        self.originator.write(out);
        out.extend([self.protocol, self.user_data.coding().0]);
        out.extend(self.timestamp.0);
        self.user_data.write(out);
    }
}

/// A message to the service centre (§9.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Submit {
    /// The service centre shall refuse a message with the same reference and destination.
    pub reject_duplicates: bool,
    /// A delivery report is wanted.
    pub status_report: bool,
    /// A reply may go by the same service centre at the sender's cost.
    pub reply_path: bool,
    /// TP-MR; most modems put in one of their own.
    pub message_reference: u8,
    /// Who gets it.
    pub destination: Address,
    /// TP-PID.
    pub protocol: u8,
    /// How long to try; `None` leaves it to the service centre.
    pub validity: Option<Validity>,
    /// What it says.
    pub user_data: UserData,
}

impl Submit {
    /// A plain message.
    pub fn new(destination: Address, user_data: UserData) -> Self {
        Self {
            reject_duplicates: false,
            status_report: false,
            reply_path: false,
            message_reference: 0,
            destination,
            protocol: 0,
            validity: None,
            user_data,
        }
    }

    pub(super) fn read(first: u8, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let message_reference = reader.octet("message reference")?;
        let destination = Address::read(reader, "destination address")?;
        let protocol = reader.octet("protocol identifier")?;
        let coding = DataCoding(reader.octet("data coding scheme")?);
        let validity = Validity::read(first, reader)?;
        let user_data = UserData::read(coding, first & bit::HEADER != 0, reader)?;
        Ok(Self {
            reject_duplicates: first & bit::REJECT_DUPLICATES != 0,
            status_report: first & bit::STATUS != 0,
            reply_path: first & bit::REPLY_PATH != 0,
            message_reference,
            destination,
            protocol,
            validity,
            user_data,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(
            bit::SUBMIT
                | flag(self.reject_duplicates, bit::REJECT_DUPLICATES)
                | Validity::format_bits(self.validity)
                | flag(self.status_report, bit::STATUS)
                | flag(self.user_data.header().is_some(), bit::HEADER)
                | flag(self.reply_path, bit::REPLY_PATH),
        );
        out.push(self.message_reference);
        self.destination.write(out);
        out.extend([self.protocol, self.user_data.coding().0]);
        if let Some(validity) = self.validity {
            validity.write(out);
        }
        self.user_data.write(out);
    }
}

/// What became of a message sent (§9.2.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatusReport {
    /// More messages wait at the service centre.
    pub more_messages: bool,
    /// The report has been forwarded and shall not be again.
    pub loop_prevention: bool,
    /// The report answers an SMS-COMMAND instead of an SMS-SUBMIT.
    pub for_command: bool,
    /// TP-MR of the message reported on.
    pub message_reference: u8,
    /// Its recipient.
    pub recipient: Address,
    /// When the service centre took the message.
    pub timestamp: ServiceTime,
    /// When it was delivered, or last tried.
    pub discharge: ServiceTime,
    /// The outcome.
    pub status: Status,
    /// The optional parameters, from TP-PI on, as they came: phones append filler here.
    pub parameters: Vec<u8>,
}

impl StatusReport {
    pub(super) fn read(first: u8, mut reader: Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            more_messages: first & bit::NO_MORE == 0,
            loop_prevention: first & bit::LOOP_PREVENTION != 0,
            for_command: first & bit::STATUS != 0,
            message_reference: reader.octet("message reference")?,
            recipient: Address::read(&mut reader, "recipient address")?,
            timestamp: ServiceTime(reader.array("service centre time stamp")?),
            discharge: ServiceTime(reader.array("discharge time")?),
            status: Status(reader.octet("status")?),
            parameters: reader.rest().to_vec(),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(
            bit::STATUS_REPORT
                | flag(!self.more_messages, bit::NO_MORE)
                | flag(self.loop_prevention, bit::LOOP_PREVENTION)
                | flag(self.for_command, bit::STATUS),
        );
        out.push(self.message_reference);
        self.recipient.write(out);
        out.extend(self.timestamp.0);
        out.extend(self.discharge.0);
        out.push(self.status.0);
        out.extend(&self.parameters);
    }
}

/// TP-Status (§9.2.3.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

/// What a [`Status`] means for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The message has arrived, or the service centre has nothing left to do with it.
    Completed,
    /// The service centre keeps trying; another report follows.
    Trying,
    /// It will not arrive.
    Failed,
}

impl Status {
    /// Received by the recipient.
    pub const RECEIVED: Self = Self(0x00);
    /// The validity period ended before the recipient was reached.
    pub const EXPIRED: Self = Self(0x46);

    /// The outcome. Reserved values count as failed, as §9.2.3.15 demands.
    pub const fn outcome(self) -> Outcome {
        match self.0 {
            0x00..=0x1F => Outcome::Completed,
            0x20..=0x3F => Outcome::Trying,
            0x40.. => Outcome::Failed,
        }
    }

    /// The standard's words.
    pub const fn description(self) -> &'static str {
        match self.0 {
            0x00 => "received by the recipient",
            0x01 => "forwarded, delivery not confirmed",
            0x02 => "replaced by the service centre",
            0x20 | 0x60 => "congestion",
            0x21 | 0x61 => "recipient busy",
            0x22 | 0x62 => "no response from recipient",
            0x23 | 0x63 => "service rejected",
            0x24 | 0x44 | 0x64 => "quality of service not available",
            0x25 | 0x65 => "error in recipient",
            0x40 => "remote procedure error",
            0x41 => "incompatible destination",
            0x42 => "connection rejected by recipient",
            0x43 => "not obtainable",
            0x45 => "no interworking available",
            0x46 => "validity period expired",
            0x47 => "deleted by originator",
            0x48 => "deleted by service centre",
            0x49 => "message does not exist",
            0x03..=0x1F => "completed",
            0x26..=0x3F => "still trying",
            0x4A..=0x5F => "permanent error",
            0x66.. => "gave up",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04X} {}", self.0, self.description())
    }
}
