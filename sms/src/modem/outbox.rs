//! Messages that go out: in which order, by which modem, how often, and what became of them.
//!
//! A long message stays with one modem, because its parts have to come from one number.

mod sim;
#[cfg(test)]
mod tests;
mod types;

use self::sim::Sim;
pub use self::types::{
    Held, Job, MessageId, OutboxConfig, OutboxCounters, OutboxError, Outgoing, Priority, Replay, Restored, SendOutcome,
    Spent, UnknownPolicy,
};
use super::{Change, ModemId, Outbound};
use crate::{
    at::CmsError,
    pdu::{
        Frame, Outcome as ReportOutcome, Reference, StatusReport, Submit, Validity,
        compose::{Composer, TooLong},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

#[derive(Debug)]
struct Entry {
    parts: Vec<Submit>,
    only: Option<ModemId>,
    /// The modem that has sent the parts before `next`.
    modem: Option<ModemId>,
    next: usize,
    in_flight: bool,
    /// The outcome of an attempt at `next` is unknown.
    doubtful: bool,
    attempts: u32,
    not_before: Instant,
}

/// The messages that wait, shared by all modems.
#[derive(Debug)]
pub struct Outbox {
    config: OutboxConfig,
    /// Priority first, then age.
    entries: BTreeMap<(Priority, MessageId), Entry>,
    sims: HashMap<ModemId, Sim>,
    next_id: u64,
    next_reference: u8,
    counters: OutboxCounters,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(config: OutboxConfig) -> Self {
        Self {
            config,
            entries: BTreeMap::new(),
            sims: HashMap::new(),
            next_id: 1,
            next_reference: 0,
            counters: OutboxCounters::default(),
        }
    }

    /// Messages that wait or are under way.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The numbers so far.
    pub fn counters(&self) -> OutboxCounters {
        self.counters
    }

    /// Takes a message. The record has to be durable before the caller is told.
    pub fn push(&mut self, message: Outgoing, now: Instant) -> Result<Outbound, OutboxError> {
        if self.entries.len() >= self.config.capacity {
            return Err(OutboxError::Full(self.entries.len()));
        }
        let id = MessageId(self.next_id);
        let reference = Reference::Short(id.0 as u8);
        let message_reference = self.next_reference;
        let parts = self.insert(id, &message, reference, message_reference, now)?;
        self.next_id += 1;
        self.next_reference = message_reference.wrapping_add(parts);
        self.counters.queued += 1;
        Ok(Outbound { id, change: Change::Queued { message, reference, message_reference } })
    }

    /// Forgets a message whose record could not be made durable.
    pub fn withdraw(&mut self, id: MessageId) {
        if let Some(key) = self.key(id) {
            self.entries.remove(&key);
            self.counters.queued -= 1;
        }
    }

    /// Takes up what the journal knows, after a start and before anything is pushed.
    pub fn restore(&mut self, replay: Replay, now: Instant) -> Result<(), OutboxError> {
        self.next_id = self.next_id.max(replay.next_id);
        for restored in replay.messages {
            self.restore_one(restored, now)?;
        }
        Ok(())
    }

    fn restore_one(&mut self, restored: Restored, now: Instant) -> Result<(), OutboxError> {
        let Restored { id, message, reference, message_reference, sent, doubtful } = restored;
        let parts = self.insert(id, &message, reference, message_reference, now)?;
        self.next_reference = message_reference.wrapping_add(parts);
        let key = (message.priority, id);
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        if let Some((modem, count)) = sent {
            entry.modem = Some(modem);
            entry.next = count;
        }
        if doubtful {
            self.counters.unknown += 1;
            match self.config.unknown {
                UnknownPolicy::Resend => entry.doubtful = true,
                UnknownPolicy::AssumeSent => entry.next += 1,
            }
        }
        if entry.next >= entry.parts.len() {
            self.entries.remove(&key);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        id: MessageId,
        message: &Outgoing,
        reference: Reference,
        message_reference: u8,
        now: Instant,
    ) -> Result<u8, TooLong> {
        let composer = Composer { languages: &self.config.languages, reference, max_parts: self.config.max_parts };
        let mut parts = composer.submit(&message.to, &message.text)?;
        for (part, nth) in parts.iter_mut().zip(0u8..) {
            part.message_reference = message_reference.wrapping_add(nth);
            part.status_report = message.report;
            part.validity = self.config.validity.map(Validity::Relative);
        }
        // `max_parts` is an octet.
        let count = parts.len() as u8;
        let entry = Entry {
            parts,
            only: message.modem.clone(),
            modem: None,
            next: 0,
            in_flight: false,
            doubtful: false,
            attempts: 0,
            not_before: now,
        };
        self.entries.insert((message.priority, id), entry);
        Ok(count)
    }

    /// The next part for `modem`, if its SIM may send one now. A record of the attempt has to be
    /// durable before the part is handed over; see [`Job::trying`].
    pub fn take(&mut self, modem: &ModemId, now: Instant) -> Option<Job> {
        let config = &self.config;
        let sim = self.sims.entry(modem.clone()).or_insert_with(|| Sim::new(config, now));
        sim.refill(config, now);
        if self
            .entries
            .first_key_value()
            .is_some_and(|((priority, _), _)| *priority == Priority::Assignment)
        {
            sim.wanted(config);
        }
        let allowed = sim.allows(config, now)?;
        let (key, entry) = self.entries.iter_mut().find(|((priority, _), entry)| {
            *priority <= allowed
                && !entry.in_flight
                && entry.not_before <= now
                && entry.only.as_ref().is_none_or(|only| only == modem)
                // A message that has begun waits for its modem until that fails it.
                && entry.modem.as_ref().is_none_or(|begun| begun == modem)
        })?;
        sim.spend(key.0);
        entry.in_flight = true;
        entry.modem = Some(modem.clone());
        let mut submit = entry.parts.get(entry.next)?.clone();
        if entry.doubtful {
            submit.reject_duplicates = true;
            self.counters.resent += 1;
        }
        Some(Job { id: key.1, part: entry.next, frame: Frame::new(submit), attempts: entry.attempts })
    }

    /// Notes what became of a part; gives the records of it.
    pub fn result(&mut self, modem: &ModemId, job: &Job, outcome: &SendOutcome, now: Instant) -> Vec<Outbound> {
        let Some(key) = self.key(job.id) else {
            return Vec::new();
        };
        let record = |change| Outbound { id: job.id, change };
        match *outcome {
            SendOutcome::Sent { reference } => {
                self.sent(&key, modem, job, Some(reference), now);
                vec![record(Change::Sent { modem: modem.clone(), part: job.part, reference })]
            }
            SendOutcome::Unknown => {
                self.counters.unknown += 1;
                let unknown = record(Change::Unknown { modem: modem.clone(), part: job.part });
                let mut records = vec![unknown];
                match self.config.unknown {
                    UnknownPolicy::AssumeSent => {
                        self.sent(&key, modem, job, None, now);
                        records.push(record(Change::Assumed { modem: modem.clone(), part: job.part }));
                    }
                    UnknownPolicy::Resend => {
                        if let Some(entry) = self.entries.get_mut(&key) {
                            entry.doubtful = true;
                        }
                        records.extend(self.failed(&key, "outcome unknown", false, now));
                    }
                }
                records
            }
            SendOutcome::Refused(code) => {
                if code.is_some_and(CmsError::is_sim_refused) {
                    self.rest(modem, now);
                }
                let error = code.map_or_else(|| "ERROR".to_owned(), |code| code.to_string());
                let permanent = code.is_some_and(CmsError::is_permanent);
                let failed = record(Change::Failed { modem: modem.clone(), error: error.clone() });
                let dead = self.failed(&key, &error, permanent, now);
                std::iter::once(failed).chain(dead).collect()
            }
            SendOutcome::NotSent(_) => {
                // Nobody's fault but the modem's: the attempt does not count.
                if let Some(sim) = self.sims.get_mut(modem) {
                    sim.refund(key.0);
                }
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.release();
                }
                Vec::new()
            }
        }
    }

    fn key(&self, id: MessageId) -> Option<(Priority, MessageId)> {
        [Priority::Assignment, Priority::Normal]
            .into_iter()
            .map(|priority| (priority, id))
            .find(|key| self.entries.contains_key(key))
    }

    fn sent(&mut self, key: &(Priority, MessageId), modem: &ModemId, job: &Job, reference: Option<u8>, now: Instant) {
        self.counters.parts_sent += 1;
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.in_flight = false;
        entry.doubtful = false;
        entry.next = job.part + 1;
        let part = &entry.parts[job.part];
        if let (Some(sim), Some(reference), true) = (self.sims.get_mut(modem), reference, part.status_report) {
            let number = part.destination.clone();
            sim.await_report(&self.config, reference, number, job, now);
        }
        if entry.next == entry.parts.len() {
            self.entries.remove(key);
            self.counters.completed += 1;
        }
    }

    /// One attempt more has failed; gives the record of the end, if it is that.
    fn failed(&mut self, key: &(Priority, MessageId), error: &str, permanent: bool, now: Instant) -> Option<Outbound> {
        self.counters.failed_attempts += 1;
        let entry = self.entries.get_mut(key)?;
        let wait = self.config.retry_min * 2u32.saturating_pow(entry.attempts.min(16));
        entry.release();
        entry.attempts += 1;
        entry.not_before = now + wait.min(self.config.retry_max);
        if !permanent && entry.attempts < self.config.max_attempts {
            return None;
        }
        self.entries.remove(key);
        self.counters.dead += 1;
        Some(Outbound { id: key.1, change: Change::Dead { error: error.to_owned() } })
    }

    /// Finds the message that a delivery report is about, by modem, reference and number.
    pub fn report(&mut self, modem: &ModemId, report: &StatusReport) -> Option<Outbound> {
        let sim = self.sims.get_mut(modem)?;
        let (id, part) = sim.reported(report)?;
        match report.status.outcome() {
            ReportOutcome::Completed => self.counters.delivered += 1,
            ReportOutcome::Failed => self.counters.undelivered += 1,
            ReportOutcome::Trying => {}
        }
        Some(Outbound { id, change: Change::Reported { part, status: report.status } })
    }

    /// The network refuses the SIM: nothing is sent by it for a while.
    pub fn rest(&mut self, modem: &ModemId, now: Instant) {
        let until = now + self.config.rest;
        if let Some(sim) = self.sims.get_mut(modem) {
            sim.rest(until);
        }
    }

    /// A modem is gone: what it has begun starts again by another, whole, because the parts of a
    /// message have to come from one number.
    pub fn modem_lost(&mut self, modem: &ModemId) {
        let begun = self
            .entries
            .values_mut()
            .filter(|entry| !entry.in_flight && entry.only.is_none() && entry.modem.as_ref() == Some(modem));
        for entry in begun {
            entry.modem = None;
            entry.next = 0;
        }
    }

    /// SIMs that rest from now on, because the reports they wait for do not come.
    pub fn tick(&mut self, now: Instant) -> Vec<ModemId> {
        let config = &self.config;
        self.sims
            .iter_mut()
            .filter_map(|(modem, sim)| sim.falls_silent(config, now).then(|| modem.clone()))
            .collect()
    }

    /// Whether the SIM of `modem` may send a message of this priority today, and does not rest. It may have to wait a
    /// little for its turn all the same.
    pub fn may_send(&mut self, modem: &ModemId, priority: Priority, now: Instant) -> bool {
        let config = &self.config;
        let sim = self.sims.entry(modem.clone()).or_insert_with(|| Sim::new(config, now));
        sim.refill(config, now);
        if priority == Priority::Assignment {
            sim.wanted(config);
        }
        sim.has_budget(config, now).is_some_and(|allowed| priority <= allowed)
    }

    /// Whether the SIM of `modem` rests.
    pub fn rests(&self, modem: &ModemId, now: Instant) -> bool {
        self.sims.get(modem).is_some_and(|sim| sim.rests(now))
    }

    /// Messages that wait for `modem` alone, or are under way by it.
    pub fn load(&self, modem: &ModemId) -> usize {
        let of_it = |entry: &&Entry| [&entry.only, &entry.modem].into_iter().flatten().any(|one| one == modem);
        self.entries.values().filter(of_it).count()
    }

    /// The messages that wait for one modem and can still go by another channel.
    pub fn held(&self) -> Vec<Held> {
        let held = |(key, entry): (&(Priority, MessageId), &Entry)| {
            let modem = entry.only.clone().filter(|_| entry.is_untouched())?;
            Some(Held { id: key.1, modem, priority: key.0, refused: entry.attempts })
        };
        self.entries.iter().filter_map(held).collect()
    }

    /// Takes a message back of which nothing went out and nothing may have. The record has to be durable before
    /// anything else is done with it; `None` where it is too late.
    pub fn take_back(&mut self, id: MessageId) -> Option<Outbound> {
        let key = self.key(id)?;
        self.entries.get(&key).filter(|entry| entry.is_untouched())?;
        self.entries.remove(&key);
        Some(Outbound { id, change: Change::Withdrawn })
    }

    /// What each SIM has used.
    pub fn spent(&self, now: Instant) -> BTreeMap<ModemId, Spent> {
        self.sims.iter().map(|(modem, sim)| (modem.clone(), sim.spent(now))).collect()
    }

    /// Takes up what the SIMs used before a restart.
    pub fn restore_spent(&mut self, spent: &BTreeMap<ModemId, Spent>, now: Instant) {
        for (modem, spent) in spent {
            let mut sim = Sim::new(&self.config, now);
            sim.restore(*spent, now);
            self.sims.insert(modem.clone(), sim);
        }
    }

    /// Parts that the SIM of `modem` has sent today, of its budget.
    pub fn budget(&self, modem: &ModemId) -> (u32, u32) {
        let used = self.sims.get(modem).map_or(0, Sim::used_today);
        (used, self.config.daily_budget)
    }
}

impl Entry {
    /// Whether nothing of it went out, and nothing may have.
    fn is_untouched(&self) -> bool {
        !self.in_flight && !self.doubtful && self.next == 0
    }

    /// Makes the message available again: to all modems when it has not begun, else to the one
    /// that sent its first parts.
    fn release(&mut self) {
        self.in_flight = false;
        if self.next == 0 {
            self.modem = None;
        }
    }
}
