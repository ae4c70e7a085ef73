//! Messages that came: read, made durable, and only then deleted or acknowledged.

use super::{Driver, Output, Task, start::first};
use crate::{
    at::fields,
    modem::{Content, Inbound, ModemId, exchange::Reply},
    pdu::{Frame, Tpdu},
};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

/// More announcements than this are not kept one by one: a listing finds them all.
const MAX_ANNOUNCED: usize = 256;
/// Records that go to the journal together.
const MAX_BATCH: usize = 64;

/// Where a stored message is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    memory: String,
    index: u16,
}

/// Where a message came from, that is: what to do when it is durable.
#[derive(Debug)]
enum Origin {
    Stored(Slot),
    Direct,
}

#[derive(Debug)]
pub(super) struct Intake {
    modem: ModemId,
    /// The memory in use; announcements may name others.
    home: String,
    /// All memories that have been named, home included.
    memories: BTreeSet<String>,
    /// What `AT+CPMS` has selected.
    selected: Option<String>,
    /// `AT+CNMA` is wanted by this modem.
    pub(super) acknowledges: bool,
    acknowledgements: u32,
    announced: VecDeque<Slot>,
    deletions: VecDeque<Slot>,
    /// Messages that are being journaled or deleted, with a hash of the PDU: an index may be
    /// used again by another message.
    held: HashMap<Slot, u64>,
    sweep: VecDeque<String>,
    batches: HashMap<u64, Vec<Origin>>,
    next_batch: u64,
}

impl Intake {
    pub(super) fn new(modem: ModemId, home: String) -> Self {
        Self {
            modem,
            memories: BTreeSet::from([home.clone()]),
            home,
            selected: None,
            acknowledges: false,
            acknowledgements: 0,
            announced: VecDeque::new(),
            deletions: VecDeque::new(),
            held: HashMap::new(),
            sweep: VecDeque::new(),
            batches: HashMap::new(),
            next_batch: 0,
        }
    }

    /// The modem has lost its settings. What was announced is found by the sweep that follows.
    pub(super) fn restarted(&mut self) {
        self.selected = None;
        self.acknowledgements = 0;
        self.announced.clear();
        self.deletions.clear();
        // Nothing is deleted on the word of a journal that answers only now: the SIM may have
        // been changed. The sweep sees the message again and knows it.
        self.batches.clear();
        self.sweep.clear();
    }

    /// A message is said to be somewhere. The memory named counts, not the one selected.
    pub(super) fn announced(&mut self, memory: String, index: u16) {
        self.memories.insert(memory.clone());
        let slot = Slot { memory, index };
        if self.announced.len() >= MAX_ANNOUNCED {
            self.poll();
        } else if !self.announced.contains(&slot) {
            self.announced.push_back(slot);
        }
    }

    /// Lists all memories as soon as there is time.
    pub(super) fn poll(&mut self) {
        for memory in &self.memories {
            if !self.sweep.contains(memory) {
                self.sweep.push_back(memory.clone());
            }
        }
    }

    pub(super) fn next_task(&mut self) -> Option<Task> {
        if self.acknowledgements > 0 {
            self.acknowledgements -= 1;
            return Some(Task::Acknowledge);
        }
        let memory = [self.deletions.front(), self.announced.front()]
            .into_iter()
            .flatten()
            .map(|slot| &slot.memory)
            .chain(self.sweep.front())
            .next()?;
        if self.selected.as_ref() != Some(memory) {
            return Some(Task::Select(memory.clone()));
        }
        if let Some(slot) = self.deletions.pop_front() {
            return Some(Task::Delete(slot.index));
        }
        if let Some(slot) = self.announced.pop_front() {
            return Some(Task::Read(slot.index));
        }
        self.sweep.pop_front().map(|_| Task::List)
    }

    /// `AT+CPMS` has ended. A memory that cannot be selected is forgotten; the usual one is
    /// taken to be what the modem uses anyway.
    pub(super) fn selected(&mut self, memory: String, ok: bool) {
        if ok || memory == self.home {
            self.selected = Some(memory);
            return;
        }
        self.memories.remove(&memory);
        self.announced.retain(|slot| slot.memory != memory);
        self.deletions.retain(|slot| slot.memory != memory);
        self.sweep.retain(|swept| *swept != memory);
    }

    fn slot(&self, index: u16) -> Slot {
        Slot { memory: self.selected.clone().unwrap_or_else(|| self.home.clone()), index }
    }

