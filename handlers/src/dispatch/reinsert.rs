//! Remove-and-reinsert: each order in turn may move to where it is cheaper now.

use super::constraints::suits;
use super::insertion::Insertion;
use super::model::Cost;
use super::problem::{Job, Problem};
use super::solution::Solution;
use super::travel::TravelTime;

/// More than any order may add: it is then left for later.
pub(super) const TOO_DEAR: Cost = 1 << 44;

/// How many of the soonest riders are asked to make room.
const SQUEEZED_RIDERS: usize = 16;

/// Inserts every order that nobody has at its cheapest place, the first ready first; what
/// fits nowhere stays nobody's.
pub(super) fn insert_open<T: TravelTime>(problem: &Problem<'_, T>, solution: &mut Solution) {
    let mut open: Vec<Job> = solution.open().collect();
    open.sort_by_key(|&job| problem.jobs[job as usize].ready);
    for job in open {
        if let Some(found) = solution.cheapest(problem, job, TOO_DEAR) {
            solution.set(problem, found.rider, found.route);
        }
    }
}

/// One pass over all orders in id order. Says whether anything moved.
pub(super) fn reinsert_all<T: TravelTime>(problem: &Problem<'_, T>, solution: &mut Solution) -> bool {
    let mut moved = false;
    for job in 0..problem.jobs.len() as Job {
        let Some(rider) = solution.rider_of(job).filter(|_| problem.jobs[job as usize].held.is_none()) else {
            continue;
        };
        if solution.exhausted() {
            break;
        }
        let before = *solution.route(rider);
        let cost = solution.cost(rider);
        if !solution.set(problem, rider, before.without(job)) {
            continue;
        }
        let saved = cost - solution.cost(rider);
        let better = solution.cheapest(problem, job, saved);
        moved |= better.is_some_and(|found| solution.set(problem, found.rider, found.route));
        if solution.rider_of(job).is_none() {
            solution.set(problem, rider, before);
        }
    }
    moved
}

/// Makes room for orders that fit nowhere, a few of them: one order of a neighbour's plan moves
/// elsewhere. This is what saves the last orders of a day, when shifts end.
pub(super) fn squeeze_in<T: TravelTime>(problem: &Problem<'_, T>, solution: &mut Solution) {
    let open: Vec<Job> = solution.open().take(problem.settings.squeezes).collect();
    for job in open {
        squeeze(problem, solution, job);
    }
}

fn squeeze<T: TravelTime>(problem: &Problem<'_, T>, solution: &mut Solution, job: Job) {
    let data = &problem.jobs[job as usize];
    let near = &problem.near[data.source as usize];
    for &(_, rider) in near.iter().take(SQUEEZED_RIDERS) {
        if !suits(data, rider, &problem.riders[rider as usize]) {
            continue;
        }
        let before = *solution.route(rider);
        for evicted in before.jobs() {
            if problem.jobs[evicted as usize].held.is_some() {
                continue;
            }
            if solution.exhausted() || !solution.set(problem, rider, before.without(evicted)) {
                continue;
            }
            let placed = |found: Insertion, solution: &mut Solution| solution.set(problem, found.rider, found.route);
            if let Some(found) = solution.fit_into(problem, job, rider, TOO_DEAR) {
                placed(found, solution);
                if let Some(found) = solution.cheapest(problem, evicted, TOO_DEAR) {
                    placed(found, solution);
                    return;
                }
            }
        }
        solution.set(problem, rider, before);
    }
}
