//! The entries that the upstream has not acknowledged, in memory: numbers and entity keys, no bodies.

mod codec;
mod kept;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map},
    num::NonZeroU64,
};

use imbl::OrdMap;
use megamind_domain::{Endpoint, EntityKey, Role, Time, Touch, Touches};

pub(crate) use codec::{pack, unpack};
use kept::Kept;

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
    /// Of an entry with a slot: what its value's fields have in common with those of other values; see
    /// [`megamind_domain::Replay::Newest`].
    pub(crate) fields: u32,
    /// The bulk request that it goes in until it is settled.
    pub(crate) bundle: Option<NonZeroU64>,
    pub(crate) parked: Option<Box<Parked>>,
    /// Of a list that the upstream took in part: the places of the items that are still to be sent.
    pub(crate) left: Option<Box<[u32]>>,
    pub(crate) progress: Progress,
    pub(crate) attempts: u32,
    pub(crate) endpoint: Endpoint,
    /// New keys taken so far, each after a definite refusal.
    pub(crate) rekeyed: u8,
    pub(crate) retry: Retry,
    pub(crate) unknown: bool,
    /// Whether something is kept sealed for its replay.
    pub(crate) sealed: bool,
    /// Of an entry with a slot that is on its way: there is a newer value that says all that it says.
    pub(crate) outdated: bool,
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
    /// One that was never sent.
    pub(crate) fn new(endpoint: Endpoint, at: Time, touches: Touches) -> Self {
        Self {
            at,
            touches,
            slot: None,
            fields: 0,
            bundle: None,
            parked: None,
            left: None,
            progress: Progress::NeverSent,
            attempts: 0,
            endpoint,
            rekeyed: 0,
            retry: Retry::default(),
            unknown: false,
            sealed: false,
            outdated: false,
        }
    }

    /// Whether another value may take its place: the upstream cannot have it, nor may it be on its way.
    pub(crate) fn may_be_replaced(&self) -> bool {
        self.bundle.is_none() && self.progress == Progress::NeverSent
    }

    /// The entities that it fences and waits for.
    pub(crate) fn keys(&self) -> impl Iterator<Item = EntityKey> + '_ {
        self.touches.iter().map(|touch| touch.key)
    }

    pub(crate) fn subjects(&self) -> impl Iterator<Item = EntityKey> + '_ {
        subjects(&self.touches)
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
    pending: BTreeMap<u64, Kept>,
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
    pub(crate) fn get(&self, seq: u64) -> Option<Queued> {
        let pending = self.pending.get(&seq).map(Kept::queued);
        pending.or_else(|| self.aside.get(&seq).cloned())
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
        let pending = self.pending.first_key_value().map(|(seq, entry)| (*seq, entry.at()));
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
            // About another entity than before: it may wait for what is parked there.
            let moved = match (&before, &change) {
                (Some(before), Some(entry)) => before.touches != entry.touches,
                _ => false,
            };
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
                if (!was_pending || moved) && self.is_held(&entry) {
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
        let entry = Kept::from(entry);
        self.lines.extend(entry.lines().into_iter().map(|key| (key, seq)));
        self.pending.insert(seq, entry);
    }

    fn take_pending(&mut self, seq: u64) -> Option<Queued> {
        let entry = self.pending.remove(&seq)?;
        for key in entry.lines() {
            self.lines.remove(&(key, seq));
        }
        Some(entry.into_queued())
    }

    /// The first pending entry about an entity.
    fn front(&self, key: EntityKey) -> Option<u64> {
        let line = self.lines.range((key, 0)..=(key, u64::MAX));
        line.map(|(_, seq)| *seq).next()
    }

    /// Whether nothing that has to go first is pending.
    fn is_first(&self, seq: u64, entry: &Kept) -> bool {
        // A slot's value does not overtake what is told about its owner, nor hold it up.
        entry.lines().into_iter().all(|key| self.front(key) == Some(seq))
            && entry.slot().and_then(|slot| self.front(slot)).is_none_or(|first| first > seq)
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
            let touches = entry.touches();
            if touches.iter().any(|touch| blocked.contains(&touch.key)) {
                blocked.extend(subjects(&touches));
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
    /// `window` entries, `limit` at most: of those that are no slot's, and in all. An entry has to wait for an earlier one that shares a subject or an actor
    /// with it, be that one in flight or not.
    pub(crate) fn work(
        &self,
        window: usize,
        limit: (usize, usize),
        next: &[EntityKey],
        in_flight: impl Fn(u64) -> bool,
    ) -> Vec<Work> {
        let fronts = next.iter().filter_map(|key| self.front(*key));
        let preferred = fronts.filter_map(|seq| self.pending.get_key_value(&seq));
        let (most_plain, most) = limit;
        let mut work: Vec<Work> = Vec::new();
        let mut plain = 0;
        for (seq, entry) in preferred.chain(self.pending.iter().take(window)) {
            let is_plain = entry.slot().is_none();
            // A queue without slots is not looked through for any.
            if work.len() >= most || (plain >= most_plain && self.slots.is_empty()) {
                break;
            }
            if is_plain && plain >= most_plain {
                continue;
            }
            if in_flight(*seq) || !self.is_first(*seq, entry) {
                continue;
            }
            if !next.is_empty() && work.iter().any(|known| known.seq == *seq) {
                continue;
            }
            plain += usize::from(is_plain);
            work.push(entry.queued().work(*seq));
        }
        work
    }

    /// The pending entries about an entity, in order, `most` at most.
    pub(crate) fn pending_about(&self, key: EntityKey, most: usize) -> Vec<u64> {
        let line = self.lines.range((key, 0)..=(key, u64::MAX));
        line.map(|(_, seq)| *seq).take(most).collect()
    }

    /// The pending entries of a bundle, in order.
    pub(crate) fn bundle(&self, number: u64) -> Vec<Work> {
        let members = self.pending.iter().filter(|(_, entry)| entry.bundle() == Some(number));
        members.map(|(seq, entry)| entry.queued().work(*seq)).collect()
    }

    /// The entries with this subject, in order.
    pub(crate) fn about(&self, subject: EntityKey) -> Vec<u64> {
        let of = |entry: &Queued| entry.subjects().any(|key| key == subject);
        let line = self.lines.range((subject, 0)..=(subject, u64::MAX));
        let pending = line
            .filter(|(_, seq)| self.pending.get(seq).is_some_and(|entry| of(&entry.queued())))
            .map(|(_, seq)| *seq);
        let aside = self.aside.iter().filter(|(_, entry)| of(entry)).map(|(seq, _)| *seq);
        let mut seqs: Vec<u64> = pending.chain(aside).collect();
        seqs.sort_unstable();
        seqs
    }

    /// Up to `limit` entries after `after`, pending or parked.
    pub(crate) fn list(&self, state: EntryState, after: u64, limit: usize) -> Vec<EntrySummary> {
        let later = after.saturating_add(1)..;
        let aside = self.aside.range(later.clone());
        let mut list: Vec<EntrySummary> = match state {
            EntryState::Pending => {
                let pending = self.pending.range(later).map(|(seq, entry)| entry.queued().summary(*seq));
                let held = aside.filter(|(_, entry)| entry.parked.is_none());
                let held = held.map(|(seq, entry)| entry.summary(*seq));
                pending.take(limit).chain(held.take(limit)).collect()
            }
            EntryState::Parked => {
                let parked = aside.filter(|(_, entry)| entry.parked.is_some());
                parked.map(|(seq, entry)| entry.summary(*seq)).take(limit).collect()
            }
            EntryState::Done => Vec::new(),
        };
        list.sort_by_key(|entry| entry.seq);
        list.truncate(limit);
        list
    }

    /// Fences of the whole queue, at open.
    pub(crate) fn fences(&self) -> OrdMap<u64, u32> {
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        let pending = self.pending.values().map(Kept::touches);
        for touches in pending.chain(self.aside.values().map(|entry| entry.touches.clone())) {
            for Touch { key: EntityKey(key), .. } in touches {
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

fn subjects(touches: &Touches) -> impl Iterator<Item = EntityKey> + '_ {
    touches
        .iter()
        .filter(|touch| touch.role == Role::Subject)
        .map(|touch| touch.key)
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
