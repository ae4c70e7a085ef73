//! Texts that fit one message: 160 septets of GSM-7, or 70 units of UCS-2.

use crate::pdu::alphabet::Shift;

/// Septets of one message.
const SEPTETS: usize = 160;
/// UTF-16 units of one message.
const UNITS: usize = 70;

/// Septets that a text takes in plain GSM-7; `None` where it cannot be written so.
pub fn septets(text: &str) -> Option<usize> {
    Shift::default().encode(text).ok().map(|septets| septets.len())
}

/// Whether a text goes as one message.
pub fn fits(text: &str) -> bool {
    match septets(text) {
        Some(count) => count <= SEPTETS,
        None => text.encode_utf16().count() <= UNITS,
    }
}

/// The text in characters of plain GSM-7: others become what they sound or look like.
pub fn transliterate(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if Shift::default().encode_char(character).is_some() && character != '\n' && character != '\r' {
            out.push(character);
            continue;
        }
        let like = deunicode::deunicode_char(character).unwrap_or("?");
        out.extend(
            like.chars()
                .filter(|c| Shift::default().encode_char(*c).is_some() && !c.is_control()),
        );
        if character.is_whitespace() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// Takes characters off `soft` until `head`, `soft` and `tail` fit one message together, with spaces between.
/// What is hard to do without stands in head and tail; those are cut at their end only where they alone are too long.
pub fn shorten(head: &str, soft: &str, tail: &str) -> String {
    let join = |soft: &str| {
        let parts = [head, soft.trim_end(), tail];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let mut soft = soft.to_owned();
    loop {
        let whole = join(&soft);
        if fits(&whole) {
            return whole;
        }
        if soft.pop().is_none() {
            let mut whole = whole;
            while !fits(&whole) {
                whole.pop();
            }
            return whole;
        }
    }
}
