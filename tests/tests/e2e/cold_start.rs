//! The first start of all, in the middle of an outage.

use std::time::{Duration, Instant};

use megamind_tests::city::{order, pilot};
use megamind_tests::http::Party;
use megamind_tests::{City, Client};
use serde_json::json;

#[test]
fn an_empty_gateway_without_an_upstream_is_ready_and_takes_everything() {
    // Whose order it is must not change while the events about it are queued.
    let mut city = City::with("").cloud_flags(&["--no-dispatch"]).prepare();
    // An order that Oblivion knows and the gateway does not.
    city.cloud.start();
    let placed = Client::connect_to(city.cloud.addr, Party::Other)
        .and_then(|mut client| client.send(&city.dialect.post("/placeOrder", &order("unseen"))))
        .expect("the cloud answers")
        .expect(201);
    let unseen = city.id_of(&placed);
    city.cloud.kill();

    let start = Instant::now();
    city.gateway.start();
    let took = start.elapsed();
    // The bound is the promise itself.
    assert!(took < Duration::from_secs(3), "ready after {took:?}");
    city.gateway.await_mode("acting");

    let id = city.place("first");
    let registration = json!({
        "minionId": "P1", "name": "Asha", "phone": "+919812345678", "vehicle": "bike", "capacity": 3,
        "lat": 12.97, "lng": 77.59, "status": "available",
    });
    city.post("/ind/setminiongeneralinfo", &registration).expect(200).expect_local();
    city.post("/updatemaster/ind/generalinfo", &pilot("P2"))
        .expect(200)
        .expect_local();
    let unknown = city.deliver(&unseen, "P3", "picked_up").expect(200).expect_local();
    assert_eq!(unknown.json()["known"], false);
    let carrier = city.track(&id).expect(200).json()["minionId"].clone();
    let carrier = carrier.as_str().expect("a pilot has it");
    city.deliver(&id, carrier, "picked_up").expect(200).expect_local();

    city.regain_cloud();
    assert_eq!(city.cloud.effects_of("\"first\"").len(), 1);
    assert_eq!(city.cloud.order(&unseen).expect("known")["status"], "picked_up");
    for pilot in ["P1", "P2"] {
        let quoted = format!("\"{pilot}\"");
        assert!(!city.cloud.effects_of(&quoted).is_empty(), "{pilot} has reached Oblivion");
    }
}

#[test]
fn what_is_not_known_here_is_not_denied() {
    let city = City::with("").start_without_cloud();
    city.track("OB-1").expect_problem(503, "not_known_here");
    // An id that only this city can have given is another matter.
    city.track("tst-01ARZ3NDEKTSV4RRFFQ69G5FAV")
        .expect_problem(404, "order_not_found");
    // And what was refused has not become an order.
    city.track("OB-1").expect_problem(503, "not_known_here");
}

#[test]
fn a_start_into_an_outage_acts_and_a_start_after_it_drains() {
    let mut city = City::start();
    city.lose_cloud();
    let id = city.place("before the restart");
    city.gateway.stop();
    city.gateway.start();
    assert_eq!(city.gateway.mode(), "acting");
    assert_eq!(city.status_of(&id), "placed");
    city.gateway.kill();
    city.cloud.start();
    city.gateway.start();
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("\"before the restart\"").len(), 1);
}
