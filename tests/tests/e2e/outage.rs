//! Before, during and after an outage of a real upstream process.

use megamind_tests::city::{order, pilot};
use megamind_tests::cloud::Effect;
use megamind_tests::{City, Dialect, Request};
use serde_json::json;

#[test]
fn an_outage_in_the_standard_dialect() {
    carries_through(Dialect::standard());
}

#[test]
fn an_outage_in_another_dialect() {
    carries_through(Dialect::enveloped());
}

fn carries_through(dialect: Dialect) {
    let mut city = City::with("").speaking(dialect).start();
    city.post("/updatemaster/ind/generalinfo", &pilot("P1"))
        .expect(200)
        .expect_forwarded();
    let before = city.place("before");
    assert!(before.starts_with("OB-"), "Oblivion's id: {before}");

    city.lose_cloud();
    city.track(&before).expect(200).expect_local();
    let during = city.place("during");
    assert!(during.starts_with("tst-"), "an id of the city: {during}");
    let change = json!({"orderId": during, "dropoff": {"lat": 12.94, "lng": 77.6}});
    city.post("/updateOrder", &change).expect(200).expect_local();
    // The gateway dispatches: to one of the pilots, and it is for that one to accept.
    city.post("/updatemaster/ind/generalinfo", &pilot("P2"))
        .expect(200)
        .expect_local();
    let tracked = city.track(&during).expect(200);
    let carrier = city.dialect.read(&tracked)["minionId"].clone();
    let carrier = carrier.as_str().expect("a pilot has it");
    for status in ["accepted", "picked_up", "delivered"] {
        city.deliver(&during, carrier, status).expect(200).expect_local();
    }
    assert_eq!(city.status_of(&during), "delivered");
    let dropped = city.place("dropped");
    // Old clients cancel by GET.
    city.send(&city.dialect.get("/cancelOrder", "orderId", &dropped))
        .expect(200)
        .expect_local();
    city.deliver(&before, "P1", "picked_up").expect(200).expect_local();

    city.regain_cloud();
    let log = city.cloud.log();
    let placed = replayed(&log, "during");
    assert_eq!(placed.header("x-megamind-local-id"), Some(during.as_str()));
    assert_eq!(
        effects(&log, placed.text("orderId")),
        ["placed", "updated", "accepted", "picked_up", "delivered"]
    );
    let placed = replayed(&log, "dropped");
    assert_eq!(effects(&log, placed.text("orderId")), ["placed", "cancelled"]);
    assert_eq!(effects(&log, &before), ["placed", "picked_up"]);

    // Both ids work, and the client that asked by the local one is answered by it.
    let answer = city.track(&during).expect(200).expect_forwarded();
    assert_eq!(city.dialect.read(&answer)["orderId"], during);
    assert_eq!(city.dialect.read(&answer)["status"], "delivered");
    let after = city.place("after");
    assert!(after.starts_with("OB-"), "Oblivion's id: {after}");
}

/// The one write that placed an order of this reference, which must have been a replay.
fn replayed<'a>(log: &'a [Effect], client_ref: &str) -> &'a Effect {
    let quoted = format!("\"{client_ref}\"");
    let placed: Vec<&Effect> = log
        .iter()
        .filter(|effect| effect.endpoint() == "/placeOrder" && effect.body().contains(&quoted))
        .collect();
    let [placed] = placed.as_slice() else {
        panic!("placed {} times: {placed:?}", placed.len());
    };
    assert!(placed.is_replay() && placed.key().is_some(), "{placed:?}");
    placed
}

/// What was done to an order, in order; who dispatches it is not looked at.
fn effects<'a>(log: &'a [Effect], id: &str) -> Vec<&'a str> {
    log.iter()
        .filter(|effect| effect.text("orderId") == id)
        .map(|effect| effect.text("effect"))
        .filter(|effect| !matches!(*effect, "assigned" | "unchanged"))
        .collect()
}

