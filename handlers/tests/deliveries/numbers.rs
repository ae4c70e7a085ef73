//! A city whose clients know their orders by numbers.

use megamind_handlers::{Settings, settings::Integers};
use serde_json::{Value, json};

use crate::support::World;

const FIRST: u64 = 71_000_000;

fn world(last: u64, given: bool) -> World {
    let integers = Some(Integers { first: FIRST, last, skip: 0, given });
    World::new(Settings { integers, ..Settings::new("blr") })
}

fn place(world: &mut World) -> (u16, Value) {
    let placed =
        json!({"merchantId": 12, "pickup": {"lat": 12.97, "lng": 77.59}, "dropoff": {"lat": 12.93, "lng": 77.62}});
    world.post("/placeOrder", &placed)
}

#[test]
fn an_order_gets_a_number_of_its_own_and_is_known_by_it_in_every_form() {
    let mut world = world(FIRST + 999, true);
    let (status, answer) = place(&mut world);
    assert_eq!((status, &answer["orderId"]), (201, &json!(FIRST)));
    let (_, other) = place(&mut world);
    let number = other["orderId"].as_u64().expect("a number");
    assert!((FIRST + 1..=FIRST + 999).contains(&number));
    for id in [json!(number), json!(number.to_string())] {
        let (status, told) = world.post("/updateOrder", &json!({"orderId": id, "notes": "ring twice"}));
        assert_eq!((status, &told["orderId"]), (200, &json!(number)));
    }
    let (status, told) = world.get("/trackOrder", &format!("orderId={number}"));
    assert_eq!((status, &told["orderId"]), (200, &json!(number)), "a query has texts alone");
}

#[test]
fn numbers_that_were_given_and_forgotten_are_left_out_and_still_ours() {
    let skipping = |skip| {
        let integers = Some(Integers { first: FIRST, last: FIRST + 999, skip, given: true });
        World::new(Settings { integers, ..Settings::new("blr") })
    };
    assert_eq!(place(&mut skipping(500)).1["orderId"], FIRST + 500);
    let (status, problem) = skipping(500).get("/trackOrder", &format!("orderId={FIRST}"));
    assert_eq!((status, &problem["code"]), (404, &json!("order_not_found")));
    assert_eq!(place(&mut skipping(1000)).1["code"], "beyond_stand_in");
    assert_eq!(place(&mut skipping(u64::MAX)).1["code"], "beyond_stand_in");
}

#[test]
fn a_number_outside_the_range_is_the_upstreams() {
    let mut world = world(FIRST + 999, true);
    let (status, problem) = world.get("/trackOrder", "orderId=4711");
    assert_eq!((status, &problem["code"]), (503, &json!("not_known_here")));
    let (status, problem) = world.get("/trackOrder", &format!("orderId={FIRST}"));
    assert_eq!((status, &problem["code"]), (404, &json!("order_not_found")));
}

#[test]
fn a_cloud_that_writes_numbers_is_stood_in_for_with_numbers() {
    let settings = Settings { upstream_numbers: true, ..Settings::new("blr") };
    let mut world = World::new(settings);
    let fact = json!({"orderId": "4711", "minionId": "P1", "status": "delivered"});
    let (status, told) = world.post("/updatemaster/ind/deliveryInfo", &fact);
    assert_eq!((status, &told["orderId"]), (200, &json!(4711)));
    assert_eq!(world.get("/trackOrder", "orderId=4711").1["orderId"], 4711);
}

#[test]
fn when_all_numbers_are_given_nothing_more_is_taken() {
    let mut world = world(FIRST, true);
    assert_eq!(place(&mut world).0, 201);
    let (status, problem) = place(&mut world);
    assert_eq!((status, &problem["code"]), (503, &json!("beyond_stand_in")));
}

#[test]
fn numbers_of_earlier_times_are_known_to_a_city_that_gives_ulids() {
    let mut world = world(FIRST + 999, true);
    assert_eq!(place(&mut world).0, 201);
    let mut later = self::world(FIRST + 999, false);
    later.city = world.city.clone();
    assert!(place(&mut later).1["orderId"].is_string());
    assert_eq!(later.get("/trackOrder", &format!("orderId={FIRST}")).0, 200);
}
