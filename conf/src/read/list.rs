//! Lists of values, and tables that rename things.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::form::{Form, Text, show_table};
use super::{At, Ledger, MOST, join, key_name, nearest, quote};

/// A list, possibly empty.
pub(crate) fn list<F: Form>(inner: F) -> impl Form<Value = Vec<F::Value>> {
    List { inner, least: 0, bare: false }
}

/// A list with at least one member.
pub(crate) fn some<F: Form>(inner: F) -> impl Form<Value = Vec<F::Value>> {
    List { inner, least: 1, bare: false }
}

/// A list with at least one member, or the one member without brackets.
pub(crate) fn one_or_more<F: Form>(inner: F) -> impl Form<Value = Vec<F::Value>> {
    List { inner, least: 1, bare: true }
}

struct List<F> {
    inner: F,
    least: usize,
    /// One member may stand without brackets.
    bare: bool,
}

impl<F: Form> Form for List<F> {
    type Value = Vec<F::Value>;

    fn allowed(&self) -> String {
        let inner = self.inner.allowed();
        match (self.bare, self.least) {
            (true, _) => format!("{inner}, or a list of such"),
            (false, 0) => format!("a list; each member {inner}"),
            (false, _) => format!("a list of at least one; each member {inner}"),
        }
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<Self::Value> {
        let DeValue::Array(members) = at.value.get_ref() else {
            if self.bare {
                return self.inner.read(at, ledger).map(|only| vec![only]);
            }
            ledger.refuse(at, &self.allowed(), None);
            return None;
        };
        if members.len() < self.least || members.len() > MOST {
            let message = format!("found a list of {}, allowed are {} to {MOST} members", members.len(), self.least);
            ledger.note(at.value.span().start, &at.key, message);
            return None;
        }
        let mut read = Vec::with_capacity(members.len());
        for (index, value) in members.iter().enumerate() {
            let at = At { key: format!("{}[{index}]", at.key), value };
            read.extend(self.inner.read(&at, ledger));
        }
        // A list that lost members to faults must not pass for one that never had them.
        (read.len() == members.len()).then_some(read)
    }

    fn show(&self, value: &Self::Value) -> String {
        match value.as_slice() {
            [only] if self.bare => self.inner.show(only),
            members => {
                let members: Vec<_> = members.iter().map(|member| self.inner.show(member)).collect();
                format!("[{}]", members.join(", "))
            }
        }
    }
}

/// A table that gives some of the `canonical` names another one on the wire. No two names may end
/// up the same.
pub(crate) fn renames<T: Text + Ord + Clone>(
    canonical: &'static [&'static str],
) -> impl Form<Value = BTreeMap<&'static str, T>> {
    Renames { canonical, names: std::marker::PhantomData::<T> }
}

struct Renames<T> {
    canonical: &'static [&'static str],
    names: std::marker::PhantomData<T>,
}

impl<T: Text + Ord + Clone> Form for Renames<T> {
    type Value = BTreeMap<&'static str, T>;

    fn allowed(&self) -> String {
        format!("a table; each key one of {}; each value {}", self.canonical.join(", "), T::ALLOWED)
    }

    fn read(&self, at: &At<'_>, ledger: &mut Ledger) -> Option<Self::Value> {
        let Some(table) = at.value.get_ref().as_table() else {
            ledger.refuse(at, "a table of names", None);
            return None;
        };
        let inner = super::form::text::<T>();
        let mut read = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (name, value) in table {
            let word = name.get_ref().as_ref();
            let at = At { key: join(&at.key, &key_name(word)), value };
            let Some(canonical) = self.canonical.iter().copied().find(|canonical| *canonical == word) else {
                let meant = nearest(word, self.canonical.iter().copied());
                let meant = meant
                    .map(|meant| format!(", did you mean {}?", key_name(meant)))
                    .unwrap_or_default();
                let message =
                    format!("found an unknown name, allowed is one of those that conf/REFERENCE.md lists{meant}");
                ledger.note(name.span().start, &at.key, message);
                continue;
            };
            if let Some(wire) = inner.read(&at, ledger) {
                read.insert(canonical, wire);
                places.insert(canonical, at);
            }
        }
        for (canonical, wire) in &read {
            // The names that are not renamed keep the wire names that they have.
            let twin = self.canonical.iter().copied().find(|other| {
                other != canonical
                    && read
                        .get(other)
                        .map_or_else(|| wire.to_string() == **other, |theirs| theirs == wire)
            });
            if let (Some(twin), Some(at)) = (twin, places.get(canonical)) {
                let found = quote(&wire.to_string());
                let message =
                    format!("found {found}, which is already the name of {twin}; allowed is a name of its own");
                ledger.note(at.value.span().start, &at.key, message);
            }
        }
        Some(read)
    }

    fn show(&self, value: &Self::Value) -> String {
        show_table(value.iter().map(|(name, wire)| (*name, quote(&wire.to_string()))))
    }
}
