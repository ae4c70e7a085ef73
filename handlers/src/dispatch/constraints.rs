//! Who may carry what: capacity, vehicle, cash, shift, rejections, channel, stale positions.

use super::model::{COST_PER_SECOND, Channel, FAR, Order, Pilot, Seconds, Snapshot};
use super::problem::{JobData, Position, Rider, RiderData};
use super::settings::Settings;

/// A pilot is not planned with for longer than this because its position is old.
const MAX_DOUBT: Seconds = 900;

/// The pilots as the search sees them, by id.
pub(super) fn riders(snapshot: &Snapshot, settings: &Settings) -> Vec<RiderData> {
    let mut pilots: Vec<_> = snapshot.pilots.iter().collect();
    pilots.sort_by_key(|pilot| pilot.id);
    pilots.dedup_by_key(|pilot| pilot.id);
    let rider = |pilot| rider(pilot, snapshot.now, settings);
    pilots.into_iter().map(rider).collect()
}

fn rider(pilot: &Pilot, now: Seconds, settings: &Settings) -> RiderData {
    let since_now = |at: Seconds| at.saturating_sub(now).clamp(-FAR, FAR);
    let last_pickup = pilot.shift_end.map_or(Seconds::MAX, since_now);
    // Not before it is free, not before it has been told, and later by half of what its
    // position is overdue, since it may be that far from where it was.
    let told = match pilot.channel {
        Channel::Data => 0,
        Channel::Sms => settings.sms_lead,
    };
    let overdue = pilot.position_age.saturating_sub(settings.stale_after);
    let doubt = (overdue / 2).clamp(0, MAX_DOUBT);
    RiderData {
        id: pilot.id,
        start: Position { at: since_now(pilot.free_at).max(told) + doubt, place: pilot.place },
        free: pilot.free_at <= now,
        lead: told + doubt,
        last_pickup,
        vehicle: pilot.vehicle,
        capacity: pilot.capacity,
        cash_left: pilot.cash_left.unwrap_or(u64::MAX),
        handicap: pilot.handicap.clamp(-3_600, 86_400) * COST_PER_SECOND,
        channel: pilot.channel,
        stale: overdue > 0,
        depth: match pilot.channel {
            Channel::Data => settings.depth,
            Channel::Sms => 1,
        },
        remoteness: 0,
        fade: last_pickup.clamp(0, settings.remoteness_fade),
    }
}

/// Why a pilot may not carry an order at all, whatever else it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsuited {
    Vehicle,
    Capacity,
    Cash,
    Banned,
    /// Somebody else has been told of it.
    Held,
}

/// Whether a rider may carry the order at all.
#[inline]
pub(super) fn suits(job: &JobData, rider: Rider, data: &RiderData) -> bool {
    unsuited(job, rider, data).is_none()
}

/// What speaks against a rider for an order, if anything does.
#[inline]
pub(super) fn unsuited(job: &JobData, rider: Rider, data: &RiderData) -> Option<Unsuited> {
    if job.held.is_some_and(|holder| holder != rider) {
        Some(Unsuited::Held)
    } else if job.load > data.capacity {
        Some(Unsuited::Capacity)
    } else if job.cash > data.cash_left {
        Some(Unsuited::Cash)
    } else if !job.vehicles.contains(data.vehicle) {
        Some(Unsuited::Vehicle)
    } else if job.banned.contains(&rider) {
        Some(Unsuited::Banned)
    } else {
        None
    }
}

/// The riders that must not be asked for an order: those who turned it down, unless nobody
/// else could carry it at all.
pub(super) fn banned(order: &Order, riders: &[RiderData]) -> Vec<Rider> {
    if order.excluded.is_empty() {
        return Vec::new();
    }
    let another = riders.iter().any(|rider| {
        order.vehicles.contains(rider.vehicle)
            && order.load <= rider.capacity
            && order.cash <= rider.cash_left
            && rider.last_pickup >= rider.start.at
            && !order.excluded.contains(&rider.id)
    });
    if !another && order.ask_again {
        return Vec::new();
    }
    (order.excluded.iter())
        .filter_map(|id| riders.binary_search_by_key(id, |rider| rider.id).ok())
        .map(|index| index as Rider)
        .collect()
}

/// The rider who has been told of the order already.
pub(super) fn held(order: &Order, riders: &[RiderData]) -> Option<Rider> {
    let told = order.told?;
    let found = riders.binary_search_by_key(&told, |rider| rider.id);
    Some(found.map_or(Rider::MAX, |index| index as Rider))
}
