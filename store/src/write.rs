//! What goes to the writer, and what it answers.

use std::sync::Arc;

use megamind_domain::{Domain, Endpoint, Exchange, Parsed, Rejection, Request, Response, Stance, Time};

use crate::Identity;

/// A write to be decided here.
pub struct Write<D: Domain> {
    /// The endpoint of its route.
    pub endpoint: Endpoint,
    /// The request, read.
    pub parsed: Arc<Parsed<D::Command>>,
    /// The request as the client sent it.
    pub request: Arc<Request>,
    /// The idempotency key that the upstream sees, or saw, with it.
    pub key: Option<Key>,
    /// What became of the attempt to forward it.
    pub prior: Prior,
    /// Whether the gateway is acting.
    pub stance: Stance,
    /// What its repetition is recognized by, where that is not its key or its content: see [`Identity::part`].
    pub identity: Option<Identity>,
    /// What its replay needs besides, sealed: kept for as long as the write is queued.
    pub sealed: Option<Arc<[u8]>>,
}

impl<D: Domain> Clone for Write<D> {
    fn clone(&self) -> Self {
        Self {
            endpoint: self.endpoint,
            parsed: Arc::clone(&self.parsed),
            request: Arc::clone(&self.request),
            key: self.key.clone(),
            prior: self.prior,
            stance: self.stance,
            identity: self.identity,
            sealed: self.sealed.clone(),
        }
    }
}

/// An `Idempotency-Key`, journaled with the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The header's value.
    pub text: Box<str>,
    /// Whether the client sent it; else the gateway derived or drew it.
    pub from_client: bool,
}

/// The state of the attempt to forward a write, before it is decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prior {
    /// The upstream cannot have applied it.
    NeverSent,
    /// The upstream may have applied it.
    PossiblyApplied {
        /// When it was sent.
        at: Time,
    },
}

/// How a write was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and durable.
    Decided {
        /// The answer.
        response: Response,
        /// The number of its record; 0 where there was nothing to journal.
        seq: u64,
    },
    /// The same request under the same key was answered before: that answer.
    Repeated {
        /// The stored answer.
        response: Response,
    },
    /// Another request was answered under this key (422).
    KeyReused,
    /// Not possible now; the city is unchanged. A refusal (4xx) under a key of the client's own is stored, so that
    /// its repetition is answered alike. Where the upstream may have applied the write, it is kept in the queue
    /// instead, with its fences, to be settled: see [`crate::Entry::unknown`].
    Rejected {
        /// Why.
        rejection: Rejection,
        /// The same in the client's dialect.
        response: Response,
    },
}

/// When a forwarded request was under way, in ticks of [`crate::Store::tick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Taken before the request was sent.
    pub started: u64,
    /// Taken after the answer was complete.
    pub finished: u64,
}

/// What the upstream refused of a list.
pub struct Left<D: Domain> {
    /// The places of the refused items in the request as it was queued, ascending, from 0.
    pub places: Box<[u32]>,
    /// These items, read.
    pub parsed: Arc<Parsed<D::Command>>,
}

/// What became of a queued entry. Durable once [`crate::Store::settle`] returns.
pub enum Settle<D: Domain> {
    /// An attempt is about to be made: possibly applied from now on.
    Sent {
        /// The entry.
        seq: u64,
    },
    /// An attempt is about to be made with several entries of a slot in one request. They stay together until each is
    /// settled: a retry has the same members and the same key.
    Bundled {
        /// The entries, ascending.
        seqs: Vec<u64>,
    },
    /// An attempt is over, and may have had effect: so it stays, whatever a later one is answered.
    InDoubt {
        /// The entry.
        seq: u64,
    },
    /// The attempt had no effect, for certain.
    NotSent {
        /// The entry.
        seq: u64,
    },
    /// The upstream took it: it leaves the queue, its fences fall, and its answer is observed, in one commit.
    Acknowledged {
        /// The entry.
        seq: u64,
        /// The answer, where it is understood; `created` is filled in by the store.
        exchange: Option<Exchange<D::Command>>,
        /// When the attempt was under way.
        span: Span,
    },
    /// The operator knows that the upstream has it.
    Confirmed {
        /// The entry.
        seq: u64,
        /// What the upstream would have answered: the id that it gave to what the entry created.
        exchange: Option<Exchange<D::Command>>,
        /// Who says so.
        who: String,
        /// How it is known.
        why: String,
    },
    /// Set aside for the operator. It keeps its fences and holds back what follows about the same subject.
    Parked {
        /// The entry.
        seq: u64,
        /// The upstream's definite answer, if that was the reason.
        status: Option<u16>,
        /// The reason, for people.
        reason: String,
        /// Of a list of which the upstream took the rest: what it refused. From now on the entry is that alone.
        left: Option<Left<D>>,
    },
    /// Back from the parked ones; after a definite refusal, with a new key.
    Retry {
        /// The entry.
        seq: u64,
    },
    /// Never to be sent. With an entry that created something goes everything else about it.
    Discarded {
        /// The entry.
        seq: u64,
        /// Who says so.
        who: String,
        /// Why.
        why: String,
        /// What follows of it in the city, in the same commit.
        then: Option<D::Command>,
    },
}

impl<D: Domain> Settle<D> {
    /// The entry that it is about.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Sent { seq }
            | Self::InDoubt { seq }
            | Self::NotSent { seq }
            | Self::Acknowledged { seq, .. }
            | Self::Confirmed { seq, .. }
            | Self::Parked { seq, .. }
            | Self::Retry { seq }
            | Self::Discarded { seq, .. } => *seq,
            Self::Bundled { seqs } => seqs.first().copied().unwrap_or(0),
        }
    }
}
