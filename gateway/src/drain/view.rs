//! What the drain shows of itself to the operator.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Entries that are remembered as troubled at most.
const MAX_NOTES: usize = 10_000;

/// What the last attempt at an entry came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// Attempts since the start of this process.
    pub(crate) attempts: u32,
    /// The upstream's answer, where there was one.
    pub(crate) status: Option<u16>,
    /// Why it did not go through.
    pub(crate) error: String,
    /// When it was first looked at as one that may have been applied.
    doubted: Option<Instant>,
}

/// The drain as others see it.
#[derive(Default)]
pub(crate) struct View {
    inner: Mutex<Inner>,
    caught_up: AtomicBool,
}

#[derive(Default)]
struct Inner {
    notes: BTreeMap<u64, Note>,
    paused: Option<String>,
    width: usize,
}

impl View {
    /// An attempt failed.
    pub(crate) fn note(&self, seq: u64, status: Option<u16>, error: &str) -> u32 {
        let mut inner = self.inner();
        let note = inner.about(seq);
        note.attempts = note.attempts.saturating_add(1);
        note.status = status;
        error.clone_into(&mut note.error);
        note.attempts
    }

    /// An entry waits for something, which is no failure.
    pub(crate) fn waits(&self, seq: u64, why: &str) {
        why.clone_into(&mut self.inner().about(seq).error);
    }

    /// How long this process has known that an entry may have been applied, by a clock that nobody sets.
    pub(crate) fn in_doubt_for(&self, seq: u64) -> Duration {
        self.inner().about(seq).doubted.get_or_insert_with(Instant::now).elapsed()
    }

    /// An entry is settled.
    pub(crate) fn forget(&self, seq: u64) {
        self.inner().notes.remove(&seq);
    }

    /// Whether what is left to send came while the upstream served, so that each of it is a matter of moments.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Relaxed)
    }

    /// Says so.
    pub(crate) fn set_caught_up(&self, caught_up: bool) {
        self.caught_up.store(caught_up, Relaxed);
    }

    /// Whether any of these entries has failed before, or waits for something.
    pub(crate) fn troubles_any(&self, seqs: &[u64]) -> bool {
        let inner = self.inner();
        seqs.iter().any(|seq| inner.notes.contains_key(seq))
    }

    /// What is known of an entry's attempts.
    pub(crate) fn of(&self, seq: u64) -> Option<Note> {
        self.inner().notes.get(&seq).cloned()
    }

    /// How wide it goes, and why it pauses, if it does.
    pub(crate) fn set(&self, width: usize, paused: Option<String>) {
        let mut inner = self.inner();
        inner.width = width;
        inner.paused = paused;
    }

    /// Requests that may be under way, and why the drain pauses.
    pub(crate) fn state(&self) -> (usize, Option<String>) {
        let inner = self.inner();
        (inner.width, inner.paused.clone())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Plain values, whole between any two statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn about(&mut self, seq: u64) -> &mut Note {
        if self.notes.len() >= MAX_NOTES && !self.notes.contains_key(&seq) {
            self.notes.pop_first();
        }
        self.notes.entry(seq).or_default()
    }
}
