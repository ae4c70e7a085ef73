//! JSON, written straight into bytes under the names of a dialect.

use megamind_domain::Time;

use super::{Dialect, Field, Word};
use crate::{Position, id::KeptName};

/// Writes one object.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    dialect: &'a Dialect,
    first: bool,
}

/// Writes an object into `out`.
pub(crate) fn object(out: &mut Vec<u8>, dialect: &Dialect, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, dialect, first: true });
    out.push(b'}');
}

/// Writes a text with its quotes.
pub(crate) fn text_into(text: &str, out: &mut Vec<u8>) {
    // Writing text to a vector does not fail.
    let _ = serde_json::to_writer(out, text);
}

impl<'a> Object<'a> {
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        text_into(name, self.out);
        self.out.push(b':');
        self.out
    }

    fn member(&mut self, field: Field) -> &mut Vec<u8> {
        let dialect: &'a Dialect = self.dialect;
        self.key(dialect.field(field))
    }

    /// A member whose name is no matter of the dialect.
    pub(crate) fn fixed(&mut self, name: &str, value: &serde_json::Value) {
        let out = self.key(name);
        // Writing a value to a vector does not fail.
        let _ = serde_json::to_writer(out, value);
    }

    /// The same, where the value is JSON already.
    pub(crate) fn fixed_raw(&mut self, name: &str, json: &[u8]) {
        self.key(name).extend_from_slice(json);
    }

    pub(crate) fn text(&mut self, field: Field, text: &str) {
        text_into(text, self.member(field));
    }

    pub(crate) fn optional_text(&mut self, field: Field, text: Option<&str>) {
        if let Some(text) = text {
            self.text(field, text);
        }
    }

    /// An id, as a number where it came as one.
    pub(crate) fn name(&mut self, field: Field, text: &str, numeric: bool) {
        let out = self.member(field);
        if numeric && text.parse::<i64>().is_ok() {
            out.extend_from_slice(text.as_bytes());
        } else {
            text_into(text, out);
        }
    }

    pub(crate) fn kept_name(&mut self, field: Field, name: &KeptName) {
        self.name(field, &name.text(), name.is_numeric());
    }

    pub(crate) fn word(&mut self, field: Field, word: impl Into<Word>) {
        let dialect: &'a Dialect = self.dialect;
        self.text(field, dialect.word(word.into()));
    }

    pub(crate) fn integer(&mut self, field: Field, value: u64) {
        let out = self.member(field);
        out.extend_from_slice(value.to_string().as_bytes());
    }

    pub(crate) fn signed(&mut self, field: Field, value: i64) {
        let out = self.member(field);
        out.extend_from_slice(value.to_string().as_bytes());
    }

    pub(crate) fn bool(&mut self, field: Field, value: bool) {
        let out = self.member(field);
        out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(crate) fn degrees(&mut self, field: Field, value: f64) {
        let out = self.member(field);
        // A finite number does not fail.
        let _ = serde_json::to_writer(out, &value);
    }

    pub(crate) fn position(&mut self, position: Position) {
        self.degrees(Field::Lat, position.lat());
        self.degrees(Field::Lng, position.lng());
    }

    pub(crate) fn time(&mut self, field: Field, time: Time) {
        let dialect: &'a Dialect = self.dialect;
        dialect.time_format.write(time, self.member(field));
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, field: Field, json: &str) {
        self.member(field).extend_from_slice(json.as_bytes());
    }

    pub(crate) fn object(&mut self, field: Field, fill: impl FnOnce(&mut Object<'_>)) {
        let dialect = self.dialect;
        object(self.member(field), dialect, fill);
    }

    pub(crate) fn list<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        let dialect = self.dialect;
        let out = self.member(field);
        out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            object(out, dialect, |object| fill(object, item));
        }
        out.push(b']');
    }

    pub(crate) fn words<'t>(&mut self, field: Field, items: impl IntoIterator<Item = &'t str>) {
        let out = self.member(field);
        out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text_into(item, out);
        }
        out.push(b']');
    }
}
