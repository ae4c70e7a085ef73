//! The operator's lists of orders and pilots, a page at a time.

use std::num::NonZeroU64;

use megamind_gateway::{Asked, Handle, PageAnswer, PageError};
use megamind_handlers::{
    City, Deliveries, Position, Settings,
    order::{Oddities, Order, OrderKey, Status},
    pilot::{Availability, Pilot, PilotKey},
};
use serde_json::{Value, json};

/// Entries in one answer, where no limit is asked for.
const PAGE: usize = 100;
/// Entries in one answer at most.
const MAX_PAGE: usize = 1_000;
/// Entries that are looked at for one answer at most: a page may be shorter than asked for, and still have a cursor.
const LOOK_AT: usize = 200_000;

/// A list from where to where.
struct Span {
    after: u64,
    limit: usize,
}

impl Span {
    fn of(asked: &Asked) -> Result<Self, PageError> {
        if asked.post || !asked.rest.is_empty() {
            return Err(if asked.post {
                PageError::new(405, "method_not_allowed", "GET tells; nothing else works here.")
            } else {
                PageError::not_found()
            });
        }
        let number = |name: &str| {
            let text = asked.query(name).filter(|text| !text.is_empty());
            let number = text.map(str::parse::<u64>).transpose();
            number.map_err(|_| PageError::new(400, "bad_query", format!("{name}: allowed is a number.")))
        };
        let limit = number("limit")?.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(MAX_PAGE));
        Ok(Self { after: number("cursor")?.unwrap_or(0), limit: limit.clamp(1, MAX_PAGE) })
    }

    fn first(&self) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(self.after)
    }

    /// A page of what `keep` takes, and the cursor behind it where there is more.
    fn page<'c, T: 'c>(
        &self,
        all: impl Iterator<Item = &'c T>,
        key: impl Fn(&T) -> u64,
        keep: impl Fn(&T) -> bool,
        tell: impl Fn(&T) -> Value,
    ) -> (Vec<Value>, Option<u64>) {
        let (mut found, mut last) = (Vec::new(), self.after);
        for (looked, entry) in all.enumerate() {
            if found.len() == self.limit || looked == LOOK_AT {
                return (found, Some(last));
            }
            last = key(entry);
            if keep(entry) {
                found.push(tell(entry));
            }
        }
        (found, None)
    }
}

/// `GET /admin/orders?status=&limit=&cursor=`: oldest first; `status=open` is every one that has not ended.
pub(super) async fn orders(handle: Handle<Deliveries>, asked: Asked) -> PageAnswer {
    let span = Span::of(&asked)?;
    let wanted = match asked.query("status").filter(|word| !word.is_empty()) {
        None => None,
        Some("open") => Some(None),
        Some(word) => {
            let status = Status::ALL.into_iter().find(|status| word_of(*status) == word);
            let unknown = || PageError::new(400, "bad_query", "status: allowed is open, or the status of an order.");
            Some(Some(status.ok_or_else(unknown)?))
        }
    };
    let keep = |order: &Order| match wanted {
        None => true,
        Some(None) => !order.status().is_final(),
        Some(Some(status)) => order.status() == status,
    };
    let published = handle.published();
    let (city, settings) = (&published.city, handle.domain().settings());
    let all = city.orders_from(OrderKey(span.first()));
    let (orders, cursor) = span.page(all, |order| order.key().0.get(), keep, |order| order_json(city, settings, order));
    Ok(listed("orders", &orders, cursor))
}

/// `GET /admin/pilots?status=&limit=&cursor=`: in the order of their first appearance.
pub(super) async fn pilots(handle: Handle<Deliveries>, asked: Asked) -> PageAnswer {
    let span = Span::of(&asked)?;
    let all = [Availability::Unknown, Availability::Available, Availability::Busy, Availability::Offline];
    let wanted = match asked.query("status").filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => {
            let known = all.into_iter().find(|availability| availability_word(*availability) == word);
            let unknown =
                || PageError::new(400, "bad_query", "status: allowed is available, busy, offline or unknown.");
            Some(known.ok_or_else(unknown)?)
        }
    };
    let published = handle.published();
    let pilots = published.city.pilots_from(PilotKey(span.first()));
    let keep = |pilot: &Pilot| wanted.is_none_or(|wanted| pilot.availability() == wanted);
    let (pilots, cursor) = span.page(pilots, |pilot| pilot.key().0.get(), keep, pilot_json);
    Ok(listed("pilots", &pilots, cursor))
}

