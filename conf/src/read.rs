//! The reader: a TOML document in, checked types out, every mistake on one list.
//!
//! A section of the file is a struct written inside [`section!`]. Each of its fields names, in one
//! place, the key, its documentation, what a value must look like ([`form`]) and what holds when
//! it is absent ([`field`]). Reading never stops at a mistake: it notes the fault and goes on with
//! the default, and whether the result may be used is decided once, at the end, by the
//! [`Ledger`]. The same walk over no document at all yields the [`Entry`] list from which the
//! reference page and the example file are written.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) mod field;
pub(crate) mod form;
pub(crate) mod list;
pub(crate) mod number;

/// No list and no table of free names is longer.
const MOST: usize = 1024;

/// More mistakes than this are not noted: the file is no configuration.
const MOST_FAULTS: usize = 500;

/// A mistake, by its place in the text.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) key: String,
    pub(crate) message: String,
}

/// What holds when a key is absent; values as they are written in TOML.
#[derive(Debug, PartialEq)]
pub(crate) enum Presence {
    Default(String),
    Required { sample: String },
    Optional { sample: String },
}

/// How often a table may be there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Count {
    One,
    Optional,
    Many,
}

/// One line of the catalogue of all that the file may say.
#[derive(Debug)]
pub(crate) enum Entry {
    Table {
        path: String,
        about: &'static str,
        count: Count,
    },
    Key {
        path: String,
        doc: &'static str,
        allowed: String,
        presence: Presence,
    },
}

/// What reading finds out besides the values.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) faults: Vec<Fault>,
    /// Filled only when the walk is for the catalogue.
    pub(crate) catalogue: Option<Vec<Entry>>,
    /// The text was broken, so that a key's absence says nothing.
    pub(crate) broken_syntax: bool,
}

impl Ledger {
    /// Notes a fault, unless the same key (or a part of it) is at fault already: what is derived
    /// from a broken value is noise.
    pub(crate) fn note(&mut self, offset: usize, key: &str, message: String) {
        if !self.is_full() && !self.blames(key) {
            self.faults.push(Fault { offset, key: key.to_owned(), message });
        }
    }

    fn is_full(&self) -> bool {
        self.faults.len() >= MOST_FAULTS
    }

    fn blames(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| {
            fault
                .key
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn blames_just(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key == key)
    }

    /// Notes that a value is not what is allowed there.
    pub(crate) fn refuse(&mut self, at: &At<'_>, allowed: &str, meant: Option<String>) {
        let found = describe(at.value.get_ref());
        let meant = meant.map(|value| format!(", did you mean {value}?")).unwrap_or_default();
        self.note(at.value.span().start, &at.key, format!("found {found}, allowed is {allowed}{meant}"));
    }

    fn list(&mut self, entry: impl FnOnce() -> Entry) {
        if let Some(catalogue) = &mut self.catalogue {
            catalogue.push(entry());
        }
    }
}

/// A value and the full path of its key.
pub(crate) struct At<'d> {
    pub(crate) key: String,
    pub(crate) value: &'d Spanned<DeValue<'d>>,
}

/// A struct that is read from a table.
pub(crate) trait Table: Sized {
    /// What the table is for, as lines of documentation.
    const ABOUT: &'static str;

    /// Reads every field; faults go to the section's ledger.
    fn fields(section: &mut Section<'_, '_>) -> Self;
}

/// A table of the document (or its absence) while it is being read.
pub(crate) struct Section<'d, 'l> {
    path: String,
    offset: usize,
    table: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
    ledger: &'l mut Ledger,
}

impl<'d, 'l> Section<'d, 'l> {
    pub(crate) fn root(table: Option<&'d DeTable<'d>>, ledger: &'l mut Ledger) -> Self {
        Self { path: String::new(), offset: 0, table, known: Vec::new(), ledger }
    }

    /// Reads a whole table, then names every key in it that no field asked for.
    pub(crate) fn read<T: Table>(mut self) -> T {
        let value = T::fields(&mut self);
        self.refuse_unknown();
        value
    }

    /// Notes what is wrong with the value of `name`, or with its absence; for rules that look at
    /// more than one key. `name` may reach into sub-tables and lists (`tls.cert`, `route[2].path`).
    pub(crate) fn refuse(&mut self, name: &str, message: impl Into<String>) {
        let offset = match self.table.and_then(|table| locate(table, name)) {
            Some(Located::Here(offset) | Located::Around(offset)) => offset,
            None => self.offset,
        };
        self.ledger.note(offset, &join(&self.path, name), message.into());
    }

    /// Whether the file says anything about `name`, a path as for [`Section::refuse`].
    pub(crate) fn has(&self, name: &str) -> bool {
        let located = self.table.and_then(|table| locate(table, name));
        matches!(located, Some(Located::Here(_)))
    }

