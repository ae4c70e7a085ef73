//! Who is best for an order, without a plan over the whole city.

use megamind_domain::Time;

use super::{Planned, View, pilot_id, pilot_key, settings as planner_settings, time};
use crate::{
    City, Settings,
    dispatch::{self, Candidate, OrderId, Outlook, Planner, Reason},
    event::{RunnerUp, Why},
    order::Order,
    pilot::{Availability, Pilot, PilotKey},
};

/// Pilots who are looked at for one order, at most: the nearest with room.
pub(super) const NEAR: usize = 24;
/// The same, where it is only about when it will be there.
const NEAR_ESTIMATE: usize = 8;
/// The same, beside one whom somebody named.
const NEAR_NAMED: usize = 8;
/// Orders that wait besides, at most.
const MAX_WAITING: usize = 8;
/// Orders that are planned at once where somebody waits for it, at most.
pub(crate) const MAX_ORDERS: usize = 1_000;
/// Pilots that are planned with then, for each order, at most, and in all.
const NEAR_EACH: usize = 12;
const MAX_PILOTS: usize = 2_048;
/// With so many orders the plan is looked over less often: whatever else is to be decided waits for it.
const MANY_ORDERS: usize = 128;

/// A pilot for an order.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) pilot: PilotKey,
    pub(crate) eta: Option<Time>,
    pub(crate) why: Why,
}

/// The nearest pilots with room, nearest first, those who turned the order down only where nobody else is near.
pub(super) fn near<'c>(city: &'c City, order: &Order, count: usize) -> Vec<&'c Pilot> {
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

pub(super) fn runner_up((pilot, outlook): (PilotKey, Outlook)) -> RunnerUp {
    RunnerUp { pilot, added_seconds: outlook.added_seconds }
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

/// Pilots near an order who are at work but take nothing now, nearest first, with the reasons: whoever asks why a pilot
/// did not get an order finds it here.
pub(crate) fn unable(city: &City, order: &Order, count: usize) -> Vec<Candidate> {
    let Some(pickup) = order.pickup().filter(|_| count > 0) else {
        return Vec::new();
    };
    let reason = |pilot: &Pilot| match pilot.availability() {
        Availability::Busy => Some(Reason::Busy),
        Availability::Available if pilot.room() == 0 => Some(Reason::NoRoom),
        _ => None,
    };
    let mut found: Vec<_> = (city.pilots())
        .filter(|pilot| order.carrier() != Some(pilot.key()))
        .filter_map(|pilot| Some((pilot.fix()?.position.metres_to(pickup), pilot.key(), reason(pilot)?)))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    found.truncate(count);
    let candidate =
        |(_, pilot, reason)| Candidate { pilot: pilot_id(pilot), score: 0, outlook: None, reasons: vec![reason] };
    found.into_iter().map(candidate).collect()
}

/// When an order that waits would be at the door, if the best of the pilots near took it now.
pub(crate) fn estimate(city: &City, settings: &Settings, now: Time, order: &Order) -> Option<Time> {
    // Where many wait, nobody can tell from a look at one of them.
    if city.waiting_count() > MAX_WAITING {
        return None;
    }
    let near = near(city, order, NEAR_ESTIMATE);
    let ranked = rank(city, settings, now, order, near);
    Some(time(ranked.first()?.outlook?.dropoff_at))
}

/// What giving an order to this pilot would mean, whom somebody named; and who would have been the choice otherwise.
pub(crate) fn outlook(city: &City, settings: &Settings, now: Time, order: &Order, pilot: &Pilot) -> Choice {
    let near = near(city, order, NEAR_NAMED).into_iter();
    let others = near.filter(|other| other.key() != pilot.key());
    let ranked = rank(city, settings, now, order, std::iter::once(pilot).chain(others));
    let named = pilot_id(pilot.key());
    let found = ranked.iter().find(|candidate| candidate.pilot == named);
    let outlook = found.and_then(|candidate| candidate.outlook);
    let mut reasons = found.map(|candidate| candidate.reasons.clone()).unwrap_or_default();
    reasons.insert(0, Reason::Named);
    let mut others = ranked
        .iter()
        .filter(|candidate| candidate.pilot != named)
        .filter_map(|candidate| Some((pilot_key(candidate.pilot)?, candidate.outlook?)));
    Choice {
        pilot: pilot.key(),
        eta: outlook.map(|outlook| time(outlook.dropoff_at)),
        why: Why {
            plan: 0,
            reasons,
            added_seconds: outlook.map_or(0, |outlook| outlook.added_seconds),
            runner_up: others.next().map(runner_up),
        },
    }
}

/// When an order is at the door if this pilot carries it.
pub(crate) fn expected(city: &City, settings: &Settings, now: Time, order: &Order, pilot: &Pilot) -> Option<Time> {
    let ranked = rank(city, settings, now, order, [pilot]);
    Some(time(ranked.first()?.outlook?.dropoff_at))
}

pub(super) fn rank<'c>(
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
    let runner_up = able.next().map(|(_, outlook, pilot)| runner_up((pilot, outlook)));
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
    let mut at_once = dispatch::Settings { tell_all: true, neighbours: NEAR_EACH, ..planner_settings(settings) };
    if orders.len() > MANY_ORDERS {
        (at_once.rounds, at_once.passes) = (1, 1);
    }
    let plan = Planner::new(at_once).plan(&view.snapshot, &view);
    let mut planned = super::commitments(&plan, now);
    for planned in &mut planned {
        planned.why.plan = 0;
        planned.asked = true;
    }
    planned
}
