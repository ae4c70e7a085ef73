//! The planner by its public interface.

use proptest::prelude::*;
use smallvec::smallvec;

use super::travel::{Matrix, Sphere, UNREACHABLE};
use super::*;

/// Places on a line, a kilometre apart, a minute each.
struct Line;

impl TravelTime for Line {
    fn seconds(&self, _: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
        Seconds::from(from.0.abs_diff(to.0)) * 60
    }
}

fn order(id: u64, from: u32, to: u32, ready: Seconds) -> Order {
    Order::new(OrderId(id), (PlaceId(from), PlaceId(to)), 0, ready)
}

fn pilot(id: u64, place: u32) -> Pilot {
    Pilot::new(PilotId(id), PlaceId(place), 0)
}

fn snapshot(orders: Vec<Order>, pilots: Vec<Pilot>) -> Snapshot {
    Snapshot { now: 0, orders, pilots }
}

fn plan(snapshot: &Snapshot) -> Plan {
    Planner::new(Settings::default()).plan(snapshot, &Line)
}

/// Who carries what, by pilot; what is told is marked.
fn told(plan: &Plan) -> Vec<(u64, Vec<u64>)> {
    let orders = |visits: &[Visit]| visits.iter().map(|visit| visit.order.0).collect();
    let told = plan.commitments.iter();
    told.map(|c| (c.pilot.0, orders(&c.visits))).collect()
}

fn planned(plan: &Plan) -> Vec<(u64, Vec<u64>)> {
    let orders = |visits: &[Visit]| visits.iter().map(|visit| visit.order.0).collect();
    let tentative = plan.tentative.iter().map(|t| (t.pilot.0, orders(&t.visits)));
    told(plan).into_iter().chain(tentative).collect()
}

#[test]
fn the_near_pilot_is_told_at_once() {
    let plan = plan(&snapshot(vec![order(1, 10, 15, 0)], vec![pilot(1, 30), pilot(2, 12)]));
    assert_eq!(told(&plan), [(2, vec![1])]);
    let commitment = &plan.commitments[0];
    // Two minutes' ride and half the service, then half the service, five minutes, half again.
    assert_eq!(commitment.visits[0].pickup_at, 120 + 120);
    assert_eq!(commitment.visits[0].dropoff_at, 240 + 120 + 300 + 120);
    assert_eq!(commitment.free_at, 780 + 120);
    assert_eq!(commitment.leave_at, 0);
    let why = &commitment.explanations[0];
    // Its own 780 s, and 30 s for a pilot who ends further from the only known pickup.
    assert_eq!(why.added_seconds, 810);
    assert_eq!(why.runner_up.map(|(pilot, _)| pilot), Some(PilotId(1)));
    assert_eq!(why.reasons, [Reason::Cheapest, Reason::Soonest, Reason::Waits]);
}

#[test]
fn nobody_is_told_before_it_is_needed() {
    let late = order(1, 10, 15, 3_600);
    let mut planner = Planner::new(Settings::default());
    let mut city = snapshot(vec![late], vec![pilot(1, 5)]);
    let first = planner.plan(&city, &Line);
    assert_eq!(told(&first), []);
    assert_eq!(first.tentative[0].visits[0].pickup_at, 3_600);
    let leave = 3_600 - 120 - 5 * 60;
    city.now = leave - 15;
    assert_eq!(told(&planner.plan(&city, &Line)), []);
    city.now = leave - 14;
    let told_then = planner.plan(&city, &Line);
    assert_eq!(told(&told_then), [(1, vec![1])]);
    assert_eq!(told_then.commitments[0].leave_at, leave);
}

#[test]
fn an_uncertain_kitchen_is_visited_early() {
    let mut unsure = order(1, 10, 15, 3_600);
    unsure.ready_spread = 600;
    let city = Snapshot { now: 3_600 - 120 - 300 - 600, ..snapshot(vec![unsure], vec![pilot(1, 5)]) };
    assert_eq!(told(&plan(&city)), [(1, vec![1])]);
}

#[test]
fn a_pilot_soon_free_is_worth_waiting_for() {
    let mut soon = pilot(1, 10);
    soon.free_at = 300;
    let plan = plan(&snapshot(vec![order(1, 10, 15, 0)], vec![soon, pilot(2, 60)]));
    assert_eq!(planned(&plan), [(1, vec![1])]);
    assert_eq!(told(&plan), [], "it is not free yet");
}

