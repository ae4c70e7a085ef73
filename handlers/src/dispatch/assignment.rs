//! Exact linear assignment on a sparse rectangular matrix of integer costs.
//!
//! Each row takes one of its candidate columns or stays for later at a price of its own; each
//! column goes to at most one row; the sum is least. The method is the shortest augmenting
//! path of Jonker and Volgenant (Computing 38, 1987) on sparse rows: greedy assignment, two
//! rounds of augmenting row reduction, then one Dijkstra search per row still free. Column
//! prices survive from one solve to the next and shorten it; they never change the optimum.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::model::Cost;

/// Costs are brought into ± this, so that no sum of them can overflow.
pub const MAX_COST: Cost = 1 << 44;

const NOBODY: u32 = u32::MAX;

/// Candidates of each row, in compressed sparse rows.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    columns: usize,
    starts: Vec<usize>,
    edges: Vec<(u32, Cost)>,
    later: Vec<Cost>,
}

impl Candidates {
    /// No rows yet, `columns` columns.
    pub fn new(columns: usize) -> Self {
        Self { columns: columns.min(NOBODY as usize), ..Self::default() }
    }

    /// Adds a row: the cost of leaving it for later, and its candidates as (column, cost).
    /// Candidates outside the matrix are dropped, costs are clamped to ± [`MAX_COST`].
    pub fn push(&mut self, later: Cost, candidates: impl IntoIterator<Item = (u32, Cost)>) {
        self.starts.push(self.edges.len());
        self.later.push(later.clamp(-MAX_COST, MAX_COST));
        let columns = self.columns;
        self.edges.extend(
            candidates
                .into_iter()
                .filter(|&(column, _)| (column as usize) < columns)
                .map(|(column, cost)| (column, cost.clamp(-MAX_COST, MAX_COST))),
        );
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.starts.len()
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    fn row(&self, row: usize) -> &[(u32, Cost)] {
        let end = self.starts.get(row + 1).copied();
        &self.edges[self.starts[row]..end.unwrap_or(self.edges.len())]
    }
}

/// Who got what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The column of each row, or `None` for later.
    pub columns: Vec<Option<u32>>,
    /// The sum of the costs, those of later included.
    pub total: Cost,
}

/// What a row holds while the search runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    Later,
    /// A column, at that cost.
    Column(u32, Cost),
}

/// The cheapest and the second cheapest way to serve a row at the current prices.
struct Best {
    way: Holds,
    cost: Cost,
    second: Cost,
}

/// The solver with its scratch memory, reusable from one matrix to the next.
#[derive(Clone, Debug, Default)]
pub struct Solver {
    /// Price of each column, never positive, and 0 while nobody holds it.
    price: Vec<Cost>,
    owner: Vec<u32>,
    holds: Vec<Holds>,
    // Of one search:
    distance: Vec<Cost>,
    reached_from: Vec<u32>,
    touched: Vec<u32>,
    settled: Vec<u32>,
    /// Columns to settle: nearest first, of those the free ones first, then by number.
    heap: BinaryHeap<Reverse<(Cost, bool, u32)>>,
}

impl Solver {
    /// A solver that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cheapest assignment, from scratch.
    pub fn solve(&mut self, matrix: &Candidates) -> Assignment {
        self.solve_warm(matrix, &mut Vec::new())
    }

    /// The cheapest assignment, starting from the prices that an earlier solve left: one per
    /// column, missing ones count as 0. They are replaced by the new ones. The total does not
    /// depend on them, the choice among equally cheap assignments may.
    pub fn solve_warm(&mut self, matrix: &Candidates, prices: &mut Vec<Cost>) -> Assignment {
        prices.resize(matrix.columns(), 0);
        let warm = prices.iter().any(|&p| p != 0);
        self.price.clear();
        self.price.extend(prices.iter().map(|&p| p.clamp(-MAX_COST, 0)));
        self.reset(matrix);
        if !warm || !self.repair(matrix) {
            self.price.fill(0);
            self.reset(matrix);
            self.match_rows(matrix);
        }
        prices.copy_from_slice(&self.price);
        self.finish(matrix)
    }

