//! What an event does to the city. Uses the event alone: the same events give the same city.

use megamind_domain::Time;

use crate::{
    City,
    calls::{Call, Merchant},
    entity,
    event::{
        Event, Missing, OrderAnswered, OrderAssigned, OrderJoined, OrderLapsed, OrderProgressed, OrderRecalled,
        OrderSeen, PilotChanged,
    },
    order::{Fact, Happening, Oddities, Order, Part, Status, Step},
    pilot::{Pilot, PilotKey, is_newer},
};

/// Applies an event.
pub(crate) fn evolve(city: &mut City, event: &Event) {
    match event {
        Event::OrderPlaced(event) => {
            let mut order = Order::unknown(event.order, event.at);
            order.local = Some(event.id);
            order.in_doubt = event.in_doubt;
            order.take(&event.details);
            reach(&mut order, Status::Placed, event.at, None, Oddities::NONE);
            city.put_order(order);
        }
        Event::OrderSeen(event) => seen(city, event),
        Event::OrderAssigned(event) => assigned(city, event),
        Event::OrderAccepted(event) => accepted(city, event),
        Event::OrderRejected(event) => rejected(city, event),
        Event::OrderLapsed(event) => lapsed(city, event),
        Event::OrderProgressed(event) => progressed(city, event),
        Event::OrderUpdated(event) => {
            city.edit_order(event.order, event.at, |order| {
                order.take(&event.details);
                order.eta = event.eta.or(order.eta);
            });
        }
        Event::OrderCancelled(event) => city.edit_order(event.order, event.at, |order| {
            let pilot = order.carrier();
            reach(order, Status::Cancelled, event.at, pilot, Oddities::NONE);
        }),
        Event::OrderAliased(event) => {
            city.edit_order(event.order, event.at, |order| order.set_upstream(&event.id));
        }
        Event::OrderJoined(event) => joined(city, event),
        Event::OrderRetired(event) => city.retire_order(event.order),
        Event::OrderRecalled(event) => recalled(city, event),
        Event::PilotSeen(event) => city.new_pilot(event.pilot, event.id.clone()),
        Event::PilotChanged(event) => changed(city, event),
        Event::CallDue(event) => city.put_call(Call { key: event.call, ..event.owed.clone() }),
        Event::CallSettled(event) => city.settle_call(event.call, &event.outcome),
        Event::MerchantSet(event) => city.put_merchant(Merchant {
            key: event.merchant,
            id: event.id.clone(),
            callback_url: event.callback_url.clone(),
            secret_file: event.secret_file.clone(),
        }),
    }
}

/// Brings an order to a status and writes it down.
fn reach(order: &mut Order, status: Status, at: Time, pilot: Option<PilotKey>, odd: Oddities) {
    order.status = status;
    note(order, Happening::Reached(status), at, pilot, odd);
}

fn note(order: &mut Order, what: Happening, at: Time, pilot: Option<PilotKey>, odd: Oddities) {
    // There may be millions, and most stay short: no room in advance.
    if order.history.len() == order.history.capacity() {
        order.history.reserve_exact(2);
    }
    order.history.push(Step { what, at, pilot, odd });
}

/// When something happened: as it was said, unless that cannot be.
fn happened(at: Time, said_at: Option<Time>, odd: Oddities) -> Time {
    said_at.filter(|_| !odd.contains(Oddities::CLOCK)).unwrap_or(at)
}

fn seen(city: &mut City, event: &OrderSeen) {
    city.edit_order(event.order, event.at, |order| {
        order.local = order.local.or(event.local);
        if let Some(id) = &event.id {
            order.set_upstream(id);
        }
        order.take(&event.details);
        order.eta = event.eta.or(order.eta);
        let before = (order.status, order.carrier());
        if event.pilot.is_some() {
            order.assigned_here &= order.pilot == event.pilot;
            order.pilot = event.pilot;
        }
        if let Some(status) = event.status {
            order.status = status;
            if status == Status::Placed {
                // Whoever had it has it no more.
                order.pilot = event.pilot;
            }
        }
        if before != (order.status, order.carrier()) {
            let (status, pilot) = (order.status, order.pilot);
            note(order, Happening::Reached(status), event.at, pilot, event.odd);
        }
    });
}

fn assigned(city: &mut City, event: &OrderAssigned) {
    city.edit_order(event.order, event.at, |order| {
        order.pilot = Some(event.pilot);
        order.assigned_here = event.here;
        order.eta = event.eta.or(order.eta);
        reach(order, Status::Assigned, event.at, Some(event.pilot), event.odd);
    });
    city.edit_pilot(event.pilot, |pilot| pilot.tally.offered += 1);
}

fn accepted(city: &mut City, event: &OrderAnswered) {
    city.edit_order(event.order, event.at, |order| {
        order.assigned_here &= order.pilot == Some(event.pilot);
        order.pilot = Some(event.pilot);
        let at = happened(event.at, event.said_at, event.odd);
        reach(order, Status::Accepted, at, Some(event.pilot), event.odd);
    });
    city.edit_pilot(event.pilot, |pilot| {
        pilot.tally.accepted += 1;
        hear(pilot, event.at);
    });
}

