//! A journal that fails when it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use megamind_domain::Time;

use super::{
    AppendError, Batch, Journal, JournalError, LoadError, Older, Opening, Reader, Record, Tail, Trimmed, Visit,
};
use crate::error::ReadError;

/// How an append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written: a full disk.
    Full,
    /// An error, and nothing was written.
    LostBefore,
    /// An error, and everything was written: the answer was lost.
    LostAfter,
    /// The next read of the tail fails.
    TailUnreadable,
    /// Another owner took the journal.
    Fenced,
    /// No fault this time.
    None,
}

/// The faults to come, in order; the test's end of a [`Faulty`] journal.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<VecDeque<Fault>>>);

impl Faults {
    /// Adds a fault.
    pub fn push(&self, fault: Fault) {
        self.lock().push_back(fault);
    }

    /// How many have not happened yet.
    pub fn left(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_append(&self) -> Fault {
        let mut faults = self.lock();
        match faults.front() {
            None | Some(Fault::TailUnreadable) => Fault::None,
            Some(_) => faults.pop_front().unwrap_or(Fault::None),
        }
    }

    fn tail_fails(&self) -> bool {
        let mut faults = self.lock();
        let fails = faults.front() == Some(&Fault::TailUnreadable);
        if fails {
            faults.pop_front();
        }
        fails
    }
}

/// A journal with faults.
pub struct Faulty<J> {
    inner: J,
    faults: Faults,
}

impl<J: Journal> Faulty<J> {
    /// `inner`, failing as `faults` says.
    pub fn new(inner: J, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The journal without its faults.
    pub fn into_inner(self) -> J {
        self.inner
    }
}

impl<J: Journal> Journal for Faulty<J> {
    fn epoch(&self) -> u64 {
        self.inner.epoch()
    }

    fn tail(&mut self) -> Result<Tail, JournalError> {
        if self.faults.tail_fails() {
            return Err(JournalError::Injected("the tail cannot be read"));
        }
        self.inner.tail()
    }

    fn append(&mut self, batch: &Batch) -> Result<u64, AppendError> {
        match self.faults.next_append() {
            Fault::None | Fault::TailUnreadable => self.inner.append(batch),
            Fault::Full => Err(JournalError::Full.into()),
            Fault::LostBefore => Err(JournalError::Injected("input/output error").into()),
            Fault::LostAfter => {
                self.inner.append(batch)?;
                Err(JournalError::Injected("input/output error").into())
            }
            Fault::Fenced => Err(AppendError::Fenced("a fault".into())),
        }
    }

    fn read(&mut self, from: u64, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
        self.inner.read(from, max_bytes)
    }

    fn trim(&mut self, older: Older, limit: usize) -> Result<Trimmed, JournalError> {
        self.inner.trim(older, limit)
    }

    fn forget(&mut self, before: Time, limit: usize) -> Result<Trimmed, JournalError> {
        self.inner.forget(before, limit)
    }

    fn load(&mut self, visit: &mut dyn Visit) -> Result<Opening, LoadError> {
        self.inner.load(visit)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.inner.reader()
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }
}
