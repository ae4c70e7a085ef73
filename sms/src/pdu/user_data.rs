//! The user data: data coding, header and text together, because each decides how the others are
//! read (3GPP TS 23.040 §9.2.3.24).

use super::{
    Error,
    alphabet::{Shift, Unencodable, septets},
    dcs::{Alphabet, DataCoding},
    header::{Concat, Header},
    reader::Reader,
};

/// The user data field holds at most 140 octets (§9.2.3.16).
pub const MAX_OCTETS: usize = 140;
/// …which are 160 septets.
pub const MAX_SEPTETS: usize = 160;

/// The text as it travels, in units of its alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Septets, one to an octet here.
    Gsm7(Vec<u8>),
    /// Octets without a defined meaning.
    Data(Vec<u8>),
    /// UTF-16, big endian.
    Ucs2(Vec<u8>),
}

impl Payload {
    /// The alphabet.
    pub const fn alphabet(&self) -> Alphabet {
        match self {
            Self::Gsm7(_) => Alphabet::Gsm7,
            Self::Data(_) => Alphabet::Data,
            Self::Ucs2(_) => Alphabet::Ucs2,
        }
    }

    /// The text. Data is read as ISO 8859-1, which loses nothing; half a surrogate pair becomes
    /// U+FFFD and an odd last octet is dropped.
    pub fn text(&self, shift: Shift) -> String {
        match self {
            Self::Gsm7(septets) => shift.decode(septets),
            Self::Data(octets) => octets.iter().copied().map(char::from).collect(),
            Self::Ucs2(octets) => {
                let (units, _odd) = octets.as_chunks::<2>();
                char::decode_utf16(units.iter().copied().map(u16::from_be_bytes))
                    .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect()
            }
        }
    }

    /// Appends the continuation of a long message. Joining before decoding keeps whole what a
    /// sender split: an escape from its septet, or a surrogate pair. `false` and no change when
    /// the alphabets differ.
    #[must_use]
    pub fn append(&mut self, next: &Self) -> bool {
        match (self, next) {
            (Self::Gsm7(text), Self::Gsm7(more))
            | (Self::Data(text), Self::Data(more))
            | (Self::Ucs2(text), Self::Ucs2(more)) => text.extend(more),
            _ => return false,
        }
        true
    }

