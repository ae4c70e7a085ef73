//! Phone numbers as a person or a network writes them. A table of those countries whose national numbers have one
//! trunk prefix; everywhere else numbers are written with their `+`.

/// How a country writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1.
    pub code: &'static str,
    /// The calling code (E.164).
    calling: &'static str,
    /// What stands before a national number.
    trunk: &'static str,
    /// Digits of a mobile number without both.
    digits: (usize, usize),
}

const fn country(code: &'static str, calling: &'static str, trunk: &'static str, digits: (usize, usize)) -> Country {
    Country { code, calling, trunk, digits }
}

const COUNTRIES: [Country; 30] = [
    country("AE", "971", "0", (9, 9)),
    country("AT", "43", "0", (10, 13)),
    country("AU", "61", "0", (9, 9)),
    country("BD", "880", "0", (10, 10)),
    country("BR", "55", "0", (10, 11)),
    country("CA", "1", "1", (10, 10)),
    country("CH", "41", "0", (9, 9)),
    country("CN", "86", "", (11, 11)),
    country("DE", "49", "0", (10, 11)),
    country("EG", "20", "0", (10, 10)),
    country("ES", "34", "", (9, 9)),
    country("FR", "33", "0", (9, 9)),
    country("GB", "44", "0", (10, 10)),
    country("ID", "62", "0", (9, 12)),
    country("IN", "91", "0", (10, 10)),
    country("IT", "39", "", (9, 10)),
    country("KE", "254", "0", (9, 9)),
    country("LK", "94", "0", (9, 9)),
    country("MX", "52", "", (10, 10)),
    country("MY", "60", "0", (9, 10)),
    country("NG", "234", "0", (10, 10)),
    country("NL", "31", "0", (9, 9)),
    country("NP", "977", "0", (10, 10)),
    country("PH", "63", "0", (10, 10)),
    country("PK", "92", "0", (10, 10)),
    country("RU", "7", "8", (10, 10)),
    country("SG", "65", "", (8, 8)),
    country("US", "1", "1", (10, 10)),
    country("VN", "84", "0", (9, 9)),
    country("ZA", "27", "0", (9, 9)),
];

impl Country {
    /// The country of an ISO 3166-1 code, where it is in the table.
    pub fn of(code: &str) -> Option<Self> {
        COUNTRIES.into_iter().find(|country| country.code == code)
    }
}

/// A number as E.164: `098…`, `98…`, `0091 98…` and `+91 98…` are one in India. `None` for what is no number, such as
/// a sender that is a word.
pub fn normalised(text: &str, country: Option<Country>) -> Option<String> {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = |number: &str| {
        let ok = digits(number) && (7..=15).contains(&number.len()) && !number.starts_with('0');
        ok.then(|| format!("+{number}"))
    };
    if let Some(number) = text.strip_prefix('+').or_else(|| text.strip_prefix("00")) {
        return whole(number);
    }
    let country = country?;
    if !digits(&text) {
        return None;
    }
    let (least, most) = country.digits;
    let fits = |number: &str| (least..=most).contains(&number.len());
    let national = text
        .strip_prefix(country.trunk)
        .filter(|rest| !country.trunk.is_empty() && fits(rest));
    if let Some(national) = national.or(Some(&*text).filter(|text| fits(text))) {
        return whole(&format!("{}{national}", country.calling));
    }
    // With the calling code, but without its sign.
    let national = text.strip_prefix(country.calling).filter(|rest| fits(rest))?;
    whole(&format!("{}{national}", country.calling))
}
