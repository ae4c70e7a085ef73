//! Where the pilots are who could take an order: cells of the map, so that a search looks only nearby.

use imbl::OrdMap;

use crate::{
    Position,
    geo::METRES_PER_DEGREE,
    pilot::{Availability, Pilot, PilotKey},
};

/// Cells in a degree: a cell is about 550 m high.
const CELLS_PER_DEGREE: f64 = 200.0;

/// Cells around the earth.
const ROUND: i32 = 360 * CELLS_PER_DEGREE as i32;

/// With so few pilots, looking at all of them is faster than at cells.
const FEW: usize = 64;

/// The widest square of cells that is searched before all pilots are looked at.
const WIDEST: i32 = 64;

/// A cell: row from the south, column from the west.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    row: i32,
    column: i32,
}

impl Cell {
    fn of(position: Position) -> Self {
        Self {
            row: (position.lat() * CELLS_PER_DEGREE).floor() as i32,
            column: (position.lng() * CELLS_PER_DEGREE).floor() as i32,
        }
    }
}

/// The free pilots by cell. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    pilots: OrdMap<(Cell, PilotKey), Position>,
}

impl Grid {
    /// Takes a pilot from one place, if it was there, to another, if it is there.
    pub(crate) fn change(&mut self, pilot: PilotKey, old: Option<Position>, new: Option<Position>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.pilots.remove(&(Cell::of(old), pilot));
        }
        if let Some(new) = new {
            self.pilots.insert((Cell::of(new), pilot), new);
        }
    }

    /// How many pilots are free.
    pub(crate) fn len(&self) -> usize {
        self.pilots.len()
    }

    /// The nearest free pilot whom `allows` takes, with the distance in metres; of two as near, the older.
    pub(crate) fn nearest(&self, to: Position, allows: impl Fn(PilotKey) -> bool) -> Option<(PilotKey, f64)> {
        let look = |best: &mut Option<(PilotKey, f64)>, pilot: PilotKey, at: Position| {
            let metres = at.metres_to(to);
            let wins = best.is_none_or(|(key, least)| metres.total_cmp(&least).then(pilot.cmp(&key)).is_lt());
            if wins && allows(pilot) {
                *best = Some((pilot, metres));
            }
        };
        if self.pilots.len() > FEW {
            let mut radius = 1;
            while radius <= WIDEST {
                let mut best = None;
                self.in_square(to, radius, |pilot, at| look(&mut best, pilot, at));
                if best.is_some_and(|(_, metres): (PilotKey, f64)| metres <= covered(to, radius)) {
                    return best;
                }
                radius *= 2;
            }
        }
        let mut best = None;
        for (&(_, pilot), &at) in &self.pilots {
            look(&mut best, pilot, at);
        }
        best
    }

    /// The `count` nearest free pilots with their distances in metres, nearest first.
    pub(crate) fn ranked(&self, to: Position, count: usize) -> Vec<(PilotKey, f64)> {
        let mut ranked = Vec::new();
        let mut radius = 1;
        while self.pilots.len() > FEW && radius <= WIDEST {
            ranked.clear();
            self.in_square(to, radius, |pilot, at| {
                ranked.push((pilot, at.metres_to(to)));
            });
            let sure = covered(to, radius);
            if ranked.iter().filter(|(_, metres)| *metres <= sure).count() >= count {
                break;
            }
            radius *= 2;
        }
        if self.pilots.len() <= FEW || radius > WIDEST {
            ranked = (self.pilots.iter())
                .map(|(&(_, pilot), &at)| (pilot, at.metres_to(to)))
                .collect();
        }
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        ranked.truncate(count);
        ranked
    }

    fn in_square(&self, around: Position, radius: i32, mut see: impl FnMut(PilotKey, Position)) {
        let Cell { row, column } = Cell::of(around);
        let (first, last) = (PilotKey(std::num::NonZeroU64::MIN), PilotKey(std::num::NonZeroU64::MAX));
        for row in row - radius..=row + radius {
            // Beyond the antimeridian it goes on at the other end of the row.
            for turn in [0, -ROUND, ROUND] {
                let (west, east) = (column - radius + turn, column + radius + turn);
                if east < -ROUND / 2 || west > ROUND / 2 {
                    continue;
                }
                let (west, east) = (Cell { row, column: west }, Cell { row, column: east });
                for (&(_, pilot), &at) in self.pilots.range((west, first)..=(east, last)) {
                    see(pilot, at);
                }
            }
        }
    }
}

/// Metres around a position that a square of cells surely covers.
fn covered(around: Position, radius: i32) -> f64 {
    let edge = (around.lat().abs() + f64::from(radius + 1) / CELLS_PER_DEGREE).min(90.0);
    f64::from(radius) / CELLS_PER_DEGREE * METRES_PER_DEGREE * edge.to_radians().cos()
}

/// Where a pilot stands in the grid: nowhere unless one more order can be taken.
pub(crate) fn place(pilot: &Pilot) -> Option<Position> {
    let position = pilot.fix?.position;
    (pilot.availability == Availability::Available && pilot.room() > 0).then_some(position)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn key(number: u64) -> PilotKey {
        PilotKey(NonZeroU64::new(number).expect("not 0"))
    }

    fn at(lat: f64, lng: f64) -> Position {
        Position::from_degrees(lat, lng).expect("on earth")
    }

    #[test]
    fn whoever_is_near_is_found_across_the_antimeridian() {
        let mut grid = Grid::default();
        // So many that not all of them are looked at, two kilometres to the west of the door.
        for number in 1..=200 {
            grid.change(key(number), None, Some(at(0.0, 179.98)));
        }
        grid.change(key(201), None, Some(at(0.0, -179.999)));
        grid.change(key(202), None, Some(at(0.0, 180.0)));
        let door = at(0.0, 179.999_5);
        assert_eq!(grid.nearest(door, |_| true).map(|(pilot, _)| pilot), Some(key(202)));
        let near: Vec<_> = grid.ranked(door, 3).into_iter().map(|(pilot, _)| pilot).collect();
        assert_eq!(near, [key(202), key(201), key(1)]);
        let from_the_east = at(0.0, -179.999_5);
        assert_eq!(
            grid.nearest(from_the_east, |pilot| pilot != key(201)).map(|(pilot, _)| pilot),
            Some(key(202))
        );
    }
}
