//! The solver against two dense ones that are not ours.

use pathfinding::matrix::Matrix;
use pathfinding::prelude::kuhn_munkres_min;
use proptest::prelude::*;

use super::*;

/// Dearer than any assignment of the tests, and exact as a float.
const FORBIDDEN: Cost = 1 << 40;

/// A row: the cost of later, and candidates.
type RowCosts = (Cost, Vec<(u32, Cost)>);

#[derive(Clone, Debug)]
struct Sample {
    columns: usize,
    rows: Vec<RowCosts>,
}

impl Sample {
    fn candidates(&self) -> Candidates {
        let mut matrix = Candidates::new(self.columns);
        for (later, candidates) in &self.rows {
            matrix.push(*later, candidates.iter().copied());
        }
        matrix
    }

    /// The same as a full matrix: each row has a column of its own for later.
    fn dense(&self) -> Matrix<Cost> {
        let mut dense = Matrix::new(self.rows.len(), self.columns + self.rows.len(), FORBIDDEN);
        for (row, (later, candidates)) in self.rows.iter().enumerate() {
            dense[(row, self.columns + row)] = *later;
            for &(column, cost) in candidates {
                let cell = &mut dense[(row, column as usize)];
                *cell = cost.min(*cell);
            }
        }
        dense
    }

    /// What an answer costs, if it is an assignment at all.
    fn cost(&self, answer: &Assignment) -> Option<Cost> {
        let mut taken = vec![false; self.columns];
        let mut total = 0;
        for ((later, candidates), column) in self.rows.iter().zip(&answer.columns) {
            let Some(column) = *column else {
                total += later;
                continue;
            };
            if std::mem::replace(&mut taken[column as usize], true) {
                return None;
            }
            let cost = candidates.iter().filter(|(c, _)| *c == column);
            total += cost.map(|&(_, cost)| cost).min()?;
        }
        (self.rows.len() == answer.columns.len()).then_some(total)
    }
}

/// Matrices from empty to 14 × 14, wide, tall, sparse and full; with a cost range of 3 nearly
/// everything is tied.
fn samples() -> impl Strategy<Value = Sample> {
    let sizes = (0_usize..15, 0_usize..15, prop_oneof![Just(3_i64), Just(30), Just(100_000)]);
    sizes.prop_flat_map(|(rows, columns, range)| {
        let candidate = (0..columns.max(1) as u32, -range..range);
        let candidates = prop::collection::vec(candidate, 0..=2 * columns);
        let later = -range..2 * range;
        prop::collection::vec((later, candidates), rows).prop_map(move |mut rows| {
            if columns == 0 {
                for (_, candidates) in &mut rows {
                    candidates.clear();
                }
            }
            Sample { columns, rows }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn costs_what_pathfinding_finds(sample in samples()) {
        let answer = Solver::new().solve(&sample.candidates());
        prop_assert_eq!(sample.cost(&answer), Some(answer.total));
        // It refuses empty matrices.
        let expected = if sample.rows.is_empty() {
            0
        } else {
            kuhn_munkres_min(&sample.dense()).0
        };
        prop_assert_eq!(answer.total, expected);
    }

    #[test]
    fn costs_what_lsap_finds(sample in samples()) {
        let dense = sample.dense();
        let flat: Vec<f64> = dense.values().map(|&cost| cost as f64).collect();
        let expected = lsap::get_assigned_cost(dense.rows, dense.columns, &flat, false)
            .expect("later is always allowed");
        let answer = Solver::new().solve(&sample.candidates());
        // Exact: every cost is a whole number far below 2^53.
        prop_assert_eq!(answer.total, expected as Cost);
    }

    #[test]
    fn old_prices_do_not_change_the_total(
        sample in samples(),
        prices in prop::collection::vec(-200_000_i64..10, 0..15),
        before in samples(),
    ) {
        let mut solver = Solver::new();
        let cold = solver.solve(&sample.candidates());
        let mut prices = prices;
        let warm = solver.solve_warm(&sample.candidates(), &mut prices);
        prop_assert_eq!(sample.cost(&warm), Some(cold.total));
        prop_assert_eq!(prices.len(), sample.columns);
        solver.solve_warm(&before.candidates(), &mut prices);
        let warm = solver.solve_warm(&sample.candidates(), &mut prices);
        prop_assert_eq!(sample.cost(&warm), Some(cold.total));
    }
}

/// A pseudo-random matrix of orders and pilots on a plane.
fn plane(rows: usize, columns: usize, candidates: usize) -> Sample {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as Cost % 10_000
    };
    let pilots: Vec<(Cost, Cost)> = (0..columns).map(|_| (next(), next())).collect();
    let rows = (0..rows).map(|_| {
        let order = (next(), next());
        let cost = |&(x, y): &(Cost, Cost)| (x - order.0).abs() + (y - order.1).abs();
        let mut near: Vec<_> = (0..).zip(pilots.iter().map(cost)).collect();
        near.sort_by_key(|&(pilot, cost)| (cost, pilot));
        near.truncate(candidates);
        (100_000, near)
    });
    let rows = rows.collect();
    Sample { columns, rows }
}

#[test]
fn a_city_is_solved_exactly() {
    let sample = plane(120, 90, 12);
    let answer = Solver::new().solve(&sample.candidates());
    assert_eq!(sample.cost(&answer), Some(answer.total));
    assert_eq!(answer.total, kuhn_munkres_min(&sample.dense()).0);
}

#[test]
fn prices_of_the_last_city_find_the_same_optimum() {
    let sample = plane(300, 200, 16);
    let mut solver = Solver::new();
    let mut prices = Vec::new();
    let first = solver.solve_warm(&sample.candidates(), &mut prices);
    assert!(prices.iter().any(|&price| price < 0), "nobody competed");
    let again = solver.solve_warm(&sample.candidates(), &mut prices);
    assert_eq!(first.total, again.total);
}

#[test]
fn costs_beyond_all_bounds_are_clamped() {
    let mut matrix = Candidates::new(2);
    matrix.push(Cost::MAX, [(0, Cost::MIN), (1, Cost::MIN), (7, 0)]);
    matrix.push(Cost::MAX, [(0, Cost::MIN)]);
    matrix.push(Cost::MAX, []);
    let answer = Solver::new().solve(&matrix);
    assert_eq!(answer.columns, [Some(1), Some(0), None]);
    assert_eq!(answer.total, -MAX_COST);
}
