//! From parts to messages. Parts come in any order, doubled, or not at all.

#[cfg(test)]
mod tests;

use super::ModemId;
use crate::pdu::{Address, Alphabet, Deliver, Payload, Reference, ServiceTime};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// Limits of the [`Inbox`].
#[derive(Debug, Clone)]
pub struct InboxConfig {
    /// A message that claims more parts than this is not waited for.
    pub max_parts: u8,
    /// Messages waiting for parts; the oldest is given out incomplete when there are more.
    pub max_pending: usize,
    /// How long after its last part an incomplete message is given out.
    pub timeout: Duration,
    /// How many PDUs are remembered, to know a repetition by.
    pub remembered: usize,
}

impl Default for InboxConfig {
    fn default() -> Self {
        Self { max_parts: 16, max_pending: 256, timeout: Duration::from_mins(30), remembered: 4096 }
    }
}

/// A message, as whole as it will get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The modem that took it: an answer goes out by the same one.
    pub modem: ModemId,
    /// The sender.
    pub from: Address,
    /// The text of the parts that came, in order.
    pub text: String,
    /// When the service centre took the first part that came.
    pub timestamp: ServiceTime,
    /// The parts that never came, from 1.
    pub missing: Vec<u8>,
    /// What it was put together from, so that the journal can note that all of it is done with.
    pub parts: Vec<Deliver>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    modem: ModemId,
    from: Address,
    reference: Reference,
    total: u8,
    alphabet: Alphabet,
}

#[derive(Debug)]
struct Pending {
    parts: Vec<Option<Deliver>>,
    last_part: Instant,
}

/// Puts messages together. What goes in is durable already, so a crash loses nothing: feed the
/// parts that are not part of a message yet again.
#[derive(Debug)]
pub struct Inbox {
    config: InboxConfig,
    pending: HashMap<Key, Pending>,
    seen: HashSet<u64>,
    seen_order: VecDeque<u64>,
}

impl Inbox {
    /// An empty inbox.
    pub fn new(config: InboxConfig) -> Self {
        Self { config, pending: HashMap::new(), seen: HashSet::new(), seen_order: VecDeque::new() }
    }

    /// Messages that wait for parts.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Knows a PDU that was done with before a restart, and does not give it out again.
    pub fn remember(&mut self, modem: &ModemId, part: &Deliver) {
        self.is_repeated(modem, part);
    }

    /// Takes one PDU; gives the messages that are ready because of it.
    pub fn add(&mut self, modem: &ModemId, part: Deliver, now: Instant) -> Vec<Received> {
        if self.is_repeated(modem, &part) {
            return Vec::new();
        }
        let Some(place) = part.user_data.concat().filter(|place| place.total > 1) else {
            return vec![whole(modem, &part.clone(), &[Some(part)])];
        };
        if place.total > self.config.max_parts {
            let missing = (1..=place.total).filter(|nth| *nth != place.part).collect();
            return vec![Received { missing, ..whole(modem, &part.clone(), &[Some(part)]) }];
        }
        let key = Key {
            modem: modem.clone(),
            from: part.originator.clone(),
            reference: place.reference,
            total: place.total,
            alphabet: part.user_data.payload().alphabet(),
        };
        let mut ready = Vec::new();
        let slot = usize::from(place.part - 1);
        let taken = |p: &Pending| p.parts[slot].as_ref().is_some_and(|known| known.user_data != part.user_data);
        if self.pending.get(&key).is_some_and(taken) {
            // The reference has come round: another message begins.
            ready.extend(self.give_out(&key));
        }
        if !self.pending.contains_key(&key) {
            ready.extend(self.make_room());
        }
        let pending = self
            .pending
            .entry(key.clone())
            .or_insert_with(|| Pending { parts: vec![None; usize::from(place.total)], last_part: now });
        pending.last_part = now;
        pending.parts[slot] = Some(part);
        if pending.parts.iter().all(Option::is_some) {
            ready.extend(self.give_out(&key));
        }
        ready
    }

    /// Gives out what has waited for too long.
    pub fn tick(&mut self, now: Instant) -> Vec<Received> {
        let timeout = self.config.timeout;
        let late: Vec<Key> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.last_part + timeout <= now)
            .map(|(key, _)| key.clone())
            .collect();
        late.iter().filter_map(|key| self.give_out(key)).collect()
    }

    fn make_room(&mut self) -> Option<Received> {
        if self.pending.len() < self.config.max_pending {
            return None;
        }
        let oldest = self
            .pending
            .iter()
            .min_by_key(|(_, pending)| pending.last_part)
            .map(|(key, _)| key.clone())?;
        self.give_out(&oldest)
    }

    fn give_out(&mut self, key: &Key) -> Option<Received> {
        let pending = self.pending.remove(key)?;
        let first = pending.parts.iter().flatten().next()?;
        Some(whole(&key.modem, first, &pending.parts))
    }

    /// A network repeats a delivery whose acknowledgement it missed, and a modem shows a message
    /// again that could not be deleted: the same PDU, time stamp included.
    fn is_repeated(&mut self, modem: &ModemId, part: &Deliver) -> bool {
        let mut hasher = DefaultHasher::new();
        (modem, part).hash(&mut hasher);
        let hash = hasher.finish();
        if !self.seen.insert(hash) {
            return true;
        }
        self.seen_order.push_back(hash);
        if self.seen_order.len() > self.config.remembered
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }
}

/// Joins before decoding, so that a character split by the sender is whole again. A gap ends a
/// run, because what follows it may have other tables.
fn whole(modem: &ModemId, first: &Deliver, parts: &[Option<Deliver>]) -> Received {
    let mut text = String::new();
    let mut run: Option<(Payload, &Deliver)> = None;
    let flush = |run: Option<(Payload, &Deliver)>, text: &mut String| {
        if let Some((payload, first)) = run {
            text.push_str(&payload.text(first.user_data.shift()));
        }
    };
    for part in parts {
        let continued = match (&mut run, part) {
            (Some((payload, first)), Some(part)) => {
                first.user_data.shift() == part.user_data.shift() && payload.append(part.user_data.payload())
            }
            _ => false,
        };
        if !continued {
            flush(run.take(), &mut text);
            run = part.as_ref().map(|part| (part.user_data.payload().clone(), part));
        }
    }
    flush(run, &mut text);
    let missing = (1u8..)
        .zip(parts)
        .filter(|(_, part)| part.is_none())
        .map(|(nth, _)| nth)
        .collect();
    Received {
        modem: modem.clone(),
        from: first.originator.clone(),
        text,
        timestamp: first.timestamp,
        missing,
        parts: parts.iter().flatten().cloned().collect(),
    }
}
