//! Which of several channels takes a message.

use super::Candidate;

/// Decides. The candidates are in the order of registration; all of them work and take the message.
pub trait Scheduler: Send {
    /// The one that is taken; `None` only where there is none.
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate>;
}

/// The first that was registered.
#[derive(Debug, Default)]
pub struct Priority;

impl Scheduler for Priority {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        candidates.first().copied()
    }
}

/// Each in turn: the next after the one that was taken last.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: usize,
}

impl Scheduler for RoundRobin {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        let after = candidates.iter().find(|candidate| candidate.id.0 >= self.next);
        let taken = after.or(candidates.first()).copied()?;
        self.next = taken.id.0 + 1;
        Some(taken)
    }
}

/// The one with the fewest messages waiting; the first of several.
#[derive(Debug, Default)]
pub struct LeastBusy;

impl Scheduler for LeastBusy {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        candidates.iter().min_by_key(|candidate| candidate.load).copied()
    }
}

/// Any. The randomness comes from outside.
pub struct Random<F>(pub F);

impl<F: FnMut() -> u32 + Send> Scheduler for Random<F> {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        let count = u32::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
        candidates.get((self.0() % count) as usize).copied()
    }
}
