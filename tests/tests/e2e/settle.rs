//! Writes that may have been applied: each has effect once, and none is denied.

use megamind_tests::city::order;
use megamind_tests::http::Party;
use megamind_tests::{City, Client, wait};
use serde_json::json;

#[test]
fn a_cloud_without_keys_leaves_what_is_in_doubt_to_the_operator() {
    let config = "upstream.idempotency = 'hold'";
    let city = City::with(config).cloud_flags(&["--ignore-keys"]).start();
    let lost = json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1});
    city.cloud.fault(&lost);
    city.place("held");
    // What was never sent needs nobody.
    city.place("sent");
    wait::until("the lost one is parked", || (city.gateway.status()["queue"]["parked"] == 1).then_some(()));
    assert_eq!(city.cloud.effects_of("\"held\"").len(), 1);
    assert_eq!(city.cloud.effects_of("\"sent\"").len(), 1);
}

#[test]
fn what_the_operator_wants_sent_again_is_sent() {
    let city = City::with("upstream.idempotency = 'hold'")
        .cloud_flags(&["--ignore-keys"])
        .start();
    // Read, and dropped: the operator can see that it did not arrive, the gateway cannot.
    city.cloud
        .fault(&json!({"kind": "reset", "paths": ["/placeOrder"], "count": 1}));
    let id = city.place("dropped");
    wait::until("it is parked", || (city.gateway.status()["queue"]["parked"] == 1).then_some(()));
    let retried = city.gateway.command(&["queue", "retry", "--all-parked"]);
    assert!(retried.status.success(), "{retried:?}");
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("\"dropped\"").len(), 1);
    city.track(&id).expect(200).expect_forwarded();
}

#[test]
fn a_write_that_may_have_been_applied_is_not_denied() {
    let city = City::start();
    // An order that Oblivion knows and the gateway does not.
    let placed = Client::connect_to(city.cloud.addr, Party::Other)
        .and_then(|mut client| client.send(&city.dialect.post("/placeOrder", &order("unseen"))))
        .expect("the cloud answers")
        .expect(201);
    let id = city.id_of(&placed);
    let lost = json!({"kind": "lose_reply", "paths": ["/updateOrder"], "count": 1});
    city.cloud.fault(&lost);
    let change = city.dialect.post("/updateOrder", &json!({"orderId": id, "notes": "perhaps"}));
    let answer = city.send(&change).expect_problem(504, "outcome_unknown");
    let key = answer.header("idempotency-key").expect("a key to repeat it with");
    // Repeated with the key, it gets Oblivion's first answer.
    let again = change.clone().header("Idempotency-Key", key);
    city.send(&again).expect(200);
    assert_eq!(city.cloud.effects_of("perhaps").len(), 1);
}

#[test]
fn a_retry_across_the_beginning_of_an_outage_has_effect_once() {
    let mut city = City::start();
    let request = city
        .dialect
        .post("/placeOrder", &order("retried"))
        .header("Idempotency-Key", "mine");
    city.send(&request).expect(201).expect_forwarded();
    city.lose_cloud();
    let again = city.send(&request).expect(201).expect_local();
    let id = city.id_of(&again);
    assert_eq!(city.status_of(&id), "placed");
    city.regain_cloud();
    assert_eq!(city.cloud.effects_of("\"retried\"").len(), 1);
    city.track(&id).expect(200).expect_forwarded();
}

#[test]
fn a_retry_after_an_outage_has_effect_once() {
    let mut city = City::start();
    city.lose_cloud();
    let request = city
        .dialect
        .post("/placeOrder", &order("repeated"))
        .header("Idempotency-Key", "mine");
    let first = city.send(&request).expect(201).expect_local();
    city.regain_cloud();
    let again = city.send(&request).expect(201);
    assert_eq!(city.cloud.effects_of("\"repeated\"").len(), 1);
    // Whoever answers, both ids are the same order's.
    for answer in [first, again] {
        city.track(&city.id_of(&answer)).expect(200);
    }
}

#[test]
fn a_cloud_without_keys_is_asked_whether_an_order_arrived() {
    let config = "
        upstream.idempotency = 'lookup'
        upstream.settle_after = '500ms'
        [upstream.lookup]
        path = '/findOrder'
        match = ['merchantId', 'clientRef']
        found = '/orders/0/orderId'
    ";
    let city = City::with(config).cloud_flags(&["--ignore-keys"]).start();
    let fault = |kind: &str| json!({"kind": kind, "paths": ["/placeOrder"], "count": 1});
    city.cloud.fault(&fault("lose_reply"));
    let applied = city.place("applied");
    city.cloud.fault(&fault("reset"));
    let lost = city.place("lost");
    // Nothing tells this one from another: it cannot be asked for.
    let mut nameless = order("nameless");
    nameless.as_object_mut().and_then(|order| order.remove("clientRef"));
    nameless["notes"] = json!("nameless");
    city.cloud.fault(&fault("lose_reply"));
    city.post("/placeOrder", &nameless).expect(201).expect_local();
    wait::until("one is parked, the others are settled", || {
        let queue = &city.gateway.status()["queue"];
        (queue["parked"] == 1 && queue["entries"] == 1).then_some(())
    });
    for (id, text) in [(applied, "\"applied\""), (lost, "\"lost\"")] {
        assert_eq!(city.cloud.effects_of(text).len(), 1, "{text}");
        city.track(&id).expect(200).expect_forwarded();
    }
    assert_eq!(city.cloud.effects_of("nameless").len(), 1);
}

#[test]
fn a_write_that_was_sent_can_be_waited_for() {
    let city = City::with("upstream.on_timeout = 'wait'\nupstream.response_timeout = '300ms'").start();
    let slow = json!({"kind": "slow", "delay_ms": 1500, "paths": ["/placeOrder", "/trackOrder"]});
    city.cloud.fault(&slow);
    let placed = city.post("/placeOrder", &order("patient")).expect(201).expect_forwarded();
    assert_eq!(city.cloud.effects_of("\"patient\"").len(), 1);
    // Reads have nothing to wait for.
    city.track(&city.id_of(&placed)).expect(200).expect_local();
}
