//! Local ids in requests and answers, as text.
//!
//! An id given here is `CITY-ULID`: 26 characters of Crockford's base 32 behind the city's prefix. Nothing else looks
//! like it, and none of its characters has to be escaped in a URL, a form or JSON, so it is found and replaced in the
//! raw bytes of a path, a query or a body of any form, and everything around it stays as it was. Clients that escape
//! the hyphen all the same (`%2D`, `\u002d`) are understood. What is put in is escaped as its place demands.
//!
//! Or it is a number of a reserved range: digits that stand alone, as many as the numbers of the range have, and found by
//! those that all of them begin with. In JSON a number stays a number, where the upstream's id is one too.
//!
//! The way back is narrower, because the upstream's ids may look like anything: only whole JSON strings are mapped, and
//! an id of digits only where it is the value of a member that is called an id, or of the member that the request named
//! it in. There it is mapped as a string and as a number, and becomes a string, or a number where ours is one.

use std::{borrow::Cow, fmt::Write as _, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

const ULID: usize = 26;

/// The hyphen between city and ULID, as clients may write it.
const HYPHENS: [&[u8]; 5] = [b"-", b"%2D", b"%2d", b"\\u002d", b"\\u002D"];

/// Finds the ids of one city.
pub(crate) struct LocalIds {
    city: Finder<'static>,
    integers: Option<Integers>,
    /// Whether the upstream wants its ids as numbers in JSON, whatever the client wrote.
    upstream_numbers: bool,
}

/// A reserved range of numbers.
struct Integers {
    first: u64,
    last: u64,
    /// How many digits each of them has.
    digits: usize,
    /// What all of them begin with.
    begin: Finder<'static>,
}

/// A local id and the upstream's name for the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    /// `CITY-ULID`.
    pub local: Box<str>,
    /// The upstream's.
    pub upstream: Arc<str>,
    /// The member, field or parameter that it was found in.
    pub member: Option<Box<str>>,
}

/// Where a text stands, which decides how an id in it is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A path, a query, or a form (RFC 3986, 2.1).
    Url,
    /// JSON (RFC 8259, 7).
    Json,
    /// Anything else: nothing is escaped.
    Raw,
}

/// A local id in a text.
struct Found<'t> {
    at: Range<usize>,
    id: Cow<'t, str>,
}

impl LocalIds {
    /// The ids of `city`; with those that are numbers of a range, both ends in it, where one is reserved.
    pub(crate) fn new(city: &str, integers: Option<(u64, u64)>, upstream_numbers: bool) -> Self {
        Self {
            city: Finder::new(city).into_owned(),
            integers: integers.map(|(first, last)| Integers::new(first, last)),
            upstream_numbers,
        }
    }

    /// The local ids within `text`, in order.
    pub(crate) fn find<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Cow<'t, str>> + 't {
        self.places(text).map(|found| found.id)
    }

    /// Both forms, each in order.
    fn places<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Found<'t>> + 't {
        let integers = self.integers.iter().flat_map(|integers| integers.places(text));
        self.ulids(text).chain(integers)
    }

    fn ulids<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Found<'t>> + 't {
        let city = self.city.needle();
        self.city.find_iter(text).filter_map(move |start| {
            let rest = text.get(start + city.len()..)?;
            let hyphen = HYPHENS.iter().find(|hyphen| rest.starts_with(hyphen))?;
            let ulid = rest.get(hyphen.len()..hyphen.len() + ULID)?;
            let end = start + city.len() + hyphen.len() + ULID;
            let alone = begins_word(text, start) && !text.get(end).is_some_and(|after| is_word(*after));
            if !alone || !ulid.iter().copied().all(is_crockford) {
                return None;
            }
            let id = match hyphen.len() {
                1 => Cow::Borrowed(std::str::from_utf8(&text[start..end]).ok()?),
                _ => {
                    let (city, ulid) = (std::str::from_utf8(city).ok()?, std::str::from_utf8(ulid).ok()?);
                    Cow::Owned(format!("{city}-{ulid}"))
                }
            };
            Some(Found { at: start..end, id })
        })
    }

