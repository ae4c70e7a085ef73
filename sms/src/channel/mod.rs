//! Several ways for a message to go out: who is there, and who is taken. Pure; the channels themselves are elsewhere.
//!
//! A channel registers, and says again and again that it works (a *heartbeat*). One that has not said so for a while is
//! dropped, one that says so again is taken back. Which of those that are there gets a message is a [`Scheduler`]'s
//! decision.

mod scheduler;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use scheduler::{LeastBusy, Priority, Random, RoundRobin, Scheduler};

/// The wait after a first failure; it doubles with each…
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// …up to this.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// A channel's place in the order of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub usize);

/// A channel that could take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: ChannelId,
    /// Messages that it has and has not sent.
    pub load: usize,
    /// Whether it has as many as it takes at once: it works, and is not given another one now.
    pub full: bool,
}

/// A channel comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It says that it works, for the first time or again.
    Back(ChannelId),
    /// Its heartbeats have stopped.
    Dropped(ChannelId),
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    last_beat: Option<Instant>,
    is_there: bool,
    /// Why the last heartbeat did not come.
    trouble: Option<Box<str>>,
    failures: u32,
    paused_until: Option<Instant>,
}

/// Who is there.
#[derive(Debug)]
pub struct Registry {
    drop_after: Duration,
    entries: Vec<Entry>,
}

impl Registry {
    /// Nobody yet. A channel without a heartbeat for `drop_after` is dropped.
    pub fn new(drop_after: Duration) -> Self {
        Self { drop_after, entries: Vec::new() }
    }

    /// Takes a channel in. It is not there before its first heartbeat.
    pub fn register(&mut self, name: &str) -> ChannelId {
        self.entries.push(Entry {
            name: name.into(),
            last_beat: None,
            is_there: false,
            trouble: None,
            failures: 0,
            paused_until: None,
        });
        ChannelId(self.entries.len() - 1)
    }

    /// Its name.
    pub fn name(&self, id: ChannelId) -> &str {
        self.entries.get(id.0).map_or("", |entry| &entry.name)
    }

    /// All of them, in the order of registration.
    pub fn ids(&self) -> impl Iterator<Item = ChannelId> + use<> {
        (0..self.entries.len()).map(ChannelId)
    }

    /// The channel of a name.
    pub fn called(&self, name: &str) -> Option<ChannelId> {
        self.entries.iter().position(|entry| &*entry.name == name).map(ChannelId)
    }

    /// A channel works, or says why it does not.
    pub fn beat(&mut self, id: ChannelId, beat: Result<(), String>, now: Instant) -> Option<Turn> {
        let entry = self.entries.get_mut(id.0)?;
        match beat {
            Ok(()) => {
                entry.last_beat = Some(now);
                entry.trouble = None;
                (!std::mem::replace(&mut entry.is_there, true)).then_some(Turn::Back(id))
            }
            Err(trouble) => {
                entry.trouble = Some(trouble.into());
                None
            }
        }
    }

    /// A message went out by it.
    pub fn succeeded(&mut self, id: ChannelId) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.failures = 0;
            entry.paused_until = None;
        }
    }

    /// A message did not go out by it, and the message is not to blame: it gets none for a while, whatever its
    /// heartbeats say. A provider whose front answers and whose back does not must not hold everything up.
    pub fn failed(&mut self, id: ChannelId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            let pause = PAUSE_MIN * 2_u32.saturating_pow(entry.failures.min(16));
            entry.failures += 1;
            entry.paused_until = Some(now + pause.min(PAUSE_MAX));
        }
    }

    /// Drops those whose heartbeats have stopped.
    pub fn tick(&mut self, now: Instant) -> Vec<Turn> {
        let drop_after = self.drop_after;
        let entries = self.entries.iter_mut().enumerate();
        let gone = entries.filter_map(|(at, entry)| {
            let silent = entry
                .last_beat
                .is_none_or(|beat| now.saturating_duration_since(beat) >= drop_after);
            (entry.is_there && silent).then(|| {
                entry.is_there = false;
                Turn::Dropped(ChannelId(at))
            })
        });
        gone.collect()
    }

    /// Whether a channel's heartbeats come.
    pub fn is_there(&self, id: ChannelId) -> bool {
        self.entries.get(id.0).is_some_and(|entry| entry.is_there)
    }

    /// Whether it may be given a message: it is there, and does not pause.
    pub fn is_usable(&self, id: ChannelId, now: Instant) -> bool {
        let pauses = |entry: &Entry| entry.paused_until.is_some_and(|until| now < until);
        self.entries.get(id.0).is_some_and(|entry| entry.is_there && !pauses(entry))
    }

    /// Why its last heartbeat did not come.
    pub fn trouble(&self, id: ChannelId) -> Option<&str> {
        self.entries.get(id.0)?.trouble.as_deref()
    }
}
