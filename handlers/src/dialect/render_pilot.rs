//! Pilots, as clients see them.

use megamind_domain::Rejection;

use super::{
    Field,
    json::{self, Object},
    render::{Scene, gone},
    render_call::plan_version,
    render_order::{carried, pilot_id},
};
use crate::{
    command::{Page, PilotAnswer, Score},
    pilot::{Pilot, PilotKey},
};

/// What became of a pilot's report.
pub(super) fn reported(scene: Scene<'_>, object: &mut Object<'_>, item: PilotAnswer) {
    pilot_id(scene, object, Some(item.pilot));
    if !scene.bulk
        && let Some(pilot) = scene.city.pilot(item.pilot)
    {
        object.word(Field::Status, pilot.availability());
    }
    if !item.known {
        object.bool(Field::Known, false);
    }
}

/// General information about pilots.
pub(super) fn infos(scene: Scene<'_>, out: &mut Vec<u8>, page: &Page) -> Result<(), Rejection> {
    pilots(scene, out, page, |object, pilot| {
        info(object, pilot);
    })
}

/// What pilots carry.
pub(super) fn deliveries(scene: Scene<'_>, out: &mut Vec<u8>, page: &Page) -> Result<(), Rejection> {
    pilots(scene, out, page, |object, pilot| {
        object.kept_name(Field::MinionId, pilot.id());
        let orders = scene.city.carried_by(pilot.key());
        let orders = orders.filter_map(|order| scene.city.order(order));
        object.list(Field::Orders, orders, |object, order| {
            carried(scene, object, order);
        });
        object.integer(Field::Version, plan_version(scene.city, scene.settings, pilot.key()));
    })
}

fn pilots(
    scene: Scene<'_>,
    out: &mut Vec<u8>,
    page: &Page,
    fill: impl Fn(&mut Object<'_>, &Pilot),
) -> Result<(), Rejection> {
    let dialect = &scene.settings.dialect;
    let mut found = page.pilots.iter().filter_map(|key| scene.city.pilot(*key));
    if !page.bulk {
        let pilot = found.next().ok_or_else(gone)?;
        json::object(out, dialect, |object| fill(object, pilot));
        return Ok(());
    }
    json::object(out, dialect, |object| {
        object.list(Field::Minions, found, fill);
        if let Some(next) = page.next {
            object.text(Field::Cursor, &next.0.to_string());
        }
    });
    Ok(())
}

fn info(object: &mut Object<'_>, pilot: &Pilot) {
    let profile = pilot.profile();
    object.kept_name(Field::MinionId, pilot.id());
    object.word(Field::Status, pilot.availability());
    if let Some(fix) = pilot.fix() {
        object.position(fix.position);
        object.time(Field::At, fix.at);
    }
    object.optional_text(Field::Name, profile.name.as_deref());
    object.optional_text(Field::Phone, profile.phone.as_deref());
    object.optional_text(Field::CallbackUrl, profile.callback_url.as_deref());
    object.optional_text(Field::Vehicle, profile.vehicle.as_deref());
    object.integer(Field::Capacity, pilot.capacity().into());
    if let Some(end) = profile.shift_end {
        object.time(Field::ShiftEnd, end);
    }
    if let Some(limit) = profile.cash_limit {
        object.text(Field::CashLimit, &limit.to_string());
    }
    object.integer(Field::Orders, pilot.load() as u64);
}

/// A pilot's score.
pub(super) fn score(scene: Scene<'_>, out: &mut Vec<u8>, pilot: PilotKey, score: Score) -> Result<(), Rejection> {
    let pilot = scene.city.pilot(pilot).ok_or_else(gone)?;
    json::object(out, &scene.settings.dialect, |object| {
        object.kept_name(Field::MinionId, pilot.id());
        object.integer(Field::Score, score.total.into());
        object.object(Field::Parts, |object| {
            object.integer(Field::Acceptance, score.acceptance.into());
            object.integer(Field::Completion, score.completion.into());
            object.integer(Field::Punctuality, score.punctuality.into());
            object.integer(Field::Freshness, score.freshness.into());
        });
    });
    Ok(())
}
