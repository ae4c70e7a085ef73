//! The bodies of calls to pilots and merchants.

use megamind_domain::Time;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use super::{
    Field, json,
    json::Object,
    render::Scene,
    render_order::{goods, id, pilot_id},
};
use crate::{
    City, Settings,
    calls::Action,
    order::{Order, OrderKey},
    pilot::PilotKey,
};

/// `/assign`: `{orderId, minionId, action, pickup, dropoff, items?, codAmount?, currency?, eta?, planVersion}`.
pub(crate) fn assign(city: &City, settings: &Settings, order: OrderKey, pilot: PilotKey, action: Action) -> Box<str> {
    body(city, settings, order, |scene, object, order| {
        pilot_id(scene, object, Some(pilot));
        object.text(Field::Action, action.word());
        goods(object, order);
        object.integer(Field::PlanVersion, plan_version(city, settings, pilot));
    })
}

/// `/pushdeliveryinfo`: `{orderId, status, minionId?, at, location?, eta?}`.
pub(crate) fn delivery_info(city: &City, settings: &Settings, order: OrderKey, now: Time) -> Box<str> {
    body(city, settings, order, |scene, object, order| {
        object.word(Field::Status, order.status());
        pilot_id(scene, object, order.pilot());
        object.time(Field::At, order.history().last().map_or(now, |step| step.at));
        if let Some(fix) = order.carrier().and_then(|pilot| city.pilot(pilot)?.fix()) {
            object.object(Field::Location, |object| {
                object.position(fix.position);
                object.time(Field::At, fix.at);
            });
        }
        if let Some(eta) = order.eta.filter(|_| !order.status().is_final()) {
            object.time(Field::Eta, eta);
        }
    })
}

/// `/pushgeneralinfo`: `{orderId, minionId, name?, phone?, vehicle?}`.
pub(crate) fn general_info(city: &City, settings: &Settings, order: OrderKey, pilot: PilotKey) -> Box<str> {
    body(city, settings, order, |scene, object, _| {
        pilot_id(scene, object, Some(pilot));
        if let Some(pilot) = city.pilot(pilot) {
            let profile = pilot.profile();
            object.optional_text(Field::Name, profile.name.as_deref());
            object.optional_text(Field::Phone, profile.phone.as_deref());
            object.optional_text(Field::Vehicle, profile.vehicle.as_deref());
        }
    })
}

fn body(
    city: &City,
    settings: &Settings,
    order: OrderKey,
    fill: impl FnOnce(Scene<'_>, &mut Object<'_>, &Order),
) -> Box<str> {
    let scene = Scene { city, settings, bulk: false };
    let mut out = Vec::with_capacity(256);
    json::object(&mut out, &settings.dialect, |object| {
        if let Some(order) = city.order(order) {
            id(scene, object, order, None);
            fill(scene, object, order);
        }
    });
    // What is written is made of texts.
    String::from_utf8(out).unwrap_or_default().into()
}

/// A number that is another one whenever what a pilot is told to carry is: a hash of it, of 52 bits so that every
/// reader of JSON keeps it whole. It survives restarts, because nothing has to be kept for it.
pub(crate) fn plan_version(city: &City, settings: &Settings, pilot: PilotKey) -> u64 {
    let scene = Scene { city, settings, bulk: false };
    let mut hasher = SipHasher13::new();
    let mut out = Vec::with_capacity(256);
    for order in city.carried_by(pilot).filter_map(|order| city.order(order)) {
        out.clear();
        json::object(&mut out, &settings.dialect, |object| super::render_order::carried(scene, object, order));
        hasher.write(&out);
    }
    hasher.finish() >> 12
}
