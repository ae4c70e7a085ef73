//! What holds when a key is absent: a default, nothing, or a fault.

use super::form::Form;
use super::{At, Count, Entry, MOST, Presence, Section, Table, join};

/// A field of a section, ready to be read.
pub(crate) trait Field<T> {
    /// The value in the file, or what stands in for it. A mistake is noted in the section's ledger
    /// and read as if the key were absent.
    fn read(self, section: &mut Section<'_, '_>, name: &'static str, doc: &'static str) -> T;
}

/// A key that may be left out: `default` holds then.
pub(crate) fn or<F: Form>(form: F, default: F::Value) -> impl Field<F::Value> {
    Or { form, default }
}

/// A key that must be set. `sample` is what the example file shows, and what reading goes on with
/// after the fault is noted.
pub(crate) fn required<F: Form>(form: F, sample: F::Value) -> impl Field<F::Value> {
    Required { form, sample }
}

/// A key whose absence means something by itself. `sample` is what the example file shows.
pub(crate) fn optional<F: Form>(form: F, sample: F::Value) -> impl Field<Option<F::Value>> {
    Optional { form, sample }
}

/// A sub-table, all of whose keys may be left out, and so the table too.
pub(crate) fn table<T: Table>() -> impl Field<T> {
    SubTable
}

/// A sub-table whose presence switches something on.
pub(crate) fn optional_table<T: Table>() -> impl Field<Option<T>> {
    OptionalTable
}

/// A list of tables: `[[name]]`.
pub(crate) fn tables<T: Table>() -> impl Field<Vec<T>> {
    Tables
}

/// No key at all: a field that is filled in later.
pub(crate) fn unread<T: Default>() -> impl Field<T> {
    Unread
}

struct Or<F: Form> {
    form: F,
    default: F::Value,
}

impl<F: Form> Field<F::Value> for Or<F> {
    fn read(self, section: &mut Section<'_, '_>, name: &'static str, doc: &'static str) -> F::Value {
        section.list_key(name, doc, || self.form.allowed(), || Presence::Default(self.form.show(&self.default)));
        let at = section.take(name);
        at.and_then(|at| self.form.read(&at, section.ledger)).unwrap_or(self.default)
    }
}

struct Required<F: Form> {
    form: F,
    sample: F::Value,
}

impl<F: Form> Field<F::Value> for Required<F> {
    fn read(self, section: &mut Section<'_, '_>, name: &'static str, doc: &'static str) -> F::Value {
        let sample = || Presence::Required { sample: self.form.show(&self.sample) };
        section.list_key(name, doc, || self.form.allowed(), sample);
        let Some(at) = section.take(name) else {
            section.missing(name, &self.form.allowed());
            return self.sample;
        };
        self.form.read(&at, section.ledger).unwrap_or(self.sample)
    }
}

struct Optional<F: Form> {
    form: F,
    sample: F::Value,
}

impl<F: Form> Field<Option<F::Value>> for Optional<F> {
    fn read(self, section: &mut Section<'_, '_>, name: &'static str, doc: &'static str) -> Option<F::Value> {
        let sample = || Presence::Optional { sample: self.form.show(&self.sample) };
        section.list_key(name, doc, || self.form.allowed(), sample);
        let at = section.take(name)?;
        self.form.read(&at, section.ledger)
    }
}

fn list_table<T: Table>(section: &mut Section<'_, '_>, path: &str, count: Count) {
    let path = join(&section.path, path);
    section.ledger.list(|| Entry::Table { path, about: T::ABOUT, count });
}

struct SubTable;

impl<T: Table> Field<T> for SubTable {
    fn read(self, section: &mut Section<'_, '_>, name: &'static str, _doc: &'static str) -> T {
        list_table::<T>(section, name, Count::One);
        if let Some(at) = section.take(name)
            && let Some(inner) = section.enter(&at)
        {
            return inner.read();
        }
        section.absent(name).read()
    }
}

struct OptionalTable;

impl<T: Table> Field<Option<T>> for OptionalTable {
    fn read(self, section: &mut Section<'_, '_>, name: &'static str, _doc: &'static str) -> Option<T> {
        list_table::<T>(section, name, Count::Optional);
        let Some(at) = section.take(name) else {
            list_fields::<T>(section, name);
            return None;
        };
        section.enter(&at).map(Section::read)
    }
}

struct Tables;

impl<T: Table> Field<Vec<T>> for Tables {
    fn read(self, section: &mut Section<'_, '_>, name: &'static str, _doc: &'static str) -> Vec<T> {
        let member = format!("{name}[]");
        list_table::<T>(section, &member, Count::Many);
        let Some(at) = section.take(name) else {
            list_fields::<T>(section, &member);
            return Vec::new();
        };
        let Some(members) = at.value.get_ref().as_array() else {
            section.ledger.refuse(&at, &format!("a list of tables, [[{}]]", at.key), None);
            return Vec::new();
        };
        if members.len() > MOST {
            let allowed = format!("a list of {MOST} tables at most");
            section.ledger.refuse(&at, &allowed, None);
            return Vec::new();
        }
        let mut read = Vec::with_capacity(members.len());
        for (index, value) in members.iter().enumerate() {
            let at = At { key: format!("{}[{index}]", at.key), value };
            read.extend(section.enter(&at).map(Section::read::<T>));
        }
        // With a member lost, the others' indices would be wrong.
        if read.len() == members.len() { read } else { Vec::new() }
    }
}

/// Walks the keys of a table that is not there, for the catalogue alone.
fn list_fields<T: Table>(section: &mut Section<'_, '_>, path: &str) {
    if section.ledger.catalogue.is_some() {
        let _: T = section.absent(path).read();
    }
}

struct Unread;

impl<T: Default> Field<T> for Unread {
    fn read(self, _section: &mut Section<'_, '_>, _name: &'static str, _doc: &'static str) -> T {
        T::default()
    }
}
