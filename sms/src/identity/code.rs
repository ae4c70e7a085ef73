//! Codes: 30 bits of HMAC-SHA256 from an app, HOTP (RFC 4226) from a hand.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::Sha256;

/// Codes on a printed card.
pub const CARD: u64 = 100;

/// Crockford's base 32.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// RFC 4648, as `otpauth:` wants it.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A pilot's secret of 160 bits (RFC 4226, R6). Never shown but where it is made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret([u8; 20]);

impl Secret {
    /// A secret of random bytes.
    pub fn new(random: [u8; 20]) -> Self {
        Self(random)
    }

    /// The bytes, for whoever seals them.
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// RFC 4648 base 32: 32 characters.
    pub fn base32(&self) -> String {
        let (mut bits, mut count, mut out) = (0_u32, 0, String::with_capacity(32));
        for byte in self.0 {
            bits = bits << 8 | u32::from(byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                out.push(BASE32[(bits >> count & 31) as usize].into());
            }
        }
        out
    }

    /// What an authenticator app reads from a QR code
    /// (<https://github.com/google/google-authenticator/wiki/Key-Uri-Format>).
    pub fn otpauth(&self, city: &str, pilot: &str, counter: u64) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
        let pilot: String = pilot.chars().map(plain).collect();
        format!(
            "otpauth://hotp/MegaMind-{city}:{pilot}?secret={}&issuer=MegaMind-{city}&counter={counter}&digits=6",
            self.base32()
        )
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The code of an app: HMAC-SHA256 over gateway, number, sequence number and canonical body, each ended by a line
/// feed; the first 30 bits as six characters of Crockford's base 32.
pub fn app_code(secret: &Secret, gateway: &str, number: &str, seq: u32, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.0) else { return String::new() };
    mac.update(format!("{gateway}\n{number}\n{seq}\n{body}\n").as_bytes());
    let digest = mac.finalize().into_bytes();
    let first = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    (0..6)
        .map(|nth| char::from(CROCKFORD[(first >> (27 - 5 * nth) & 31) as usize]))
        .collect()
}

/// The code of a hand: HOTP of six digits.
pub fn hand_code(secret: &Secret, counter: u64) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&secret.0) else { return String::new() };
    mac.update(&counter.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Whether two codes are the same, in a time that does not tell where they differ.
pub(super) fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |diff, (l, r)| diff | (l ^ r)) == 0
}

/// A code as Crockford reads it: `O` is 0, `I` and `L` are 1.
pub(super) fn crockford(code: &str) -> String {
    let read = |c| match c {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    code.chars().map(read).collect()
}