fn listed(name: &str, entries: &[Value], cursor: Option<u64>) -> Value {
    let mut answer = json!({ name: entries });
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.into();
    }
    answer
}

/// The canonical word for a status.
pub(super) fn word_of(status: Status) -> Value {
    serde_json::to_value(status).unwrap_or_default()
}

fn availability_word(availability: Availability) -> Value {
    serde_json::to_value(availability).unwrap_or_default()
}

/// An order's id: ours where it has one.
pub(super) fn order_name(settings: &Settings, order: &Order) -> String {
    let local = order.local().map(|local| local.name(&settings.city));
    local.or_else(|| order.upstream().map(str::to_owned)).unwrap_or_default()
}

/// A pilot's id.
pub(super) fn pilot_name(city: &City, pilot: Option<PilotKey>) -> Option<String> {
    let pilot = city.pilot(pilot?)?;
    Some(pilot.id().text().into_owned())
}

fn order_json(city: &City, settings: &Settings, order: &Order) -> Value {
    let time = |at: Option<_>| at.map(super::rfc3339);
    let odd = order.history().iter().fold(Oddities::NONE, |odd, step| odd.and(step.odd));
    let flags = [
        ("pilot_silent", order.silent_since().is_some()),
        ("other_pilot", odd.contains(Oddities::OTHER_PILOT)),
        ("out_of_order", odd.contains(Oddities::OUT_OF_ORDER)),
        ("clock", odd.contains(Oddities::CLOCK)),
        ("after_end", odd.contains(Oddities::AFTER_END)),
        ("over_capacity", odd.contains(Oddities::OVER_CAPACITY)),
    ];
    let flags: Vec<_> = flags.into_iter().filter_map(|(flag, set)| set.then_some(flag)).collect();
    json!({
        "orderId": order_name(settings, order),
        "upstreamId": order.upstream(),
        "status": word_of(order.status()),
        "merchantId": order.merchant(),
        "minionId": pilot_name(city, order.pilot()),
        "assignedHere": order.assigned_here(),
        "placedAt": super::rfc3339(order.placed_at()),
        "readyAt": time(order.ready_at()),
        "promisedAt": time(order.promised_at()),
        "eta": time(order.eta()),
        "pickup": order.pickup().map(point),
        "dropoff": order.dropoff().map(point),
        "turnedDownBy": order.excluded().iter().map(|pilot| pilot_name(city, Some(*pilot))).collect::<Vec<_>>(),
        "flags": flags,
    })
}

fn pilot_json(pilot: &Pilot) -> Value {
    let (profile, tally) = (pilot.profile(), pilot.tally());
    json!({
        "minionId": pilot.id().text(),
        "status": availability_word(pilot.availability()),
        "position": pilot.fix().map(|fix| point(fix.position)),
        "positionAt": pilot.fix().map(|fix| super::rfc3339(fix.at)),
        "heardAt": pilot.heard_at().map(super::rfc3339),
        "name": profile.name,
        "phone": profile.phone,
        "callbackUrl": profile.callback_url,
        "vehicle": profile.vehicle,
        "capacity": pilot.capacity(),
        "orders": pilot.load(),
        "shiftEnd": profile.shift_end.map(super::rfc3339),
        "cashLimit": profile.cash_limit.map(|limit| limit.to_string()),
        "offered": tally.offered,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "lapsed": tally.lapsed,
        "delivered": tally.delivered,
        "failed": tally.failed,
        "late": tally.late,
    })
}

fn point(position: Position) -> Value {
    json!({"lat": position.lat(), "lng": position.lng()})
}
