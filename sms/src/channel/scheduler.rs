//! Which of several channels takes a message.

use super::Candidate;

/// Decides. The candidates are in the order of registration; all of them work and take the message.
pub trait Scheduler: Send {
    /// The one that is taken, which is not full; `None` where there is none, or a full one is worth the wait.
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate>;
}

/// The first that was registered. While that is full, messages wait: the others are for when it does not work.
#[derive(Debug, Default)]
pub struct Priority;

impl Scheduler for Priority {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        candidates.first().filter(|candidate| !candidate.full).copied()
    }
}

/// Each in turn: the next after the one that was taken last.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: usize,
}

impl Scheduler for RoundRobin {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        let mut with_room = candidates.iter().filter(|candidate| !candidate.full);
        let first = with_room.clone().next();
        let taken = with_room.find(|candidate| candidate.id.0 >= self.next).or(first).copied()?;
        self.next = taken.id.0 + 1;
        Some(taken)
    }
}

/// The one with the fewest messages waiting; the first of several.
#[derive(Debug, Default)]
pub struct LeastBusy;

impl Scheduler for LeastBusy {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        let with_room = candidates.iter().filter(|candidate| !candidate.full);
        with_room.min_by_key(|candidate| candidate.load).copied()
    }
}

/// Any. The randomness comes from outside.
pub struct Random<F>(pub F);

impl<F: FnMut() -> u32 + Send> Scheduler for Random<F> {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        let with_room = candidates.iter().filter(|candidate| !candidate.full);
        let count = u32::try_from(with_room.clone().count()).ok().filter(|count| *count > 0)?;
        with_room.copied().nth((self.0() % count) as usize)
    }
}
