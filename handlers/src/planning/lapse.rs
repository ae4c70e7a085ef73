//! Offers without an answer, and pilots without a sign of life.

use megamind_domain::Time;

use crate::{
    City, Settings,
    event::Missing,
    order::{Order, Status},
    pilot::Pilot,
};

/// An offer by SMS stands so many times as long: the message may take its time.
pub(super) const SMS_OFFER: i64 = 5;
/// Who can send no position is silent only after so many times as long.
const SMS_SILENCE: i64 = 2;

/// Whether only SMS reaches a pilot.
pub(super) fn reachable_by_sms_alone(pilot: &Pilot, settings: &Settings) -> bool {
    let profile = pilot.profile();
    settings.calls.sms && profile.callback_url.is_none() && profile.phone.is_some()
}

/// When an order that was given to its pilot here lapses if nothing is heard, and what would be missing.
pub(crate) fn lapse_at(city: &City, settings: &Settings, order: &Order) -> Option<(Time, Missing)> {
    let pilot = order.carrier().filter(|_| order.assigned_here())?;
    let pilot = city.pilot(pilot)?;
    let by_sms = reachable_by_sms_alone(pilot, settings);
    let dispatch = &settings.dispatch;
    if let Some(offered) = order.offered_at() {
        let stands = dispatch.offer_timeout * if by_sms { SMS_OFFER } else { 1 };
        return Some((offered.plus_millis(stands), Missing::Answer));
    }
    if order
        .silent_since()
        .is_some_and(|since| pilot.heard_at().is_none_or(|heard| heard <= since))
    {
        // It is known already.
        return None;
    }
    let heard = order.heard_at().max(pilot.heard_at().unwrap_or_default());
    let silent = heard.plus_millis(dispatch.silent_after * if by_sms { SMS_SILENCE } else { 1 });
    Some(match order.status() {
        Status::PickedUp | Status::ArrivedAtDropoff => (silent, Missing::LifeWithParcel),
        _ => (silent, Missing::Life),
    })
}

/// What has lapsed by now, `most` at most.
pub(crate) fn due<'c>(
    city: &'c City,
    settings: &'c Settings,
    now: Time,
    most: usize,
) -> impl Iterator<Item = (&'c Order, Missing)> {
    let orders = city.carried().filter_map(|(_, order)| city.order(order));
    let lapsed = orders.filter_map(move |order| {
        let (at, missing) = lapse_at(city, settings, order)?;
        (at <= now).then_some((order, missing))
    });
    lapsed.take(most)
}

/// When the next offer or pilot lapses if nothing is heard.
pub fn next_lapse(city: &City, settings: &Settings) -> Option<Time> {
    let orders = city.carried().filter_map(|(_, order)| city.order(order));
    orders
        .filter_map(|order| lapse_at(city, settings, order))
        .map(|(at, _)| at)
        .min()
}
