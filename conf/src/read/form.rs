//! What a single value must look like.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use toml::de::DeValue;

use super::{At, Ledger, MOST, join, key_name, nearest, quote};
use crate::value::Scalar;

/// What a value must look like, and how it is written.
pub(crate) trait Form {
    type Value;

    /// What is allowed, as the end of the sentence "allowed is …".
    fn allowed(&self) -> String;

    /// The checked value; `None` after noting what is wrong.
    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<Self::Value>;

    /// The value as TOML writes it; reading it back gives the same value.
    fn show(&self, value: &Self::Value) -> String;
}

/// A type that is written as one TOML string.
pub(crate) trait Text: Sized + Display {
    const ALLOWED: &'static str;

    fn parse(text: &str) -> Option<Self>;

    /// What a refused text may have been meant to say.
    fn meant(_refused: &str) -> Option<String> {
        None
    }

    /// What a refused integer may have been meant to say (a port alone, say).
    fn meant_by_integer(_refused: i64) -> Option<String> {
        None
    }
}

/// An enum that is written as one word.
pub(crate) trait Words: Copy + 'static {
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

/// An integer as Rust has them; `None` for other values and for those out of range.
pub(crate) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// `true` or `false`.
pub(crate) fn flag() -> impl Form<Value = bool> {
    Flag
}

struct Flag;

impl Form for Flag {
    type Value = bool;

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<bool> {
        let value = at.value.get_ref();
        let flag = value.as_bool();
        if flag.is_none() {
            let meant = match value.as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("true" | "yes" | "on" | "1") => Some("true"),
                Some("false" | "no" | "off" | "0") => Some("false"),
                _ => match integer(value) {
                    Some(1) => Some("true"),
                    Some(0) => Some("false"),
                    _ => None,
                },
            };
            ledger.refuse(at, &self.allowed(), meant.map(str::to_owned));
        }
        flag
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A type with a text form of its own.
pub(crate) fn text<T: Text>() -> impl Form<Value = T> {
    Typed(std::marker::PhantomData)
}

struct Typed<T>(std::marker::PhantomData<T>);

impl<T: Text> Form for Typed<T> {
    type Value = T;

    fn allowed(&self) -> String {
        T::ALLOWED.to_owned()
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<T> {
        let value = at.value.get_ref();
        let read = value.as_str().and_then(T::parse);
        if read.is_none() {
            let meant = match value {
                DeValue::String(refused) => T::meant(refused),
                other => integer(other).and_then(T::meant_by_integer),
            };
            // A guess that would be refused again helps nobody.
            let meant = meant.filter(|meant| T::parse(meant).is_some());
            ledger.refuse(at, &self.allowed(), meant.map(|meant| quote(&meant)));
        }
        read
    }

    fn show(&self, value: &T) -> String {
        quote(&value.to_string())
    }
}

/// A string that passes a test.
pub(crate) fn plain(allowed: &'static str, passes: fn(&str) -> bool) -> impl Form<Value = String> {
    Plain { allowed, passes }
}

struct Plain {
    allowed: &'static str,
    passes: fn(&str) -> bool,
}

impl Form for Plain {
    type Value = String;

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<String> {
        let read = at
            .value
            .get_ref()
            .as_str()
            .filter(|text| (self.passes)(text))
            .map(str::to_owned);
        if read.is_none() {
            let text = at.value.get_ref().as_str().unwrap_or_default();
            let tidy = text.trim().trim_end_matches('/');
            let meant = (!tidy.is_empty() && (self.passes)(tidy)).then(|| quote(tidy));
            ledger.refuse(at, self.allowed, meant);
        }
        read
    }

    fn show(&self, value: &String) -> String {
        quote(value)
    }
}

/// The name of a file; a relative one starts at the working directory.
pub(crate) fn path() -> impl Form<Value = PathBuf> {
    FileName
}

struct FileName;

impl Form for FileName {
    type Value = PathBuf;

    fn allowed(&self) -> String {
        "the path of a file".to_owned()
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<PathBuf> {
        let name = at
            .value
            .get_ref()
            .as_str()
            .filter(|name| !name.is_empty() && !name.chars().any(char::is_control));
        if name.is_none() {
            ledger.refuse(at, &self.allowed(), None);
        }
        name.map(PathBuf::from)
    }

    fn show(&self, value: &PathBuf) -> String {
        quote(&value.to_string_lossy())
    }
}

/// One word of an enum.
pub(crate) fn word<T: Words>() -> impl Form<Value = T> {
    OneWord(std::marker::PhantomData)
}

struct OneWord<T>(std::marker::PhantomData<T>);

impl<T: Words> Form for OneWord<T> {
    type Value = T;

    fn allowed(&self) -> String {
        alternatives(T::ALL.iter().map(|word| quote(word.word())))
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<T> {
        let text = at.value.get_ref().as_str();
        let read = T::ALL.iter().copied().find(|word| Some(word.word()) == text);
        if read.is_none() {
            let meant = text.and_then(|text| nearest(text, T::ALL.iter().map(|word| word.word())));
            ledger.refuse(at, &self.allowed(), meant.map(quote));
        }
        read
    }

    fn show(&self, value: &T) -> String {
        quote(value.word())
    }
}

/// `a, b or c`.
pub(crate) fn alternatives(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// A value of JSON that is neither a list nor an object.
pub(crate) fn scalar() -> impl Form<Value = Scalar> {
    AnyScalar
}

struct AnyScalar;

impl Form for AnyScalar {
    type Value = Scalar;

    fn allowed(&self) -> String {
        "a string, a whole number, or true or false".to_owned()
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<Scalar> {
        let read = match at.value.get_ref() {
            DeValue::String(text) => Some(Scalar::Text(text.to_string())),
            DeValue::Boolean(flag) => Some(Scalar::Flag(*flag)),
            value => integer(value).map(Scalar::Integer),
        };
        if read.is_none() {
            ledger.refuse(at, &self.allowed(), None);
        }
        read
    }

    fn show(&self, value: &Scalar) -> String {
        match value {
            Scalar::Text(text) => quote(text),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Flag(flag) => flag.to_string(),
        }
    }
}

/// A table of constants: any names, each with a value of the inner form.
pub(crate) fn members<F: Form>(inner: F) -> impl Form<Value = BTreeMap<String, F::Value>> {
    Members { inner }
}

struct Members<F> {
    inner: F,
}

impl<F: Form> Form for Members<F> {
    type Value = BTreeMap<String, F::Value>;

    fn allowed(&self) -> String {
        format!("a table of names, each with {}", self.inner.allowed())
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<Self::Value> {
        let Some(table) = at.value.get_ref().as_table() else {
            ledger.refuse(at, &self.allowed(), None);
            return None;
        };
        if table.len() > MOST {
            ledger.refuse(at, &format!("a table of {MOST} names at most"), None);
            return None;
        }
        let mut read = BTreeMap::new();
        for (name, value) in table {
            let at = At { key: join(&at.key, &key_name(name.get_ref())), value };
            if let Some(value) = self.inner.read(&at, ledger) {
                read.insert(name.get_ref().to_string(), value);
            }
        }
        Some(read)
    }

    fn show(&self, value: &Self::Value) -> String {
        show_table(value.iter().map(|(name, value)| (name.as_str(), self.inner.show(value))))
    }
}

/// An inline table of names and written values.
pub(crate) fn show_table<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let members: Vec<_> = members.map(|(name, value)| format!("{} = {value}", key_name(name))).collect();
    if members.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", members.join(", "))
    }
}
