//! Somebody else's planner, without the IO: the city as JSON, and its answer checked.
//!
//! The answer is held to the same limits as our own plans and gets its times from the same
//! arithmetic, so that nothing downstream needs to know who planned. If anything about it is
//! wrong, all of it is refused, and the caller plans with [`Planner::plan`] instead.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Planner;
use super::commit::{self, Plan};
use super::model::{Channel, OrderId, PilotId, PlaceId, Seconds, Snapshot, Vehicle, Vehicles};
use super::problem::{Problem, Rider};
use super::route::{Bundle, Route};
use super::settings::MAX_BUNDLE;
use super::solution::Solution;
use super::travel::TravelTime;

/// The city as another planner gets it. Times are seconds on the caller's clock, positions WGS
/// 84 degrees.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct City {
    now: Seconds,
    orders: Vec<Order>,
    pilots: Vec<Pilot>,
}

#[derive(Debug, Serialize)]
struct Position {
    lat: f64,
    lng: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: u64,
    pickup: Option<Position>,
    dropoff: Option<Position>,
    placed_at: Seconds,
    ready_at: Seconds,
    promised_by: Option<Seconds>,
    load: u32,
    cash: u64,
    priority: i64,
    excluded: Vec<u64>,
    /// Which vehicles may carry it, by the numbers that pilots have; any, where it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    vehicles: Option<Vec<usize>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pilot {
    id: u64,
    position: Option<Position>,
    free_at: Seconds,
    shift_end: Option<Seconds>,
    vehicle: usize,
    capacity: u32,
    cash_left: Option<u64>,
    sms_only: bool,
    position_age: Seconds,
}

impl City {
    /// The snapshot with the positions of its places, by place; a place without one is sent
    /// without.
    pub fn new(snapshot: &Snapshot, places: &[(f64, f64)]) -> Self {
        let position = |place: PlaceId| {
            let known = places.get(place.0 as usize);
            known.map(|&(lat, lng)| Position { lat, lng })
        };
        let orders = snapshot.orders.iter().map(|order| Order {
            id: order.id.0,
            pickup: position(order.pickup),
            dropoff: position(order.dropoff),
            placed_at: order.placed_at,
            ready_at: order.ready_at,
            promised_by: order.promised_by,
            load: order.load,
            cash: order.cash,
            priority: order.priority.cost_per_second(),
            excluded: order.excluded.iter().map(|pilot| pilot.0).collect(),
            vehicles: (order.vehicles != Vehicles::ANY).then(|| order.vehicles.members().map(Vehicle::index).collect()),
        });
        let pilots = snapshot.pilots.iter().map(|pilot| Pilot {
            id: pilot.id.0,
            position: position(pilot.place),
            free_at: pilot.free_at,
            shift_end: pilot.shift_end,
            vehicle: pilot.vehicle.index(),
            capacity: pilot.capacity,
            cash_left: pilot.cash_left,
            sms_only: pilot.channel == Channel::Sms,
            position_age: pilot.position_age,
        });
        Self { now: snapshot.now, orders: orders.collect(), pilots: pilots.collect() }
    }
}

/// What another planner answers: who carries what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// A pilot at most once each; pilots and orders not named wait.
    pub plans: Vec<Proposed>,
}

/// One pilot's plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Proposed {
    /// The pilot.
    pub pilot: u64,
    /// Orders carried together, in the sequence of handing over; one bundle after another.
    pub bundles: Vec<Vec<u64>>,
}

