//! What a prepaid SIM says about itself. Operators write it as they like: an amount near a currency or the word
//! "balance", and a date near nothing in particular.

use jiff::civil::Date;

/// What a SIM has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// In hundredths of the SIM's currency; `None` where no amount was found.
    pub hundredths: Option<i64>,
    /// The last day on which it works; `None` where no date was found.
    pub valid_until: Option<Date>,
}

/// Words that stand at an amount of money, in lower case.
const MONEY: [&str; 16] = [
    "rs",
    "inr",
    "₹",
    "$",
    "€",
    "£",
    "eur",
    "usd",
    "gbp",
    "rub",
    "bal",
    "balance",
    "баланс",
    "saldo",
    "solde",
    "guthaben",
];

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl Balance {
    /// Reads the answer to a USSD request.
    pub fn read(text: &str) -> Self {
        let words = words(&text.to_lowercase());
        let date = (0..words.len()).find_map(|at| date(&words[at..]).map(|(date, length)| (at, date, length)));
        // The digits of a date are no money.
        let is_of_date = |at: usize| date.is_some_and(|(from, _, length)| (from..from + length).contains(&at));
        let amounts: Vec<(usize, i64, bool)> = words
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_of_date(*at))
            .filter_map(|(at, word)| amount(word).map(|(hundredths, has_point)| (at, hundredths, has_point)))
            .collect();
        let is_money = |at: usize| words.get(at).is_some_and(|word| MONEY.contains(&&**word));
        // "balance is Rs. 12", "12 INR": a currency beside it, or the word a little before it.
        let beside = |at: usize| (1..=3).any(|back| at >= back && is_money(at - back)) || is_money(at + 1);
        let found = amounts
            .iter()
            .find(|(at, ..)| beside(*at))
            .or(amounts.iter().find(|(_, _, point)| *point));
        Self {
            hundredths: found.map(|(_, hundredths, _)| *hundredths),
            valid_until: date.map(|(_, date, _)| date),
        }
    }
}

/// Runs of letters, and numbers with the points, commas and signs within them. Dates come apart at their signs.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let characters: Vec<char> = text.chars().collect();
    let digit = |at: Option<&char>| at.is_some_and(char::is_ascii_digit);
    let mut kind = ' ';
    for (at, c) in characters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let next = match c {
            c if c.is_ascii_digit() => '0',
            '.' | ',' if digit(before) && digit(characters.get(at + 1)) => '0',
            // A sign before a number, unless it joins two.
            '-' if digit(characters.get(at + 1)) && before.is_none_or(|c| !c.is_alphanumeric()) => '-',
            c if c.is_alphabetic() => 'a',
            '₹' | '$' | '€' | '£' => '$',
            _ => ' ',
        };
        let goes_on = next == kind && next != '$' || (kind == '-' && next == '0');
        match (next, words.last_mut()) {
            (' ', _) => {}
            (_, Some(word)) if goes_on => word.push(*c),
            _ => words.push(c.to_string()),
        }
        kind = next;
    }
    words
}

/// `1,234.50`, `12,5`, `-3`: hundredths, and whether there were any. The last point or comma with one or two digits
/// behind it is the decimal one.
fn amount(word: &str) -> Option<(i64, bool)> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.len() <= 15;
    if !is_number {
        return None;
    }
    let point = digits.rfind(['.', ',']).filter(|at| (1..=2).contains(&(digits.len() - at - 1)));
    let (whole, rest) = point.map_or((digits, ""), |at| (&digits[..at], &digits[at + 1..]));
    let whole: i64 = whole.replace(['.', ','], "").parse().ok()?;
    let hundredths: i64 = format!("{rest:0<2}").parse().ok()?;
    Some((sign * (whole * 100 + hundredths), point.is_some()))
}

/// A date of three words at the beginning: `31 12 2026`, `31 dec 26`, `2026 12 31`, or one word `31.12.2026`.
fn date(words: &[String]) -> Option<(Date, usize)> {
    let first = words.first()?;
    if first.contains('.') {
        let parts: Vec<String> = first.split('.').map(str::to_owned).collect();
        return (parts.len() == 3).then(|| date_of(&parts)).flatten().map(|date| (date, 1));
    }
    Some((date_of(words.get(..3)?)?, 3))
}

fn date_of(parts: &[String]) -> Option<Date> {
    let [first, second, third] = parts else { return None };
    // The sign between two parts of `31-12-2026` is none of the number's.
    let number = |word: &str| word.trim_start_matches('-').parse::<i16>().ok();
    let month = |word: &str| {
        let named = MONTHS.iter().position(|month| word.starts_with(month)).map(|at| at as i16 + 1);
        named.or_else(|| number(word))
    };
    let year = |number: i16| if number < 100 { 2000 + number } else { number };
    let (first, month, third) = (number(first)?, month(second)?, number(third)?);
    let (day, year) = if first > 31 { (third, first) } else { (first, year(third)) };
    let plausible = (2020..2100).contains(&year);
    plausible
        .then(|| Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, hundredths: Option<i64>, until: Option<(i16, i8, i8)>) {
        let valid_until = until.map(|(year, month, day)| Date::new(year, month, day).expect("a date"));
        assert_eq!(Balance::read(text), Balance { hundredths, valid_until }, "{text}");
    }

    #[test]
    fn balances_as_operators_write_them() {
        check("Your balance is Rs.45.67. Validity: 31-12-2026", Some(4567), Some((2026, 12, 31)));
        check("Bal: INR 1,234.5 valid till 05/01/2027", Some(123_450), Some((2027, 1, 5)));
        check("Main A/c Bal ₹ 0.00, Val 2026-12-31", Some(0), Some((2026, 12, 31)));
        check("Ihr Guthaben betraegt 12,50 EUR. Gueltig bis 01.02.2027", Some(1250), Some((2027, 2, 1)));
        check("Data 2048 MB till 03 Jan 27. Balance Rs 7", Some(700), Some((2027, 1, 3)));
        check("Ваш баланс 130.55 р.", Some(13_055), None);
        check("Balance: -3.20 $", Some(-320), None);
        check("31-Dec-2026 12.00", Some(1200), Some((2026, 12, 31)));
        check("Service not available", None, None);
        check("", None, None);
        check("Dial *123# for offers 99", None, None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,120}") {
            let _ = Balance::read(&text);
        }

        #[test]
        fn no_numbers_panic(text in "[0-9.,\\-/ a-z]{0,60}") {
            let _ = Balance::read(&text);
        }
    }
}
