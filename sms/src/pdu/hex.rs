//! Hexadecimal text, the form in which PDUs cross the serial line.

use super::Error;

/// Parses hexadecimal text of either case. White space around it is ignored.
pub fn parse(text: &str) -> Result<Vec<u8>, Error> {
    let text = text.trim().as_bytes();
    if !text.len().is_multiple_of(2) {
        return Err(Error::OddHex);
    }
    let digit = |at: usize| {
        char::from(text[at])
            .to_digit(16)
            .map(|value| value as u8)
            .ok_or(Error::Hex { at })
    };
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(digit(at)? << 4 | digit(at + 1)?))
        .collect()
}

/// Upper-case hexadecimal text.
pub fn format(octets: &[u8]) -> String {
    use std::fmt::Write;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02X}");
        text
    })
}
