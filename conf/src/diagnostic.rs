//! What is wrong, and where: one line an operator can act on.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// One mistake in a configuration file.
///
/// Displayed as `FILE:LINE:COL key.path: what was found, what is allowed, did you mean …`, the
/// form that editors and terminals turn into a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file as it was named on the command line.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The dotted path of the key, members of lists by index from 0 (`route[2].policy`); `syntax`
    /// where the text is no TOML, `file` where it cannot be read at all.
    pub key: String,
    /// What was found, what is allowed, and what may have been meant.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, key, message } = self;
        write!(f, "{file}:{line}:{column} {key}: {message}")
    }
}

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The position of a byte offset; one past the end, or inside a character, counts as the
    /// nearest character before it.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// Where every key of a parsed file stands, so that what is found out later (a certificate that
/// is none, a port in use) can still be shown with its line.
#[derive(Clone, Default)]
pub(crate) struct Places {
    file: String,
    keys: BTreeMap<String, Position>,
}

impl Places {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), keys: BTreeMap::new() }
    }

    pub(crate) fn insert(&mut self, key: String, position: Position) {
        self.keys.insert(key, position);
    }

    /// A diagnostic at the value of `key`, or at the closest table around it that is written.
    pub(crate) fn diagnostic(&self, key: &str, message: String) -> Diagnostic {
        let mut path = key;
        let position = loop {
            if let Some(position) = self.keys.get(path) {
                break *position;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => break Position::START,
            }
        };
        Diagnostic {
            file: self.file.clone(),
            line: position.line,
            column: position.column,
            key: key.to_owned(),
            message,
        }
    }
}

impl PartialEq for Places {
    /// Where a key stands does not change what the file says.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Places({}, {} keys)", self.file, self.keys.len())
    }
}
