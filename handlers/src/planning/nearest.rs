//! Who carries what, in its simplest form: the nearest who can.

use megamind_domain::Time;

use super::{
    choose::{Choice, NEAR, near, rank, runner_up},
    pilot_id, time,
};
use crate::{City, Settings, dispatch::Reason, event::Why, order::Order, pilot::Pilot};

/// The nearest pilot who can take an order, whatever that means for others.
pub(crate) fn nearest(city: &City, settings: &Settings, now: Time, order: &Order) -> Option<Choice> {
    let near = near(city, order, NEAR);
    let ranked = rank(city, settings, now, order, near.iter().copied());
    let able = |pilot: &&Pilot| {
        let found = ranked.iter().find(|candidate| candidate.pilot == pilot_id(pilot.key()))?;
        Some((pilot.key(), found.outlook?))
    };
    let mut able = near.iter().filter_map(able);
    let (pilot, outlook) = able.next()?;
    Some(Choice {
        pilot,
        eta: Some(time(outlook.dropoff_at)),
        why: Why {
            plan: 0,
            reasons: vec![Reason::Nearest],
            added_seconds: outlook.added_seconds,
            runner_up: able.next().map(runner_up),
        },
    })
}