    fn reset(&mut self, matrix: &Candidates) {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        self.owner.clear();
        self.owner.resize(columns, NOBODY);
        self.holds.clear();
        self.holds.resize(rows, Holds::Nothing);
        self.distance.clear();
        self.distance.resize(columns, Cost::MAX);
        self.reached_from.clear();
        self.reached_from.resize(columns, NOBODY);
    }

    /// Matches from old prices. A column that ends up free must cost nothing: its price is
    /// lifted to 0, and the rows that would rather have it now are matched again. Gives up
    /// (`false`) when that does not settle soon; a cold start is cheaper then.
    fn repair(&mut self, matrix: &Candidates) -> bool {
        const ROUNDS: usize = 4;
        for _ in 0..ROUNDS {
            self.match_rows(matrix);
            let mut lifted = false;
            for column in 0..matrix.columns() {
                if self.owner[column] == NOBODY && self.price[column] < 0 {
                    self.price[column] = 0;
                    lifted = true;
                }
            }
            if !lifted {
                return true;
            }
            let mut settled = true;
            for row in 0..matrix.rows() {
                let best = self.best(matrix, row).cost;
                let held = self.row_price(matrix, row);
                if best < held {
                    if let Holds::Column(column, _) = self.holds[row] {
                        self.owner[column as usize] = NOBODY;
                    }
                    self.holds[row] = Holds::Nothing;
                    settled = false;
                }
            }
            if settled {
                return true;
            }
        }
        false
    }

    /// Matches every row that holds nothing, keeping the prices dual feasible.
    fn match_rows(&mut self, matrix: &Candidates) {
        let mut free: Vec<u32> = Vec::new();
        for row in 0..matrix.rows() {
            if self.holds[row] != Holds::Nothing {
                continue;
            }
            match self.best(matrix, row).way {
                Holds::Column(column, _) if self.owner[column as usize] != NOBODY => {
                    free.push(row as u32);
                }
                way => self.give(row, way),
            }
        }
        for _ in 0..2 {
            free = self.reduce(matrix, free);
        }
        for row in free {
            self.augment(matrix, row as usize);
        }
    }

    /// Augmenting row reduction: each free row takes its best column and lowers the price by
    /// what it would lose with the second best; who held it is free instead. Returns the rows
    /// that are free afterwards, in a fixed order.
    fn reduce(&mut self, matrix: &Candidates, free: Vec<u32>) -> Vec<u32> {
        let mut still_free = Vec::new();
        for row in free {
            let mut row = row as usize;
            // Every turn of this loop strictly lowers a price; the bound keeps ties and long
            // price wars for the search, which does not mind them.
            for turn in 0.. {
                let best = self.best(matrix, row);
                let Holds::Column(column, _) = best.way else {
                    self.give(row, best.way);
                    break;
                };
                let previous = self.owner[column as usize];
                let gain = best.second.saturating_sub(best.cost);
                if previous != NOBODY && (gain == 0 || turn == 16) {
                    still_free.push(row as u32);
                    break;
                }
                if previous == NOBODY {
                    self.give(row, best.way);
                    break;
                }
                self.price[column as usize] -= gain;
                self.give(row, best.way);
                self.holds[previous as usize] = Holds::Nothing;
                row = previous as usize;
            }
        }
        still_free
    }

    fn give(&mut self, row: usize, way: Holds) {
        self.holds[row] = way;
        if let Holds::Column(column, _) = way {
            self.owner[column as usize] = row as u32;
        }
    }

    /// The cheapest way for a row at the current prices; of equal ways the first candidate,
    /// a free one before a held one, and later after all of them.
    fn best(&self, matrix: &Candidates, row: usize) -> Best {
        let later = matrix.later[row];
        let mut best = Best { way: Holds::Later, cost: later, second: later };
        let mut taken = true;
        for &(column, cost) in matrix.row(row) {
            let reduced = cost - self.price[column as usize];
            let occupied = self.owner[column as usize] != NOBODY;
            let wins = reduced < best.cost || reduced == best.cost && (best.way == Holds::Later || taken && !occupied);
            if wins {
                best.second = best.cost;
                best.cost = reduced;
                best.way = Holds::Column(column, cost);
                taken = occupied;
            } else if reduced < best.second {
                best.second = reduced;
            }
        }
        best
    }

