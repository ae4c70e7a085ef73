//! Requests of our own making: how the upstream hears of decisions that no client asked it for.

use megamind_domain::{Request, Time};

use super::{Dialect, Field, Word, json};
use crate::{
    command::{Many, PilotReport},
    endpoints::Route,
    order::Order,
    pilot::Pilot,
    settings::Settings,
};

/// An order was given to a pilot.
pub(crate) fn assigned(settings: &Settings, order: &Order, pilot: &Pilot, at: Time) -> Request {
    let dialect = &settings.dialect;
    post(dialect, Route::DeliveryInfo, |object| {
        let (text, numeric) = order_name(&settings.city, order);
        object.name(Field::OrderId, &text, numeric);
        object.kept_name(Field::MinionId, pilot.id());
        object.word(Field::Status, Word::Assigned);
        object.time(Field::At, at);
    })
}

/// The id of an order: the upstream's where there is one, else ours.
pub(crate) fn order_name<'o>(city: &str, order: &'o Order) -> (std::borrow::Cow<'o, str>, bool) {
    match (order.upstream(), order.local()) {
        (Some(id), None) => (id.into(), order.upstream_is_number),
        (_, Some(local)) => (local.name(city).into(), local.is_integer()),
        (None, None) => ("".into(), false),
    }
}

/// Something was set about pilots.
pub(crate) fn general_info(dialect: &Dialect, many: &Many<PilotReport>, now: Time) -> Request {
    if many.bulk {
        return post(dialect, Route::GeneralInfos, |object| {
            object.list(Field::Minions, many.read(), |object, report| {
                pilot(object, report, now);
            });
        });
    }
    post(dialect, Route::GeneralInfo, |object| {
        if let Some(report) = many.read().next() {
            pilot(object, report, now);
        }
    })
}

fn pilot(object: &mut json::Object<'_>, report: &PilotReport, now: Time) {
    let profile = &report.profile;
    object.name(Field::MinionId, report.pilot.text(), report.pilot.is_numeric());
    if let Some(position) = report.position {
        object.position(position);
    }
    if let Some(availability) = report.availability {
        object.word(Field::Status, availability);
    }
    object.optional_text(Field::Name, profile.name.as_deref());
    object.optional_text(Field::Phone, profile.phone.as_deref());
    object.optional_text(Field::CallbackUrl, profile.callback_url.as_deref());
    object.optional_text(Field::Vehicle, profile.vehicle.as_deref());
    if let Some(capacity) = profile.capacity {
        object.integer(Field::Capacity, capacity.into());
    }
    if let Some(end) = profile.shift_end {
        object.time(Field::ShiftEnd, end);
    }
    if let Some(limit) = profile.cash_limit {
        object.text(Field::CashLimit, &limit.to_string());
    }
    object.time(Field::At, report.at.unwrap_or(now));
}

pub(crate) fn post(dialect: &Dialect, route: Route, fill: impl FnOnce(&mut json::Object<'_>)) -> Request {
    let mut body = Vec::with_capacity(160);
    json::object(&mut body, dialect, fill);
    Request {
        method: "POST".into(),
        path: dialect.path(route.path()).into(),
        query: None,
        content_type: Some("application/json".into()),
        content_encoding: None,
        body: body.into(),
    }
}
