//! The data coding scheme (3GPP TS 23.038 §4).

use std::fmt;

/// How the user data is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// GSM 7-bit, packed.
    Gsm7,
    /// Octets without a defined meaning.
    Data,
    /// UCS-2, in practice UTF-16, big endian.
    Ucs2,
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gsm7 => "gsm7",
            Self::Data => "8bit",
            Self::Ucs2 => "ucs2",
        })
    }
}

/// The TP-DCS octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DataCoding(pub u8);

impl DataCoding {
    /// GSM 7-bit without a class.
    pub const GSM7: Self = Self(0x00);
    /// 8-bit data without a class.
    pub const DATA: Self = Self(0x04);
    /// UCS-2 without a class.
    pub const UCS2: Self = Self(0x08);

    /// The alphabet. Reserved values mean the default alphabet, as §4 demands of a receiver.
    pub const fn alphabet(self) -> Alphabet {
        match self.0 >> 4 {
            // General data coding, also with "marked for automatic deletion".
            0x0..=0x7 => match self.0 >> 2 & 0b11 {
                0b01 => Alphabet::Data,
                0b10 => Alphabet::Ucs2,
                _ => Alphabet::Gsm7,
            },
            // Message waiting, store, UCS-2.
            0xE => Alphabet::Ucs2,
            0xF if self.0 & 0b100 != 0 => Alphabet::Data,
            _ => Alphabet::Gsm7,
        }
    }

    /// Whether the text is compressed (3GPP TS 23.042). Nothing on the air does this; the text is
    /// handed out as it stands.
    pub const fn is_compressed(self) -> bool {
        self.0 & 0xA0 == 0x20
    }

    /// The message class 0 to 3; class 0 is shown at once and not stored ("flash").
    pub const fn class(self) -> Option<u8> {
        match self.0 >> 4 {
            0x0..=0x7 if self.0 & 0x10 != 0 => Some(self.0 & 0b11),
            0xF => Some(self.0 & 0b11),
            _ => None,
        }
    }
}
