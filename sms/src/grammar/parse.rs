//! From a text to a command.

use super::{Command, ParseError, Request, State};

/// The longest text that is read, in bytes.
pub const MAX_TEXT: usize = 480;
/// The most words of a reason.
const MAX_WORDS: usize = 8;
/// The longest argument, in bytes.
const MAX_ARGUMENT: usize = 64;

/// Reads a text. Where it can be read in several ways (a proof code and a sequence number look alike), all of them,
/// the one with most arguments first: the code proves which one is meant. Never empty.
///
/// # Errors
/// Why the text is no command.
pub fn parse(text: &str) -> Result<Vec<Request>, ParseError> {
    if text.len() > MAX_TEXT {
        return Err(ParseError::TooLong);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let letter = words.first().and_then(|word| letter(word)).ok_or(ParseError::NotACommand)?;
    let (least, most) = arguments(letter);
    let mut alphabet = false;
    let found: Vec<Request> = (least..=most)
        .rev()
        .filter_map(|count| {
            let (head, rest) = (words.get(..=count)?, words.get(count + 1..)?);
            let (seq, code) = (number(rest.first()?)?, code(rest.get(1)?)?);
            if !head.iter().all(|word| word.is_ascii()) {
                alphabet = true;
                return None;
            }
            let note = rest.get(2..).filter(|note| !note.is_empty()).map(|note| note.join(" "));
            let command = command(letter, &head[1..])?;
            Some(Request { command, seq, code, note, body: head.join(" ").to_ascii_uppercase() })
        })
        .collect();
    match found.is_empty() {
        false => Ok(found),
        true if alphabet || !text.is_ascii() => Err(ParseError::Alphabet),
        true => Err(ParseError::Malformed),
    }
}

/// The command's letter; a whole word of one letter.
fn letter(word: &str) -> Option<u8> {
    let [letter] = word.as_bytes() else { return None };
    let letter = letter.to_ascii_uppercase();
    b"ATPDFJLSNUH".contains(&letter).then_some(letter)
}

/// The least and the most arguments of a command.
fn arguments(letter: u8) -> (usize, usize) {
    match letter {
        b'A' | b'N' | b'H' => (0, 0),
        b'D' => (1, 3),
        b'F' => (2, 1 + MAX_WORDS),
        _ => (1, 1),
    }
}

/// A sequence number or another whole number from 1.
fn number(word: &str) -> Option<u32> {
    let digits = !word.is_empty() && word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten().filter(|number| *number > 0)
}

/// Six letters or digits, in capitals.
fn code(word: &str) -> Option<String> {
    let is_code = word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| word.to_ascii_uppercase())
}

fn command(letter: u8, arguments: &[&str]) -> Option<Command> {
    if arguments.iter().any(|argument| argument.len() > MAX_ARGUMENT) {
        return None;
    }
    let order = || arguments.first().filter(|id| is_id(id)).map(|id| (*id).to_owned());
    Some(match letter {
        b'A' => Command::Next,
        b'T' => Command::Track(order()?),
        b'P' => Command::PickedUp(order()?),
        b'D' => delivered(order()?, &arguments[1..])?,
        b'F' => Command::Failed { order: order()?, reason: arguments[1..].join(" ") },
        b'J' => Command::Rejected(order()?),
        b'L' => Command::Here(arguments.first()?.parse().ok()?),
        b'S' => Command::State(state(arguments.first()?)?),
        b'N' => Command::More,
        b'U' => Command::Undo(number(arguments.first()?)?),
        _ => Command::Help,
    })
}

fn is_id(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

/// `[pin] [amount]`. One argument alone is a proof code, unless it is written as money: `450.00` or `C450`.
fn delivered(order: String, arguments: &[&str]) -> Option<Command> {
    let (pin, amount) = match arguments {
        [] => (None, None),
        [word] => match amount(word) {
            Some(amount) if !word.bytes().all(|byte| byte.is_ascii_digit()) => (None, Some(amount)),
            _ => (Some(pin(word)?), None),
        },
        [word, money] => (Some(pin(word)?), Some(amount(money)?)),
        _ => return None,
    };
    Some(Command::Delivered { order, pin, amount })
}

fn pin(word: &str) -> Option<String> {
    let is_pin = word.len() <= 12 && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_pin.then(|| word.to_ascii_uppercase())
}

/// Digits with two decimals at most, `C` before them or not.
fn amount(word: &str) -> Option<String> {
    let digits = word.strip_prefix(['C', 'c']).unwrap_or(word);
    let (whole, cents) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    (number(whole, 9) && number(cents, 2)).then(|| digits.to_owned())
}

/// A state by its name or its first letter.
fn state(word: &str) -> Option<State> {
    [State::Available, State::Busy, State::Offline]
        .into_iter()
        .find(|state| state.word().eq_ignore_ascii_case(word) || state.word()[..1].eq_ignore_ascii_case(word))
}
