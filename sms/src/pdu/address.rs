//! Addresses: who sent it, who gets it, which service centre (3GPP TS 23.040 §9.1.2.5).

use super::{
    Error,
    alphabet::{Shift, septets},
    reader::Reader,
};
use std::fmt;

/// The most semi-octets that an address field can carry: ten octets of two (§9.1.2.5).
const MAX_SEMI_OCTETS: usize = 20;

/// The semi-octets beyond the decimal digits, from 0xA on (3GPP TS 24.008 table 10.5.118).
const SPECIAL: [char; 5] = ['*', '#', 'a', 'b', 'c'];
const FILLER: u8 = 0xF;

/// A telephone number or an alphanumeric sender.
///
/// [`fmt::Display`] gives the usual form: digits, with a leading `+` when the type of number is
/// international, or the text of an alphanumeric address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    type_of_address: u8,
    value: String,
}

/// A text that cannot be an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither a digit nor one of `*#abc`.
    #[error("{0:?} cannot be dialled")]
    Character(char),
    /// More than twenty digits, or more than eleven characters.
    #[error("an address of {0} is too long")]
    TooLong(usize),
    /// Nothing at all.
    #[error("an address cannot be empty")]
    Empty,
}

impl Address {
    /// The type-of-address octet of an international number in the telephone numbering plan.
    pub const INTERNATIONAL: u8 = 0x91;
    /// The same with the type of number unknown: as dialled.
    pub const UNKNOWN: u8 = 0x81;
    /// The type-of-address octet of alphanumeric senders.
    pub const ALPHANUMERIC: u8 = 0xD0;

    /// A number as a person writes it: a leading `+` makes it international.
    pub fn number(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('+') {
            Some(digits) => Self::with_type(Self::INTERNATIONAL, digits),
            None => Self::with_type(Self::UNKNOWN, text),
        }
    }

    /// A sender that is a text of at most eleven characters of the default alphabet.
    pub fn alphanumeric(text: &str) -> Result<Self, AddressError> {
        Self::with_type(Self::ALPHANUMERIC, text)
    }

    /// An address with the type-of-address octet given.
    pub fn with_type(type_of_address: u8, value: &str) -> Result<Self, AddressError> {
        let address = Self { type_of_address, value: value.to_owned() };
        if value.is_empty() {
            return Err(AddressError::Empty);
        }
        let semi_octets = if address.is_alphanumeric() {
            let septets = Shift::default()
                .encode(value)
                .map_err(|unencodable| AddressError::Character(unencodable.0))?;
            (septets.len() * 7).div_ceil(4)
        } else {
            match value.chars().find(|c| semi_octet(*c).is_none()) {
                Some(strange) => return Err(AddressError::Character(strange)),
                None => value.len(),
            }
        };
        if semi_octets > MAX_SEMI_OCTETS {
            return Err(AddressError::TooLong(value.chars().count()));
        }
        Ok(address)
    }

    /// The type-of-address octet: type of number and numbering plan.
    pub fn type_of_address(&self) -> u8 {
        self.type_of_address
    }

    /// Whether the type of number is international.
    pub fn is_international(&self) -> bool {
        self.type_of_address & 0x70 == 0x10
    }

    /// Whether the address is a text.
    pub fn is_alphanumeric(&self) -> bool {
        self.type_of_address & 0x70 == 0x50
    }

    /// The digits without a sign, or the text.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Reads an address of the transfer layer: length in semi-octets, type, value.
    pub(super) fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, Error> {
        let semi_octets = usize::from(reader.octet(field)?);
        if semi_octets > MAX_SEMI_OCTETS {
            return Err(Error::AddressLength { field, semi_octets });
        }
        let type_of_address = reader.octet(field)?;
        let octets = reader.take(semi_octets.div_ceil(2), field)?;
        let mut address = Self { type_of_address, value: String::new() };
        address.value = if address.is_alphanumeric() {
            let count = semi_octets * 4 / 7;
            // As many septets as fit into the octets just taken.
            let septets = septets::unpack(octets, 0, count).unwrap_or_default();
            Shift::default().decode(&septets)
        } else {
            // The filler ends the number, not the length: senders exist that count one digit
            // too few (§9.1.2.5 has the filler in exactly that place).
            digits(octets).collect()
        };
        Ok(address)
    }

    /// Appends the transfer layer's form.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (semi_octets, octets) = if self.is_alphanumeric() {
            // Checked by `with_type`; what was read from a PDU can hold an unassigned septet.
            let septets = Shift::default().encode(&self.value).unwrap_or_default();
            ((septets.len() * 7).div_ceil(4), septets::pack(&septets, 0))
        } else {
            (self.value.len(), pack_digits(&self.value))
        };
        // At most MAX_SEMI_OCTETS on every way to build an address.
        out.extend([semi_octets as u8, self.type_of_address]);
        out.extend(octets);
    }

    /// Reads the service centre's address in front of a PDU (3GPP TS 24.011 §8.2.5.1): length in
    /// octets including the type, zero where the modem's own is meant.
    pub(super) fn read_smsc(reader: &mut Reader<'_>) -> Result<Option<Self>, Error> {
        const FIELD: &str = "service centre";
        let octets = usize::from(reader.octet(FIELD)?);
        if octets == 0 {
            return Ok(None);
        }
        if octets > 1 + MAX_SEMI_OCTETS / 2 {
            return Err(Error::AddressLength { field: FIELD, semi_octets: (octets - 1) * 2 });
        }
        let type_of_address = reader.octet(FIELD)?;
        let value = digits(reader.take(octets - 1, FIELD)?).collect();
        Ok(Some(Self { type_of_address, value }))
    }

    /// Appends the service centre form of `address`.
    pub(super) fn write_smsc(address: Option<&Self>, out: &mut Vec<u8>) {
        let Some(address) = address else {
            out.push(0);
            return;
        };
        let octets = pack_digits(&address.value);
        out.extend([octets.len() as u8 + 1, address.type_of_address]);
        out.extend(octets);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_international() {
            f.write_str("+")?;
        }
        f.write_str(&self.value)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::number(text)
    }
}

fn semi_octet(character: char) -> Option<u8> {
    if let Some(digit) = character.to_digit(10) {
        return Some(digit as u8);
    }
    let special = SPECIAL.iter().position(|s| *s == character)?;
    Some(0xA + special as u8)
}

/// The digits of swapped semi-octets, up to the filler.
fn digits(octets: &[u8]) -> impl Iterator<Item = char> {
    octets
        .iter()
        .flat_map(|octet| [octet & 0xF, octet >> 4])
        .take_while(|nibble| *nibble != FILLER)
        .map(|nibble| match nibble {
            0..=9 => char::from(b'0' + nibble),
            _ => SPECIAL[usize::from(nibble - 0xA)],
        })
}

fn pack_digits(text: &str) -> Vec<u8> {
    let nibbles: Vec<u8> = text.chars().filter_map(semi_octet).collect();
    nibbles
        .chunks(2)
        .map(|pair| pair[0] | pair.get(1).copied().unwrap_or(FILLER) << 4)
        .collect()
}