    fn take(&mut self, name: &'static str) -> Option<At<'d>> {
        self.known.push(name);
        let value = self.table?.get(name)?;
        Some(At { key: join(&self.path, name), value })
    }

    fn list_key(
        &mut self,
        name: &str,
        doc: &'static str,
        allowed: impl FnOnce() -> String,
        presence: impl FnOnce() -> Presence,
    ) {
        let path = &self.path;
        self.ledger
            .list(|| Entry::Key { path: join(path, name), doc, allowed: allowed(), presence: presence() });
    }

    fn missing(&mut self, name: &str, allowed: &str) {
        // Where the text or the section itself is broken, absence says nothing.
        if !self.ledger.broken_syntax && !self.ledger.blames_just(&self.path) {
            let message = format!("found nothing, but it has no default and must be set: allowed is {allowed}");
            self.ledger.note(self.offset, &join(&self.path, name), message);
        }
    }

    /// The sub-table `at`; `None`, and a fault, where the value is no table.
    fn enter<'s>(&'s mut self, at: &At<'d>) -> Option<Section<'d, 's>> {
        let Some(table) = at.value.get_ref().as_table() else {
            let header = match at.key.rsplit_once('[') {
                Some((list, _)) => format!("[[{list}]]"),
                None => format!("[{}]", at.key),
            };
            self.ledger.refuse(at, &format!("a table, {header}"), None);
            return None;
        };
        Some(Section {
            path: at.key.clone(),
            offset: at.value.span().start,
            table: Some(table),
            known: Vec::new(),
            ledger: self.ledger,
        })
    }

    /// The sub-table `name` as it is when the file does not mention it.
    fn absent(&mut self, name: &str) -> Section<'d, '_> {
        Section {
            path: join(&self.path, name),
            offset: self.offset,
            table: None,
            known: Vec::new(),
            ledger: self.ledger,
        }
    }

    fn refuse_unknown(&mut self) {
        let Some(table) = self.table else { return };
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) || self.ledger.is_full() {
                continue;
            }
            let meant = match nearest(name, self.known.iter().copied()) {
                Some(near) => Some(near.to_owned()),
                None => crate::reference::elsewhere(name),
            };
            let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
            let allowed = self.known.join(", ");
            let message = format!("found an unknown key, allowed here: {allowed}{meant}");
            self.ledger.note(key.span().start, &join(&self.path, &key_name(name)), message);
        }
    }
}

/// The offset of a value, or of the innermost table or list around it that is written.
enum Located {
    Here(usize),
    Around(usize),
}

fn locate(table: &DeTable<'_>, path: &str) -> Option<Located> {
    let (head, mut rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    let mut value = table.get(head)?;
    while let Some((index, after)) = rest.strip_prefix('[').and_then(|index| index.split_once(']')) {
        let members = value.get_ref().as_array();
        let member = members.and_then(|members| members.get(index.parse::<usize>().ok()?));
        let Some(member) = member else { break };
        (value, rest) = (member, after);
    }
    let offset = value.span().start;
    if rest.is_empty() {
        return Some(Located::Here(offset));
    }
    let inner = rest
        .strip_prefix('.')
        .and_then(|path| locate(value.get_ref().as_table()?, path));
    Some(inner.unwrap_or(Located::Around(offset)))
}

/// `path.name`; what comes from the file goes through [`key_name`] first.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A key as TOML writes it.
pub(crate) fn key_name(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { name.to_owned() } else { quote(name) }
}

/// A string as TOML writes it, on one line.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What stands in the file, in words.
pub(crate) fn describe(value: &DeValue<'_>) -> String {
    const LONGEST: usize = 60;
    match value {
        DeValue::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            format!("{}…", quote(&start))
        }
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => format!("the integer {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(flag) => format!("the boolean {flag}"),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The candidate that `word` is most likely a slip of the pen for.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64; // the distance is quadratic in the length
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase().replace('-', "_");
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (candidate.len().min(lower.len()) / 3).max(1) && *distance < candidate.len()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Defines a section of the file: a struct with public fields, each with its key, documentation,
/// form and default, and the code that reads it.
///
/// ```text
/// section! {
///     /// What the section is for.
///     pub struct Health {
///         /// What the key means.
///         pub interval: Duration = or(duration(MS..=HOUR), SECOND),
///     }
///     rules = Health::rules;      // optional: fn(&Health, &mut Section), across the fields
/// }
/// ```
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $Name:ident {
            $( $(#[doc = $doc:literal])* $vis:vis $field:ident $(as $key:literal)? : $Type:ty = $spec:expr, )*
        }
        $( rules = $rules:path; )?
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $Name {
            $( $(#[doc = $doc])* $vis $field: $Type, )*
        }

        impl $crate::read::Table for $Name {
            const ABOUT: &'static str = concat!($($about, "\n"),*);

            fn fields(section: &mut $crate::read::Section<'_, '_>) -> Self {
                let value = Self {
                    $( $field: $crate::read::field::Field::read(
                        $spec,
                        section,
                        $crate::read::section!(@name $field $($key)?),
                        concat!($($doc, "\n"),*),
                    ), )*
                };
                $( $rules(&value, section); )?
                value
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $key:literal) => { $key };
}

/// Defines an enum whose variants are words of the file.
macro_rules! words {
    (
        $(#[doc = $about:literal])*
        pub enum $Name:ident {
            $( $(#[doc = $doc:literal])* $Variant:ident = $word:literal, )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $Name {
            $( $(#[doc = $doc])* $Variant, )*
        }

        impl $Name {
            /// The word as it stands in the file.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$Variant => $word, )* }
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::read::form::Words for $Name {
            const ALL: &'static [Self] = &[$( Self::$Variant, )*];
            fn word(self) -> &'static str { self.as_str() }
        }
    };
}

pub(crate) use {section, words};
