//! GSM 7-bit text: the default alphabet, its extension and the national language tables
//! (3GPP TS 23.038 §6.2.1 and annex A).

mod locking;
pub mod septets;
mod single;
mod tables;
#[cfg(test)]
mod tests;

use tables::{NONE, Table};

/// The septet that announces a character of the extension or single shift table.
pub const ESCAPE: u8 = 0x1B;

/// What a septet without a meaning in its table decodes to.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// A language with tables of its own (3GPP TS 23.038 §6.2.1.2.4). The discriminant is the national
/// language identifier of the user data header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Language {
    Turkish = 1,
    Spanish = 2,
    Portuguese = 3,
    Bengali = 4,
    Gujarati = 5,
    Hindi = 6,
    Kannada = 7,
    Malayalam = 8,
    Oriya = 9,
    Punjabi = 10,
    Tamil = 11,
    Telugu = 12,
    Urdu = 13,
}

impl Language {
    /// Every language, in the order of the identifiers.
    pub const ALL: [Self; 13] = [
        Self::Turkish,
        Self::Spanish,
        Self::Portuguese,
        Self::Bengali,
        Self::Gujarati,
        Self::Hindi,
        Self::Kannada,
        Self::Malayalam,
        Self::Oriya,
        Self::Punjabi,
        Self::Tamil,
        Self::Telugu,
        Self::Urdu,
    ];

    /// The language of an identifier; `None` for the reserved ones, which a receiver has to treat
    /// as the default alphabet.
    pub fn from_identifier(identifier: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.identifier() == identifier)
    }

    /// The national language identifier.
    pub const fn identifier(self) -> u8 {
        self as u8
    }

    /// Whether the language has a locking shift table: all but Spanish (annex A.3.2 is void).
    pub const fn has_locking(self) -> bool {
        !matches!(self, Self::Spanish)
    }

    fn locking(self) -> &'static Table {
        match self {
            Self::Turkish => &locking::TURKISH,
            Self::Spanish => &tables::DEFAULT,
            Self::Portuguese => &locking::PORTUGUESE,
            Self::Bengali => &locking::BENGALI,
            Self::Gujarati => &locking::GUJARATI,
            Self::Hindi => &locking::HINDI,
            Self::Kannada => &locking::KANNADA,
            Self::Malayalam => &locking::MALAYALAM,
            Self::Oriya => &locking::ORIYA,
            Self::Punjabi => &locking::PUNJABI,
            Self::Tamil => &locking::TAMIL,
            Self::Telugu => &locking::TELUGU,
            Self::Urdu => &locking::URDU,
        }
    }

    fn single(self) -> &'static Table {
        match self {
            Self::Turkish => &single::TURKISH,
            Self::Spanish => &single::SPANISH,
            Self::Portuguese => &single::PORTUGUESE,
            Self::Bengali => &single::BENGALI,
            Self::Gujarati => &single::GUJARATI,
            Self::Hindi => &single::HINDI,
            Self::Kannada => &single::KANNADA,
            Self::Malayalam => &single::MALAYALAM,
            Self::Oriya => &single::ORIYA,
            Self::Punjabi => &single::PUNJABI,
            Self::Tamil => &single::TAMIL,
            Self::Telugu => &single::TELUGU,
            Self::Urdu => &single::URDU,
        }
    }
}

impl std::str::FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL
            .into_iter()
            .find(|l| format!("{l:?}").eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownLanguage(name.to_owned()))
    }
}

/// A name that is none of [`Language`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no national language tables for {0:?}")]
pub struct UnknownLanguage(String);

/// Which tables a 7-bit text uses: the locking one instead of the default alphabet, the single
/// shift one instead of the default extension. `Shift::default()` is plain GSM-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shift {
    /// Replaces the default alphabet (information element 0x25).
    pub locking: Option<Language>,
    /// Replaces the extension table (information element 0x24).
    pub single: Option<Language>,
}

/// A character that the chosen tables do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not in the 7-bit alphabet")]
pub struct Unencodable(pub char);

/// How one character is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// One septet.
    Plain(u8),
    /// [`ESCAPE`] and one septet.
    Escaped(u8),
}

impl Code {
    /// Length in septets.
    pub const fn septets(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Escaped(_) => 2,
        }
    }

    /// Appends the septets to `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Plain(septet) => out.push(septet),
            Self::Escaped(septet) => out.extend([ESCAPE, septet]),
        }
    }
}

impl Shift {
    fn main(self) -> &'static Table {
        self.locking.map_or(&tables::DEFAULT, |language| language.locking())
    }

    fn extension(self) -> &'static Table {
        self.single.map_or(&tables::EXTENSION, |language| language.single())
    }

    /// How `character` is written with these tables.
    pub fn encode_char(self, character: char) -> Option<Code> {
        let unit = u16::try_from(u32::from(character)).ok()?;
        find(self.main(), unit)
            .map(Code::Plain)
            .or_else(|| find(self.extension(), unit).map(Code::Escaped))
    }

    /// The septets of `text`, one to an octet.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, Unencodable> {
        let mut septets = Vec::with_capacity(text.len());
        for character in text.chars() {
            self.encode_char(character).ok_or(Unencodable(character))?.write(&mut septets);
        }
        Ok(septets)
    }

    /// The text of `septets`, one to an octet; bits above the seventh are ignored.
    ///
    /// An escaped septet without a meaning stands for the character of the main table, and two
    /// escapes for a space (§6.2.1.1); an escape at the very end is dropped.
    pub fn decode(self, septets: &[u8]) -> String {
        let mut text = String::with_capacity(septets.len());
        let mut escaped = false;
        for &septet in septets {
            let septet = septet & 0x7F;
            if septet == ESCAPE {
                if escaped {
                    text.push(' ');
                }
                escaped = !escaped;
                continue;
            }
            let shifted = escaped.then(|| lookup(self.extension(), septet)).flatten();
            text.push(shifted.or_else(|| lookup(self.main(), septet)).unwrap_or(UNKNOWN));
            escaped = false;
        }
        text
    }
}

fn lookup(table: &Table, septet: u8) -> Option<char> {
    match table[usize::from(septet & 0x7F)] {
        NONE => None,
        unit => char::from_u32(u32::from(unit)),
    }
}

fn find(table: &Table, unit: u16) -> Option<u8> {
    if unit == NONE {
        return None;
    }
    table
        .iter()
        .position(|&entry| entry == unit)
        .and_then(|septet| u8::try_from(septet).ok())
}
