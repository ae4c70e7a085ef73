//! A batch as it is being decided: a city that nobody sees yet, and what the journal is to hold of it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use megamind_domain::{Ctx, Decision, Domain, EntityKey, Joined, Rejection, Stance, Time, Touch, Touches, Touching};
use serde::Serialize;

use super::{Base, Message, Pending, Routes, Verdict, Writer};
use crate::{
    Prior, SubmitError, Write,
    journal::{Alias, Record, Row},
    keys::{KeyRow, Scope, Seen, compare},
    queue::{self, Changes, Queued},
    record::{Head, Kept},
    store::Shared,
    ticks::Ticks,
    timekeeping::Ages,
};

/// Everything that a batch changes.
pub(super) struct Draft<D: Domain> {
    pub(super) base: Base<D>,
    pub(super) records: Vec<Record>,
    /// Changes to the queue, those of [`Pending`] included.
    pub(super) queue: Changes,
    pub(super) keys: Vec<KeyRow>,
    pub(super) aliases: Vec<Alias>,
    pub(super) mode: Option<String>,
    /// Names of entities that leave the city.
    pub(super) names: Vec<(Box<str>, EntityKey)>,
    pub(super) secrets: Vec<(Box<str>, Option<Vec<u8>>)>,
    pub(super) released: bool,
    pub(super) trusted_since: Option<Time>,
    /// Whether it holds more than observations: then it is committed before anybody sees it.
    pub(super) durable: bool,
    /// The record that takes what further exchanges tell.
    pub(super) watching: Option<u64>,
    /// Entities about which something left the queue.
    pub(super) released_keys: Vec<EntityKey>,
    /// Rows to write, and the record that touched each last.
    touched: BTreeMap<EntityKey, u64>,
    slots: HashMap<EntityKey, u64>,
    scopes: HashMap<Scope, (u64, u64)>,
}

impl<D: Domain> Draft<D> {
    pub(super) fn new(base: Base<D>, pending: &Pending) -> Self {
        Self {
            base,
            records: Vec::new(),
            queue: pending.queue.clone(),
            keys: Vec::new(),
            aliases: Vec::new(),
            mode: None,
            names: Vec::new(),
            secrets: Vec::new(),
            released: false,
            trusted_since: None,
            durable: false,
            watching: None,
            released_keys: Vec::new(),
            touched: BTreeMap::new(),
            slots: HashMap::new(),
            scopes: HashMap::new(),
        }
    }

    /// The rows of all entities touched, each once.
    pub(super) fn rows(&self, domain: &D) -> BTreeMap<EntityKey, Row> {
        let row = |(key, seq): (&EntityKey, &u64)| {
            let value = domain.encode(&self.base.city, *key);
            let row = Row { key: *key, seq: *seq, value };
            (*key, row)
        };
        self.touched.iter().map(row).collect()
    }

    /// The entities touched, once their rows have been taken.
    pub(super) fn take_touched(&mut self) -> BTreeMap<EntityKey, u64> {
        std::mem::take(&mut self.touched)
    }

    /// Adds a record of a head alone.
    pub(super) fn note(&mut self, at: Time, epoch: u64, head: &Head<'_>) {
        let seq = self.next_seq(at);
        self.records.push(Record::bare(seq, at, epoch, head));
        self.durable = true;
    }

    pub(super) fn next_seq(&mut self, at: Time) -> u64 {
        self.base.last_seq += 1;
        self.base.last_at = at;
        self.base.last_seq
    }
}

/// A draft and what deciding needs.
pub(super) struct Trial<'w, D: Domain> {
    pub(super) draft: Draft<D>,
    pub(super) domain: &'w D,
    pub(super) shared: &'w Shared<D>,
    pub(super) routes: &'w Routes,
    pub(super) ticks: &'w mut Ticks,
    pub(super) epoch: u64,
    durable_seq: u64,
    /// Observations that are published and not yet durable.
    unwritten: &'w [Record],
    ages: Ages,
    /// Rows of observations that are not durable yet.
    pending: &'w BTreeMap<EntityKey, Row>,
}

impl<'w, D: Domain> Trial<'w, D> {
    pub(super) fn new(writer: &'w mut Writer<D>) -> Self {
        Self {
            draft: Draft::new(writer.base.clone(), &writer.pending),
            domain: &writer.domain,
            shared: &writer.shared,
            routes: &writer.routes,
            ticks: &mut writer.ticks,
            epoch: writer.journal.epoch(),
            durable_seq: writer.durable_seq,
            unwritten: &writer.pending.records,
            ages: writer.shared.time.ages(),
            pending: &writer.pending.rows,
        }
    }

    pub(super) fn into_draft(self) -> Draft<D> {
        self.draft
    }

