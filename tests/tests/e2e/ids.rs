//! Both ids of an order, for ever and everywhere.

use megamind_tests::city::order;
use megamind_tests::http::Request;
use megamind_tests::{Answer, City};
use serde_json::json;

const UNHEARD_OF: &str = "tst-01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Places an order during an outage and lets Oblivion have it: both of its ids.
fn both_ids(city: &mut City, client_ref: &str) -> (String, String) {
    city.lose_cloud();
    let local = city.place(client_ref);
    city.regain_cloud();
    let told = city.cloud.effects_of(&format!("\"{client_ref}\""));
    let upstream = city
        .cloud
        .orders()
        .into_iter()
        .find(|order| order["clientRef"] == client_ref)
        .and_then(|order| order["orderId"].as_str().map(str::to_owned))
        .expect("an order at the cloud");
    assert_eq!(told.len(), 1);
    assert_ne!(local, upstream);
    (local, upstream)
}

/// Oblivion's answer, about the order under this id.
#[track_caller]
fn expect_id(answer: Answer, id: &str) {
    let answer = answer.expect(200).expect_forwarded();
    assert_eq!(answer.json()["orderId"], id, "{answer}");
}

#[test]
fn both_ids_work_in_every_form_and_after_a_crash() {
    let mut city = City::with("").cloud_flags(&["--gzip"]).start();
    let (local, upstream) = both_ids(&mut city, "two-names");
    for crashed in [false, true] {
        if crashed {
            city.gateway.kill();
            city.gateway.start();
            city.gateway.await_mode("forwarding");
        }
        expect_id(city.track(&upstream), &upstream);
        expect_id(city.track(&local), &local);
        expect_id(city.track(&local.replace('-', "%2D")), &local);
        let escaped = format!("{{\"orderId\":\"{}\"}}", local.replace('-', "\\u002d"));
        expect_id(city.send(&Request::post_as("/trackOrder", "application/json", escaped)), &local);
        expect_id(city.send(&Request::form("/trackOrder", &format!("orderId={local}"))), &local);
        expect_id(city.post("/trackOrder", &json!({"orderId": local})), &local);
        let gzip = Request::get(format!("/trackOrder?orderId={local}")).header("Accept-Encoding", "gzip");
        expect_id(city.send(&gzip), &local);
    }
}

#[test]
fn ids_are_mapped_within_bulk_requests_and_on_plain_routes() {
    let mut city = City::start();
    let (local, upstream) = both_ids(&mut city, "many-names");
    let event = json!({"orderId": local, "minionId": "P1", "status": "accepted"});
    city.post("/updatemaster/bulk/deliveryInfo", &json!({"deliveries": [event]}))
        .expect(200)
        .expect_forwarded();
    assert_eq!(city.cloud.effects_of(&local).len(), 0);
    assert!(!city.cloud.effects_of(&upstream).is_empty());
    // The echo tells what Oblivion was asked; ids come back as whole strings only.
    let body = json!({"list": [{"x": local}], "note": format!("about {local}")});
    let echo = city.send(&Request::post("/echo", &body)).expect(200).expect_forwarded();
    assert!(!echo.text().contains("about tst-"), "{echo}");
}

#[test]
fn an_id_that_oblivion_does_not_know_is_pending() {
    let city = City::start();
    city.send(&Request::get(format!("/catalogue/menu?order={UNHEARD_OF}")))
        .expect_problem(503, "pending_upstream");
    let encoded = UNHEARD_OF.replace('-', "%2D");
    city.send(&Request::get(format!("/catalogue/menu?order={encoded}")))
        .expect_problem(503, "pending_upstream");
    city.send(&Request::post("/echo", &json!({"order": UNHEARD_OF})))
        .expect_problem(503, "pending_upstream");
    // What only looks alike is nobody's id.
    city.send(&Request::get(format!("/catalogue/menu?order=x{UNHEARD_OF}")))
        .expect(200);
    let placed = city.post("/placeOrder", &order("plain")).expect(201).expect_forwarded();
    assert!(!city.id_of(&placed).starts_with("tst-"));
}