    /// What a row pays: the reduced cost of what it holds.
    fn row_price(&self, matrix: &Candidates, row: usize) -> Cost {
        match self.holds[row] {
            Holds::Column(column, cost) => cost - self.price[column as usize],
            Holds::Later => matrix.later[row],
            Holds::Nothing => Cost::MAX,
        }
    }

    /// Serves one free row along the cheapest alternating path that ends at a free column or
    /// with some row put off for later, and moves the prices so that the path is tight.
    fn augment(&mut self, matrix: &Candidates, root: usize) {
        let root_price = self.best(matrix, root).cost;
        let mut postponed = (matrix.later[root] - root_price, root as u32);
        self.relax(matrix, root, root_price, 0);
        let mut end = None;
        while let Some(Reverse((distance, _, column))) = self.heap.pop() {
            if distance >= postponed.0 {
                break;
            }
            if distance > self.distance[column as usize] {
                continue; // An older, longer way to a column already settled.
            }
            let row = self.owner[column as usize];
            if row == NOBODY {
                end = Some((distance, column));
                break;
            }
            self.settled.push(column);
            let row = row as usize;
            let price = self.row_price(matrix, row);
            let put_off = distance + matrix.later[row] - price;
            postponed = postponed.min((put_off, row as u32));
            self.relax(matrix, row, price, distance);
        }
        let length = end.map_or(postponed.0, |(distance, _)| distance);
        for &column in &self.settled {
            self.price[column as usize] += self.distance[column as usize] - length;
        }
        if let Some((_, column)) = end {
            self.flip(matrix, root, column);
        } else {
            let row = postponed.1 as usize;
            let held = std::mem::replace(&mut self.holds[row], Holds::Later);
            if let Holds::Column(column, _) = held {
                self.flip(matrix, root, column);
            }
        }
        for &column in &self.touched {
            self.distance[column as usize] = Cost::MAX;
        }
        self.touched.clear();
        self.settled.clear();
        self.heap.clear();
    }

    fn relax(&mut self, matrix: &Candidates, row: usize, row_price: Cost, so_far: Cost) {
        for &(column, cost) in matrix.row(row) {
            let at = column as usize;
            let distance = so_far + cost - self.price[at] - row_price;
            if distance < self.distance[at] {
                if self.distance[at] == Cost::MAX {
                    self.touched.push(column);
                }
                self.distance[at] = distance;
                self.reached_from[at] = row as u32;
                let held = self.owner[at] != NOBODY;
                self.heap.push(Reverse((distance, held, column)));
            }
        }
    }

    /// Hands `column` to the row that reached it, that row's old column to the row before, and
    /// so on back to `root`.
    fn flip(&mut self, matrix: &Candidates, root: usize, mut column: u32) {
        loop {
            let row = self.reached_from[column as usize] as usize;
            let cost = matrix.row(row).iter().filter(|(c, _)| *c == column);
            let cost = cost.map(|&(_, cost)| cost).min().unwrap_or(MAX_COST);
            let held = self.holds[row];
            self.give(row, Holds::Column(column, cost));
            match held {
                Holds::Column(next, _) if row != root => column = next,
                _ => break,
            }
        }
    }

    fn finish(&self, matrix: &Candidates) -> Assignment {
        let mut total = 0;
        let columns = (self.holds.iter().zip(&matrix.later))
            .map(|(holds, later)| {
                let (column, cost) = match *holds {
                    Holds::Column(column, cost) => (Some(column), cost),
                    Holds::Later | Holds::Nothing => (None, *later),
                };
                total += cost;
                column
            })
            .collect();
        Assignment { columns, total }
    }
}

#[cfg(test)]
mod tests;
