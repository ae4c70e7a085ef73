//! `MegaMind`'s configuration: raw text to checked types, every mistake named at once.
//!
//! [`load`] reads a TOML file and gives either a [`Config`], whose types cannot hold nonsense, or
//! the list of all its mistakes, each a [`Diagnostic`] with file, line, column and key.
//! [`Config::check_files`] then looks at the files that the configuration names. All keys are
//! defined once; [`reference()`] and [`example`] are written from the same
//! definition.
//!
//! Relative paths in the file start at the working directory.

use std::path::Path;

use toml::de::{DeTable, DeValue};

mod config;
mod diagnostic;
mod files;
mod not_built;
mod read;
mod reference;
mod section;
mod syntax;
mod value;

pub use config::Config;
pub use diagnostic::Diagnostic;
pub use reference::{example, reference};
pub use section::*;
pub use value::{Amount, CallbackTarget, City, JsonPointer, PathPattern, Ratio, Scalar, Server, UrlPath};

use diagnostic::{Places, Position};
use read::{Fault, Ledger, Section, join, key_name};
use syntax::Broken;

/// A configuration file is not larger.
const LARGEST: u64 = 1024 * 1024;

/// Reads and checks a configuration file.
///
/// # Errors
///
/// All mistakes, in the order of the file; a file that cannot be read is one mistake, at its start.
pub fn load(path: &Path) -> Result<Config, Vec<Diagnostic>> {
    let file = path.display().to_string();
    let refuse = |position: Position, message: String| {
        let Position { line, column } = position;
        vec![Diagnostic { file: file.clone(), line, column, key: "file".to_owned(), message }]
    };
    let bytes = files::read_bounded(path, LARGEST)
        .map_err(|reason| refuse(Position::START, format!("found a file {reason}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        refuse(
            Position::of(&text, text.len()),
            "found bytes that are no text, allowed is TOML in UTF-8".to_owned(),
        )
    })?;
    parse(&file, &text)
}

/// Checks the text of a configuration; `file` is what the diagnostics call it.
///
/// # Errors
///
/// All mistakes, in the order of the file.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Diagnostic>> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let document = document.get_ref();

    let broken = Broken::new(text, &syntax);

    let mut ledger = Ledger { broken_syntax: !syntax.is_empty(), ..Ledger::default() };
    let mut config: Config = Section::root(Some(document), &mut ledger).read();
    not_built::find(document, &mut ledger);
    let mut faults = ledger.faults;
    faults.retain(|fault| !broken.covers(text, fault));
    faults.extend(broken.faults);
    if faults.is_empty() {
        config.places = places(file, text, document);
        return Ok(config);
    }
    faults.sort_by_key(|fault| fault.offset);
    let diagnostic = |fault: Fault| {
        let Position { line, column } = Position::of(text, fault.offset);
        Diagnostic { file: file.to_owned(), line, column, key: fault.key, message: fault.message }
    };
    Err(faults.into_iter().map(diagnostic).collect())
}

fn places(file: &str, text: &str, document: &DeTable<'_>) -> Places {
    fn visit(places: &mut Places, text: &str, key: String, value: &toml::Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (name, value) in table {
                    visit(places, text, join(&key, &key_name(name.get_ref())), value);
                }
            }
            DeValue::Array(members) => {
                for (index, member) in members.iter().enumerate() {
                    visit(places, text, format!("{key}[{index}]"), member);
                }
            }
            _ => {}
        }
        places.insert(key, Position::of(text, value.span().start));
    }
    let mut places = Places::new(file);
    for (name, value) in document {
        visit(&mut places, text, key_name(name.get_ref()), value);
    }
    places
}

#[cfg(test)]
mod tests;
