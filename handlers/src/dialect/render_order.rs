//! Orders, as clients see them.

use super::{Field, json::Object, own::order_name, render::Scene, render_call::plan_version};
use crate::{
    command::{AssignmentAnswer, Candidate, DeliveryAnswer, Items},
    id::{LocalId, Name},
    order::{Happening, Order, Part},
    pilot::PilotKey,
};
use megamind_domain::{Rejection, Time};

/// A new order: `{orderId, status, minionId?, eta?}`.
pub(super) fn placed(scene: Scene<'_>, object: &mut Object<'_>, order: &Order, eta: Option<Time>) {
    id(scene, object, order, None);
    object.word(Field::Status, order.status());
    pilot_id(scene, object, order.pilot());
    if let Some(eta) = eta {
        object.time(Field::Eta, eta);
    }
}

/// An order: `{orderId, status, minionId?, location?, eta?, history[]}`.
pub(super) fn tracked(
    scene: Scene<'_>,
    object: &mut Object<'_>,
    order: &Order,
    eta: Option<Time>,
    asked: Option<&Name>,
) {
    id(scene, object, order, asked);
    object.word(Field::Status, order.status());
    pilot_id(scene, object, order.pilot());
    let fix = order.carrier().and_then(|pilot| scene.city.pilot(pilot)?.fix());
    if let Some(fix) = fix {
        object.object(Field::Location, |object| {
            object.position(fix.position);
            object.time(Field::At, fix.at);
        });
    }
    if let Some(eta) = eta {
        object.time(Field::Eta, eta);
    }
    object.list(Field::History, order.history(), |object, step| {
        match step.what {
            Happening::Rejected => object.word(Field::Status, super::Word::Rejected),
            Happening::Lapsed => object.word(Field::Status, super::Word::Lapsed),
            Happening::Reached(status) => object.word(Field::Status, status),
        }
        object.time(Field::At, step.at);
        pilot_id(scene, object, step.pilot);
    });
}

/// What became of a report.
pub(super) fn reported(scene: Scene<'_>, object: &mut Object<'_>, item: &DeliveryAnswer) {
    object.name(Field::OrderId, item.asked.text(), is_number(scene, &item.asked));
    if !scene.bulk
        && let Some(order) = scene.city.order(item.order)
    {
        object.word(Field::Status, order.status());
    }
    if !item.known {
        object.bool(Field::Known, false);
    }
}

/// What became of assignments, now that they were carried out.
pub(super) fn assignments(scene: Scene<'_>, answer: &Items<AssignmentAnswer>) -> Items<AssignmentAnswer> {
    let carried_out = |item: &AssignmentAnswer| {
        let found = item.asked.as_ref().and_then(|asked| scene.city.find_order(asked));
        let order = found.or_else(|| scene.city.order(item.order));
        match order {
            Some(order) if order.carrier().is_some() => Ok(AssignmentAnswer { order: order.key(), ..item.clone() }),
            _ => Err(Rejection::new(409, "no_pilot", "No pilot can take this order now.")),
        }
    };
    Items {
        items: (answer.items.iter())
            .map(|item| item.as_ref().map_err(Clone::clone).and_then(carried_out))
            .collect(),
        bulk: answer.bulk,
    }
}

/// An assignment: `{orderId, minionId, eta?}`, with the order's status where it stands alone.
pub(super) fn assigned(scene: Scene<'_>, object: &mut Object<'_>, item: &AssignmentAnswer) {
    let Some(order) = scene.city.order(item.order) else {
        return;
    };
    id(scene, object, order, item.asked.as_ref());
    if !scene.bulk {
        object.word(Field::Status, order.status());
    }
    pilot_id(scene, object, order.carrier());
    if let Some(eta) = order.eta {
        object.time(Field::Eta, eta);
    }
}

/// Who could carry an order.
pub(super) fn candidates(scene: Scene<'_>, object: &mut Object<'_>, order: &Order, asked: &Name, ranked: &[Candidate]) {
    id(scene, object, order, Some(asked));
    object.list(Field::Candidates, ranked, |object, candidate| {
        pilot_id(scene, object, Some(candidate.pilot));
        object.integer(Field::Score, candidate.score.into());
        object.bool(Field::Feasible, candidate.feasible);
        object.words(Field::Reasons, candidate.reasons.iter().copied());
        if let Some(eta) = candidate.eta_pickup {
            object.time(Field::EtaPickup, eta);
        }
        if let Some(eta) = candidate.eta_dropoff {
            object.time(Field::EtaDropoff, eta);
        }
        if let Some(seconds) = candidate.added_seconds {
            object.signed(Field::AddedSeconds, seconds);
        }
        object.integer(Field::PlanVersion, plan_version(scene.city, scene.settings, candidate.pilot));
    });
}

/// An order as its pilot needs it.
pub(super) fn carried(scene: Scene<'_>, object: &mut Object<'_>, order: &Order) {
    id(scene, object, order, None);
    object.word(Field::Status, order.status());
    goods(object, order);
}

/// What is to be fetched where, and to go where.
pub(super) fn goods(object: &mut Object<'_>, order: &Order) {
    for (field, position, address, contact) in [
        (Field::Pickup, order.pickup(), Part::PickupAddress, Part::PickupContact),
        (Field::Dropoff, order.dropoff(), Part::DropoffAddress, Part::DropoffContact),
    ] {
        let Some(position) = position else { continue };
        object.object(field, |object| {
            object.position(position);
            object.optional_text(Field::Address, order.text.get(address));
            if let Some(contact) = order.text.get(contact) {
                object.raw(Field::Contact, contact);
            }
        });
    }
    if let Some(items) = order.text.get(Part::Items) {
        object.raw(Field::Items, items);
    }
    if let Some(amount) = order.cod_amount {
        object.text(Field::CodAmount, &amount.to_string());
    }
    object.optional_text(Field::Currency, order.currency.as_ref().map(crate::order::Currency::as_str));
    if let Some(at) = order.ready_at {
        object.time(Field::ReadyAt, at);
    }
    if let Some(at) = order.promised_at {
        object.time(Field::PromisedAt, at);
    }
    if let Some(eta) = order.eta {
        object.time(Field::Eta, eta);
    }
}

/// The id under which an order was asked for; else ours, else the upstream's.
pub(super) fn id(scene: Scene<'_>, object: &mut Object<'_>, order: &Order, asked: Option<&Name>) {
    if let Some(name) = asked {
        object.name(Field::OrderId, name.text(), is_number(scene, name));
    } else {
        let (text, numeric) = order_name(&scene.settings.city, order);
        object.name(Field::OrderId, &text, numeric);
    }
}

/// Whether an id goes back as a number: where it came as one, and from a form, which has texts alone, where it is one.
fn is_number(scene: Scene<'_>, name: &Name) -> bool {
    let foreign = || scene.settings.upstream_numbers && LocalId::is_digits(name.text());
    name.is_numeric() || name.local().map_or_else(foreign, LocalId::is_integer)
}

pub(super) fn pilot_id(scene: Scene<'_>, object: &mut Object<'_>, pilot: Option<PilotKey>) {
    if let Some(pilot) = pilot.and_then(|pilot| scene.city.pilot(pilot)) {
        object.kept_name(Field::MinionId, pilot.id());
    }
}
