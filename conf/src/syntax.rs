//! Mistakes in the TOML itself, in the same form as all others.

use std::collections::BTreeSet;

use crate::diagnostic::Position;
use crate::read::Fault;

/// The lines that the parser could not read, each with one mistake. What the reader finds there is
/// noise.
pub(crate) struct Broken {
    pub(crate) faults: Vec<Fault>,
    lines: BTreeSet<usize>,
}

impl Broken {
    /// Keeps the first mistake of each line. A list that is never closed swallows the lines that
    /// follow it, and makes each of them one long complaint: only the first of those is kept.
    pub(crate) fn new(text: &str, errors: &[toml::de::Error]) -> Self {
        const MOST: usize = 100;
        let mut errors: Vec<_> = errors
            .iter()
            .map(|error| (error.span().map_or(0, |span| span.start), error.message()))
            .collect();
        errors.sort_by_key(|(offset, _)| *offset);
        let mut broken = Self { faults: Vec::new(), lines: BTreeSet::new() };
        let mut in_list = false;
        for (offset, message) in errors.into_iter().take(MOST) {
            let first = broken.lines.insert(Position::of(text, offset).line);
            let missing_comma = message.starts_with("missing comma");
            if first && !(missing_comma && in_list) {
                broken.faults.push(fault(text, offset, message));
            }
            in_list |= missing_comma;
        }
        broken.cover_headless(text);
        broken
    }

    /// The lines under a broken header belong to no section.
    fn cover_headless(&mut self, text: &str) {
        let mut headless = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with('[') {
                headless = self.lines.contains(&(index + 1));
            } else if headless {
                self.lines.insert(index + 1);
            }
        }
    }

    /// Whether the mistake is on a line that was not understood.
    pub(crate) fn covers(&self, text: &str, fault: &Fault) -> bool {
        !self.lines.is_empty() && self.lines.contains(&Position::of(text, fault.offset).line)
    }
}

fn fault(text: &str, offset: usize, message: &str) -> Fault {
    const LONGEST: usize = 40;
    let start = text.floor_char_boundary(offset);
    let rest = text[start..].lines().next().unwrap_or_default();
    let snippet: String = rest.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let found = if snippet.trim().is_empty() {
        "the end of the line".to_owned()
    } else {
        format!("`{}`", snippet.trim())
    };
    Fault {
        offset: start,
        key: key_near(text, start),
        message: format!("found {found}, allowed is TOML here: {message}"),
    }
}

/// The key that the line is about, under the last header before it; `syntax` where there is none.
fn key_near(text: &str, offset: usize) -> String {
    let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let header = text[..line_start]
        .lines()
        .rev()
        .find_map(|line| line.trim_start().strip_prefix('[')?.trim_start_matches('[').split_once(']'))
        .map(|(header, _)| header.trim());
    let key = line.split_once(['=', ':']).map(|(key, _)| key.trim());
    let is_path = |path: &&str| {
        !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    match (header.filter(is_path), key.filter(is_path)) {
        (Some(header), Some(key)) => format!("{header}.{key}"),
        (None, Some(key)) => key.to_owned(),
        (_, None) => "syntax".to_owned(),
    }
}
