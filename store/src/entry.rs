//! The queue as the drain and the operator see it.

use bytes::Bytes;
use megamind_domain::{Endpoint, EntityKey, Time, Touches};

/// One queued request, whole, as it is to be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of its record.
    pub seq: u64,
    /// When it was decided.
    pub at: Time,
    /// The epoch in which it was decided; with `seq` unique over restores.
    pub epoch: u64,
    /// The endpoint of its route.
    pub endpoint: Endpoint,
    /// The method as sent.
    pub method: Box<str>,
    /// The path, still encoded.
    pub path: Box<str>,
    /// The query, still encoded.
    pub query: Option<Box<str>>,
    /// `Content-Type`.
    pub content_type: Option<Box<str>>,
    /// `Content-Encoding`.
    pub content_encoding: Option<Box<str>>,
    /// The whole body.
    pub body: Bytes,
    /// The `Idempotency-Key` to send: the client's, the one of the first attempt, or one made from city, epoch and
    /// seq; another one after a definite refusal and a retry.
    pub key: Option<Box<str>>,
    /// The local id of what it created.
    pub created: Option<Box<str>>,
    /// The number of the bulk request that it went in.
    pub bundle: Option<u64>,
    /// Whether the upstream may have applied it.
    pub state: SendState,
    /// How often it was sent.
    pub attempts: u32,
    /// Set if it was put aside.
    pub parked: Option<Parked>,
    /// Of a list that the upstream took in part: the places of the items that are still to be sent.
    pub left: Option<Box<[u32]>>,
    /// Whether an operator wants the next attempt made, though the upstream may have applied the entry.
    pub insisted: bool,
    /// Whether the request is of the gateway's own making.
    pub own: bool,
    /// The body of the answer that its client got here.
    pub answer: Bytes,
    /// A write that the upstream may have applied and that was refused here: its client was told that the outcome is
    /// unknown, and the city does not show it. It stands in the queue to be settled.
    pub unknown: bool,
    /// What was given with the write to be kept for its replay: [`crate::Write::sealed`].
    pub sealed: Option<Vec<u8>>,
    /// Where it is; `Done` with what it was sent as, kept while its record is.
    pub place: EntryState,
}

/// Whether the upstream may have applied an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendState {
    /// Certainly not.
    NeverSent,
    /// Perhaps.
    PossiblyApplied {
        /// Since when.
        since: Time,
    },
}

/// Why an entry was put aside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Parked {
    /// When.
    pub at: Time,
    /// The upstream's definite answer, if that was the reason.
    pub status: Option<u16>,
    /// The reason, for people.
    pub reason: String,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// It waits to be sent, or behind a parked one.
    Pending,
    /// Put aside for the operator.
    Parked,
    /// Acknowledged, superseded or discarded.
    Done,
}

/// One line of a list of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySummary {
    /// The number of its record.
    pub seq: u64,
    /// When it was decided.
    pub at: Time,
    /// Where it is.
    pub state: EntryState,
    /// How often it was sent.
    pub attempts: u32,
    /// Set if it was put aside.
    pub parked: Option<Parked>,
}

/// An entry that may be sent now without breaking the order of its subjects and actors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The number of its record.
    pub seq: u64,
    /// The endpoint of its route.
    pub endpoint: Endpoint,
    /// When it was decided.
    pub at: Time,
    /// What it is about, in order of its place in the request.
    pub touches: Touches,
    /// Set for a value of which only the newest counts; such entries may be sent together.
    pub slot: Option<EntityKey>,
    /// The number of the bulk request that it went in; until it is settled it goes in no other.
    pub bundle: Option<u64>,
    /// Whether the upstream may have applied it.
    pub state: SendState,
    /// How often it was sent.
    pub attempts: u32,
    /// See [`Entry::unknown`].
    pub unknown: bool,
}
