//! `sms encode`: the PDUs for a text.

use crate::pdu::{
    Address, DataCoding, Deliver, Direction, Frame, Header, Reference, ServiceTime, Submit, Tpdu, UserData, Validity,
    address::AddressError,
    alphabet::Language,
    compose::{Composer, TooLong},
    header::Element,
    hex,
    user_data::UserDataError,
    validity::{Enhanced, Relative},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{io, process::ExitCode, str::FromStr};

/// What to encode.
#[derive(Debug, Clone, clap::Args)]
pub struct EncodeArgs {
    /// The other party: a number, or the name of a sender with --direction deliver
    pub number: String,
    /// What to say
    pub text: String,
    /// submit, or deliver: the message as its recipient's modem would show it
    #[arg(long, default_value = "submit")]
    pub direction: Direction,
    /// Service centre [default: the one that the SIM knows]
    #[arg(long, value_name = "NUMBER")]
    pub smsc: Option<String>,
    /// National tables that may be used, such as hindi; repeatable
    #[arg(long = "language", value_name = "NAME")]
    pub languages: Vec<Language>,
    /// Reference that the parts of a long text share; above 255 it takes two octets
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub concat_reference: u16,
    /// TP-MR of the first message; the others count on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub message_reference: u8,
    /// Ask for a delivery report
    #[arg(long)]
    pub status_report: bool,
    /// Validity: a TP-VP octet (170), absolute:HEX or enhanced:HEX with seven octets
    #[arg(long, value_name = "PERIOD")]
    pub validity: Option<ValidityArg>,
    /// TP-PID
    #[arg(long, default_value_t = 0)]
    pub pid: u8,
    /// TP-DCS; the text then has to fit one message of that alphabet
    #[arg(long)]
    pub dcs: Option<u8>,
    /// The user data header in hexadecimal, its length octet included; needs --dcs
    #[arg(long, value_name = "HEX", requires = "dcs")]
    pub udh: Option<String>,
    /// Time stamp of a delivery, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub timestamp: Option<String>,
    /// Print one JSON object a line instead of hexadecimal
    #[arg(long)]
    pub json: bool,
}

/// A validity period on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidityArg(pub Validity);

/// Why a text cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum EncodeError {
    #[error("number: {0}")]
    Number(AddressError),
    #[error("service centre: {0}")]
    Smsc(AddressError),
    #[error(transparent)]
    Text(#[from] TooLong),
    #[error(transparent)]
    UserData(#[from] UserDataError),
    #[error("header: {0}")]
    Header(String),
    #[error("time stamp: {0}")]
    Time(String),
    #[error("a status report is not made from a text")]
    StatusReport,
    #[error("validity: neither an octet nor absolute: or enhanced: with seven octets")]
    Validity,
}

impl FromStr for ValidityArg {
    type Err = EncodeError;

    fn from_str(text: &str) -> Result<Self, EncodeError> {
        let seven = |text: &str| {
            hex::parse(text)
                .ok()
                .and_then(|octets| <[u8; 7]>::try_from(octets).ok())
                .ok_or(EncodeError::Validity)
        };
        Ok(Self(match text.split_once(':') {
            Some(("absolute", value)) => Validity::Absolute(ServiceTime(seven(value)?)),
            Some(("enhanced", value)) => Validity::Enhanced(Enhanced(seven(value)?)),
            Some(_) => return Err(EncodeError::Validity),
            None => Validity::Relative(Relative(text.parse().map_err(|_| EncodeError::Validity)?)),
        }))
    }
}

#[derive(Serialize)]
struct Encoded {
    pdu: String,
    /// What `AT+CMGS` is told.
    length: usize,
    alphabet: String,
}

/// Prints the PDUs, or to `err` why there are none, with exit code 1.
pub fn encode(args: &EncodeArgs, out: &mut dyn io::Write, err: &mut dyn io::Write) -> io::Result<ExitCode> {
    let frames = match frames(args) {
        Ok(frames) => frames,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    for frame in frames {
        if args.json {
            let encoded = Encoded {
                pdu: frame.to_hex(),
                length: frame.encode().1,
                alphabet: frame
                    .tpdu
                    .user_data()
                    .map(|data| data.coding().alphabet().to_string())
                    .unwrap_or_default(),
            };
            serde_json::to_writer(&mut *out, &encoded)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", frame.to_hex())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn frames(args: &EncodeArgs) -> Result<Vec<Frame>, EncodeError> {
    let smsc = args
        .smsc
        .as_deref()
        .map(Address::number)
        .transpose()
        .map_err(EncodeError::Smsc)?;
    let parts = parts(args)?;
    let pdus: Vec<Tpdu> = match args.direction {
        Direction::Submit => submits(args, parts)?,
        Direction::Deliver => delivers(args, parts)?,
        Direction::StatusReport => return Err(EncodeError::StatusReport),
    };
    Ok(pdus.into_iter().map(|tpdu| Frame { smsc: smsc.clone(), tpdu }).collect())
}

fn parts(args: &EncodeArgs) -> Result<Vec<UserData>, EncodeError> {
    let Some(dcs) = args.dcs else {
        let composer = Composer {
            languages: &args.languages,
            reference: u8::try_from(args.concat_reference)
                .map_or(Reference::Wide(args.concat_reference), Reference::Short),
            max_parts: u8::MAX,
        };
        return Ok(composer.split(&args.text)?);
    };
    let header = args.udh.as_deref().map(header).transpose()?;
    Ok(vec![UserData::from_text(DataCoding(dcs), header, &args.text)?])
}

fn header(udh: &str) -> Result<Header, EncodeError> {
    let wrong = |why: &str| EncodeError::Header(why.to_owned());
    let octets = hex::parse(udh).map_err(|error| EncodeError::Header(error.to_string()))?;
    let (length, mut rest) = octets.split_first().ok_or_else(|| wrong("empty"))?;
    if usize::from(*length) != rest.len() {
        return Err(wrong("its first octet is not its length"));
    }
    let mut elements = Vec::new();
    while let [id, length, more @ ..] = rest {
        let (data, next) = more
            .split_at_checked(usize::from(*length))
            .ok_or_else(|| wrong("an element is longer than the header"))?;
        elements.push(Element { id: *id, data: data.to_vec() });
        rest = next;
    }
    if !rest.is_empty() {
        return Err(wrong("an element without a length"));
    }
    Header::new(elements).ok_or_else(|| wrong("too long"))
}

fn submits(args: &EncodeArgs, parts: Vec<UserData>) -> Result<Vec<Tpdu>, EncodeError> {
    let destination = Address::number(&args.number).map_err(EncodeError::Number)?;
    Ok(parts
        .into_iter()
        .zip(0u8..)
        .map(|(user_data, nth)| {
            Tpdu::Submit(Submit {
                status_report: args.status_report,
                message_reference: args.message_reference.wrapping_add(nth),
                protocol: args.pid,
                validity: args.validity.map(|validity| validity.0),
                ..Submit::new(destination.clone(), user_data)
            })
        })
        .collect())
}

fn delivers(args: &EncodeArgs, parts: Vec<UserData>) -> Result<Vec<Tpdu>, EncodeError> {
    let originator = Address::number(&args.number)
        .or_else(|_| Address::alphanumeric(&args.number))
        .map_err(EncodeError::Number)?;
    let timestamp = timestamp(args.timestamp.as_deref())?;
    Ok(parts
        .into_iter()
        .map(|user_data| {
            Tpdu::Deliver(Deliver {
                protocol: args.pid,
                status_report: args.status_report,
                ..Deliver::new(originator.clone(), timestamp, user_data)
            })
        })
        .collect())
}

/// The instant with the offset that was written, in quarters of an hour.
fn timestamp(text: Option<&str>) -> Result<ServiceTime, EncodeError> {
    let wrong = |why: String| EncodeError::Time(why);
    let (instant, offset) = match text {
        None => (Timestamp::now(), SignedDuration::ZERO),
        Some(text) => {
            let instant: Timestamp = text.parse().map_err(|e: jiff::Error| wrong(e.to_string()))?;
            let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|error| wrong(error.to_string()))?;
            let offset = pieces.to_numeric_offset().map_or(0, jiff::tz::Offset::seconds);
            (instant, SignedDuration::from_secs(i64::from(offset)))
        }
    };
    let quarters = i8::try_from(offset.as_mins() / 15).ok();
    quarters
        .and_then(|quarters| ServiceTime::at(instant, quarters))
        .ok_or_else(|| wrong("outside of what a PDU can say".to_owned()))
}
