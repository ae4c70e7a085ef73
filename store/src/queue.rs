//! The entries that the upstream has not acknowledged, in memory: numbers and entity keys, no bodies.

mod codec;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map},
    num::NonZeroU64,
};

use imbl::OrdMap;
use megamind_domain::{Endpoint, EntityKey, Role, Time, Touch, Touches};

pub(crate) use codec::{pack, unpack};

use crate::entry::{EntryState, EntrySummary, Parked, SendState, Work};

/// Marks the line of a slot, apart from that of the entity which it belongs to. Keys are dense: none is so large.
const SLOT_LINE: u64 = 1 << 63;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) at: Time,
    /// Subjects and actors; empty for an entry with a slot.
    pub(crate) touches: Touches,
    pub(crate) slot: Option<EntityKey>,
    /// The bulk request that it goes in until it is settled.
    pub(crate) bundle: Option<NonZeroU64>,
    pub(crate) parked: Option<Box<Parked>>,
    pub(crate) progress: Progress,
    pub(crate) attempts: u32,
    pub(crate) endpoint: Endpoint,
    /// New keys taken so far, each after a definite refusal.
    pub(crate) rekeyed: u8,
    pub(crate) retry: Retry,
    pub(crate) unknown: bool,
    /// Whether something is kept sealed for its replay.
    pub(crate) sealed: bool,
}

/// What an operator who took an entry back has changed about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    /// A client's own key was kept after a conflict, which happens once.
    pub(crate) kept_key: bool,
    /// The next attempt is wanted, though the upstream may have applied the entry.
    pub(crate) insisted: bool,
}

/// How far the sending of an entry got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The upstream cannot have it.
    NeverSent,
    /// The first attempt is under way: a definite answer to it makes the entry as good as never sent.
    Attempting { since: Time },
    /// An attempt ended without an answer.
    PossiblyApplied { since: Time },
}

impl Queued {
    /// The entities that it fences and waits for.
    pub(crate) fn keys(&self) -> impl Iterator<Item = EntityKey> + '_ {
        self.touches.iter().map(|touch| touch.key)
    }

    pub(crate) fn subjects(&self) -> impl Iterator<Item = EntityKey> + '_ {
        self.touches
            .iter()
            .filter(|touch| touch.role == Role::Subject)
            .map(|touch| touch.key)
    }

    /// The lines that it stands in: those of its entities, or that of its slot.
    fn lines(&self) -> impl Iterator<Item = EntityKey> + '_ {
        self.keys().chain(self.slot.map(|EntityKey(slot)| EntityKey(slot | SLOT_LINE)))
    }

    pub(crate) fn send_state(&self) -> SendState {
        match self.progress {
            Progress::NeverSent => SendState::NeverSent,
            Progress::Attempting { since } | Progress::PossiblyApplied { since } => {
                SendState::PossiblyApplied { since }
            }
        }
    }

    pub(crate) fn place(&self) -> EntryState {
        if self.parked.is_some() { EntryState::Parked } else { EntryState::Pending }
    }

    fn summary(&self, seq: u64) -> EntrySummary {
        EntrySummary {
            seq,
            at: self.at,
            state: self.place(),
            attempts: self.attempts,
            parked: self.parked.as_deref().cloned(),
        }
    }

    fn work(&self, seq: u64) -> Work {
        Work {
            seq,
            endpoint: self.endpoint,
            at: self.at,
            touches: self.touches.clone(),
            slot: self.slot,
            bundle: self.bundle.map(NonZeroU64::get),
            state: self.send_state(),
            attempts: self.attempts,
            unknown: self.unknown,
        }
    }
}

/// Changes to the queue: what an entry becomes, or that it leaves.
pub(crate) type Changes = BTreeMap<u64, Option<Queued>>;

