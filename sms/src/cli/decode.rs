//! `sms decode`: one line for each PDU, whatever it is.

use crate::pdu::{self, Direction, Frame, Prefix, ServiceTime, Tpdu, UserData, hex};
use serde::Serialize;
use std::{io, process::ExitCode};

/// What to decode, and how to print it.
#[derive(Debug, Clone, clap::Args)]
pub struct DecodeArgs {
    /// PDUs in hexadecimal, as AT+CMGL and +CMT give them
    #[arg(required = true, value_name = "HEX")]
    pub pdus: Vec<String>,
    /// Which PDU it must be: deliver, submit or status-report [default: what its first octet says]
    #[arg(long)]
    pub direction: Option<Direction>,
    /// There is no service centre address in front [default: found out]
    #[arg(long)]
    pub no_smsc: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// One PDU in the shape of the JSON output, which is a contract: fields are added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Decoded {
    direction: Option<String>,
    smsc: Option<String>,
    number: Option<String>,
    text: Option<String>,
    alphabet: Option<String>,
    timestamp: Option<String>,
    concat: Option<Place>,
    message_reference: Option<u8>,
    status: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Place {
    reference: u16,
    total: u8,
    part: u8,
}

/// Prints what each PDU says. A bad one is a line too, with its `error`; the exit code stays 0.
pub fn decode(args: &DecodeArgs, out: &mut dyn io::Write) -> io::Result<ExitCode> {
    let prefix = if args.no_smsc { Prefix::Absent } else { Prefix::Detect };
    for pdu in &args.pdus {
        let frame = hex::parse(pdu).and_then(|o| Frame::decode(&o, args.direction, prefix));
        let decoded = Decoded::new(frame, args.direction);
        if args.json {
            serde_json::to_writer(&mut *out, &decoded)?;
            writeln!(out)?;
        } else {
            decoded.print(out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Decoded {
    fn new(frame: Result<Frame, pdu::Error>, asked: Option<Direction>) -> Self {
        let Frame { smsc, tpdu } = match frame {
            Ok(frame) => frame,
            Err(error) => {
                return Self {
                    direction: asked.map(|direction| direction.to_string()),
                    error: Some(error.to_string()),
                    ..Self::default()
                };
            }
        };
        let data = tpdu.user_data();
        let (message_reference, status) = match &tpdu {
            Tpdu::Deliver(_) => (None, None),
            Tpdu::Submit(submit) => (Some(submit.message_reference), None),
            Tpdu::StatusReport(report) => (Some(report.message_reference), Some(report.status.0)),
        };
        Self {
            direction: Some(tpdu.direction().to_string()),
            smsc: smsc
                .filter(|address| !address.value().is_empty())
                .map(|address| address.to_string()),
            number: Some(tpdu.address().to_string()),
            text: data.map(UserData::text),
            alphabet: data.map(|data| data.coding().alphabet().to_string()),
            timestamp: tpdu.timestamp().and_then(ServiceTime::rfc3339),
            concat: data.and_then(UserData::concat).map(|place| Place {
                reference: place.reference.value(),
                total: place.total,
                part: place.part,
            }),
            message_reference,
            status,
            error: None,
        }
    }

    /// For people: only what is there, a line each, and an empty line behind.
    fn print(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let place = self
            .concat
            .as_ref()
            .map(|c| format!("part {} of {}, reference {}", c.part, c.total, c.reference));
        let status = self.status.map(|s| pdu::Status(s).to_string());
        let lines = [
            ("direction", self.direction.clone()),
            ("centre", self.smsc.clone()),
            ("number", self.number.clone()),
            ("time", self.timestamp.clone()),
            ("alphabet", self.alphabet.clone()),
            ("place", place),
            ("reference", self.message_reference.map(|r| r.to_string())),
            ("status", status),
            ("text", self.text.clone()),
            ("error", self.error.clone()),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                writeln!(out, "{name:<10} {value}")?;
            }
        }
        writeln!(out)
    }
}