#[test]
fn orders_of_one_place_travel_together() {
    let orders = vec![order(1, 10, 20, 0), order(2, 10, 21, 0)];
    let plan = plan(&snapshot(orders, vec![pilot(1, 10)]));
    assert_eq!(told(&plan), [(1, vec![1, 2])]);
    assert!(plan.commitments[0].explanations[1].reasons.contains(&Reason::Bundled));
}

#[test]
fn a_second_pickup_on_the_way_joins_only_where_allowed() {
    let orders = vec![order(1, 10, 40, 0), order(2, 12, 41, 0)];
    let city = snapshot(orders, vec![pilot(1, 10)]);
    let both = plan(&city);
    assert_eq!(told(&both), [(1, vec![1, 2])]);
    let visits = &both.commitments[0].visits;
    assert!(visits[0].pickup_at < visits[1].pickup_at);
    assert!(visits[1].pickup_at < visits[0].dropoff_at);
    let settings = Settings { bundle_places: 1, ..Settings::default() };
    let apart = Planner::new(settings).plan(&city, &Line);
    assert_eq!(told(&apart), [(1, vec![1])]);
    assert_eq!(planned(&apart).len(), 2);
}

#[test]
fn limits_are_kept() {
    let check = |change: fn(&mut Order, &mut Pilot)| {
        let (mut order, mut near) = (order(1, 10, 15, 0), pilot(1, 10));
        change(&mut order, &mut near);
        told(&plan(&snapshot(vec![order], vec![near, pilot(2, 30)])))
    };
    assert_eq!(check(|_, _| {}), [(1, vec![1])]);
    assert_eq!(check(|_, near| near.capacity = 0), [(2, vec![1])]);
    assert_eq!(check(|_, near| near.shift_end = Some(100)), [(2, vec![1])]);
    assert_eq!(
        check(|order, near| {
            order.cash = 500;
            near.cash_left = Some(499);
        }),
        [(2, vec![1])]
    );
    assert_eq!(
        check(|order, near| {
            near.vehicle = Vehicle::new(3).unwrap();
            order.vehicles = Vehicles::of([Vehicle::default()]);
        }),
        [(2, vec![1])]
    );
    assert_eq!(check(|_, near| near.handicap = 86_400), [(2, vec![1])]);
    assert_eq!(check(|_, near| near.position_age = 10_000_000), [(1, vec![1])]);
}

#[test]
fn an_old_position_counts_for_less() {
    let check = |age: Seconds| {
        let mut near = pilot(1, 10);
        near.position_age = age;
        told(&plan(&snapshot(vec![order(1, 10, 15, 0)], vec![near, pilot(2, 12)])))
    };
    assert_eq!(check(Settings::default().stale_after), [(1, vec![1])]);
    // It may be anywhere by now; the other is two minutes away.
    assert_eq!(check(Settings::default().stale_after + 600), [(2, vec![1])]);
}

#[test]
fn whoever_is_told_everything_gets_no_more_than_it_carries() {
    let orders = (1..=6).map(|id| order(id, 10, 12, 9_000)).collect();
    let pilots = [1, 2].map(|id| Pilot { capacity: 2, ..pilot(id, 10) });
    let settings = Settings { tell_all: true, ..Settings::default() };
    let plan = Planner::new(settings).plan(&snapshot(orders, pilots.to_vec()), &Line);
    assert_eq!((told(&plan).len(), plan.tentative.len(), plan.later.len()), (2, 0, 2));
    let explained = plan.commitments.iter().flat_map(|told| &told.explanations);
    assert!(explained.clone().all(|why| !why.reasons.is_empty()) && explained.count() == 4);
}