    /// A stored message has been seen. `None` when it is known and durable: then only its
    /// deletion is still due.
    fn seen(&mut self, index: u16, pdu: &str) -> Option<Origin> {
        let mut hasher = DefaultHasher::new();
        pdu.hash(&mut hasher);
        let hash = hasher.finish();
        let slot = self.slot(index);
        if self.held.insert(slot.clone(), hash) != Some(hash) {
            return Some(Origin::Stored(slot));
        }
        let journaling = self.batches.values().flatten();
        let is_journaling = journaling
            .into_iter()
            .any(|origin| matches!(origin, Origin::Stored(s) if *s == slot));
        if !is_journaling && !self.deletions.contains(&slot) {
            self.deletions.push_back(slot);
        }
        None
    }

    fn batch(&mut self, origins: Vec<Origin>) -> u64 {
        self.next_batch += 1;
        self.batches.insert(self.next_batch, origins);
        self.next_batch
    }

    pub(super) fn durable(&mut self, batch: u64) {
        for origin in self.batches.remove(&batch).unwrap_or_default() {
            match origin {
                Origin::Stored(slot) => self.deletions.push_back(slot),
                Origin::Direct if self.acknowledges => self.acknowledgements += 1,
                Origin::Direct => {}
            }
        }
    }

    /// Stored messages stay and are seen by the next sweep; direct ones are not acknowledged, so
    /// that the network repeats them.
    pub(super) fn not_durable(&mut self, batch: u64) {
        for origin in self.batches.remove(&batch).unwrap_or_default() {
            if let Origin::Stored(slot) = origin {
                self.held.remove(&slot);
            }
        }
    }

    /// `AT+CMGD` has ended. What could not be deleted stays held, so that the next sweep tries
    /// again without journaling it again.
    pub(super) fn deleted(&mut self, index: u16, ok: bool) {
        if ok {
            self.held.remove(&self.slot(index));
        }
    }
}

impl Driver {
    pub(super) fn arrived_directly(&mut self, pdu: String) {
        self.journal(vec![(Origin::Direct, pdu)]);
    }

    pub(super) fn read(&mut self, index: u16, reply: &Reply) {
        // An empty place is an error, or has a head that says so: somebody was faster.
        let length = first(reply, "+CMGR:").and_then(|mut f| f.nth(2)?.parse::<u16>().ok());
        let pdu = match reply.lines.as_slice() {
            [_head, pdu, ..] => pdu.clone(),
            [_head] if length != Some(0) => String::new(),
            _ => return,
        };
        if let Some(origin) = self.intake.seen(index, &pdu) {
            self.journal(vec![(origin, pdu)]);
        }
    }

    pub(super) fn listed(&mut self, reply: &Reply) {
        let mut found = Vec::new();
        let mut lines = reply.lines.iter().peekable();
        while let Some(line) = lines.next() {
            let Some(mut head) = fields(line, "+CMGL:") else {
                continue;
            };
            // A place whose PDU cannot even be printed must not fill the storage for ever.
            let pdu = lines.next_if(|next| !next.starts_with("+CMGL:")).cloned().unwrap_or_default();
            // 0 and 1 are received messages; 2 and 3 are somebody's drafts.
            if let (Some(index), Some(0 | 1)) = (head.number::<u16>(), head.number::<u8>())
                && let Some(origin) = self.intake.seen(index, &pdu)
            {
                found.push((origin, pdu));
            }
        }
        while !found.is_empty() {
            let rest = found.split_off(found.len().min(MAX_BATCH));
            self.journal(std::mem::replace(&mut found, rest));
        }
    }

    fn journal(&mut self, arrived: Vec<(Origin, String)>) {
        let mut origins = Vec::with_capacity(arrived.len());
        let mut records = Vec::with_capacity(arrived.len());
        for (origin, pdu) in arrived {
            let content = content(&pdu);
            self.counters.received += 1;
            if matches!(content, Content::Poison { .. }) {
                self.counters.poison += 1;
            }
            origins.push(origin);
            records.push(Inbound { modem: self.intake.modem.clone(), pdu, content });
        }
        let batch = self.intake.batch(origins);
        self.output.push(Output::Journal(batch, records));
    }
}

fn content(pdu: &str) -> Content {
    match Frame::from_hex(pdu).map(|frame| frame.tpdu) {
        Ok(Tpdu::Deliver(message)) => Content::Message(message),
        Ok(Tpdu::StatusReport(report)) => Content::Report(report),
        Ok(Tpdu::Submit(_)) => Content::Poison { error: "a message to the service centre".to_owned() },
        Err(error) => Content::Poison { error: error.to_string() },
    }
}
