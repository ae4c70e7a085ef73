//! One pilot's secret, numbers, and what was answered to the last messages.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::code::{Secret, app_code, crockford, hand_code, same};
use crate::grammar::Request;

/// So many messages are remembered.
pub const WINDOW: usize = 64;
/// How long something can be undone, in milliseconds.
pub const UNDO_WITHIN: i64 = 10 * 60 * 1000;
/// How far ahead of the counter a hand's code may be: codes that were made and never sent.
const LOOK_AHEAD: u64 = 10;

/// A pilot who may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The pilot's id.
    pub pilot: String,
    /// What codes are made of.
    pub secret: Secret,
    /// The next HOTP counter.
    pub counter: u64,
    /// E.164, two at most. The first is written to.
    pub numbers: Vec<String>,
    /// ISO 639-1.
    pub language: String,
    /// Whether texts go in the language's own letters.
    pub ucs2: bool,
    /// What was answered, oldest first.
    pub window: VecDeque<Answered>,
    /// The greatest sequence number so far.
    pub highest: u32,
    /// What `N` tells next.
    pub more: VecDeque<String>,
}

/// One message that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Its number.
    pub seq: u32,
    /// Its canonical body.
    pub body: String,
    /// Its code.
    pub code: String,
    /// What was answered, where something was.
    pub reply: Option<String>,
    /// When, milliseconds of 1970.
    pub at: i64,
    /// What undoes it, in the caller's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// How somebody proved to be the pilot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By the app.
    App,
    /// By a code of a card or an authenticator.
    Hand {
        /// The counter that comes next.
        next: u64,
    },
}

/// What is known about a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Never,
    /// The same message was taken, and this was the answer.
    Again(Option<String>),
    /// Another message had it, or it lies too far back to know.
    Other,
}

impl Enrolment {
    /// A new one: nothing was ever heard.
    pub fn new(pilot: &str, secret: Secret, numbers: Vec<String>, language: &str, ucs2: bool) -> Self {
        Self {
            pilot: pilot.to_owned(),
            secret,
            counter: 0,
            numbers,
            language: language.to_owned(),
            ucs2,
            window: VecDeque::new(),
            highest: 0,
            more: VecDeque::new(),
        }
    }

    /// Whether a code proves that the pilot wrote this.
    pub fn verify(&self, gateway: &str, number: &str, request: &Request) -> Option<Proof> {
        let made = app_code(&self.secret, gateway, number, request.seq, &request.body);
        if same(&made, &crockford(&request.code)) {
            return Some(Proof::App);
        }
        (self.counter..self.counter + LOOK_AHEAD)
            .find(|counter| same(&hand_code(&self.secret, *counter), &request.code))
            .map(|counter| Proof::Hand { next: counter + 1 })
    }

    /// Whether this very message was taken already, code and all. Its code need not be proved again (a hand's could
    /// not be: it is spent), for nothing happens but the same answer.
    pub fn repeated(&self, request: &Request) -> Option<&Answered> {
        self.window
            .iter()
            .find(|known| known.seq == request.seq && known.body == request.body && same(&known.code, &request.code))
    }

    /// What is known about the number of a message.
    pub fn seen(&self, request: &Request) -> Seen {
        match self.window.iter().find(|known| known.seq == request.seq) {
            Some(known) if known.body == request.body => Seen::Again(known.reply.clone()),
            Some(_) => Seen::Other,
            None if u64::from(request.seq) + WINDOW as u64 <= u64::from(self.highest) => Seen::Other,
            None => Seen::Never,
        }
    }

    /// What was taken under a number and can still be undone.
    pub fn undoable(&self, seq: u32, now: i64) -> Option<&Answered> {
        let known = self.window.iter().find(|known| known.seq == seq)?;
        (known.undo.is_some() && now - known.at <= UNDO_WITHIN).then_some(known)
    }

    /// Remembers a message and its answer.
    pub fn note(&mut self, proof: Proof, answered: Answered) {
        if let Proof::Hand { next } = proof {
            self.counter = self.counter.max(next);
        }
        self.highest = self.highest.max(answered.seq);
        self.window.push_back(answered);
        while self.window.len() > WINDOW {
            self.window.pop_front();
        }
    }
}
