//! Orders that ended long ago leave the memory, and nothing about them is lost.

use megamind_domain::{Domain, EntityKey, Time};
use megamind_handlers::{City, Command, retire::Leaving};

use crate::support::World;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Places an order and delivers it, a minute later.
fn deliver(world: &mut World) -> String {
    let id = world.place();
    world.now.0 += 60_000;
    world.report(&id, "P1", "delivered");
    id
}

fn leaving(world: &World, queued: impl Fn(EntityKey) -> bool) -> Vec<Leaving> {
    let before = Time(world.now.0 - DAY);
    world.domain.leaving(&world.city, before, 100, queued)
}

/// Retires what may go, and what the journal keeps of it.
fn retire(world: &mut World) -> Vec<(Leaving, Box<str>)> {
    let going = leaving(world, |_| false);
    let rows = going.into_iter().map(|leaving| {
        let row = world.domain.encode(&world.city, leaving.order.into()).expect("a row");
        (leaving, String::from_utf8(row).expect("JSON").into())
    });
    let rows: Vec<_> = rows.collect();
    let keys = rows.iter().map(|(leaving, _)| leaving.order).collect();
    world.decide(&Command::Retire(keys)).expect("retired");
    rows
}

#[test]
fn only_what_ended_long_ago_and_is_not_queued_leaves() {
    let mut world = World::acting();
    let early = deliver(&mut world);
    let open = world.place();
    world.now.0 += DAY - HOUR / 2;
    let late = deliver(&mut world);
    assert_eq!(leaving(&world, |_| false).len(), 0, "not a full day after it was delivered");
    world.now.0 += HOUR;
    assert_eq!(leaving(&world, |_| true).len(), 0, "queued");
    let gone = retire(&mut world);
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].0.names.to_vec(), [early.clone().into_boxed_str()]);
    let known: Vec<String> = world
        .city
        .orders()
        .filter_map(|order| Some(order.local()?.name("blr")))
        .collect();
    assert_eq!(known, [open, late]);
    assert_eq!(world.get("/trackOrder", &format!("orderId={early}")).0, 404);
    // What is not old enough is not let go, whoever says so.
    let still = world.city.orders().next().expect("the open one").key();
    world.decide(&Command::Retire(vec![still])).expect("decided");
    assert!(world.city.order(still).is_some());
}

#[test]
fn an_order_comes_back_as_it_was_under_both_ids() {
    let mut world = World::acting();
    let id = deliver(&mut world);
    world.replayed(&id, &serde_json::json!({"orderId": "OB-7"}));
    let before = world.get("/trackOrder", &format!("orderId={id}"));
    world.now.0 += 2 * DAY;
    let gone = retire(&mut world);
    assert_eq!(gone[0].0.names.to_vec(), [id.clone().into_boxed_str(), "OB-7".into()]);
    let asked = Command::TrackOrder(megamind_handlers::id::Name::order("blr", &*id, false));
    assert_eq!(world.domain.missing(&world.city, &asked), [id.clone().into_boxed_str()]);

    let (leaving, row) = &gone[0];
    let recall = Command::Recall { order: leaving.order, row: row.clone() };
    for _ in 0..2 {
        world.decide(&recall).expect("recalled, and the second time nothing");
    }
    assert_eq!(world.get("/trackOrder", &format!("orderId={id}")), before);
    assert_eq!(world.get("/trackOrder", "orderId=OB-7").0, 200);
    assert!(world.domain.missing(&world.city, &asked).is_empty());
    // A row that was damaged changes nothing.
    let damaged = Command::Recall { order: leaving.order, row: "{".into() };
    world.decide(&Command::Retire(vec![leaving.order])).expect("retired");
    world.decide(&damaged).expect("decided");
    assert!(world.city.order(leaving.order).is_none());
}

#[test]
fn a_busy_month_leaves_a_day_in_memory() {
    let mut world = World::acting();
    let mut most = 0;
    for _ in 0..30 * 24 {
        for _ in 0..3 {
            deliver(&mut world);
        }
        world.now.0 += HOUR - 3 * 60_000;
        retire(&mut world);
        most = most.max(world.city.orders().count());
    }
    assert!(most <= 25 * 3, "{most} orders in memory");
    // Nothing is left of those that went: a fresh city of the same rows is the same.
    let mut again = City::default();
    let keys: Vec<u64> = (0..=world.city.orders().map(|order| order.key().0.get()).max().unwrap_or(0)).collect();
    for key in keys {
        if let Some(row) = world.domain.encode(&world.city, EntityKey(key)) {
            world.domain.decode(&mut again, EntityKey(key), &row).expect("reads");
        }
    }
    assert_eq!(again.orders().count(), world.city.orders().count());
    assert_eq!(again.orders_by_status(), world.city.orders_by_status());
}
