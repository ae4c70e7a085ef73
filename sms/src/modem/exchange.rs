//! One command at a time: its deadline, its prompt, its answer.

use crate::at::{Answer, CTRL_Z, Digester, ESC, Event, Expect, ResultCode, Urc};
use std::time::{Duration, Instant};

/// No answer has more lines; what goes beyond is seen at the next listing.
const MAX_LINES: usize = 2048;

/// A command to run.
#[derive(Debug, Clone)]
pub(super) struct Command {
    text: String,
    answer: Answer,
    deadline: Duration,
    typed: Option<Typed>,
}

/// What is typed at the prompt.
#[derive(Debug, Clone)]
struct Typed {
    text: String,
    deadline: Duration,
    grace: Duration,
}

impl Command {
    pub(super) fn new(text: impl Into<String>, answer: Answer, deadline: Duration) -> Self {
        Self { text: text.into(), answer, deadline, typed: None }
    }

    /// Types `text` and Ctrl-Z at the prompt and waits `deadline` from then on; after an escape,
    /// `grace` more for the late answer.
    pub(super) fn typing(mut self, text: String, deadline: Duration, grace: Duration) -> Self {
        self.typed = Some(Typed { text, deadline, grace });
        self
    }
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Code(ResultCode),
    /// No result code in time.
    Silence,
}

/// The outcome of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) lines: Vec<String>,
    pub(super) end: End,
    /// The text was typed: from then on the modem may have acted.
    pub(super) typed: bool,
}

impl Reply {
    /// The answer to a text that was typed, gone unread.
    pub(super) const fn lost() -> Self {
        Self { lines: Vec::new(), end: End::Silence, typed: true }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.end == End::Code(ResultCode::Ok)
    }
}

/// What comes out of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Write(Vec<u8>),
    Done(Reply),
    Urc(Urc),
    Stray(String),
}

#[derive(Debug)]
struct Active {
    lines: Vec<String>,
    deadline: Instant,
    typed: Option<Typed>,
    has_typed: bool,
    /// The escape has been sent and the grace runs.
    escaped: bool,
}

#[derive(Debug, Default)]
pub(super) struct Exchange {
    digester: Digester,
    active: Option<Active>,
}

impl Exchange {
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_none()
    }

    /// Starts `command`; gives the bytes to write.
    pub(super) fn start(&mut self, command: Command, now: Instant) -> Vec<u8> {
        let bytes = format!("{}\r", command.text).into_bytes();
        self.digester.expect(Expect {
            command: command.text,
            answer: command.answer,
            typed: command.typed.as_ref().map(|typed| typed.text.clone()),
        });
        self.active = Some(Active {
            lines: Vec::new(),
            deadline: now + command.deadline,
            typed: command.typed,
            has_typed: false,
            escaped: false,
        });
        bytes
    }

    /// Gives up on what is running, because the port is gone. Says whether its text was typed.
    pub(super) fn abort(&mut self) -> Option<Reply> {
        self.digester = Digester::default();
        self.active.take().map(|active| active.end(End::Silence))
    }

    pub(super) fn bytes(&mut self, bytes: &[u8], now: Instant) -> Vec<Outcome> {
        let events = self.digester.feed(bytes);
        events.into_iter().filter_map(|event| self.event(event, now)).collect()
    }

    fn event(&mut self, event: Event, now: Instant) -> Option<Outcome> {
        match event {
            Event::Urc(urc) => Some(Outcome::Urc(urc)),
            Event::Stray(line) => Some(Outcome::Stray(line)),
            Event::Line(line) => {
                let active = self.active.as_mut()?;
                if active.lines.len() < MAX_LINES {
                    active.lines.push(line);
                }
                None
            }
            Event::Prompt => {
                let active = self.active.as_mut()?;
                let typed = active.typed.as_ref()?;
                active.has_typed = true;
                active.deadline = now + typed.deadline;
                let mut bytes = typed.text.clone().into_bytes();
                bytes.push(CTRL_Z);
                Some(Outcome::Write(bytes))
            }
            Event::Result(code) => {
                let active = self.active.take()?;
                Some(Outcome::Done(active.end(End::Code(code))))
            }
        }
    }

    /// Looks at the deadline.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Outcome> {
        let active = self.active.as_mut().filter(|a| a.deadline <= now)?;
        if let (Some(typed), false) = (&active.typed, active.escaped) {
            active.escaped = true;
            active.deadline = now + typed.grace;
            return Some(Outcome::Write(vec![ESC]));
        }
        self.digester.abandon();
        let active = self.active.take()?;
        Some(Outcome::Done(active.end(End::Silence)))
    }
}

impl Active {
    fn end(self, end: End) -> Reply {
        Reply { lines: self.lines, end, typed: self.has_typed }
    }
}
