//! Travel times by road, between cells of the map, as a routing engine gave them.
//!
//! Whoever may do IO asks the engine and puts its table here; estimates of arrival, scores and plans read it. Nothing is
//! ever waited for: what is not in the table is estimated from distance and speed.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::dispatch::{Seconds, Vehicle};

/// Places in one cell of about 100 m count as one: a pilot who moves on a little needs no new table.
const CELLS_PER_DEGREE: f64 = 1_000.0;

/// A cell of the map: row from the equator, column from Greenwich.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell(i32, i32);

impl Cell {
    /// The cell of a place in degrees.
    pub fn of((lat, lng): (f64, f64)) -> Self {
        // Degrees are within the earth: these fit.
        Self((lat * CELLS_PER_DEGREE).floor() as i32, (lng * CELLS_PER_DEGREE).floor() as i32)
    }
}

/// Seconds from each of some cells to each other.
#[derive(Debug, Default)]
pub struct RoadTable {
    numbers: HashMap<Cell, usize>,
    /// Row by row; `None` where there is no road.
    seconds: Vec<Option<u32>>,
}

impl RoadTable {
    /// A table between cells, row by row in their sequence. `None` where it is not square or a cell is named twice.
    pub fn new(cells: impl IntoIterator<Item = Cell>, seconds: Vec<Option<u32>>) -> Option<Self> {
        let mut numbers = HashMap::new();
        for (number, cell) in cells.into_iter().enumerate() {
            if numbers.insert(cell, number).is_some() {
                return None;
            }
        }
        let size = numbers.len().checked_mul(numbers.len())?;
        (size == seconds.len()).then_some(Self { numbers, seconds })
    }

    /// Whether a cell is in the table.
    pub fn knows(&self, cell: Cell) -> bool {
        self.numbers.contains_key(&cell)
    }

    /// The table's number of a place in degrees.
    pub(crate) fn number(&self, place: (f64, f64)) -> Option<usize> {
        self.numbers.get(&Cell::of(place)).copied()
    }

    /// Seconds between two numbers. Within a cell the table says nothing.
    pub(crate) fn seconds(&self, from: usize, to: usize) -> Option<u32> {
        let inside = from != to && from < self.numbers.len() && to < self.numbers.len();
        inside.then(|| self.seconds[from * self.numbers.len() + to]).flatten()
    }
}

/// How many times as long as the engine says a vehicle takes: its profile is for what most pilots ride, and nobody on
/// foot is as fast.
pub(crate) fn slowness(speeds: &[f64], vehicle: Vehicle) -> f64 {
    let usual = speeds.first().copied().unwrap_or(1.0);
    let own = speeds.get(vehicle.index()).copied().unwrap_or(usual);
    (usual / own).max(1.0)
}

/// That many seconds by that vehicle, rounded up.
pub(crate) fn slowed(seconds: u32, slowness: f64) -> Seconds {
    (f64::from(seconds) * slowness).ceil() as Seconds
}

/// The newest table, where there is one.
#[derive(Debug, Default)]
pub struct Roads(RwLock<Option<Arc<RoadTable>>>);

impl Roads {
    /// The table as it is now.
    pub fn table(&self) -> Option<Arc<RoadTable>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a newer table in.
    pub fn put(&self, table: Arc<RoadTable>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_knows_its_cells_and_nothing_within_one() {
        let (here, there) = ((12.971_6, 77.594_6), (12.935_2, 77.624_5));
        let cells = [here, there].map(Cell::of);
        let table = RoadTable::new(cells, vec![Some(0), Some(700), None, Some(0)]).expect("it is square");
        let number = |place| table.number(place).expect("known");
        assert_eq!(table.seconds(number(here), number(there)), Some(700));
        assert_eq!(table.seconds(number(there), number(here)), None);
        assert_eq!(table.seconds(number(here), number((12.971_7, 77.594_7))), None);
        assert!(table.number((0.0, 0.0)).is_none());
        assert!(RoadTable::new(cells, vec![None; 3]).is_none());
        assert!(RoadTable::new([cells[0]; 2], vec![None; 4]).is_none());
    }

    #[test]
    fn nobody_is_faster_than_the_road_and_walkers_are_slower() {
        let speeds = [20.0, 5.0, 40.0];
        let slowness = |index| slowness(&speeds, Vehicle::new(index).expect("a vehicle"));
        assert_eq!([0, 1, 2, 9].map(|index| slowed(61, slowness(index))), [61, 244, 61, 61]);
    }
}