#[test]
fn loads_and_cash_add_up_over_a_plan() {
    let orders: Vec<Order> = (1..=4).map(|id| Order { cash: 100, load: 2, ..order(id, 10, 12, 0) }).collect();
    let mut one = pilot(1, 10);
    one.capacity = 5;
    one.cash_left = Some(300);
    let plan = plan(&snapshot(orders, vec![one]));
    assert_eq!(planned(&plan).iter().map(|(_, orders)| orders.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(plan.later.len(), 1);
}

#[test]
fn who_turned_it_down_is_asked_again_only_when_nobody_else_is_left() {
    let mut order = order(1, 10, 15, 0);
    order.excluded = smallvec![PilotId(1)];
    let other = plan(&snapshot(vec![order.clone()], vec![pilot(1, 10), pilot(2, 30)]));
    assert_eq!(told(&other), [(2, vec![1])]);
    let alone = plan(&snapshot(vec![order], vec![pilot(1, 10)]));
    assert_eq!(told(&alone), [(1, vec![1])]);
}

#[test]
fn a_pilot_on_sms_hears_earlier_and_has_longer_to_answer() {
    let mut sms = pilot(1, 10);
    sms.channel = Channel::Sms;
    let settings = Settings::default();
    let leave = 3_600 - 120;
    let city = Snapshot { now: leave - settings.sms_lead, ..snapshot(vec![order(1, 10, 15, 3_600)], vec![sms]) };
    let plan = Planner::new(settings.clone()).plan(&city, &Line);
    assert_eq!(told(&plan), [(1, vec![1])]);
    let commitment = &plan.commitments[0];
    assert_eq!(commitment.expires_at, city.now + settings.sms_offer_ttl);
    assert!(commitment.explanations[0].reasons.contains(&Reason::SmsOnly));
}

#[test]
fn priority_goes_first() {
    let mut urgent = order(2, 10, 20, 0);
    urgent.priority = Priority::percent(1_000);
    let settings = Settings { bundle_orders: 1, ..Settings::default() };
    let city = snapshot(vec![order(1, 10, 15, 0), urgent], vec![pilot(1, 10)]);
    let plan = Planner::new(settings).plan(&city, &Line);
    assert_eq!(planned(&plan), [(1, vec![2]), (1, vec![1])]);
}

#[test]
fn a_promise_goes_first() {
    let mut promised = order(2, 10, 20, 0);
    promised.promised_by = Some(900);
    let settings = Settings { bundle_orders: 1, ..Settings::default() };
    let city = snapshot(vec![order(1, 10, 15, 0), promised], vec![pilot(1, 10)]);
    let plan = Planner::new(settings).plan(&city, &Line);
    assert_eq!(planned(&plan), [(1, vec![2]), (1, vec![1])]);
}

#[test]
fn the_candidates_of_an_order_are_ranked_with_reasons() {
    let mut full = pilot(3, 10);
    full.capacity = 0;
    let city = snapshot(vec![order(1, 10, 15, 0)], vec![pilot(1, 30), pilot(2, 11), full]);
    let mut planner = Planner::new(Settings::default());
    planner.plan(&city, &Line);
    let ranking = planner.rank(&city, &Line, OrderId(1)).unwrap();
    assert_eq!(ranking.plan_version, 1);
    let [best, next, never] = &ranking.candidates[..] else {
        panic!("three pilots, not {ranking:?}");
    };
    assert_eq!((best.pilot, best.score), (PilotId(2), 100));
    assert_eq!((next.pilot, never.pilot), (PilotId(1), PilotId(3)));
    let pickup = |candidate: &Candidate| candidate.outlook.map(|outlook| outlook.pickup_at);
    assert!(next.score < 100 && pickup(next) > pickup(best));
    assert_eq!((never.score, never.outlook), (0, None));
    assert_eq!(never.reasons, [Reason::Capacity]);
    assert_eq!(planner.rank(&city, &Line, OrderId(2)), None);
}

#[test]
fn what_a_pilot_was_told_stays_and_more_of_the_place_joins_it() {
    let told_order = Order { told: Some(PilotId(1)), ..order(1, 10, 15, 0) };
    // The other pilot is nearer, and the first one's shift is over: what was said is said.
    let mut held = pilot(1, 30);
    held.shift_end = Some(10);
    let city = snapshot(vec![told_order.clone()], vec![held, pilot(2, 10)]);
    assert_eq!(planned(&plan(&city)), [], "nothing new for anybody");
    let both = snapshot(vec![told_order, order(2, 10, 16, 0)], vec![pilot(1, 12)]);
    assert_eq!(told(&plan(&both)), [(1, vec![2])]);
}

#[test]
fn who_just_said_no_is_not_asked_again_at_once() {
    let mut order = order(1, 10, 15, 0);
    order.excluded = smallvec![PilotId(1)];
    order.ask_again = false;
    let alone = plan(&snapshot(vec![order], vec![pilot(1, 10)]));
    assert_eq!((told(&alone), alone.later), (vec![], vec![OrderId(1)]));
}

#[test]
fn the_nearest_policy_is_what_it_says() {
    let settings = Settings { policy: Policy::Nearest, ..Settings::default() };
    let orders = vec![order(1, 10, 15, 9_000), order(2, 10, 15, 0), order(3, 10, 15, 0)];
    let plan = Planner::new(settings).plan(&snapshot(orders, vec![pilot(1, 30), pilot(2, 12)]), &Line);
    assert_eq!(told(&plan), [(1, vec![2]), (2, vec![1])]);
    assert_eq!(plan.later, [OrderId(3)]);
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(planned(&plan(&snapshot(vec![], vec![]))), []);
    assert_eq!(planned(&plan(&snapshot(vec![], vec![pilot(1, 0)]))), []);
    let stranded = plan(&snapshot(vec![order(1, 0, 1, 0)], vec![]));
    assert_eq!(stranded.later, [OrderId(1)]);
}

#[test]
fn ten_thousand_orders_at_one_place_are_planned() {
    let orders = (0..10_000).map(|id| order(id, 10, (id % 50) as u32, 0)).collect();
    let pilots = (0..50).map(|id| pilot(id, id as u32)).collect();
    let city = snapshot(orders, pilots);
    let plan = plan(&city);
    let carried: usize = planned(&plan).iter().map(|(_, orders)| orders.len()).sum();
    assert_eq!(carried + plan.later.len(), 10_000);
    assert!(carried >= 50 * 4, "only {carried} are carried");
}

#[test]
fn the_sphere_knows_poles_and_the_date_line() {
    let mut sphere = Sphere::new(1.0, &[10.0]);
    let bangalore = sphere.add(12.971_6, 77.594_6);
    let mysore = sphere.add(12.295_8, 76.639_4);
    let walk = Vehicle::default();
    let leg = sphere.seconds(walk, bangalore, mysore);
    assert!((12_700..12_900).contains(&leg), "128 km at 10 m/s took {leg} s");
    let (west, east) = (sphere.add(0.0, 179.99), sphere.add(0.0, -179.99));
    assert!((220..225).contains(&sphere.seconds(walk, west, east)));
    let (pole, also_pole) = (sphere.add(90.0, 0.0), sphere.add(90.0, 135.0));
    assert!(sphere.seconds(walk, pole, also_pole) <= 1);
    let south = sphere.add(-95.0, 0.0);
    assert_eq!(sphere.seconds(walk, pole, south), UNREACHABLE);
    let nowhere = sphere.add(f64::NAN, f64::INFINITY);
    assert_eq!(sphere.seconds(walk, nowhere, pole), UNREACHABLE);
    assert_eq!(sphere.seconds(walk, PlaceId(99), pole), UNREACHABLE);
    assert_eq!(sphere.len(), 8);
}

#[test]
fn a_table_answers_what_it_knows_and_asks_for_the_rest() {
    let table = Matrix::new(2, vec![Some(0), Some(90), None, Some(0)], Line).unwrap();
    let any = Vehicle::default();
    assert_eq!(table.seconds(any, PlaceId(0), PlaceId(1)), 90);
    assert_eq!(table.seconds(any, PlaceId(1), PlaceId(0)), 60);
    assert_eq!(table.seconds(any, PlaceId(0), PlaceId(5)), 300);
    assert!(Matrix::new(2, vec![None; 3], Line).is_none());
}

/// Anything at all: times, limits and places that make no sense included.
fn nonsense() -> impl Strategy<Value = Snapshot> {
    let time = || prop_oneof![-5_000_i64..5_000, any::<i64>()];
    let order = (0..30_u64, 0..12_u32, 0..12_u32, time(), time(), any::<(u32, u64)>(), time());
    let order = order.prop_map(|(id, from, to, placed, ready, (load, cash), odd)| Order {
        ready_spread: odd,
        load: load >> 28,
        cash: cash >> 50,
        priority: Priority::percent(odd as u16),
        promised_by: (odd % 3 == 0).then_some(odd),
        excluded: (0..(odd & 3) as u64).map(PilotId).collect(),
        ..Order::new(OrderId(id), (PlaceId(from), PlaceId(to)), placed, ready)
    });
    let pilot = (0..12_u64, 0..12_u32, time(), time(), any::<(u32, u64)>(), time());
    let pilot = pilot.prop_map(|(id, place, free, end, (capacity, cash), odd)| Pilot {
        shift_end: (end % 2 == 0).then_some(end),
        capacity: capacity >> 26,
        cash_left: (cash % 2 == 0).then_some(cash >> 46),
        channel: if odd % 4 == 0 { Channel::Sms } else { Channel::Data },
        position_age: odd,
        handicap: odd,
        ..Pilot::new(PilotId(id), PlaceId(place), free)
    });
    let (orders, pilots) = (prop::collection::vec(order, 0..30), prop::collection::vec(pilot, 0..12));
    let city = (time(), orders, pilots);
    city.prop_map(|(now, orders, pilots)| Snapshot { now, orders, pilots })
}

/// Every order is planned once or left for later, and nobody is overloaded.
fn consistent(city: &Snapshot, plan: &Plan) -> Result<(), TestCaseError> {
    let mut seen: Vec<u64> = planned(plan).into_iter().flat_map(|(_, orders)| orders).collect();
    seen.extend(plan.later.iter().map(|id| id.0));
    seen.sort_unstable();
    let mut expected: Vec<u64> = city.orders.iter().map(|order| order.id.0).collect();
    expected.sort_unstable();
    expected.dedup();
    prop_assert_eq!(seen, expected);
    let order = |id: u64| city.orders.iter().find(|order| order.id.0 == id).unwrap();
    for (pilot, orders) in planned(plan) {
        let pilot = city.pilots.iter().find(|p| p.id.0 == pilot).unwrap();
        let load: u64 = orders.iter().map(|&id| u64::from(order(id).load)).sum();
        prop_assert!(load <= u64::from(pilot.capacity));
        let cash: u64 = orders.iter().map(|&id| order(id).cash).sum();
        prop_assert!(pilot.cash_left.is_none_or(|left| cash <= left));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nonsense_is_planned_without_a_panic(first in nonsense(), second in nonsense()) {
        let mut planner = Planner::new(Settings::default());
        consistent(&first, &planner.plan(&first, &Line))?;
        consistent(&second, &planner.plan(&second, &Line))?;
        for order in &second.orders {
            prop_assert!(planner.rank(&second, &Line, order.id).is_some());
        }
    }

    #[test]
    fn the_same_calls_give_the_same_plans(first in nonsense(), second in nonsense()) {
        let run = |reverse: bool| {
            let mut planner = Planner::new(Settings::default());
            [&first, &second].map(|city| {
                let mut city = city.clone();
                city.orders.sort_by_key(|order| order.id);
                city.orders.dedup_by_key(|order| order.id);
                city.pilots.sort_by_key(|pilot| pilot.id);
                city.pilots.dedup_by_key(|pilot| pilot.id);
                if reverse {
                    city.orders.reverse();
                    city.pilots.reverse();
                }
                planner.plan(&city, &Line)
            })
        };
        prop_assert_eq!(run(false), run(true));
    }

    #[test]
    fn settings_beyond_reason_are_brought_back(city in nonsense(), odd in any::<i64>()) {
        let settings = Settings {
            interval: odd,
            pickup_service: odd,
            dropoff_service: -1,
            bundle_orders: odd as usize,
            bundle_places: 0,
            depth: usize::MAX,
            neighbours: 0,
            rounds: 3,
            passes: (odd & 7) as usize,
            insertions: (odd & 63) as u64,
            target: odd,
            lateness_percent: odd,
            promise_percent: odd,
            remoteness_percent: odd,
            remoteness_cap: odd,
            remoteness_fade: -odd.max(0),
            ..Settings::default()
        };
        consistent(&city, &Planner::new(settings).plan(&city, &Line))?;
    }
}