    pub(super) fn decide(&mut self, message: &Message<D>) -> Verdict {
        match message {
            Message::Write { write, .. } => match self.write(write) {
                Ok(outcome) => Verdict::Outcome(outcome),
                Err(error) => Verdict::Failed(error),
            },
            Message::Observe { exchange, span, .. } => {
                self.observe(exchange, *span);
                Verdict::Done
            }
            Message::Settle { settle, .. } => match self.settle(settle) {
                Ok(()) => Verdict::Done,
                Err(error) => Verdict::Failed(error),
            },
            Message::Attempt { keys, forwarded, .. } => {
                self.attempt(keys, forwarded.as_deref());
                Verdict::Done
            }
            Message::Answered { key, answer, .. } => {
                self.answered(*key, answer.as_ref());
                Verdict::Done
            }
            Message::Look { key, .. } => match self.look(key) {
                Ok(repeat) => Verdict::Looked(repeat),
                Err(error) => Verdict::Failed(error),
            },
            Message::Mode { mode, why, .. } => {
                let head = Head::Mode { mode: mode.into(), why: why.into() };
                self.draft.note(self.now(), self.epoch, &head);
                self.draft.mode = Some(mode.clone());
                Verdict::Done
            }
            Message::Upkeep { command, names, .. } => {
                if self.upkeep(command, names) {
                    Verdict::Done
                } else {
                    Verdict::Declined
                }
            }
            Message::Keep { secrets, .. } => {
                let head = Head::Sealed { names: secrets.len() as u64 };
                self.draft.note(self.now(), self.epoch, &head);
                self.draft.secrets.extend(secrets.iter().cloned());
                Verdict::Done
            }
            Message::Release { who, .. } => {
                self.draft.note(self.now(), self.epoch, &Head::Released { who: who.into() });
                self.draft.released = true;
                Verdict::Done
            }
            Message::Tidy { .. } | Message::Barrier { .. } | Message::Stop => Verdict::Done,
        }
    }

    /// Never earlier than the last record.
    pub(super) fn now(&self) -> Time {
        self.shared.time.wall().max(self.draft.base.last_at)
    }

    pub(super) fn ask(&mut self, command: &D::Command, stance: Stance, now: Time) -> Result<Decision<D>, Rejection> {
        let base = &mut self.draft.base;
        let mut ctx = Ctx::new(now, stance, &mut base.ids);
        self.domain.decide(&base.city, command, &mut ctx)
    }

    /// The same for a write of somebody's, which the upstream may have applied.
    pub(super) fn ask_for(&mut self, write: &Write<D>, now: Time) -> Result<Decision<D>, Rejection> {
        let base = &mut self.draft.base;
        let mut ctx = Ctx::new(now, write.stance, &mut base.ids);
        ctx.in_doubt = matches!(write.prior, Prior::PossiblyApplied { .. });
        self.domain.decide(&base.city, &write.parsed.command, &mut ctx)
    }

    pub(super) fn named_by(&self, command: &D::Command) -> Touches {
        self.domain.touches(&self.draft.base.city, Touching::Command(command))
    }

    /// Applies events and marks the rows that they change.
    pub(super) fn apply(&mut self, events: &[D::Event], seq: u64) -> Touches {
        let mut touches = Touches::new();
        for event in events {
            self.domain.evolve(&mut self.draft.base.city, event);
            let more = self.domain.touches(&self.draft.base.city, Touching::Event(event));
            for touch in &more {
                self.draft.touched.insert(touch.key, seq);
            }
            queue::merge(&mut touches, &more);
        }
        touches
    }

    /// Adds a record; its head and answer may be filled in later.
    pub(super) fn record(&mut self, at: Time, events: &[D::Event], body: Bytes) -> u64 {
        let seq = self.draft.next_seq(at);
        let mut json = Vec::with_capacity(512);
        append_events(&mut json, events);
        self.draft.records.push(Record {
            seq,
            at,
            epoch: self.epoch,
            head: Vec::new(),
            body,
            events: json,
            answer: Bytes::new(),
        });
        seq
    }

    /// A record of this batch.
    pub(super) fn recorded(&mut self, seq: u64) -> Option<&mut Record> {
        let first = self.draft.records.first()?.seq;
        let index = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.draft.records.get_mut(index)
    }

    /// An entry of the queue, with the changes of this batch.
    pub(super) fn queued(&self, seq: u64) -> Option<Queued> {
        match self.draft.queue.get(&seq) {
            Some(change) => change.clone(),
            // Entries of this batch are all among its changes.
            None if seq > self.durable_seq => None,
            None => self.shared.queue().get(seq),
        }
    }

    /// Adds, changes or removes an entry; the fences follow.
    pub(super) fn change(&mut self, seq: u64, entry: Option<Queued>) {
        let before = self.queued(seq);
        let draft = &mut self.draft;
        if let Some(entry) = &entry {
            queue::raise(&mut draft.base.fences, entry.keys());
            if let Some(slot) = entry.slot {
                draft.slots.insert(slot, seq);
            }
        }
        if let Some(before) = before {
            queue::lower(&mut draft.base.fences, before.keys());
            let still = |key: &EntityKey| entry.as_ref().is_some_and(|entry| entry.keys().any(|about| about == *key));
            draft.released_keys.extend(before.keys().filter(|key| !still(key)));
            if entry.is_none() && before.sealed {
                draft.secrets.push((queue::sealed_name(seq), None));
            }
        }
        draft.queue.insert(seq, entry);
    }

