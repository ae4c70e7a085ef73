//! From the city to the planner, and back to decisions.
//!
//! The planner of [`dispatch`](crate::dispatch) knows small numbers only. [`View`] numbers a city for it; what it
//! answers becomes [`Planned`] assignments, each of which is decided against the newest city, so that an order that
//! was taken meanwhile is left out.

mod choose;
mod lapse;
mod nearest;
mod roads;
mod vehicle;
mod view;

pub(crate) use choose::{Choice, MAX_ORDERS, best, candidates, estimate, everything, expected, first, outlook, unable};
pub(crate) use lapse::due;
pub use lapse::next_lapse;
pub(crate) use nearest::nearest;
pub use roads::{Cell, RoadTable, Roads};
pub(crate) use vehicle::vehicle_bits;
pub use view::{Scope, View};
pub(crate) use view::{may_adopt, record};

use std::num::NonZeroU64;

use megamind_domain::Time;

use crate::{
    Settings,
    dispatch::{self, Explanation, OrderId, PilotId, Plan, Seconds, Visit},
    event::{RunnerUp, Why},
    order::OrderKey,
    pilot::PilotKey,
    settings::Dispatch,
};

/// An assignment that a plan asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which order.
    pub order: OrderKey,
    /// To whom.
    pub pilot: PilotKey,
    /// When it should be at the door.
    pub eta: Time,
    /// Why.
    pub why: Why,
    /// Since when the upstream has been stood in for, as the planner saw it: its orders are left alone for a while.
    pub acting_since: Time,
    /// Whether somebody asked for it: then orders of the upstream's that nobody is known to have are given out too.
    pub asked: bool,
}

/// The planner's settings for a city.
pub fn settings(settings: &Settings) -> dispatch::Settings {
    let Dispatch { interval, offer_timeout, stale_after, sms_lead, late_after, pace, .. } = settings.dispatch;
    dispatch::Settings {
        interval: seconds(interval),
        pickup_service: pace.pickup_service / 1000,
        dropoff_service: pace.dropoff_service / 1000,
        bundle_orders: settings.dispatch.bundle_orders,
        bundle_places: settings.dispatch.bundle_pickups,
        target: late_after / 1000,
        offer_ttl: seconds(offer_timeout),
        sms_offer_ttl: seconds(offer_timeout) * lapse::SMS_OFFER,
        sms_lead: sms_lead / 1000,
        stale_after: seconds(stale_after),
        ..dispatch::Settings::default()
    }
}

/// What a plan asks to be told to pilots now.
pub fn commitments(plan: &Plan, acting_since: Time) -> Vec<Planned> {
    let mut planned = Vec::new();
    for told in &plan.commitments {
        for (visit, why) in told.visits.iter().zip(&told.explanations) {
            planned.extend(assignment(told.pilot, visit, why, plan.version, acting_since));
        }
    }
    planned
}

fn assignment(pilot: PilotId, visit: &Visit, why: &Explanation, plan: u64, acting_since: Time) -> Option<Planned> {
    let runner_up = why.runner_up.and_then(|(pilot, added)| Some((pilot_key(pilot)?, added)));
    Some(Planned {
        order: order_key(visit.order)?,
        pilot: pilot_key(pilot)?,
        eta: time(visit.dropoff_at),
        why: Why {
            plan,
            reasons: why.reasons.clone(),
            added_seconds: why.added_seconds,
            runner_up: runner_up.map(|(pilot, added_seconds)| RunnerUp { pilot, added_seconds }),
        },
        acting_since,
        asked: false,
    })
}

/// Whole seconds of some milliseconds, at least one.
fn seconds(millis: i64) -> Seconds {
    (millis / 1000).max(1)
}

/// The planner's clock: seconds since 1970.
pub(crate) fn clock(time: Time) -> Seconds {
    time.0.div_euclid(1000)
}

/// A time of the planner's clock.
pub(crate) fn time(at: Seconds) -> Time {
    Time(at.saturating_mul(1000))
}

/// The order behind the planner's number.
pub fn order_key(id: OrderId) -> Option<OrderKey> {
    NonZeroU64::new(id.0).map(OrderKey)
}

/// The planner's number of a pilot.
pub(crate) fn pilot_id(pilot: PilotKey) -> PilotId {
    PilotId(pilot.0.get())
}

/// The pilot behind the planner's number.
pub fn pilot_key(id: PilotId) -> Option<PilotKey> {
    NonZeroU64::new(id.0).map(PilotKey)
}
