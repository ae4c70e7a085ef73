//! When each entity was last written, in ticks: a watched read must not undo a write that overlapped it.

use megamind_domain::{EntityKey, Role, Touches};

use crate::generations::Generations;

/// Entities remembered in one generation: far more than are written while one read is under way.
const SIZE: usize = 1 << 16;

pub(crate) struct Ticks {
    last: Generations<u64, u64>,
    /// Whoever is not in `last` may have been written up to here.
    floor: u64,
    newest: u64,
    /// `newest` at the time of the last change of generations.
    rotated: u64,
}

impl Ticks {
    pub(crate) fn new() -> Self {
        Self { last: Generations::new(SIZE), floor: 0, newest: 0, rotated: 0 }
    }

    /// These entities were written, at `tick` at the latest.
    pub(crate) fn written(&mut self, touches: &Touches, tick: u64) {
        self.newest = self.newest.max(tick);
        for touch in touches.iter().filter(|touch| touch.role != Role::Row) {
            self.note(touch.key, tick);
        }
    }

    fn note(&mut self, EntityKey(key): EntityKey, tick: u64) {
        let tick = self.last.peek(&key).map_or(tick, |known| tick.max(*known));
        if self.last.insert(key, tick) {
            // What is forgotten now was written before the generation began that is the old one now.
            self.floor = self.rotated;
            self.rotated = self.newest;
        }
    }

    /// Whether a read that started at `started` may tell something about all of these entities.
    pub(crate) fn allow_read(&self, touches: &Touches, started: u64) -> bool {
        touches
            .iter()
            .filter(|touch| touch.role != Role::Row)
            .all(|touch| *self.last.peek(&touch.key.0).unwrap_or(&self.floor) < started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use megamind_domain::Touch;

    fn about(key: u64) -> Touches {
        Touches::from_iter([Touch { key: EntityKey(key), role: Role::Subject }])
    }

    #[test]
    fn a_read_that_a_write_overlapped_is_not_believed() {
        let mut ticks = Ticks::new();
        assert!(ticks.allow_read(&about(1), 5));
        ticks.written(&about(1), 7);
        assert!(!ticks.allow_read(&about(1), 5), "the write ended after the read began");
        assert!(!ticks.allow_read(&about(1), 7));
        assert!(ticks.allow_read(&about(1), 8));
        assert!(ticks.allow_read(&about(2), 5), "another entity");
    }

    #[test]
    fn what_was_forgotten_is_judged_carefully() {
        let mut ticks = Ticks::new();
        ticks.written(&about(0), 10);
        for key in 1..=(3 * SIZE as u64) {
            ticks.written(&about(key), 10 + key);
        }
        assert!(!ticks.allow_read(&about(0), 10), "forgotten, so it may have been written");
        assert!(ticks.allow_read(&about(0), 11 + 3 * SIZE as u64));
    }
}