/// All entries.
#[derive(Default)]
pub(crate) struct Queue {
    /// What may be sent, as soon as what precedes it is.
    pending: BTreeMap<u64, Box<Queued>>,
    /// What is parked, and what a parked one holds back.
    aside: BTreeMap<u64, Queued>,
    /// How many entries of `aside` have this subject.
    holding: HashMap<EntityKey, u32>,
    parked: u64,
    /// The newest waiting entry of each slot.
    slots: HashMap<EntityKey, u64>,
    /// The pending entries about each entity, in order: only the first of a line may be sent. One set of pairs: a list
    /// for each of a million orders would take more than the entries.
    lines: BTreeSet<(EntityKey, u64)>,
}

impl Queue {
    pub(crate) fn get(&self, seq: u64) -> Option<&Queued> {
        self.pending.get(&seq).map(|entry| &**entry).or_else(|| self.aside.get(&seq))
    }

    /// The newest waiting entry of a slot.
    pub(crate) fn slot(&self, slot: EntityKey) -> Option<u64> {
        self.slots.get(&slot).copied()
    }

    pub(crate) fn sendable(&self) -> u64 {
        self.pending.len() as u64
    }

    pub(crate) fn parked(&self) -> u64 {
        self.parked
    }

    pub(crate) fn len(&self) -> u64 {
        (self.pending.len() + self.aside.len()) as u64
    }

    pub(crate) fn oldest_at(&self) -> Option<Time> {
        let pending = self.pending.first_key_value().map(|(seq, entry)| (*seq, entry.at));
        let aside = self.aside.first_key_value().map(|(seq, entry)| (*seq, entry.at));
        pending.into_iter().chain(aside).min_by_key(|(seq, _)| *seq).map(|(_, at)| at)
    }

    /// Applies what a commit changed. `fences` are those after the commit.
    pub(crate) fn apply(&mut self, changes: Changes, fences: &OrdMap<u64, u32>) {
        let mut release = false;
        for (seq, change) in changes {
            let was_pending = self.pending.contains_key(&seq);
            let before = self.remove(seq);
            let was_parked = before.as_ref().is_some_and(|entry| entry.parked.is_some());
            // Only where others of the subject wait is anybody held back, or let go.
            if let Some(before) = before
                && (was_parked || change.is_none())
            {
                release |= before
                    .subjects()
                    .any(|key| fences.contains_key(&key.0) && !self.holding.is_empty());
            }
            let Some(entry) = change else { continue };
            if entry.parked.is_none() {
                if !was_pending && self.is_held(&entry) {
                    self.set_aside(seq, entry);
                } else {
                    self.add_pending(seq, entry);
                }
                continue;
            }
            let others = entry.subjects().any(|key| fences.get(&key.0).is_some_and(|count| *count > 1));
            self.set_aside(seq, entry);
            if others && !was_parked {
                self.hold_back_after(seq);
            }
        }
        if release {
            self.release();
        }
    }

