//! The yardstick: each order to the nearest idle pilot, in the sequence of placing.

use super::constraints::suits;
use super::problem::{Job, Problem};
use super::route::{Bundle, Route};
use super::solution::Solution;
use super::travel::TravelTime;

/// Gives every order that nobody has to the idle rider who is soonest at its pickup.
pub(super) fn assign<T: TravelTime>(problem: &Problem<'_, T>, solution: &mut Solution) {
    let mut open: Vec<Job> = solution.open().collect();
    open.sort_by_key(|&job| problem.jobs[job as usize].placed);
    for job in open {
        let data = &problem.jobs[job as usize];
        let idle = (problem.riders.iter().zip(0..)).filter(|&(rider_data, rider)| {
            rider_data.free && solution.route(rider).is_empty() && suits(data, rider, rider_data)
        });
        let arrival = idle.map(|(rider_data, rider)| {
            let leg = problem.leg(rider_data, rider_data.start.place, data.pickup);
            (rider_data.start.at + leg, rider)
        });
        let mut soonest: Vec<_> = arrival.collect();
        soonest.sort_unstable();
        let mut alone = Route::default();
        alone.push(Bundle::single(job));
        for (_, rider) in soonest {
            if solution.set(problem, rider, alone) {
                break;
            }
        }
    }
}