    /// The newest entry of a slot.
    fn newest(&self, slot: EntityKey) -> Option<(u64, Queued)> {
        let known = self.draft.slots.get(&slot).copied();
        let seq = known.or_else(|| self.shared.queue().slot(slot))?;
        Some((seq, self.queued(seq)?))
    }

    /// The same, unless the upstream may have it already.
    pub(super) fn replaceable(&self, slot: EntityKey) -> Option<(u64, Queued)> {
        self.newest(slot).filter(|(_, entry)| entry.may_be_replaced())
    }

    /// Drops the waiting or refused entry of a slot, unless the upstream may have it already: one that is on its way goes
    /// as soon as it turns out not to have arrived. `fields` are those of the value that takes its place, where they
    /// matter.
    pub(super) fn supersede(&mut self, slot: EntityKey, fields: Option<u32>) {
        let Some((seq, entry)) = self.newest(slot) else {
            return;
        };
        if entry.may_be_replaced() {
            self.change(seq, None);
        } else if fields.is_none_or(|fields| fields == entry.fields) {
            self.change(seq, Some(Queued { outdated: true, ..entry }));
        }
    }

    /// What is queued about an entity that is gone is about the one that it turned out to be.
    pub(super) fn join(&mut self, joined: &[Joined]) {
        for Joined { kept, gone } in joined {
            for seq in self.queued_about(&[*gone]) {
                let Some(entry) = self.queued(seq) else { continue };
                let renamed = entry.touches.iter().map(|touch| match touch.key {
                    key if key == *gone => Touch { key: *kept, ..*touch },
                    _ => *touch,
                });
                let mut touches = Touches::new();
                queue::merge(&mut touches, &renamed.collect());
                self.change(seq, Some(Queued { touches, ..entry }));
            }
        }
    }

    /// The record of an entry, of this batch or an earlier one.
    pub(super) fn record_of(&self, seq: u64) -> Option<Record> {
        let of = |records: &[Record]| {
            let first = records.first()?.seq;
            records.get(usize::try_from(seq.checked_sub(first)?).ok()?).cloned()
        };
        if let Some(record) = of(&self.draft.records) {
            return Some(record);
        }
        self.shared.reader.record(seq).unwrap_or_else(|error| {
            tracing::error!(seq, %error, "a queued record cannot be read");
            None
        })
    }

    pub(super) fn seen(&self, key: &KeyRow) -> Seen {
        match self.draft.scopes.get(&key.scope) {
            Some((fingerprint, seq)) => compare(key, *fingerprint, *seq),
            None => self.shared.keys().look(key, self.ages),
        }
    }

    /// Whether the row of an entity on disk is not its newest.
    pub(super) fn is_unwritten(&self, key: EntityKey) -> bool {
        self.draft.touched.contains_key(&key) || self.pending.contains_key(&key)
    }

    pub(super) fn remember(&mut self, key: Option<KeyRow>, seq: u64) {
        if let Some(key) = key {
            let key = KeyRow { seq, ..key };
            self.draft.scopes.insert(key.scope, (key.fingerprint, seq));
            self.draft.keys.push(key);
        }
    }

    /// What is kept of a record, of this batch or an earlier one, for the repetition of its request.
    pub(super) fn kept(&self, seq: u64) -> Result<Kept, SubmitError> {
        let of = |records: &[Record]| {
            let first = records.first()?.seq;
            records.get(usize::try_from(seq.checked_sub(first)?).ok()?).map(Record::kept)
        };
        // Observations that are not durable yet lie between those of this batch and the disk.
        if let Some(kept) = of(&self.draft.records).or_else(|| of(self.unwritten)) {
            return Ok(kept);
        }
        match self.shared.reader.record(seq) {
            Ok(record) => Ok(record.map_or(Kept::Nothing, |record| record.kept())),
            Err(error) => {
                tracing::error!(seq, %error, "a stored answer cannot be read");
                Err(SubmitError::JournalUnavailable)
            }
        }
    }
}

/// Adds events to a JSON list of them; to nothing, the list.
pub(super) fn append_events<E: Serialize>(json: &mut Vec<u8>, events: &[E]) {
    let before = json.len();
    // An event that cannot be serialized is a fault of the domain's, and treated as a panic of it: nothing of the batch
    // is committed.
    if let Err(error) = serde_json::to_writer(&mut *json, events) {
        panic!("an event cannot be serialized: {error}");
    }
    match before {
        0 => {}
        // An empty list was there.
        2 => drop(json.drain(..before)),
        _ if events.is_empty() => json.truncate(before),
        // `[a][b]` becomes `[a,b]`.
        _ => {
            json[before] = b',';
            json.remove(before - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::append_events;

    #[test]
    fn events_are_added_to_the_list() {
        let mut json = Vec::new();
        for (events, expect) in [(&[][..], "[]"), (&[1], "[1]"), (&[], "[1]"), (&[2, 3], "[1,2,3]")] {
            append_events(&mut json, events);
            assert_eq!(String::from_utf8_lossy(&json), expect);
        }
    }
}