    fn remove(&mut self, seq: u64) -> Option<Queued> {
        if let Some(entry) = self.take_pending(seq) {
            self.leave_slot(seq, &entry);
            return Some(entry);
        }
        let entry = self.aside.remove(&seq)?;
        self.leave_slot(seq, &entry);
        self.parked -= u64::from(entry.parked.is_some());
        for key in entry.subjects() {
            if let hash_map::Entry::Occupied(mut count) = self.holding.entry(key) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        Some(entry)
    }

    fn leave_slot(&mut self, seq: u64, entry: &Queued) {
        if let Some(slot) = entry.slot
            && self.slots.get(&slot) == Some(&seq)
        {
            self.slots.remove(&slot);
        }
    }

    fn add_pending(&mut self, seq: u64, entry: Queued) {
        self.enter_slot(seq, &entry);
        self.lines.extend(entry.lines().map(|key| (key, seq)));
        self.pending.insert(seq, Box::new(entry));
    }

    fn take_pending(&mut self, seq: u64) -> Option<Queued> {
        let entry = self.pending.remove(&seq)?;
        for key in entry.lines() {
            self.lines.remove(&(key, seq));
        }
        Some(*entry)
    }

    /// The first pending entry about an entity.
    fn front(&self, key: EntityKey) -> Option<u64> {
        let line = self.lines.range((key, 0)..=(key, u64::MAX));
        line.map(|(_, seq)| *seq).next()
    }

    /// Whether nothing that has to go first is pending.
    fn is_first(&self, seq: u64, entry: &Queued) -> bool {
        let mut lines = entry.lines();
        // A slot's value does not overtake what is told about its owner, nor hold it up.
        lines.all(|key| self.front(key) == Some(seq))
            && entry.slot.and_then(|slot| self.front(slot)).is_none_or(|first| first > seq)
    }

    fn enter_slot(&mut self, seq: u64, entry: &Queued) {
        if let Some(slot) = entry.slot {
            let newest = self.slots.entry(slot).or_insert(seq);
            *newest = (*newest).max(seq);
        }
    }

    fn set_aside(&mut self, seq: u64, entry: Queued) {
        self.parked += u64::from(entry.parked.is_some());
        for key in entry.subjects() {
            *self.holding.entry(key).or_default() += 1;
        }
        self.enter_slot(seq, &entry);
        self.aside.insert(seq, entry);
    }

    /// Whether an entry that comes last waits for a parked one.
    fn is_held(&self, entry: &Queued) -> bool {
        !self.holding.is_empty() && entry.keys().any(|key| self.holding.contains_key(&key))
    }

    /// `seq` was parked: what names one of its subjects, or one of theirs, waits.
    fn hold_back_after(&mut self, seq: u64) {
        let Some(parked) = self.aside.get(&seq) else {
            return;
        };
        let mut blocked: HashSet<EntityKey> = parked.subjects().collect();
        let mut held = Vec::new();
        for (seq, entry) in self.pending.range(seq + 1..) {
            if entry.keys().any(|key| blocked.contains(&key)) {
                blocked.extend(entry.subjects());
                held.push(*seq);
            }
        }
        for seq in held {
            if let Some(entry) = self.take_pending(seq) {
                self.set_aside(seq, entry);
            }
        }
    }

    /// A parked entry went: whoever waited for it alone may go on.
    fn release(&mut self) {
        let mut blocked: HashSet<EntityKey> = HashSet::new();
        let mut free = Vec::new();
        for (seq, entry) in &self.aside {
            if entry.parked.is_some() || entry.keys().any(|key| blocked.contains(&key)) {
                blocked.extend(entry.subjects());
            } else {
                free.push(*seq);
            }
        }
        for seq in free {
            if let Some(entry) = self.remove(seq) {
                self.add_pending(seq, entry);
            }
        }
    }

    /// What may be sent now: first what comes next about each of `next`, then the oldest, looking at the oldest
    /// `window` entries, `limit` at most. An entry has to wait for an earlier one that shares a subject or an actor
    /// with it, be that one in flight or not.
    pub(crate) fn work(
        &self,
        window: usize,
        limit: usize,
        next: &[EntityKey],
        in_flight: impl Fn(u64) -> bool,
    ) -> Vec<Work> {
        let fronts = next.iter().filter_map(|key| self.front(*key));
        let preferred = fronts.filter_map(|seq| self.pending.get_key_value(&seq));
        let mut work: Vec<Work> = Vec::new();
        for (seq, entry) in preferred.chain(self.pending.iter().take(window)) {
            if work.len() >= limit {
                break;
            }
            if in_flight(*seq) || !self.is_first(*seq, entry) {
                continue;
            }
            if !next.is_empty() && work.iter().any(|known| known.seq == *seq) {
                continue;
            }
            work.push(entry.work(*seq));
        }
        work
    }

    /// The pending entries of a bundle, in order.
    pub(crate) fn bundle(&self, number: u64) -> Vec<Work> {
        let members = self
            .pending
            .iter()
            .filter(|(_, entry)| entry.bundle.is_some_and(|of| of.get() == number));
        members.map(|(seq, entry)| entry.work(*seq)).collect()
    }

    /// The entries with this subject, in order.
    pub(crate) fn about(&self, subject: EntityKey) -> Vec<u64> {
        let of = |entry: &Queued| entry.subjects().any(|key| key == subject);
        let pending = self.pending.iter().filter(|(_, entry)| of(entry)).map(|(seq, _)| *seq);
        let aside = self.aside.iter().filter(|(_, entry)| of(entry)).map(|(seq, _)| *seq);
        let mut seqs: Vec<u64> = pending.chain(aside).collect();
        seqs.sort_unstable();
        seqs
    }

    /// Up to `limit` entries after `after`, pending or parked.
    pub(crate) fn list(&self, state: EntryState, after: u64, limit: usize) -> Vec<EntrySummary> {
        let later = after.saturating_add(1)..;
        let mut list: Vec<(&u64, &Queued)> = match state {
            EntryState::Pending => self
                .pending
                .range(later.clone())
                .map(|(seq, entry)| (seq, &**entry))
                .take(limit)
                .chain(self.aside.range(later).filter(|(_, entry)| entry.parked.is_none()).take(limit))
                .collect(),
            EntryState::Parked => self
                .aside
                .range(later)
                .filter(|(_, entry)| entry.parked.is_some())
                .take(limit)
                .collect(),
            EntryState::Done => Vec::new(),
        };
        list.sort_by_key(|(seq, _)| **seq);
        list.truncate(limit);
        list.into_iter().map(|(seq, entry)| entry.summary(*seq)).collect()
    }

    /// Fences of the whole queue, at open.
    pub(crate) fn fences(&self) -> OrdMap<u64, u32> {
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        let pending = self.pending.values().map(|entry| &**entry);
        for entry in pending.chain(self.aside.values()) {
            for EntityKey(key) in entry.keys() {
                *counts.entry(key).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    /// Adds an entry read from disk; they come in ascending order.
    pub(crate) fn load(&mut self, seq: u64, entry: Queued) {
        if entry.parked.is_some() || self.is_held(&entry) {
            self.set_aside(seq, entry);
        } else {
            self.add_pending(seq, entry);
        }
    }
}

/// The name under which something is kept for the replay of an entry.
pub(crate) fn sealed_name(seq: u64) -> Box<str> {
    format!("entry {seq}").into()
}

/// Counts one entry more about each of `keys`.
pub(crate) fn raise(fences: &mut OrdMap<u64, u32>, keys: impl Iterator<Item = EntityKey>) {
    for EntityKey(key) in keys {
        *fences.entry(key).or_insert(0) += 1;
    }
}

/// Counts one entry less about each of `keys`.
pub(crate) fn lower(fences: &mut OrdMap<u64, u32>, keys: impl Iterator<Item = EntityKey>) {
    for EntityKey(key) in keys {
        match fences.get(&key).copied() {
            Some(count) if count > 1 => {
                fences.insert(key, count - 1);
            }
            _ => {
                fences.remove(&key);
            }
        }
    }
}

/// Adds `more` to `touches`; where both name an entity, the stronger role wins.
pub(crate) fn merge(touches: &mut Touches, more: &Touches) {
    let rank = |role| match role {
        Role::Subject => 0,
        Role::Actor => 1,
        Role::Row => 2,
    };
    for touch in more {
        match touches.iter_mut().find(|known| known.key == touch.key) {
            Some(known) if rank(touch.role) < rank(known.role) => known.role = touch.role,
            Some(_) => {}
            None => touches.push(*touch),
        }
    }
}

/// The subjects and actors among `touches`.
pub(crate) fn ordering(touches: &Touches) -> Touches {
    touches
        .iter()
        .filter(|touch| touch.role != Role::Row)
        .copied()
        .collect::<smallvec::SmallVec<[Touch; 2]>>()
}
