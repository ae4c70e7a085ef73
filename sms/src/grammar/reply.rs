//! What pilots read: each answer is one message, complete in itself.

use std::fmt::Write as _;

use super::{
    fit::{shorten, transliterate},
    place::plus_code,
};

/// Why a request is refused, as a word that a hand can look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Not of the form of any command.
    Form,
    /// The code does not prove who speaks.
    Code,
    /// The number was used with another text, or lies too far back.
    Seq,
    /// It was sent too long ago.
    Old,
    /// There is no such order, or it is not known here.
    Order,
    /// The order's state does not allow it.
    State,
    /// It cannot be undone.
    Undo,
    /// A proof code is needed.
    Pin,
    /// Nothing more to tell.
    End,
    /// It was refused for another reason.
    Refused,
    /// Something that is not the pilot's fault: send it again later.
    Later,
}

impl Trouble {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Form => "FORM",
            Self::Code => "CODE",
            Self::Seq => "SEQ",
            Self::Old => "OLD",
            Self::Order => "ORDER",
            Self::State => "STATE",
            Self::Undo => "UNDO",
            Self::Pin => "PIN",
            Self::End => "END",
            Self::Refused => "REFUSED",
            Self::Later => "LATER",
        }
    }
}

/// `#17 E SEQ`.
pub fn refused(seq: u32, trouble: Trouble) -> String {
    format!("#{seq} E {}", trouble.word())
}

/// `#17 OK D 4711 …`: what was understood.
pub fn confirmed(seq: u32, body: &str) -> String {
    shorten(&format!("#{seq} OK"), &transliterate(body), "")
}

/// `#17 OK` and a text of one's own.
pub fn said(seq: u32, text: &str, ucs2: bool) -> String {
    let text = if ucs2 { text.to_owned() } else { transliterate(text) };
    shorten(&format!("#{seq} OK"), &text, "")
}

/// Where something is to be fetched or to go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stop {
    /// Latitude and longitude, degrees.
    pub degrees: Option<(f64, f64)>,
    /// The address for people.
    pub address: Option<String>,
    /// Whom to call, E.164.
    pub phone: Option<String>,
}

/// An order in one line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderLine {
    /// The short number.
    pub number: u64,
    /// `PICK`, `DROP`, or the state of an order that goes nowhere any more.
    pub what: String,
    /// Where to.
    pub stop: Stop,
    /// Cash to collect.
    pub cash: Option<String>,
    /// By when, as `1840`.
    pub by: Option<String>,
}

impl OrderLine {
    /// `4711 PICK 12.97160,77.59456 7J4VXHCV+JR`, the address, and what follows it.
    pub(super) fn parts(&self, ucs2: bool) -> (String, String, String) {
        let mut head = format!("{} {}", self.number, self.what);
        if let Some((lat, lng)) = self.stop.degrees {
            let _ = write!(head, " {lat:.5},{lng:.5}");
            if !ucs2 {
                let _ = write!(head, " {}", plus_code(lat, lng));
            }
        }
        let address = self.stop.address.as_deref().unwrap_or("");
        let address = if ucs2 { address.to_owned() } else { transliterate(address) };
        let mut tail = Vec::new();
        tail.extend(self.stop.phone.as_ref().filter(|_| !ucs2).map(|phone| format!("T{phone}")));
        tail.extend(self.cash.as_ref().map(|cash| format!("C{cash}")));
        tail.extend(self.by.as_ref().map(|by| format!("BY{by}")));
        (head, address, tail.join(" "))
    }
}

/// `#17 OK 1/3 4711 PICK …`: one order of several.
pub fn order(seq: u32, nth: usize, of: usize, line: &OrderLine, ucs2: bool) -> String {
    let (head, address, tail) = line.parts(ucs2);
    shorten(&format!("#{seq} OK {nth}/{of} {head}"), &address, &tail)
}