    fn units(&self) -> &[u8] {
        match self {
            Self::Gsm7(units) | Self::Data(units) | Self::Ucs2(units) => units,
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserData {
    coding: DataCoding,
    header: Option<Header>,
    payload: Payload,
}

/// User data that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserDataError {
    /// The data coding scheme names another alphabet than the text has.
    #[error("data coding {:#04X} is not {alphabet}", .coding.0)]
    Coding {
        /// The scheme given.
        coding: DataCoding,
        /// What the text is.
        alphabet: Alphabet,
    },
    /// More than one message holds.
    #[error("{octets} octets do not fit into one message of {MAX_OCTETS}")]
    TooLong {
        /// Octets needed, header included.
        octets: usize,
    },
    /// A character outside the alphabet.
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
}

impl UserData {
    /// Puts together what belongs together.
    pub fn new(coding: DataCoding, header: Option<Header>, payload: Payload) -> Result<Self, UserDataError> {
        let alphabet = payload.alphabet();
        if coding.alphabet() != alphabet {
            return Err(UserDataError::Coding { coding, alphabet });
        }
        let data = Self { coding, header, payload };
        let octets = data.octets();
        if octets > MAX_OCTETS {
            return Err(UserDataError::TooLong { octets });
        }
        Ok(data)
    }

    /// `text` in the alphabet of `coding`, with the national tables that `header` names. Data
    /// takes the characters up to U+00FF.
    pub fn from_text(coding: DataCoding, header: Option<Header>, text: &str) -> Result<Self, UserDataError> {
        let shift = header.as_ref().map(Header::shift).unwrap_or_default();
        let payload = match coding.alphabet() {
            Alphabet::Gsm7 => Payload::Gsm7(shift.encode(text)?),
            Alphabet::Data => Payload::Data(
                text.chars()
                    .map(|c| u8::try_from(c).map_err(|_| Unencodable(c)))
                    .collect::<Result<_, _>>()?,
            ),
            Alphabet::Ucs2 => Payload::Ucs2(ucs2(text)),
        };
        Self::new(coding, header, payload)
    }

    /// The data coding scheme.
    pub fn coding(&self) -> DataCoding {
        self.coding
    }

    /// The header, if there is one.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The text as it travels.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The national tables in use.
    pub fn shift(&self) -> Shift {
        self.header.as_ref().map(Header::shift).unwrap_or_default()
    }

    /// The place in a long message.
    pub fn concat(&self) -> Option<Concat> {
        self.header.as_ref().and_then(Header::concat)
    }

    /// The text of this part.
    pub fn text(&self) -> String {
        self.payload.text(self.shift())
    }

    fn header_len(&self) -> usize {
        self.header.as_ref().map_or(0, Header::len)
    }

    /// Octets of header and text together.
    fn octets(&self) -> usize {
        match &self.payload {
            Payload::Gsm7(text) => septets::packed_len(header_septets(self.header_len()) + text.len(), 0),
            Payload::Data(text) | Payload::Ucs2(text) => self.header_len() + text.len(),
        }
    }

    /// Reads from the TP-UDL on. `has_header` is the TP-UDHI bit of the first octet.
    pub(super) fn read(coding: DataCoding, has_header: bool, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let length = usize::from(reader.octet("user data length")?);
        let alphabet = coding.alphabet();
        let (octets, limit) = match alphabet {
            Alphabet::Gsm7 => (septets::packed_len(length, 0), MAX_SEPTETS),
            Alphabet::Data | Alphabet::Ucs2 => (length, MAX_OCTETS),
        };
        if length > limit {
            return Err(Error::UserDataLength { length, limit });
        }
        let field = reader.take(octets, "user data")?;
        // Some phones announce a header in no user data at all; there is nothing to be misread.
        let has_header = has_header && !field.is_empty();
        let header = has_header.then(|| Header::parse(field)).transpose()?;
        let header_len = header.as_ref().map_or(0, Header::len);
        let payload = match alphabet {
            Alphabet::Gsm7 => {
                let skipped = header_septets(header_len);
                let count = length.checked_sub(skipped).ok_or(Error::HeaderLength {
                    declared: header_len.saturating_sub(1),
                    available: octets.saturating_sub(1),
                })?;
                let fill = skipped * 7 - header_len * 8;
                // `field` is as long as `length` septets, header included.
                let text = septets::unpack(&field[header_len..], fill, count);
                Payload::Gsm7(text.unwrap_or_default())
            }
            Alphabet::Data => Payload::Data(field[header_len..].to_vec()),
            Alphabet::Ucs2 => Payload::Ucs2(field[header_len..].to_vec()),
        };
        Ok(Self { coding, header, payload })
    }

    /// Appends TP-UDL and TP-UD.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let header_len = self.header_len();
        let units = self.payload.units();
        let (length, packed) = match &self.payload {
            Payload::Gsm7(text) => {
                let skipped = header_septets(header_len);
                let fill = skipped * 7 - header_len * 8;
                (skipped + text.len(), septets::pack(text, fill))
            }
            Payload::Data(_) | Payload::Ucs2(_) => (header_len + units.len(), units.to_vec()),
        };
        // At most MAX_SEPTETS on every way to build user data.
        out.push(length as u8);
        if let Some(header) = &self.header {
            header.write(out);
        }
        out.extend(packed);
    }
}

/// Septets that a header of so many octets takes, the fill bits included.
pub(super) const fn header_septets(octets: usize) -> usize {
    (octets * 8).div_ceil(7)
}

/// UTF-16, big endian.
pub(super) fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}