#[test]
fn a_local_id_works_in_every_form_of_request_after_the_drain() {
    let mut city = City::start();
    city.lose_cloud();
    let id = city.place("mapped");
    city.regain_cloud();
    let log = city.cloud.log();
    let upstream = replayed(&log, "mapped").text("orderId").to_owned();

    city.post("/updateOrder", &json!({"orderId": id, "notes": "as JSON"}))
        .expect(200)
        .expect_forwarded();
    city.send(&Request::form("/updateOrder", &format!("orderId={id}&notes=as+form")))
        .expect(200)
        .expect_forwarded();
    city.send(&Request::post(format!("/updateOrder?orderId={id}"), &json!({"notes": "as query"})))
        .expect(200)
        .expect_forwarded();
    let seen: Vec<String> = city
        .cloud
        .log()
        .iter()
        .filter(|effect| effect.text("effect") == "updated")
        .map(|effect| effect.text("orderId").to_owned())
        .collect();
    assert_eq!(seen, [upstream.as_str(), &upstream, &upstream]);
    // Oblivion's own id goes on working, and nothing is mapped for who uses it.
    let answer = city.track(&upstream).expect(200).expect_forwarded();
    assert_eq!(answer.json()["orderId"], upstream);
}

#[test]
fn an_order_lives_through_two_outages_under_both_of_its_ids() {
    let mut city = City::start();
    city.lose_cloud();
    let id = city.place("twice");
    city.regain_cloud();
    let upstream = replayed(&city.cloud.log(), "twice").text("orderId").to_owned();

    city.lose_cloud();
    for name in [&id, &upstream] {
        let answer = city.track(name).expect(200).expect_local();
        assert_eq!(answer.json()["orderId"], name.as_str());
    }
    city.deliver(&upstream, "P1", "picked_up").expect(200);
    city.deliver(&id, "P1", "delivered").expect(200);
    city.regain_cloud();
    assert_eq!(effects(&city.cloud.log(), &upstream), ["placed", "picked_up", "delivered"]);
}

#[test]
fn a_write_whose_answer_is_lost_has_effect_once() {
    for fault in [
        json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1}),
        json!({"kind": "truncate", "paths": ["/placeOrder"], "count": 1}),
        json!({"kind": "apply_late", "delay_ms": 2500, "paths": ["/placeOrder"], "count": 1}),
    ] {
        let city = City::with("upstream.response_timeout = '1s'\nupstream.connect_timeout = '1s'").start();
        city.cloud.fault(&fault);
        // A head that has been passed on cannot be taken back: then the client sees the cut.
        if fault["kind"] == "truncate" {
            let request = city.dialect.post("/placeOrder", &order("lost"));
            let first = city.client().send(&request);
            assert!(first.is_err() || first.is_ok_and(|answer| answer.status == 201));
        } else {
            let answer = city.post("/placeOrder", &order("lost")).expect(201);
            answer.expect_local();
        }
        city.gateway.await_drained();
        city.cloud.heal();
        assert_eq!(city.cloud.effects_of("\"lost\"").len(), 1, "{fault}");
    }
}

#[test]
fn a_single_failure_is_queued_without_a_change_of_mode() {
    let city = City::start();
    let fault = json!({"kind": "status", "status": 503, "paths": ["/placeOrder"], "count": 1});
    city.cloud.fault(&fault);
    let id = city.place("single");
    assert!(id.starts_with("tst-"), "{id}");
    // Others go on being forwarded.
    city.post("/placeOrder", &order("next")).expect(201).expect_forwarded();
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("\"single\"").len(), 1);
    let failovers = city.gateway.metric("megamind_failovers_total", "");
    assert!(failovers.is_none_or(|count| count < 1.0), "no outage was seen");
}

#[test]
fn what_oblivion_refuses_for_good_is_parked_and_holds_back_nothing_else() {
    let mut city = City::start();
    city.lose_cloud();
    // A fact about an order that Oblivion will deny.
    city.deliver("OB-9999", "P1", "delivered").expect(200).expect_local();
    let id = city.place("healthy");
    city.cloud.start();
    city.gateway.await_mode("forwarding");
    megamind_tests::wait::until("the order has reached Oblivion", || {
        (city.cloud.effects_of("\"healthy\"").len() == 1).then_some(())
    });
    megamind_tests::wait::until("the fact is parked", || (city.gateway.status()["queue"]["parked"] == 1).then_some(()));
    city.track(&id).expect(200);
}