    /// `text` with every local id replaced that `alias` knows. The aliases used are added to `used`.
    pub(crate) fn replace(
        &self,
        text: &Bytes,
        place: Place,
        used: &mut Vec<Alias>,
        mut alias: impl FnMut(&str) -> Option<Arc<str>>,
    ) -> Bytes {
        let mut found: Vec<(Found<'_>, Arc<str>)> = self
            .places(text)
            .filter_map(|found| alias(&found.id).map(|upstream| (found, upstream)))
            .collect();
        if found.is_empty() {
            return text.clone();
        }
        if self.integers.is_some() {
            found.sort_by_key(|(found, _)| found.at.start);
        }
        let numbers = Numbers::of(text, place);
        let mut out = BytesMut::new();
        let mut copied = 0;
        for (Found { at, id }, upstream) in found {
            if !used.iter().any(|known| *known.local == *id) {
                let member = member_before(&text[..at.start], place).map(Box::from);
                used.push(Alias { local: id.into(), upstream: upstream.clone(), member });
            }
            let (at, upstream) = self.put(text, at, &upstream, place, &numbers);
            out.extend_from_slice(&text[copied..at.start]);
            out.extend_from_slice(upstream.as_bytes());
            copied = at.end;
        }
        out.extend_from_slice(&text[copied..]);
        out.freeze()
    }

    /// What stands for a local id at `at`, and which part of the text it takes the place of.
    fn put<'u>(
        &self,
        text: &[u8],
        at: Range<usize>,
        upstream: &'u str,
        place: Place,
        numbers: &Numbers,
    ) -> (Range<usize>, Cow<'u, str>) {
        let bare = is_number(upstream);
        if numbers.contain(at.start) {
            let id = if bare {
                upstream.into()
            } else {
                format!("\"{}\"", escaped(upstream, place)).into()
            };
            return (at, id);
        }
        let quoted = at.start > 0 && text[at.start - 1] == b'"' && text.get(at.end) == Some(&b'"');
        if self.upstream_numbers && bare && quoted && place == Place::Json {
            return (at.start - 1..at.end + 1, upstream.into());
        }
        (at, escaped(upstream, place))
    }
}

impl Integers {
    fn new(first: u64, last: u64) -> Self {
        let (low, high) = (first.to_string(), last.to_string());
        let alike = low.bytes().zip(high.bytes()).take_while(|(low, high)| low == high).count();
        Self { first, last, digits: low.len(), begin: Finder::new(&low[..alike]).into_owned() }
    }

    fn places<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Found<'t>> + 't {
        self.begin.find_iter(text).filter_map(move |start| {
            let end = start + self.digits;
            let id = std::str::from_utf8(text.get(start..end)?).ok()?;
            let number: u64 = id.parse().ok()?;
            let goes_on = |byte: &u8| is_word(*byte) || *byte == b'.';
            // Not a telephone number, a fraction, or an escaped character.
            let before = text[..start].last();
            let alone = begins_word(text, start)
                && !before.is_some_and(|before| matches!(before, b'+' | b'.' | b'%'))
                && !text[..start].ends_with(b"%2B")
                && !text.get(end).is_some_and(goes_on);
            let ours = alone && (self.first..=self.last).contains(&number);
            ours.then(|| Found { at: start..end, id: id.into() })
        })
    }
}

/// Where the bare numbers of a JSON text begin; nowhere in any other.
struct Numbers(Vec<usize>);

impl Numbers {
    fn of(text: &[u8], place: Place) -> Self {
        if place != Place::Json {
            return Self(Vec::new());
        }
        let numbers = Scalars::of(text).filter(|scalar| scalar.is_number);
        Self(numbers.map(|scalar| scalar.at.start).collect())
    }

    fn contain(&self, start: usize) -> bool {
        self.0.binary_search(&start).is_ok()
    }
}

/// Whether an id is one that JSON writes as a number (RFC 8259, 6), and writes so again.
fn is_number(id: &str) -> bool {
    let digits = !id.is_empty() && id.len() <= 18 && id.bytes().all(|byte| byte.is_ascii_digit());
    digits && (id == "0" || !id.starts_with('0'))
}

/// The upstream's id as it stands in a text of this kind.
fn escaped(id: &str, place: Place) -> Cow<'_, str> {
    if place == Place::Raw || id.bytes().all(is_unreserved) {
        return Cow::Borrowed(id);
    }
    if place == Place::Json {
        let quoted = serde_json::Value::from(id).to_string();
        return Cow::Owned(quoted[1..quoted.len() - 1].to_owned());
    }
    let mut out = String::with_capacity(id.len() * 3);
    for byte in id.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}