fn rejected(city: &mut City, event: &OrderAnswered) {
    city.edit_order(event.order, event.at, |order| {
        if order.carrier() == Some(event.pilot) {
            order.pilot = None;
            order.assigned_here = false;
            order.eta = None;
            order.status = Status::Placed;
        }
        if !order.excluded.contains(&event.pilot) {
            order.excluded.push(event.pilot);
        }
        let at = happened(event.at, event.said_at, event.odd);
        note(order, Happening::Rejected, at, Some(event.pilot), event.odd);
    });
    city.edit_pilot(event.pilot, |pilot| {
        pilot.tally.rejected += 1;
        hear(pilot, event.at);
    });
}

fn lapsed(city: &mut City, event: &OrderLapsed) {
    if event.missing == Missing::LifeWithParcel {
        return city.edit_order(event.order, event.at, |order| {
            let what = Happening::Reached(order.status);
            note(order, what, event.at, Some(event.pilot), Oddities::SILENT);
        });
    }
    city.edit_order(event.order, event.at, |order| {
        order.pilot = None;
        order.assigned_here = false;
        order.eta = None;
        order.status = Status::Placed;
        if !order.excluded.contains(&event.pilot) {
            order.excluded.push(event.pilot);
        }
        note(order, Happening::Lapsed, event.at, Some(event.pilot), Oddities::NONE);
    });
    city.edit_pilot(event.pilot, |pilot| pilot.tally.lapsed += u32::from(event.missing == Missing::Answer));
}

/// Notes a sign of life.
fn hear(pilot: &mut Pilot, at: Time) {
    pilot.heard_at = pilot.heard_at.max(Some(at));
}

fn progressed(city: &mut City, event: &OrderProgressed) {
    let at = happened(event.at, event.said_at, event.odd);
    let mut finished = None;
    let mut late = false;
    city.edit_order(event.order, event.at, |order| {
        let before = order.status;
        order.status = event.fact.after(before);
        let moved = order.status != before;
        if let Some(pilot) = event.pilot {
            // Who has the parcel carries it, whatever was planned; who merely stands at the door does not.
            let takes = match order.carrier() {
                None => moved,
                Some(carrier) => carrier != pilot && moved_by(event.fact, before),
            };
            if takes || (moved && order.status.is_final()) {
                order.assigned_here &= order.pilot == Some(pilot);
                order.pilot = Some(pilot);
            }
        }
        order.cod_collected = event.cod_collected.or(order.cod_collected);
        if moved && order.status.is_final() {
            finished = Some(order.status);
            late = order.eta.is_some_and(|eta| at > eta);
        }
        note(order, Happening::Reached(event.fact.status()), at, event.pilot, event.odd);
    });
    if let Some(pilot) = event.pilot {
        city.edit_pilot(pilot, |pilot| hear(pilot, event.at));
    }
    if let (Some(pilot), Some(status)) = (event.pilot, finished) {
        city.edit_pilot(pilot, |pilot| match status {
            Status::Delivered => {
                pilot.tally.delivered += 1;
                pilot.tally.late += u32::from(late);
            }
            _ => pilot.tally.failed += 1,
        });
    }
}

/// Whether a report by another pilot shows that the parcel changed hands.
fn moved_by(fact: Fact, before: Status) -> bool {
    fact.proves_carriage() && fact.status() >= before
}

fn joined(city: &mut City, event: &OrderJoined) {
    let Some(other) = city.order(event.other).cloned() else {
        city.edit_order(event.order, event.at, |order| order.set_upstream(&event.id));
        return;
    };
    city.remove_order(event.other, event.order);
    city.edit_order(event.order, event.at, |order| {
        order.set_upstream(&event.id);
        if other.status.progress() > order.status.progress() {
            order.status = other.status;
            order.pilot = other.pilot;
            order.assigned_here = other.assigned_here;
            order.eta = other.eta;
        }
        order.pickup = order.pickup.or(other.pickup);
        order.dropoff = order.dropoff.or(other.dropoff);
        order.cod_collected = order.cod_collected.or(other.cod_collected);
        let missing: Vec<(Part, &str)> = [Part::Merchant, Part::ClientRef, Part::Items]
            .into_iter()
            .filter(|&part| order.text.get(part).is_none())
            .filter_map(|part| other.text.get(part).map(|text| (part, text)))
            .collect();
        order.text.set(&missing);
        let former: Vec<String> = (order.former().chain(other.local).chain(other.former()))
            .map(|id| format!("{:x}", id.0))
            .collect();
        order.text.set(&[(Part::Former, &former.join(" "))]);
        order.history.extend(&other.history);
        order.history.sort_by_key(|step| step.at);
    });
}

/// A row that cannot be read changes nothing; the decision saw to it that it can.
fn recalled(city: &mut City, event: &OrderRecalled) {
    if city.order(event.order).is_none()
        && let Ok(order) = entity::read_order(event.order, event.row.as_bytes())
    {
        city.put_order(order);
    }
}

fn changed(city: &mut City, event: &PilotChanged) {
    if event.availability.is_some() || !event.profile.is_empty() {
        city.note_change();
    }
    city.edit_pilot(event.pilot, |pilot| {
        if let Some(fix) = event.fix
            && is_newer(pilot.fix, fix.at)
        {
            pilot.fix = Some(fix);
        }
        hear(pilot, event.at);
        pilot.availability = event.availability.unwrap_or(pilot.availability);
        if !event.profile.is_empty() {
            std::sync::Arc::make_mut(&mut pilot.profile).take(&event.profile);
        }
    });
}
