//! What the city should know beforehand, as CSV (RFC 4180).
//!
//! The header has the names of the public interface; members of members with a dot or in brackets
//! (`pickup.lat`, `pickup[lat]`). What is imported is taken as the upstream's word and never told to it.

use std::{borrow::Cow, fmt, sync::Arc};

use megamind_domain::Rejection;

use crate::{
    Settings,
    command::{Command, Watched, WatchedOrder},
    dialect::{
        Field, Word, form,
        node::{Members, Node},
        parse::{details, pilot_report},
        read::Reader,
    },
    order::Status,
};

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The line, from 1.
    pub line: u64,
    /// The column at fault.
    pub field: Option<String>,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.detail)
    }
}

impl std::error::Error for LineError {}

/// Reads pilots: `minionId` and what else is known of `name`, `phone`, `lat`, `lng`, `status`, `vehicle`, `capacity`.
///
/// # Errors
/// Every line that cannot be taken; then nothing should be.
pub fn pilots(settings: &Settings, text: &[u8]) -> Result<Vec<Command>, Vec<LineError>> {
    read(settings, text, |reader| {
        let report = pilot_report(reader)?;
        Ok(Watched::Pilots(vec![report]))
    })
}

/// Reads open orders: `orderId` and what else is known of `status`, `minionId`, `merchantId`, `pickup`, `dropoff`, ….
///
/// # Errors
/// Every line that cannot be taken; then nothing should be.
pub fn orders(settings: &Settings, text: &[u8]) -> Result<Vec<Command>, Vec<LineError>> {
    read(settings, text, |reader| {
        Ok(Watched::Order(Box::new(WatchedOrder {
            order: reader.required_order(settings.naming())?,
            details: Arc::new(details(reader)?),
            status: status(reader)?,
            pilot: reader.name(Field::MinionId)?,
            position: None,
            eta: reader.time(Field::Eta)?,
            read: false,
            settles: false,
        })))
    })
}

/// The status, `placed` where nothing is said.
fn status(reader: &Reader<'_>) -> Result<Option<Status>, Rejection> {
    let Some(text) = reader.text(Field::Status)? else {
        let with_somebody = reader.name(Field::MinionId)?.is_some();
        return Ok((!with_somebody).then_some(Status::Placed));
    };
    let status = reader.dialect.read_word(&text).and_then(Word::status);
    status
        .map(Some)
        .ok_or_else(|| reader.wrong(Field::Status, "the status of an order"))
}

fn read(
    settings: &Settings,
    text: &[u8],
    take: impl Fn(&Reader<'_>) -> Result<Watched, Rejection>,
) -> Result<Vec<Command>, Vec<LineError>> {
    let mut lines = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text));
    let header = lines.headers().map_err(|error| vec![broken(&error)])?;
    let columns: Vec<String> = header.iter().map(bracketed).collect();
    let mut commands = Vec::new();
    let mut errors = Vec::new();
    for line in lines.records() {
        let taken = line.map_err(|error| broken(&error)).and_then(|line| {
            let number = line.position().map_or(0, csv::Position::line);
            let cells = columns.iter().zip(line.iter());
            let watched = content(cells)
                .and_then(|node| take(&Reader::new(&node, &settings.dialect)))
                .map_err(|rejection| LineError { line: number, field: rejection.field, detail: rejection.detail })?;
            Ok(Command::Watched(Box::new(watched)))
        });
        match taken {
            Ok(command) => commands.push(command),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(commands) } else { Err(errors) }
}

/// One line as the members of a request; an empty cell says nothing.
fn content<'a>(cells: impl Iterator<Item = (&'a String, &'a str)>) -> Result<Node<'a>, Rejection> {
    let mut members = Members::new();
    for (column, cell) in cells.filter(|(_, cell)| !cell.is_empty()) {
        form::insert(&mut members, Cow::Borrowed(column), Cow::Borrowed(cell))?;
    }
    form::lists(&mut members);
    Ok(Node::Map(members))
}

/// `a.b.c` as `a[b][c]`.
fn bracketed(name: &str) -> String {
    let mut steps = name.split('.');
    let first = steps.next().unwrap_or_default().to_owned();
    steps.fold(first, |name, step| format!("{name}[{step}]"))
}

fn broken(error: &csv::Error) -> LineError {
    let line = match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let detail = format!("{len} cells where the header has {expected_len}");
            let line = pos.as_ref().map_or(0, csv::Position::line);
            return LineError { line, field: None, detail };
        }
        csv::ErrorKind::Utf8 { pos, .. } => pos.as_ref().map_or(0, csv::Position::line),
        _ => 0,
    };
    LineError { line, field: None, detail: error.to_string() }
}
