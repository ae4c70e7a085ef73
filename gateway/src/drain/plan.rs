//! What goes together.

use std::collections::HashSet;

use megamind_domain::EntityKey;
use megamind_store::{SendState, Work};

/// Entries remembered as unfit for a bulk request, at most.
const MAX_ALONE: usize = 100_000;

/// Something for the drain to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Send one entry.
    Entry(Work),
    /// Send values of slots together, under one key.
    Slots(Vec<Work>),
    /// Send entries together, each under its own key.
    Events(Vec<Work>),
    /// Compare the city with what the upstream says.
    Compare(EntityKey),
}

impl Job {
    /// The entries that it sends.
    pub(super) fn work(&self) -> &[Work] {
        match self {
            Job::Entry(work) => std::slice::from_ref(work),
            Job::Slots(work) | Job::Events(work) => work,
            Job::Compare(_) => &[],
        }
    }
}

/// Puts entries together.
#[derive(Debug)]
pub(super) struct Jobs {
    size: usize,
    /// Whether the upstream takes values of slots, and entries, in bulk.
    slots: bool,
    events: bool,
    /// Entries that cannot go together with others.
    alone: HashSet<u64>,
}

impl Jobs {
    /// Bulk requests of up to `size` members; of entries that are no slot's, only where `events` says so.
    pub(super) fn new(size: usize, events: bool) -> Self {
        Self { size, slots: true, events, alone: HashSet::new() }
    }

    /// How many entries to ask for, where there is room for so many jobs: those that are no slot's, and all.
    pub(super) fn most(&self, room: usize) -> (usize, usize) {
        let all = if self.slots || self.events { room.max(self.size) } else { room };
        (if self.events { all } else { room }, all)
    }

    /// The jobs that `work` makes, in its order. `bulk` tells which endpoints know bulk requests; `members` gives all
    /// of a bundle that was sent before.
    pub(super) fn of(
        &self,
        work: Vec<Work>,
        bulk: impl Fn(&Work) -> bool,
        members: impl Fn(u64) -> Vec<Work>,
    ) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut bundles: Vec<u64> = Vec::new();
        let (mut slots, mut events): (Option<usize>, Option<usize>) = (None, None);
        for work in work {
            if let Some(number) = work.bundle {
                if !bundles.contains(&number) {
                    bundles.push(number);
                    jobs.push(Job::Slots(members(number)));
                }
                continue;
            }
            if self.alone.contains(&work.seq) || !bulk(&work) {
                jobs.push(Job::Entry(work));
            } else if work.slot.is_some() && self.slots {
                add(&mut jobs, &mut slots, self.size, work, Job::Slots);
            } else if work.slot.is_none() && self.events && is_fresh(&work) {
                add(&mut jobs, &mut events, self.size, work, Job::Events);
            } else {
                jobs.push(Job::Entry(work));
            }
        }
        for job in &mut jobs {
            // One event alone is sent as it was.
            if let Job::Events(work) = job
                && work.len() == 1
                && let Some(work) = work.pop()
            {
                *job = Job::Entry(work);
            }
        }
        jobs
    }

    /// The upstream does not take bulk requests like this one.
    pub(super) fn without(&mut self, job: &Job) {
        match job {
            Job::Slots(_) => self.slots = false,
            Job::Events(_) => self.events = false,
            Job::Entry(_) | Job::Compare(_) => return,
        }
        tracing::warn!("the upstream does not take a bulk request as expected: entries go one by one from now on");
    }

    /// An entry cannot go together with others.
    pub(super) fn alone(&mut self, seq: u64) {
        if self.alone.len() < MAX_ALONE {
            self.alone.insert(seq);
        }
    }

    /// An entry is settled.
    pub(super) fn forget(&mut self, seq: u64) {
        self.alone.remove(&seq);
    }
}

/// Adds to the open group, or begins one.
fn add(jobs: &mut Vec<Job>, open: &mut Option<usize>, size: usize, work: Work, make: impl Fn(Vec<Work>) -> Job) {
    if let Some(Job::Slots(group) | Job::Events(group)) = open.and_then(|index| jobs.get_mut(index))
        && group.len() < size
    {
        group.push(work);
        return;
    }
    *open = Some(jobs.len());
    jobs.push(make(vec![work]));
}

/// Only what was never sent goes in bulk: an earlier attempt had a form of its own.
fn is_fresh(work: &Work) -> bool {
    work.state == SendState::NeverSent && !work.unknown
}

#[cfg(test)]
mod tests {
    use megamind_domain::{Endpoint, Time, Touches};

    use super::*;

    fn work(seq: u64) -> Work {
        Work {
            seq,
            endpoint: Endpoint(1),
            at: Time(0),
            touches: Touches::new(),
            slot: None,
            bundle: None,
            state: SendState::NeverSent,
            attempts: 0,
            unknown: false,
        }
    }

    fn slot(seq: u64) -> Work {
        Work { slot: Some(EntityKey(seq)), ..work(seq) }
    }

    fn seqs(jobs: &[Job]) -> Vec<Vec<u64>> {
        jobs.iter()
            .map(|job| job.work().iter().map(|work| work.seq).collect())
            .collect()
    }

    fn of(jobs: &Jobs, work: Vec<Work>) -> Vec<Vec<u64>> {
        seqs(&jobs.of(work, |_| true, |_| Vec::new()))
    }

    #[test]
    fn values_of_slots_go_together_and_the_rest_goes_alone() {
        let jobs = Jobs::new(2, false);
        let given = vec![slot(1), work(2), slot(3), slot(4), work(5)];
        assert_eq!(of(&jobs, given), [vec![1, 3], vec![2], vec![4], vec![5]]);
    }

    #[test]
    fn a_bundle_keeps_its_members() {
        let jobs = Jobs::new(10, false);
        let bundled = |seq| Work { bundle: Some(7), ..slot(seq) };
        let made = jobs.of(
            vec![bundled(1), slot(2), bundled(3)],
            |_| true,
            |number| {
                assert_eq!(number, 7);
                vec![bundled(1), bundled(3)]
            },
        );
        assert_eq!(seqs(&made), [vec![1, 3], vec![2]]);
        assert!(matches!(made[0], Job::Slots(_)));
    }

    #[test]
    fn events_go_together_only_where_that_is_asked_for_and_only_fresh_ones() {
        let sent = Work { state: SendState::PossiblyApplied { since: Time(1) }, ..work(3) };
        let given = || vec![work(1), work(2), sent.clone(), work(4)];
        assert_eq!(of(&Jobs::new(9, false), given()).len(), 4);
        let mut jobs = Jobs::new(9, true);
        assert_eq!(of(&jobs, given()), [vec![1, 2, 4], vec![3]]);
        jobs.alone(2);
        assert_eq!(of(&jobs, given()), [vec![1, 4], vec![2], vec![3]]);
        jobs.without(&Job::Events(Vec::new()));
        assert_eq!(of(&jobs, given()).len(), 4);
    }

    #[test]
    fn an_endpoint_without_bulk_requests_has_none() {
        let made = Jobs::new(9, true).of(vec![slot(1), work(2)], |_| false, |_| Vec::new());
        assert_eq!(seqs(&made), [vec![1], vec![2]]);
    }
}
