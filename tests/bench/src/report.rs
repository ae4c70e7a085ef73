//! What a measurement hands back: tables for people, one JSON object for programs.

use std::fmt::Write as _;

use serde_json::Value;

/// The outcome of one subcommand.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    text: String,
    json: Value,
}

impl Report {
    /// `json` is the whole result; tables and notes for people are added afterwards.
    pub(crate) fn new(name: &'static str, json: Value) -> Self {
        Self { name, text: String::new(), json }
    }

    /// Adds a line of text for people.
    pub(crate) fn note(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Adds a table: the first column is left-aligned, all others are right-aligned.
    pub(crate) fn table(&mut self, heading: &[&str], rows: &[Vec<String>]) {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells
                .chain(heading.get(column).map(|cell| cell.chars().count()))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heading.len()).map(width).collect();
        let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
        for row in std::iter::once(&heading).chain(rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Writing to a String cannot fail.
                let _ = if column == 0 {
                    write!(line, "{cell:<width$}")
                } else {
                    write!(line, "  {cell:>width$}")
                };
            }
            self.note(line.trim_end());
        }
        self.note("");
    }

    /// Prints the report on stdout.
    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::json!({ "bench": self.name, "result": self.json }));
        } else {
            print!("# {}\n\n{}", self.name, self.text);
        }
    }
}
