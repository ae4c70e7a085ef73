//! How clients and the upstream speak: a table, not code.
//!
//! Everything inside has its *canonical* name, which is the default dialect's. A [`Table`] says what differs on the
//! wire. Requests are read into a [`node::Node`] whatever their form, and its members are asked for by the names of
//! the table; so no dialect costs more than another.

pub(crate) mod field;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod node;
pub mod openapi;
pub(crate) mod own;
pub(crate) mod parse;
pub(crate) mod problem;
pub(crate) mod raw;
pub(crate) mod read;
pub(crate) mod render;
pub(crate) mod render_call;
mod render_order;
mod render_pilot;
pub(crate) mod request;
mod time;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(crate) use field::{Field, Word};
pub use time::TimeFormat;

/// What differs from the default dialect.
#[derive(Clone, Debug)]
pub struct Table {
    /// What stands before every path, such as `/api/v2`.
    pub base_path: String,
    /// The status of the answer to a new order.
    pub created_status: u16,
    /// How times are written.
    pub time_format: TimeFormat,
    /// Paths by canonical path, without the base path.
    pub paths: BTreeMap<String, String>,
    /// Members by canonical name.
    pub fields: BTreeMap<String, String>,
    /// Statuses by canonical word.
    pub statuses: BTreeMap<String, String>,
    /// What wraps every answer.
    pub envelope: Option<Envelope>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            base_path: String::new(),
            created_status: 201,
            time_format: TimeFormat::Rfc3339,
            paths: BTreeMap::new(),
            fields: BTreeMap::new(),
            statuses: BTreeMap::new(),
            envelope: None,
        }
    }
}

/// The object that wraps every answer.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The member that holds the answer.
    pub data: String,
    /// Constant members beside it.
    pub fields: Map<String, Value>,
    /// What refusals look like; RFC 9457 problems where this is `None`.
    pub error: Option<ErrorEnvelope>,
}

/// What a refusal looks like in an envelope. Names may be dotted paths (`error.message`).
#[derive(Clone, Debug, Default)]
pub struct ErrorEnvelope {
    /// The member that holds the text.
    pub message: String,
    /// The member that holds the stable code.
    pub code: Option<String>,
    /// Constant members beside them.
    pub fields: Map<String, Value>,
}

/// A table, made ready for use.
#[derive(Clone, Debug)]
pub struct Dialect {
    base_path: Box<str>,
    created_status: u16,
    time_format: TimeFormat,
    paths: BTreeMap<String, String>,
    fields: Box<[Box<str>]>,
    words: Box<[Box<str>]>,
    envelope: Option<Envelope>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self::new(Table::default())
    }
}

impl Dialect {
    /// Takes a table. Canonical names that nothing here has are of no effect.
    pub fn new(table: Table) -> Self {
        let name = |renamed: &BTreeMap<String, String>, canonical: &str| -> Box<str> {
            renamed.get(canonical).map_or(canonical, String::as_str).into()
        };
        Self {
            fields: (Field::ALL.iter())
                .map(|field| name(&table.fields, field.canonical()))
                .collect(),
            words: (Word::ALL.iter()).map(|word| name(&table.statuses, word.canonical())).collect(),
            base_path: table.base_path.into(),
            created_status: table.created_status,
            time_format: table.time_format,
            paths: table.paths,
            envelope: table.envelope,
        }
    }

    /// A canonical path as it is on the wire, the base path included.
    pub(crate) fn path(&self, canonical: &str) -> String {
        let path = self.paths.get(canonical).map_or(canonical, String::as_str);
        format!("{}{path}", self.base_path)
    }

    /// The member of an answer's envelope that holds the answer.
    pub(crate) fn envelope_data(&self) -> Option<&str> {
        self.envelope.as_ref().map(|envelope| &*envelope.data)
    }

    /// A member's name on the wire.
    pub(crate) fn field(&self, field: Field) -> &str {
        &self.fields[field as usize]
    }

    /// The name on the wire of a member with this canonical name.
    pub(crate) fn canonical_field<'n>(&'n self, canonical: &'n str) -> &'n str {
        let known = Field::ALL.iter().find(|field| field.canonical() == canonical);
        known.map_or(canonical, |field| self.field(*field))
    }

    /// A word on the wire.
    pub(crate) fn word(&self, word: Word) -> &str {
        &self.words[word as usize]
    }

    /// The word that is written so. Where the wire has its own, the canonical one is taken too.
    pub(crate) fn read_word(&self, text: &str) -> Option<Word> {
        let on_wire = self.words.iter().position(|word| **word == *text);
        on_wire
            .map(|index| Word::ALL[index])
            .or_else(|| Word::ALL.iter().copied().find(|word| word.canonical() == text))
    }
}
