//! The circuit: where one thing after another is refused alike, the fault is hardly theirs.

use std::{collections::HashSet, time::Duration};

use megamind_domain::EntityKey;

use super::pace::backoff;

/// Unrelated entries in a row that are refused with one status before the drain pauses.
const STREAK: usize = 5;

/// Counts refusals; opens, and closes again when a trial passes. Times are durations since an arbitrary start.
#[derive(Debug)]
pub(crate) struct Circuit {
    first: Duration,
    most: Duration,
    status: u16,
    /// Entries refused in a row, and what they are about.
    streak: Vec<u64>,
    about: HashSet<EntityKey>,
    /// Trials that were refused too; 0 while closed.
    opened: u32,
    until: Duration,
    /// Entries that were given a second chance: none gets a third.
    retried: HashSet<u64>,
}

impl Circuit {
    /// A closed circuit that pauses from `first` to `most`.
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            status: 0,
            streak: Vec::new(),
            about: HashSet::new(),
            opened: 0,
            until: Duration::ZERO,
            retried: HashSet::new(),
        }
    }

    /// An entry was refused for good. True if the circuit opens with it.
    pub(crate) fn refused(
        &mut self,
        now: Duration,
        seq: u64,
        status: u16,
        about: impl Iterator<Item = EntityKey>,
    ) -> bool {
        if status != self.status {
            self.reset();
            self.status = status;
        }
        let about: Vec<EntityKey> = about.collect();
        let related = about.iter().any(|key| self.about.contains(key));
        if self.opened == 0 && related {
            return false;
        }
        self.about.extend(about);
        self.streak.push(seq);
        if self.opened == 0 && self.streak.len() < STREAK {
            return false;
        }
        self.opened = self.opened.saturating_add(1);
        self.until = now + backoff(self.first, self.most, self.opened);
        self.opened == 1
    }

    /// An entry passed. Where that ends a pause: the entries refused meanwhile, each once in its life.
    pub(crate) fn passed(&mut self) -> Vec<u64> {
        let again = if self.opened > 0 { std::mem::take(&mut self.streak) } else { Vec::new() };
        self.reset();
        again.into_iter().filter(|seq| self.retried.insert(*seq)).collect()
    }

    /// With nothing else to try: an entry refused earlier, to be tried once more. Where all have been, the circuit
    /// closes: they are the operator's.
    pub(crate) fn trial(&mut self) -> Option<u64> {
        let fresh = self.streak.iter().position(|seq| !self.retried.contains(seq));
        let Some(place) = fresh else {
            self.reset();
            return None;
        };
        let seq = self.streak.remove(place);
        self.retried.insert(seq);
        Some(seq)
    }

    /// The status that everything is refused with, while that pauses the drain.
    pub(crate) fn open(&self) -> Option<u16> {
        (self.opened > 0).then_some(self.status)
    }

    /// The time until the next trial.
    pub(crate) fn pause(&self, now: Duration) -> Option<Duration> {
        let pause = self.until.saturating_sub(now);
        (self.opened > 0 && !pause.is_zero()).then_some(pause)
    }

    fn reset(&mut self) {
        self.streak.clear();
        self.about.clear();
        self.opened = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit() -> Circuit {
        Circuit::new(SECOND, 4 * SECOND)
    }

    fn refuse(circuit: &mut Circuit, now: Duration, seq: u64, status: u16) -> bool {
        circuit.refused(now, seq, status, [EntityKey(seq)].into_iter())
    }

    #[test]
    fn five_alike_in_a_row_pause_the_drain_and_a_trial_ends_it() {
        let mut circuit = circuit();
        for seq in 1..5 {
            assert!(!refuse(&mut circuit, SECOND, seq, 400));
            assert_eq!(circuit.open(), None);
        }
        assert!(refuse(&mut circuit, SECOND, 5, 400));
        assert_eq!((circuit.open(), circuit.pause(SECOND)), (Some(400), Some(SECOND)));
        assert_eq!(circuit.pause(2 * SECOND), None, "a trial may go");
        assert!(!refuse(&mut circuit, 2 * SECOND, 6, 400));
        assert_eq!(circuit.pause(2 * SECOND), Some(2 * SECOND), "a longer pause");
        assert_eq!(circuit.passed(), [1, 2, 3, 4, 5, 6], "what was refused meanwhile is tried again");
        assert_eq!((circuit.open(), circuit.pause(2 * SECOND)), (None, None));
    }

    #[test]
    fn what_is_tried_again_is_tried_once() {
        let mut circuit = circuit();
        for _ in 0..2 {
            for seq in 1..6 {
                refuse(&mut circuit, SECOND, seq, 404);
            }
            assert_eq!(circuit.open(), Some(404));
            circuit.passed();
        }
        for seq in 1..6 {
            refuse(&mut circuit, SECOND, seq, 404);
        }
        assert_eq!(circuit.passed(), [0u64; 0]);
    }

    #[test]
    fn with_nothing_else_to_try_the_refused_are_tried_once_more() {
        let mut circuit = circuit();
        for seq in 1..6 {
            refuse(&mut circuit, SECOND, seq, 400);
        }
        for seq in 1..6 {
            assert_eq!(circuit.trial(), Some(seq));
            refuse(&mut circuit, SECOND, seq, 400);
        }
        assert_eq!((circuit.trial(), circuit.open()), (None, None), "they are the operator's");
    }

    #[test]
    fn a_success_or_another_status_breaks_the_row() {
        let mut circuit = circuit();
        for seq in 1..5 {
            refuse(&mut circuit, SECOND, seq, 400);
        }
        assert_eq!(circuit.passed(), [0u64; 0], "it was not open");
        for seq in 5..9 {
            refuse(&mut circuit, SECOND, seq, 400);
        }
        assert!(!refuse(&mut circuit, SECOND, 9, 422));
        assert_eq!(circuit.open(), None);
    }

    #[test]
    fn what_is_about_one_order_counts_once() {
        let mut circuit = circuit();
        for seq in 1..20 {
            assert!(!circuit.refused(SECOND, seq, 400, [EntityKey(7)].into_iter()));
        }
    }
}
