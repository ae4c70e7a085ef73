//! From bytes to events. One reader sees everything the modem says and routes it: what was asked
//! for goes to the command, the rest is unsolicited.

use super::{
    CTRL_Z, CmeError, CmsError, ESC,
    fields::fields,
    urc::{Head, Urc},
};

/// The longest line that makes sense: a PDU has 352 digits, a USSD text at most a thousand.
const MAX_LINE: usize = 4096;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultCode {
    /// `OK`.
    #[error("OK")]
    Ok,
    /// `ERROR`, or a text that modems use in its place.
    #[error("ERROR")]
    Error,
    /// `+CME ERROR`.
    #[error("{0}")]
    Cme(CmeError),
    /// `+CMS ERROR`.
    #[error("{0}")]
    Cms(CmsError),
}

impl ResultCode {
    fn parse(line: &str) -> Option<Self> {
        if let Some(code) = line.strip_prefix("+CME ERROR:") {
            return Some(Self::Cme(CmeError::parse(code)));
        }
        if let Some(code) = line.strip_prefix("+CMS ERROR:") {
            return Some(Self::Cms(CmsError::parse(code)));
        }
        match line {
            "OK" => Some(Self::Ok),
            "ERROR" | "COMMAND NOT SUPPORT" | "TOO MANY PARAMETERS" | "NO CARRIER" => Some(Self::Error),
            _ => None,
        }
    }
}

/// Which lines besides the result code belong to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// None.
    None,
    /// Those with a prefix, colon included.
    Lines(&'static str),
    /// Those with a prefix, each with a PDU on the next line.
    Pdus(&'static str),
    /// All that are not known to be unsolicited.
    Free,
}

/// What the modem has been told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The command without its line end, to know its echo by.
    pub command: String,
    /// The lines that belong to it.
    pub answer: Answer,
    /// What will be typed at the prompt, to know its echo by; `None` where no prompt comes.
    pub typed: Option<String>,
}

/// What the modem has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A line of the answer.
    Line(String),
    /// The end of the answer.
    Result(ResultCode),
    /// The modem waits for the text of a message.
    Prompt,
    /// Something unasked.
    Urc(Urc),
    /// A line that fits nowhere: garbage, or the late answer to a command given up.
    Stray(String),
}

/// The reader. Feed it whatever arrives, in pieces of any size.
#[derive(Debug, Default)]
pub struct Digester {
    line: Vec<u8>,
    /// The rest of a line that was too long is thrown away.
    skipping: bool,
    expect: Option<Expect>,
    prompt_due: bool,
    /// `+CMT` or `+CDS` has come, its PDU not yet.
    head: Option<Head>,
    /// A line of [`Answer::Pdus`] has come, its PDU not yet.
    pdu_due: bool,
    /// The beginning of a `+CUSD` whose text has line ends in it.
    open_text: Option<String>,
}

impl Digester {
    /// Tells the digester what has just been asked.
    pub fn expect(&mut self, expect: Expect) {
        self.prompt_due = expect.typed.is_some();
        self.pdu_due = false;
        self.expect = Some(expect);
    }

    /// Nothing is being asked any more.
    pub fn abandon(&mut self) {
        self.expect = None;
        self.prompt_due = false;
        self.pdu_due = false;
    }

    /// Takes what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\r' | b'\n' => self.end_of_line(&mut events),
                // Echo of what ends or aborts a text, and garbage.
                CTRL_Z | ESC | 0x00..=0x1F | 0x7F => {}
                b'>' if self.prompt_due && self.line.trim_ascii().is_empty() => {
                    self.line.clear();
                    self.prompt_due = false;
                    events.push(Event::Prompt);
                }
                _ if self.skipping => {}
                _ if self.line.len() >= MAX_LINE => {
                    self.line.clear();
                    self.skipping = true;
                }
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn end_of_line(&mut self, events: &mut Vec<Event>) {
        self.skipping = false;
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = match self.open_text.take() {
            Some(begun) => self.continued(&begun, line.trim(), events),
            None => self.without_echo(line.trim()).to_owned(),
        };
        if is_open(&line) {
            self.open_text = Some(line);
            return;
        }
        for piece in unglue(&line) {
            self.piece(piece, events);
        }
    }