/// The name whose value begins where `text` ends: `"name": "` or `"name": ` in JSON, `name=` elsewhere.
fn member_before(text: &[u8], place: Place) -> Option<&str> {
    let name = if place == Place::Json {
        let text = text.strip_suffix(b"\"").unwrap_or(text).trim_ascii_end();
        let text = text.strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"")?;
        &text[memchr::memrchr(b'"', text)? + 1..]
    } else {
        let text = text.strip_suffix(b"=")?;
        let start = text.iter().rposition(|byte| matches!(byte, b'&' | b'?' | b'\n'));
        &text[start.map_or(0, |start| start + 1)..]
    };
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// A JSON answer with the upstream's ids put back into local ones. What is not JSON comes back as it is.
pub(crate) fn back_to_local(body: &Bytes, aliases: &[Alias]) -> Bytes {
    let quoted: Vec<String> = aliases
        .iter()
        .map(|alias| escaped(&alias.upstream, Place::Json).into_owned())
        .collect();
    let local = |value: &[u8], member: &[u8], is_number: bool| {
        let index = quoted.iter().position(|id| id.as_bytes() == value)?;
        let alias = &aliases[index];
        let digits = alias.upstream.bytes().all(|byte| byte.is_ascii_digit());
        let named = alias.member.as_deref().is_some_and(|name| name.as_bytes() == member) || is_called_id(member);
        // A number like any other, unless its name says that it is an id.
        (named || !digits && !is_number).then_some(&*alias.local)
    };
    let mut out = BytesMut::new();
    let mut copied = 0;
    for Scalar { at, member, is_number } in Scalars::of(body) {
        let value = if is_number { at.clone() } else { at.start + 1..at.end - 1 };
        if let Some(local) = local(&body[value], &body[member], is_number) {
            out.extend_from_slice(&body[copied..at.start]);
            if is_number && local.bytes().all(|byte| byte.is_ascii_digit()) {
                out.extend_from_slice(local.as_bytes());
            } else {
                out.extend_from_slice(format!("\"{local}\"").as_bytes());
            }
            copied = at.end;
        }
    }
    if copied == 0 {
        return body.clone();
    }
    out.extend_from_slice(&body[copied..]);
    out.freeze()
}

/// A header such as `Location` with whole words that are the upstream's ids put back.
pub(crate) fn words_to_local(text: &str, aliases: &[Alias]) -> String {
    aliases.iter().fold(text.to_owned(), |text, alias| {
        let upstream = escaped(&alias.upstream, Place::Url);
        let mut out = String::with_capacity(text.len() + 32);
        let mut rest = 0;
        for (start, found) in text.match_indices(&*upstream) {
            let end = start + found.len();
            let bytes = text.as_bytes();
            if begins_word(bytes, start) && !bytes.get(end).is_some_and(|after| is_word(*after)) {
                out.push_str(&text[rest..start]);
                out.push_str(&alias.local);
                rest = end;
            }
        }
        out.push_str(&text[rest..]);
        out
    })
}

/// A string (with its quotes) or number in JSON, and the name of the member that it stands in.
struct Scalar {
    at: Range<usize>,
    member: Range<usize>,
    is_number: bool,
}

/// Walks over the scalars of a JSON text, in order. Text that is not JSON yields what looks like it.
struct Scalars<'t> {
    text: &'t [u8],
    next: usize,
    member: Range<usize>,
}

impl<'t> Scalars<'t> {
    fn of(text: &'t [u8]) -> Self {
        Self { text, next: 0, member: 0..0 }
    }

    /// The end of the string that begins at `start`, behind its quote.
    fn string_end(&self, start: usize) -> Option<usize> {
        let mut at = start + 1;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.text.get(at..)?)?;
            if self.text[at] == b'"' {
                return Some(at + 1);
            }
            at += 2;
        }
    }
}

impl Iterator for Scalars<'_> {
    type Item = Scalar;

    fn next(&mut self) -> Option<Scalar> {
        loop {
            let start = self.next;
            match *self.text.get(start)? {
                b'"' => {
                    let end = self.string_end(start)?;
                    self.next = end;
                    let after = self.text[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                    if after == Some(&b':') {
                        self.member = start + 1..end - 1;
                    } else {
                        return Some(Scalar { at: start..end, member: self.member.clone(), is_number: false });
                    }
                }
                b'-' | b'0'..=b'9' => {
                    let is_part = |byte: &u8| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                    let length = self.text[start..].iter().position(is_part);
                    self.next = length.map_or(self.text.len(), |length| start + length);
                    return Some(Scalar { at: start..self.next, member: self.member.clone(), is_number: true });
                }
                _ => self.next += 1,
            }
        }
    }
}

/// `id`, `orderId`, `order_ids`, …
fn is_called_id(member: &[u8]) -> bool {
    let one = member.strip_suffix(b"s").unwrap_or(member);
    one.eq_ignore_ascii_case(b"id") || one.ends_with(b"Id") || one.ends_with(b"ID") || one.ends_with(b"_id")
}

/// Whether a word may begin here: after nothing, after what is no part of a word, or after an escaped character.
fn begins_word(text: &[u8], start: usize) -> bool {
    let Some(before) = text[..start].last() else {
        return true;
    };
    let escape = text[..start].last_chunk::<3>();
    !is_word(*before)
        || escape.is_some_and(|[percent, hex @ ..]| *percent == b'%' && hex.iter().all(u8::is_ascii_hexdigit))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Crockford's base 32, upper case: no I, L, O, U.
fn is_crockford(byte: u8) -> bool {
    byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'L' | b'O' | b'U'))
}

#[cfg(test)]
mod tests;
