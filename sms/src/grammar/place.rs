//! Places: degrees, or plus codes (Open Location Code, <https://github.com/google/open-location-code>).
//!
//! The published crates for plus codes bring command-line parsers or a geometry library of 2017 along; the part that is
//! needed here is a page.

use std::{fmt, str::FromStr};

const ALPHABET: &[u8; 20] = b"23456789CFGHJMPQRVWX";
/// Degrees of one step of each of the five pairs.
const STEPS: [f64; 5] = [20.0, 1.0, 0.05, 0.002_5, 0.000_125];

/// Where somebody says to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Degrees north and east, as written, with five decimals at most.
    Degrees {
        /// Latitude.
        lat: String,
        /// Longitude.
        lng: String,
    },
    /// A plus code, in capitals; a short one lacks its first two to eight characters.
    Plus(String),
}

impl Place {
    /// Latitude and longitude in degrees; of a plus code, the middle of its field. A short one is completed with the
    /// nearest to `reference`. `None` for a short one without it.
    pub fn degrees(&self, reference: Option<(f64, f64)>) -> Option<(f64, f64)> {
        match self {
            Self::Degrees { lat, lng } => Some((lat.parse().ok()?, lng.parse().ok()?)),
            Self::Plus(code) => {
                let missing = 8_usize.checked_sub(code.find('+')?)?;
                if missing == 0 {
                    return middle(code);
                }
                let (lat, lng) = reference?;
                let whole = plus_code(lat, lng);
                let (north, east) = middle(&format!("{}{code}", whole.get(..missing)?))?;
                let field = STEPS.get((missing / 2).checked_sub(1)?)?;
                let near = |found: f64, wanted: f64| found + ((wanted - found) / field).round() * field;
                let north_near = near(north, lat);
                let north = if north_near.abs() > 90.0 { north } else { north_near };
                Some((north, near(east, lng)))
            }
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some((lat, lng)) = text.split_once(',') {
            let is_number = |text: &str, most: f64| {
                let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
                plain && text.len() <= 12 && text.parse::<f64>().is_ok_and(|number| number.abs() <= most)
            };
            let ok = is_number(lat, 90.0) && is_number(lng, 180.0);
            return ok.then(|| Self::Degrees { lat: lat.into(), lng: lng.into() }).ok_or(());
        }
        let code = text.to_ascii_uppercase();
        let (before, after) = code.split_once('+').ok_or(())?;
        let digits = before.bytes().chain(after.bytes()).all(|byte| ALPHABET.contains(&byte));
        let shaped = matches!(before.len(), 2 | 4 | 6 | 8) && matches!(after.len(), 2 | 3);
        (digits && shaped).then_some(Self::Plus(code)).ok_or(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Degrees { lat, lng } => write!(f, "{lat},{lng}"),
            Self::Plus(code) => f.write_str(code),
        }
    }
}

/// The plus code of ten digits of a place in degrees.
pub fn plus_code(lat: f64, lng: f64) -> String {
    // In whole steps of the last pair, so that no rounding adds up. The pole belongs to the field below it.
    let per_degree = 8_000.0;
    let north = (((lat.clamp(-90.0, 90.0) + 90.0) * per_degree + 1e-6).floor() as u64).min(180 * 8_000 - 1);
    let east = (((lng + 180.0).rem_euclid(360.0)) * per_degree + 1e-6).floor() as u64;
    let mut digits = [0; 10];
    let (mut rows, mut columns) = (north, east);
    for pair in (0..5).rev() {
        digits[2 * pair] = ALPHABET[(rows % 20) as usize];
        digits[2 * pair + 1] = ALPHABET[(columns % 20) as usize];
        (rows, columns) = (rows / 20, columns / 20);
    }
    let text = String::from_utf8_lossy(&digits);
    format!("{}+{}", &text[..8], &text[8..])
}

/// The middle of the field of a full code.
fn middle(code: &str) -> Option<(f64, f64)> {
    let digits: Option<Vec<usize>> = code
        .bytes()
        .filter(|byte| *byte != b'+')
        .map(|byte| ALPHABET.iter().position(|digit| *digit == byte))
        .collect();
    let digits = digits?;
    let (mut lat, mut lng) = (-90.0, -180.0);
    for (step, pair) in STEPS.iter().zip(digits.chunks(2)) {
        lat += step * *pair.first()? as f64;
        lng += step * *pair.get(1)? as f64;
    }
    let last = STEPS[4];
    // The eleventh digit is of a grid of five rows and four columns within the field.
    let (height, width) = match digits.get(10) {
        Some(digit) => {
            lat += last / 5.0 * (digit / 4) as f64;
            lng += last / 4.0 * (digit % 4) as f64;
            (last / 5.0, last / 4.0)
        }
        None => (last, last),
    };
    (lat < 90.0 && lng < 180.0).then_some((lat + height / 2.0, lng + width / 2.0))
}