/// Why another planner's answer is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such pilot, or it is named twice.
    Pilot(PilotId),
    /// There is no such order, or it is named twice.
    Order(OrderId),
    /// More bundles, or more orders in one, than a plan holds; or an empty one.
    Shape(PilotId),
    /// The pilot may not carry that, or cannot in time.
    Infeasible(PilotId),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pilot(PilotId(id)) => write!(f, "pilot {id} is unknown or named twice"),
            Self::Order(OrderId(id)) => write!(f, "order {id} is unknown or named twice"),
            Self::Shape(PilotId(id)) => write!(f, "the bundles of pilot {id} are too many, too large or empty"),
            Self::Infeasible(PilotId(id)) => write!(f, "pilot {id} cannot carry its plan"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Planner {
    /// Adopts another planner's answer to this snapshot, if all of it is possible. Counts as a
    /// planning; a refused answer changes nothing.
    pub fn adopt<T: TravelTime>(&mut self, snapshot: &Snapshot, travel: &T, answer: &Answer) -> Result<Plan, Refusal> {
        let settings = self.settings.clone();
        let problem = Problem::compile(snapshot, &settings, travel);
        let mut solution = Solution::empty(&problem);
        let mut riders = BTreeSet::new();
        let mut jobs = BTreeSet::new();
        for proposed in &answer.plans {
            let pilot = PilotId(proposed.pilot);
            let known = problem.riders.binary_search_by_key(&pilot, |rider| rider.id);
            let rider = known.map_err(|_| Refusal::Pilot(pilot))? as Rider;
            if !riders.insert(rider) {
                return Err(Refusal::Pilot(pilot));
            }
            let mut route = Route::default();
            for orders in &proposed.bundles {
                if orders.is_empty() || orders.len() > MAX_BUNDLE {
                    return Err(Refusal::Shape(pilot));
                }
                let mut bundle = Bundle::default();
                for &id in orders {
                    let job = problem.find(OrderId(id)).filter(|&job| jobs.insert(job));
                    let job = job.ok_or(Refusal::Order(OrderId(id)))?;
                    bundle = bundle.with(bundle.jobs().len(), job);
                }
                if !route.push(bundle) {
                    return Err(Refusal::Shape(pilot));
                }
            }
            if !problem.allows(rider, &route) || !solution.set(&problem, rider, route) {
                return Err(Refusal::Infeasible(pilot));
            }
        }
        self.remember(&problem, &solution);
        self.version += 1;
        Ok(commit::plan(&problem, &mut solution, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::model;
    use super::*;

    struct Line;

    impl TravelTime for Line {
        fn seconds(&self, _: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
            Seconds::from(from.0.abs_diff(to.0)) * 60
        }
    }

    fn city() -> Snapshot {
        let order = |id, to| model::Order::new(OrderId(id), (PlaceId(1), PlaceId(to)), 0, 0);
        let mut small = model::Pilot::new(PilotId(8), PlaceId(0), 0);
        small.capacity = 1;
        Snapshot {
            now: 0,
            orders: vec![order(1, 2), order(2, 3)],
            pilots: vec![model::Pilot::new(PilotId(7), PlaceId(1), 0), small],
        }
    }

    fn adopt(answer: &str) -> Result<Plan, Refusal> {
        let answer: Answer = serde_json::from_str(answer).unwrap();
        Planner::new(Settings::default()).adopt(&city(), &Line, &answer)
    }

    #[test]
    fn a_possible_answer_becomes_a_plan_with_our_times() {
        let plan = adopt(r#"{"plans":[{"pilot":7,"bundles":[[2]]},{"pilot":8,"bundles":[[1]]}]}"#).unwrap();
        let told: Vec<_> = plan.commitments.iter().map(|c| (c.pilot.0, c.visits[0].order.0)).collect();
        assert_eq!(told, [(7, 2), (8, 1)]);
        assert_eq!(plan.commitments[0].visits[0].dropoff_at, 120 + 120 + 120 + 120);
        assert_eq!(plan.version, 1);
    }

    #[test]
    fn an_impossible_answer_is_refused_whole() {
        let refused = |answer| adopt(answer).unwrap_err();
        assert_eq!(refused(r#"{"plans":[{"pilot":9,"bundles":[]}]}"#), Refusal::Pilot(PilotId(9)));
        assert_eq!(
            refused(r#"{"plans":[{"pilot":7,"bundles":[[1]]},{"pilot":7,"bundles":[[2]]}]}"#),
            Refusal::Pilot(PilotId(7))
        );
        assert_eq!(refused(r#"{"plans":[{"pilot":7,"bundles":[[1,1]]}]}"#), Refusal::Order(OrderId(1)));
        assert_eq!(refused(r#"{"plans":[{"pilot":7,"bundles":[[]]}]}"#), Refusal::Shape(PilotId(7)));
        assert_eq!(refused(r#"{"plans":[{"pilot":8,"bundles":[[1,2]]}]}"#), Refusal::Infeasible(PilotId(8)));
    }

    #[test]
    fn the_city_is_told_in_plain_json() {
        let city = City::new(&city(), &[(12.9, 77.5), (12.8, 77.6)]);
        let json = serde_json::to_value(&city).unwrap();
        assert_eq!(json["orders"][0]["pickup"]["lat"], 12.8);
        assert!(json["orders"][0]["dropoff"].is_null(), "place 2 has no position");
        assert_eq!(json["pilots"][1]["capacity"], 1);
        assert!(json["orders"][0].get("vehicles").is_none(), "any will do");
        assert_eq!(json["pilots"][0]["smsOnly"], false);
    }
}
