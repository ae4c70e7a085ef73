//! Repeated requests: what makes one recognizable, and what came of the first.

use megamind_domain::{Endpoint, Parsed, Request, Response, Time};

use crate::{Key, keys::KeyRow};

/// What a request is recognized by when it comes again: endpoint, subject and key, or its natural content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub(crate) KeyRow);

impl Identity {
    /// The identity of a write; `None` if its repetition could not be recognized.
    pub fn of<C>(endpoint: Endpoint, parsed: &Parsed<C>, request: &Request, key: Option<&Key>) -> Option<Self> {
        KeyRow::of(endpoint, parsed, request, key).map(Self)
    }

    /// Whether it rests on a key of the client's own.
    pub fn is_from_client(&self) -> bool {
        self.0.from_client
    }

    /// The identity of a part of the request that is sent or decided by itself.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        Self(KeyRow { scope: self.0.scope.part(name), ..self.0 })
    }

    /// A number that twins have in common, and hardly any others.
    pub fn number(&self) -> u64 {
        self.0.scope.number()
    }

    /// A hash of the content: another one under a client's key is another request.
    pub fn content(&self) -> u64 {
        self.0.fingerprint
    }
}

/// What came of the first of two requests alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// This is the first, or the first had no effect.
    First,
    /// It was answered so.
    Answered(Response),
    /// It had other content under the same key (422).
    OtherContent,
    /// It was sent to the upstream, and what came of it is not known.
    InDoubt {
        /// When it was sent.
        at: Time,
    },
    /// It was split: some of its items were sent on, and the others decided here. What came of each part stands under
    /// the identity of the part.
    Split {
        /// The places of the items that were sent on, ascending.
        forwarded: Vec<u32>,
        /// When.
        at: Time,
    },
}
