//! Dealing whole plans anew: one exact linear assignment of tentative plans to pilots.

use super::assignment::{Candidates, Solver};
use super::model::Cost;
use super::problem::{Problem, Rider};
use super::route::Route;
use super::solution::Solution;
use super::travel::TravelTime;

/// A cost that no plan has: the row's own rider is always cheaper.
const NEVER: Cost = super::assignment::MAX_COST;

/// Deals the plans anew among all riders. Says whether any plan changed hands.
pub(super) fn deal<T: TravelTime>(
    problem: &Problem<'_, T>,
    solution: &mut Solution,
    solver: &mut Solver,
    prices: &mut Vec<Cost>,
) -> bool {
    let riders = 0..problem.riders.len() as Rider;
    let holders: Vec<Rider> = riders.filter(|&r| !solution.route(r).is_empty()).collect();
    let mut matrix = Candidates::new(problem.riders.len());
    for &holder in &holders {
        let route = *solution.route(holder);
        let first = route.bundles()[0].jobs()[0];
        let near = &problem.near[problem.jobs[first as usize].source as usize];
        // Who has been told of something keeps the whole plan.
        let tried = if problem.is_told(&route.bundles()[0]) {
            0
        } else {
            problem.settings.deal_neighbours
        };
        let others = near.iter().take(tried);
        let others = others.map(|&(_, rider)| rider).filter(|&rider| rider != holder);
        let others = others.filter(|&rider| problem.allows(rider, &route));
        let others = others.filter_map(|rider| Some((rider, problem.cost(rider, &route)?)));
        matrix.push(NEVER, std::iter::once((holder, solution.cost(holder))).chain(others));
    }
    let dealt = solver.solve_warm(&matrix, prices);
    let plans: Vec<Route> = holders.iter().map(|&rider| *solution.route(rider)).collect();
    let moved = |holder: Rider, to: Option<u32>| to.is_some_and(|to| to != holder);
    let mut changed = false;
    for (&holder, &to) in holders.iter().zip(&dealt.columns) {
        if moved(holder, to) {
            solution.set(problem, holder, Route::default());
            changed = true;
        }
    }
    for ((&holder, &to), plan) in holders.iter().zip(&dealt.columns).zip(plans) {
        if let (true, Some(to)) = (moved(holder, to), to) {
            solution.set(problem, to, plan);
        }
    }
    changed
}
