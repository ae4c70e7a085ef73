//! The names of orders and pilots: our own, and those that others gave.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip128::SipHasher13;
use ulid::Ulid;

/// The longest id that is taken, in bytes.
pub const MAX_ID: usize = 128;

/// How the ids that are given here are told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming<'a> {
    /// The city's short name, the prefix of those that are ULIDs.
    pub city: &'a str,
    /// The reserved range of those that are numbers, both ends in it.
    pub integers: Option<(u64, u64)>,
}

impl<'a> From<&'a str> for Naming<'a> {
    fn from(city: &'a str) -> Self {
        Self { city, integers: None }
    }
}

/// The id of an order placed here: a ULID without the city's prefix, or a number of the reserved range.
///
/// The two are told apart by their size: a number is below 2^63, and a ULID is above 2^80 since the second millisecond
/// of 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u128);

impl LocalId {
    /// The id that is this number.
    pub fn integer(number: u64) -> Self {
        Self(number.into())
    }

    /// Whether it is a number.
    pub fn is_integer(self) -> bool {
        self.0 >> 63 == 0
    }

    /// Whether a text is a number as JSON writes it.
    pub(crate) fn is_digits(text: &str) -> bool {
        digits(text).is_some()
    }

    /// `CITY-ULID`: 26 characters of Crockford's base 32 after the city's name; or the digits of the number.
    pub fn name(self, city: &str) -> String {
        if self.is_integer() { self.0.to_string() } else { format!("{city}-{self}") }
    }

    /// Reads `CITY-ULID`, or a number of the reserved range; `None` for what is not of this city's form.
    pub fn parse<'n>(naming: impl Into<Naming<'n>>, name: &str) -> Option<Self> {
        let Naming { city, integers } = naming.into();
        if let Some((first, last)) = integers
            && let Some(number) = digits(name)
            && (first..=last).contains(&number)
        {
            return Some(Self::integer(number));
        }
        name.strip_prefix(city)?.strip_prefix('-')?.parse().ok()
    }
}

/// A number in its one form: digits alone, and no zero before them.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok())?
}

impl std::str::FromStr for LocalId {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_string(text).map(|ulid| Self(ulid.0))
    }
}

impl fmt::Display for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Ulid(self.0).array_to_str(&mut [0; ulid::ULID_LEN]))
    }
}

impl Serialize for LocalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Ulid(self.0).array_to_str(&mut [0; ulid::ULID_LEN]))
    }
}

impl<'de> Deserialize<'de> for LocalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parse(deserializer)
    }
}

/// Where an id stands in the index: a local id by its value, every other by a hash with the top bit set.
///
/// Whoever looks something up compares the id itself as well, so two ids with one hash are not taken for each other.
/// The two do not meet: the top bit of a ULID is its time's, and is set in the year 6429.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdKey(u128);

impl IdKey {
    const FOREIGN: u128 = 1 << 127;

    /// Where a foreign id stands.
    pub fn of_name(name: &str) -> Self {
        let hash = SipHasher13::new().hash(name.as_bytes()).as_u128();
        Self(hash | Self::FOREIGN)
    }

    /// Where a local id stands.
    pub fn of_local(id: LocalId) -> Self {
        Self(id.0 & !Self::FOREIGN)
    }
}

/// An id as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    text: Box<str>,
    numeric: bool,
    key: IdKey,
    local: Option<LocalId>,
}

impl Name {
    /// The id of a pilot or a merchant, or of an order that is not ours.
    pub fn foreign(text: impl Into<Box<str>>, numeric: bool) -> Self {
        let text = text.into();
        Self { key: IdKey::of_name(&text), text, numeric, local: None }
    }

    /// The id of an order, ours where it has this city's form.
    pub fn order<'n>(naming: impl Into<Naming<'n>>, text: impl Into<Box<str>>, numeric: bool) -> Self {
        let text = text.into();
        match LocalId::parse(naming, &text) {
            Some(local) => Self { text, numeric, key: IdKey::of_local(local), local: Some(local) },
            None => Self::foreign(text, numeric),
        }
    }

    /// The id as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it came as a number, and goes back as one.
    pub fn is_numeric(&self) -> bool {
        self.numeric
    }

    /// Where it stands in the index.
    pub fn key(&self) -> IdKey {
        self.key
    }

    /// The local id, where it is one of this city's.
    pub fn local(&self) -> Option<LocalId> {
        self.local
    }
}

/// An id as it is kept: text, or a number that goes back as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeptName {
    /// An integer.
    Number(i64),
    /// A text.
    Text(Box<str>),
}

impl From<&Name> for KeptName {
    fn from(name: &Name) -> Self {
        match name.text.parse() {
            // Only what is written again in the same way is kept as a number.
            Ok(number) if name.numeric && i64::to_string(&number) == *name.text => Self::Number(number),
            _ => Self::Text(name.text.clone()),
        }
    }
}

impl KeptName {
    /// The id as text.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Number(number) => number.to_string().into(),
            Self::Text(text) => (&**text).into(),
        }
    }

    /// Whether it goes out as a number.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// Where it stands in the index, as a foreign id.
    pub fn key(&self) -> IdKey {
        IdKey::of_name(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_have_one_form() {
        let id = LocalId(0x0190_0000_0000_1234_5678_9abc_def0_1234);
        let name = id.name("blr");
        assert_eq!(name.len(), "blr-".len() + 26);
        assert_eq!(LocalId::parse("blr", &name), Some(id));
        assert_eq!(LocalId::parse("del", &name), None);
        assert_eq!(LocalId::parse("blr", "blr-01H"), None);
        assert_eq!(LocalId::parse("blr", "OB-1"), None);
    }

    #[test]
    fn numbers_of_the_reserved_range_are_ours() {
        let naming = Naming { city: "blr", integers: Some((71_000, 71_999)) };
        let id = LocalId::integer(71_005);
        assert_eq!(id.name("blr"), "71005");
        assert_eq!(LocalId::parse(naming, "71005"), Some(id));
        for foreign in ["70999", "72000", "071005", "+71005", "71005 ", ""] {
            assert_eq!(LocalId::parse(naming, foreign), None, "{foreign}");
        }
        assert_eq!(LocalId::parse("blr", "71005"), None, "no range is reserved");
        let ulid = LocalId(1 << 80);
        assert_eq!(LocalId::parse(naming, &ulid.name("blr")), Some(ulid), "both forms are known");
        assert!(Name::order(naming, "71005", true).is_numeric());
    }

    #[test]
    fn own_and_foreign_ids_stand_apart() {
        let own = Name::order("blr", LocalId(u128::MAX).name("blr"), false);
        let foreign = Name::order("blr", "OB-1", false);
        assert!(own.local().is_some() && foreign.local().is_none());
        assert!(own.key().0 >> 127 == 0 && foreign.key().0 >> 127 == 1);
    }

    #[test]
    fn numbers_are_kept_as_numbers_where_nothing_is_lost() {
        let kept = |text: &str, numeric| KeptName::from(&Name::foreign(text, numeric));
        assert_eq!(kept("17", true), KeptName::Number(17));
        assert_eq!(kept("17", false), KeptName::Text("17".into()));
        assert_eq!(kept("017", true), KeptName::Text("017".into()));
        assert_eq!(kept("99999999999999999999", true), KeptName::Text("99999999999999999999".into()));
        assert_eq!(kept("17", true).key(), kept("17", false).key());
    }
}
