//! Is the day feasible? Judged by the problem's definitions alone, from the instance and the
//! errands, with nothing of the planner and nothing of the simulator's arithmetic.

use super::instance::{Instance, Point};
use super::simulate::{Day, Errand};

/// Everything that is wrong with a day; nothing if it is feasible.
pub(crate) fn faults(instance: &Instance, day: &Day) -> Vec<String> {
    let mut faults = Vec::new();
    let mut carried = vec![0_u32; instance.orders.len()];
    let mut by_courier: Vec<Vec<&Errand>> = vec![Vec::new(); instance.couriers.len()];
    for errand in &day.errands {
        match by_courier.get_mut(errand.courier) {
            Some(errands) => errands.push(errand),
            None => faults.push(format!("no courier {}", errand.courier)),
        }
        for &order in &errand.orders {
            match carried.get_mut(order) {
                Some(count) => *count += 1,
                None => faults.push(format!("no order {order}")),
            }
        }
    }
    if !faults.is_empty() {
        return faults;
    }
    for (order, &count) in carried.iter().enumerate() {
        if count > 1 {
            faults.push(format!("order {order} is carried {count} times"));
        }
    }
    for (courier, mut errands) in by_courier.into_iter().enumerate() {
        errands.sort_by_key(|errand| errand.told);
        let shift = &instance.couriers[courier];
        let mut place = shift.home;
        let mut free = shift.on;
        for errand in errands {
            match follow(instance, day, errand, (place, free)) {
                Ok(after) => (place, free) = after,
                Err(fault) => {
                    faults.push(format!("courier {courier}, told at {}: {fault}", errand.told));
                    break;
                }
            }
        }
    }
    faults
}

/// Follows one errand: where and when the courier is free afterwards.
fn follow(
    instance: &Instance,
    day: &Day,
    errand: &Errand,
    (place, free): (Point, i64),
) -> Result<(Point, i64), String> {
    let Some(&first) = errand.orders.first() else {
        return Err("nothing to carry".to_owned());
    };
    if errand.told < free {
        return Err(format!("not free before {free}"));
    }
    let restaurant = instance.orders[first].restaurant;
    let mut latest_ready = i64::MIN;
    for &order in &errand.orders {
        let data = &instance.orders[order];
        if data.restaurant != restaurant {
            return Err(format!("order {order} is from another restaurant"));
        }
        if data.placed > errand.told {
            return Err(format!("order {order} was not placed yet"));
        }
        latest_ready = latest_ready.max(day.ready[order]);
    }
    let mut here = instance.restaurants[restaurant];
    let arrival = errand.told + instance.minutes(place, here);
    let pickup = latest_ready.max(arrival + instance.pickup_service / 2);
    if errand.picked_up != pickup {
        return Err(format!("picked up at {} instead of {pickup}", errand.picked_up));
    }
    // Nobody is to blame for a kitchen that is later than it said: such a pickup may be late.
    let said = (errand.orders.iter()).map(|&order| day.ready[order].min(instance.orders[order].ready));
    let planned = said.fold(arrival + instance.pickup_service / 2, i64::max);
    if planned > instance.couriers[errand.courier].off {
        return Err(format!("picked up at {pickup}, after the shift"));
    }
    if errand.handed_over.len() != errand.orders.len() {
        return Err("not every order has a hand-over".to_owned());
    }
    let mut clock = pickup + instance.pickup_service - instance.pickup_service / 2;
    for (&order, &handed_over) in errand.orders.iter().zip(&errand.handed_over) {
        let door = instance.orders[order].door;
        let expected = clock + instance.minutes(here, door) + instance.dropoff_service / 2;
        if handed_over != expected {
            return Err(format!("order {order} handed over at {handed_over} instead of {expected}"));
        }
        clock = expected + instance.dropoff_service - instance.dropoff_service / 2;
        here = door;
    }
    Ok((here, clock))
}
