//! Linear assignment: the planner's sparse solver beside two dense ones, on the same matrices.

use std::time::{Duration, Instant};

use anyhow::ensure;
use megamind_handlers::dispatch::assignment::{Candidates, Solver};
use megamind_handlers::dispatch::travel::Sphere;
use megamind_handlers::dispatch::{
    Order, OrderId, Pilot, PilotId, PlaceId, Planner, Settings, Snapshot, TravelTime, Vehicle,
};
use pathfinding::matrix::Matrix;
use pathfinding::prelude::kuhn_munkres_min;
use serde_json::{Value, json};

use crate::report::Report;

/// How much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rows above which the dense solvers are not run, because they take minutes.
    #[arg(long, default_value_t = 1_000)]
    dense_rows: usize,
    /// Runs of which the fastest counts.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

/// Orders, pilots, candidates of each order.
const SIZES: [(usize, usize, usize); 5] = [
    (100, 500, 16),
    (300, 1_500, 16),
    (1_000, 1_000, 16),
    (1_000, 5_000, 16),
    (5_000, 6_000, 32),
];

/// What it costs to leave an order for later: more than any journey within the city.
const LATER: i64 = 1_000_000;

/// Dearer than any assignment.
const FORBIDDEN: i64 = 1 << 40;

type Row = Vec<(u32, i64)>;

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut lines = Vec::new();
    let mut figures = Vec::new();
    for (orders, pilots, candidates) in SIZES {
        let rows = city(orders, pilots, candidates);
        let (line, json) = compare(options, pilots, &rows)?;
        lines.push(line);
        figures.push(json);
    }
    let tick = best_of(options.repeat, || plan_once(1_000, 5_000));
    let json = json!({ "matrices": figures, "first_plan_1000x5000_ms": ms(tick) });
    let mut report = Report::new("assign", json);
    report.table(&["orders x pilots, candidates", "cold ms", "warm ms", "lsap", "pathfinding"], &lines);
    report.note("lsap and pathfinding: how many times as long on the same matrix, same optimum");
    report.note(format!(
        "a whole planning of 1,000 new orders and 5,000 pilots, pruning included: {:.1} ms",
        ms(tick)
    ));
    Ok(report)
}

fn compare(options: &Options, pilots: usize, rows: &[Row]) -> anyhow::Result<(Vec<String>, Value)> {
    let mut matrix = Candidates::new(pilots);
    for row in rows {
        matrix.push(LATER, row.iter().copied());
    }
    let mut solver = Solver::new();
    let total = solver.solve(&matrix).total;
    let cold = best_of(options.repeat, || solver.solve(&matrix));
    let mut prices = Vec::new();
    solver.solve_warm(&matrix, &mut prices);
    let warm = best_of(options.repeat, || solver.solve_warm(&matrix, &mut prices));
    let mut line = vec![
        format!("{} x {pilots}, {}", rows.len(), rows.first().map_or(0, Vec::len)),
        format!("{:.2}", ms(cold)),
        format!("{:.2}", ms(warm)),
    ];
    let mut json = json!({
        "orders": rows.len(),
        "pilots": pilots,
        "total": total,
        "cold_ms": ms(cold),
        "warm_ms": ms(warm),
    });
    if rows.len() > options.dense_rows {
        line.extend(["-".to_owned(), "-".to_owned()]);
        return Ok((line, json));
    }
    let columns = pilots + rows.len();
    let dense = dense(rows, pilots);
    let started = Instant::now();
    let theirs = lsap::get_assigned_cost(rows.len(), columns, &dense, false)?;
    let lsap = started.elapsed();
    ensure!(theirs as i64 == total, "lsap finds {theirs}, not {total}");
    let cells = dense.iter().map(|&cost| cost as i64).collect();
    let matrix = Matrix::from_vec(rows.len(), columns, cells)?;
    let started = Instant::now();
    let (theirs, _) = kuhn_munkres_min(&matrix);
    let pathfinding = started.elapsed();
    ensure!(theirs == total, "pathfinding finds {theirs}, not {total}");
    for (name, time) in [("lsap", lsap), ("pathfinding", pathfinding)] {
        let ratio = time.as_secs_f64() / cold.as_secs_f64();
        line.push(format!("{ratio:.0}x"));
        json[name] = json!({ "ms": ms(time), "ratio": ratio });
    }
    Ok((line, json))
}

/// The same problem as a full matrix: each row has a column of its own for later.
fn dense(rows: &[Row], pilots: usize) -> Vec<f64> {
    let columns = pilots + rows.len();
    let mut dense = vec![FORBIDDEN as f64; rows.len() * columns];
    for (index, row) in rows.iter().enumerate() {
        let cells = &mut dense[index * columns..(index + 1) * columns];
        cells[pilots + index] = LATER as f64;
        for &(pilot, cost) in row {
            cells[pilot as usize] = cost as f64;
        }
    }
    dense
}

/// Orders and pilots of a city of 20 km, around its middle, five orders a pickup; each order
/// with the pilots nearest to its pickup, at the cost of the ride in hundredths of a second.
fn city(orders: usize, pilots: usize, candidates: usize) -> Vec<Row> {
    let (sphere, pickups, homes) = scatter(orders, pilots);
    let row = |&pickup: &PlaceId| {
        let ride = |&home: &PlaceId| sphere.seconds(Vehicle::default(), home, pickup) * 100;
        let mut near: Vec<(i64, u32)> = homes.iter().map(ride).zip(0..).collect();
        near.select_nth_unstable(candidates);
        near.truncate(candidates);
        near.sort_unstable();
        near.into_iter().map(|(cost, pilot)| (pilot, cost)).collect()
    };
    pickups.iter().map(row).collect()
}

fn scatter(orders: usize, pilots: usize) -> (Sphere, Vec<PlaceId>, Vec<PlaceId>) {
    let mut state = 7_u64;
    // Knuth's multiplier; the upper bits of a linear congruential generator are good enough
    // for scattering, and the sum of two crowds the middle.
    let mut offset = || {
        let mut half = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        0.09 * (half() + half())
    };
    let mut sphere = Sphere::new(1.3, &[6.0]);
    let mut place = || {
        let (lat, lng) = (12.97 + offset(), 77.59 + offset());
        sphere.add(lat, lng)
    };
    let merchants: Vec<PlaceId> = (0..orders.div_ceil(5)).map(|_| place()).collect();
    let pickups = merchants.iter().cycle().take(orders).copied().collect();
    let homes = (0..pilots).map(|_| place()).collect();
    (sphere, pickups, homes)
}

/// The first planning of a city in which everything is new.
fn plan_once(orders: usize, pilots: usize) -> usize {
    let (sphere, pickups, homes) = scatter(orders, pilots);
    let order = |(&pickup, id): (&PlaceId, u64)| {
        let door = homes[(id as usize * 7 + 1) % homes.len()];
        Order::new(OrderId(id), (pickup, door), 0, 600)
    };
    let pilot = |(&home, id): (&PlaceId, u64)| Pilot::new(PilotId(id), home, 0);
    let snapshot = Snapshot {
        now: 0,
        orders: pickups.iter().zip(0..).map(order).collect(),
        pilots: homes.iter().zip(0..).map(pilot).collect(),
    };
    let plan = Planner::new(Settings::default()).plan(&snapshot, &sphere);
    plan.later.len()
}

fn best_of<T>(repeat: usize, mut work: impl FnMut() -> T) -> Duration {
    let time = |_| {
        let started = Instant::now();
        std::hint::black_box(work());
        started.elapsed()
    };
    (0..repeat.max(1)).map(time).min().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
