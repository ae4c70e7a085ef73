//! Who is best for an order, without a plan over the whole city.

use megamind_domain::Time;

use super::{Planned, View, assignment, pilot_key, settings as planner_settings, time};
use crate::{
    City, Settings,
    dispatch::{Candidate, OrderId, PilotId, Plan, Planner, Reason},
    event::{RunnerUp, Why},
    order::Order,
    pilot::{Pilot, PilotKey},
};

/// Pilots who are looked at for one order, at most: the nearest with room.
const NEAR: usize = 24;
/// Orders that are planned at once where somebody waits for it, at most.
const MAX_ORDERS: usize = 256;
/// Pilots that are planned with then, for each order, at most, and in all.
const NEAR_EACH: usize = 12;
const MAX_PILOTS: usize = 1_024;

/// A pilot for an order.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) pilot: PilotKey,
    pub(crate) eta: Option<Time>,
    pub(crate) why: Why,
}

/// The nearest pilots with room, those who turned the order down only where nobody else is near.
fn near<'c>(city: &'c City, order: &Order, count: usize) -> Vec<&'c Pilot> {
    let Some(pickup) = order.pickup() else {
        return Vec::new();
    };
    let found = city.ranked(pickup, count + order.excluded().len());
    let mut pilots: Vec<&Pilot> = found.into_iter().filter_map(|(pilot, _)| city.pilot(pilot)).collect();
    if pilots.iter().any(|pilot| !order.excluded().contains(&pilot.key())) {
        pilots.retain(|pilot| !order.excluded().contains(&pilot.key()));
    }
    pilots.truncate(count);
    pilots
}

/// The best pilot for an order among those near, who would be told now; nobody, where it is better to wait: it is not
/// ready, or the best is not free yet.
pub(crate) fn best(city: &City, settings: &Settings, now: Time, order: &Order) -> Option<Choice> {
    let view = View::some(city, settings, now, &[order], near(city, order, NEAR));
    let plan = Planner::new(planner_settings(settings)).plan(&view.snapshot, &view);
    let planned = super::commitments(&plan, now);
    planned.into_iter().find(|planned| planned.order == order.key()).map(chosen)
}

fn chosen(planned: Planned) -> Choice {
    let why = Why { plan: 0, ..planned.why };
    Choice { pilot: planned.pilot, eta: Some(planned.eta), why }
}

/// The pilots near an order, best first; those who cannot take it last, with the reasons.
pub(crate) fn candidates(city: &City, settings: &Settings, now: Time, order: &Order, count: usize) -> Vec<Candidate> {
    let Some(pickup) = order.pickup() else {
        return Vec::new();
    };
    let near = city.ranked(pickup, count);
    let carrier = order.carrier().filter(|carrier| near.iter().all(|(pilot, _)| pilot != carrier));
    let pilots = near.into_iter().map(|(pilot, _)| pilot).chain(carrier);
    rank(city, settings, now, order, pilots.filter_map(|pilot| city.pilot(pilot)))
}

/// What giving an order to this pilot would mean.
pub(crate) fn outlook(city: &City, settings: &Settings, now: Time, order: &Order, pilot: &Pilot) -> Choice {
    let ranked = rank(city, settings, now, order, [pilot]);
    let found = ranked.first();
    let outlook = found.and_then(|candidate| candidate.outlook);
    let mut reasons = found.map(|candidate| candidate.reasons.clone()).unwrap_or_default();
    // Alone it is the best and the soonest, which says nothing.
    reasons.retain(|reason| !matches!(reason, Reason::Cheapest | Reason::Soonest));
    reasons.insert(0, Reason::Named);
    Choice {
        pilot: pilot.key(),
        eta: outlook.map(|outlook| time(outlook.dropoff_at)),
        why: Why {
            reasons,
            added_seconds: outlook.map_or(0, |outlook| outlook.added_seconds),
            ..Why::default()
        },
    }
}

fn rank<'c>(
    city: &'c City,
    settings: &'c Settings,
    now: Time,
    order: &'c Order,
    pilots: impl IntoIterator<Item = &'c Pilot>,
) -> Vec<Candidate> {
    let view = View::some(city, settings, now, &[order], pilots);
    let planner = Planner::new(planner_settings(settings));
    let ranking = planner.rank(&view.snapshot, &view, OrderId(order.key().0.get()));
    ranking.map(|ranking| ranking.candidates).unwrap_or_default()
}

/// The first of the candidates who can, and why.
pub(crate) fn first(candidates: &[Candidate]) -> Option<Choice> {
    let mut able = candidates
        .iter()
        .filter_map(|candidate| Some((candidate, candidate.outlook?, pilot_key(candidate.pilot)?)));
    let (best, outlook, pilot) = able.next()?;
    let runner_up = able
        .next()
        .map(|(_, outlook, pilot)| RunnerUp { pilot, added_seconds: outlook.added_seconds });
    Some(Choice {
        pilot,
        eta: Some(time(outlook.dropoff_at)),
        why: Why { plan: 0, reasons: best.reasons.clone(), added_seconds: outlook.added_seconds, runner_up },
    })
}

/// One plan over some orders and the pilots near them, all of which is to be told at once: somebody asked for it.
pub(crate) fn everything<'c>(
    city: &'c City,
    settings: &'c Settings,
    now: Time,
    orders: impl Iterator<Item = &'c Order>,
) -> Vec<Planned> {
    let orders: Vec<&Order> = orders.take(MAX_ORDERS).collect();
    let mut pilots: Vec<PilotKey> = Vec::new();
    for pickup in orders.iter().filter_map(|order| order.pickup()) {
        pilots.extend(city.ranked(pickup, NEAR_EACH).into_iter().map(|(pilot, _)| pilot));
    }
    pilots.sort_unstable();
    pilots.dedup();
    pilots.truncate(MAX_PILOTS);
    let pilots = pilots.into_iter().filter_map(|pilot| city.pilot(pilot));
    let view = View::some(city, settings, now, &orders, pilots);
    let plan = Planner::new(planner_settings(settings)).plan(&view.snapshot, &view);
    let tentative = plan
        .tentative
        .iter()
        .flat_map(|bundle| bundle.visits.iter().map(|visit| (bundle.pilot, visit)));
    let mut planned = super::commitments(&plan, now);
    planned.extend(tentative.filter_map(|(pilot, visit)| later(&plan, pilot, visit, now)));
    for planned in &mut planned {
        planned.why.plan = 0;
        planned.asked = true;
    }
    planned
}

fn later(plan: &Plan, pilot: PilotId, visit: &crate::dispatch::Visit, now: Time) -> Option<Planned> {
    let mut planned = assignment(pilot, visit, None, plan.version, now)?;
    planned.why.reasons.push(Reason::AfterAnother);
    Some(planned)
}
