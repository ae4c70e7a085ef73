//! What readers see.

use imbl::OrdMap;
use megamind_domain::{Domain, Role, Time, Touches};

use crate::journal::Restored;

/// The city after the last commit (and the observations since), with the state of the queue at that moment.
pub struct Published<D: Domain> {
    /// What is known.
    pub city: D::City,
    /// Entity key → queued entries about it, parked ones included. Whatever is in here is answered locally.
    pub fences: OrdMap<u64, u32>,
    /// The newest durable record.
    pub last_seq: u64,
    /// Entries that the drain may send: neither parked nor held back by a parked one.
    pub sendable: u64,
    /// Entries put aside for the operator.
    pub parked: u64,
    /// All entries.
    pub entries: u64,
    /// When the oldest entry was decided.
    pub oldest_at: Option<Time>,
    /// The same for the oldest of those that the drain may send.
    pub oldest_sendable_at: Option<Time>,
    /// Set while the queue, after a restore, waits to be released: nothing is sendable then.
    pub restored: Option<Restored>,
}

impl<D: Domain> Published<D> {
    /// Whether any of these entities has queued entries.
    pub fn fenced(&self, touches: &Touches) -> bool {
        fenced(&self.fences, touches)
    }
}

/// Whether any subject or actor of `touches` is fenced.
pub(crate) fn fenced(fences: &OrdMap<u64, u32>, touches: &Touches) -> bool {
    !fences.is_empty()
        && touches
            .iter()
            .any(|touch| touch.role != Role::Row && fences.contains_key(&touch.key.0))
}

/// Whether the journal takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ok,
    /// It does not.
    Failing {
        /// Since when.
        since: Time,
        /// What the system says.
        why: String,
    },
}