    /// The next line of a text that has begun. A result code ends it, because that can only mean
    /// that the end quote is missing.
    fn continued(&mut self, begun: &str, line: &str, events: &mut Vec<Event>) -> String {
        if ResultCode::parse(line).is_some() || begun.len() + line.len() > MAX_LINE {
            self.piece(begun, events);
            return line.to_owned();
        }
        // A carriage return and a line feed are two line ends here.
        let separator = if line.is_empty() { "" } else { "\n" };
        format!("{begun}{separator}{line}")
    }

    /// The echo may end with a line end of its own or run into the answer.
    fn without_echo<'a>(&self, line: &'a str) -> &'a str {
        let Some(expect) = &self.expect else {
            return line;
        };
        let typed = expect.typed.as_deref().filter(|typed| !typed.is_empty());
        typed
            .and_then(|typed| line.strip_prefix(typed))
            .or_else(|| line.strip_prefix(expect.command.as_str()))
            .map_or(line, str::trim)
    }

    /// One line, or what was glued into one.
    fn piece(&mut self, line: &str, events: &mut Vec<Event>) {
        if line.is_empty() {
            return;
        }
        if let Some(head) = self.head.take() {
            if is_hex(line) {
                events.push(Event::Urc(head.with(line.to_owned())));
                return;
            }
            events.push(Event::Stray(format!("{head:?} without its PDU")));
        }
        if let Some(code) = ResultCode::parse(line) {
            events.push(if self.expect.is_some() {
                self.abandon();
                Event::Result(code)
            } else {
                Event::Stray(line.to_owned())
            });
            return;
        }
        if self.belongs_to_answer(line) {
            events.push(Event::Line(line.to_owned()));
            return;
        }
        if let Some(head) = Head::of(line) {
            self.head = Some(head);
            return;
        }
        events.push(match Urc::parse(line) {
            Some(urc) => Event::Urc(urc),
            None if self.wants_free() => Event::Line(line.to_owned()),
            None => Event::Stray(line.to_owned()),
        });
    }

    fn wants_free(&self) -> bool {
        matches!(&self.expect, Some(expect) if expect.answer == Answer::Free)
    }

    fn belongs_to_answer(&mut self, line: &str) -> bool {
        match self.expect.as_ref().map(|expect| expect.answer) {
            Some(Answer::Lines(prefix)) => line.starts_with(prefix) && !is_registration_urc(line),
            Some(Answer::Pdus(prefix)) => {
                let is_pdu = self.pdu_due && is_hex(line);
                let is_head = line.starts_with(prefix);
                if is_pdu || is_head {
                    self.pdu_due = is_head;
                }
                is_pdu || is_head
            }
            Some(Answer::None | Answer::Free) | None => false,
        }
    }
}

fn is_hex(line: &str) -> bool {
    line.len() >= 2 && line.len().is_multiple_of(2) && line.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether the line is the beginning of a text whose end quote has not come.
fn is_open(line: &str) -> bool {
    line.contains("+CUSD:") && line.matches('"').count() % 2 == 1
}

/// `+CREG: 1` and `+CREG: 1,"00C3","1234"` come unasked, `+CREG: 0,1` answers `AT+CREG?`.
fn is_registration_urc(line: &str) -> bool {
    let Some(mut fields) = fields(line, "+CREG:") else {
        return false;
    };
    let second = fields.nth(1);
    let bare = line.split(',').nth(1).map(str::trim);
    second.is_none_or(|stat| stat.parse::<u8>().is_err()) || bare != second
}

/// Codes that modems print into the middle of a line.
const MARKS: [&str; 9] = [
    "+CMTI:",
    "+CMT:",
    "+CDSI:",
    "+CDS:",
    "+CUSD:",
    "+CREG:",
    "+CMGS:",
    "+CME ERROR:",
    "+CMS ERROR:",
];

/// Splits a line into what a modem has glued together: before every code that stands outside of
/// quotes, and before a final `OK` that follows a number or a quote.
fn unglue(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        if character == '"' {
            quoted = !quoted;
        }
        let marked = !quoted && MARKS.iter().any(|mark| line[at..].starts_with(mark));
        if marked && at > start {
            pieces.push(line[start..at].trim());
            start = at;
        }
    }
    let last = &line[start..];
    let cut = last
        .strip_suffix("OK")
        .filter(|rest| rest.starts_with('+') && rest.ends_with(|c: char| c.is_ascii_digit() || c == '"'));
    match cut {
        Some(rest) => pieces.extend([rest, "OK"]),
        None => pieces.push(last),
    }
    pieces
}
