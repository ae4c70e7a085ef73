//! What Oblivion refuses for good, and what an operator does about it.

use megamind_tests::{City, wait};
use serde_json::{Value, json};

/// Orders placed in an outage after which Oblivion refuses to take orders.
fn refused(city: &City, orders: usize) -> Vec<String> {
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
    let ids = (0..orders).map(|number| city.place(&format!("refused-{number}"))).collect();
    city.cloud
        .fault(&json!({"kind": "status", "status": 422, "paths": ["/placeOrder"]}));
    ids
}

fn await_parked(city: &City, parked: u64) {
    wait::until("they are parked", || (city.gateway.status()["queue"]["parked"] == parked).then_some(()));
}

fn parked(city: &City) -> Vec<Value> {
    let listed = city.gateway.said(&["queue", "list", "--state", "parked", "--json"]);
    listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn an_operator_sees_it_and_sends_it_again_under_a_new_key() {
    let city = City::start();
    let ids = refused(&city, 1);
    await_parked(&city, 1);
    let list = parked(&city);
    assert_eq!(
        (list[0]["path"].as_str(), list[0]["lastStatus"].as_u64()),
        (Some("/placeOrder"), Some(422))
    );
    let seq = list[0]["id"].to_string();
    assert_eq!(
        city.gateway
            .said(&["queue", "list", "--state", "parked", "--status", "404", "--json"]),
        ""
    );
    let show = |city: &City| -> Value {
        serde_json::from_str(&city.gateway.said(&["queue", "show", &seq, "--json"])).expect("JSON")
    };
    let before = show(&city);
    assert_eq!((&before["state"], &before["localId"]), (&json!("parked"), &json!(ids[0])));
    assert!(city.gateway.said(&["queue", "show", &seq]).contains("refused-0"));
    city.cloud.heal();
    city.gateway.said(&["queue", "retry", "--all-parked"]);
    city.gateway.await_drained();
    let placed = city.cloud.effects_of("\"refused-0\"");
    assert_eq!(placed.len(), 1);
    assert_ne!(
        placed[0].key(),
        before["idempotencyKey"].as_str(),
        "the cloud remembers the old key's refusal"
    );
    assert!(
        !city.gateway.command(&["queue", "retry", &seq]).status.success(),
        "it is not parked any more"
    );
}

#[test]
fn a_discarded_order_goes_with_all_that_is_queued_about_it() {
    let city = City::start();
    let ids = refused(&city, 1);
    await_parked(&city, 1);
    let change = json!({"orderId": ids[0], "notes": "second floor"});
    city.post("/updateOrder", &change).expect(200).expect_local();
    assert_eq!(city.gateway.status()["queue"]["entries"], 2);
    let seq = parked(&city)[0]["id"].to_string();
    city.gateway
        .said(&["queue", "discard", &seq, "--who", "asha", "--why", "by phone instead"]);
    assert_eq!(city.gateway.status()["queue"]["entries"], 0);
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
    assert_eq!(city.status_of(&ids[0]), "cancelled");
}

#[test]
fn refusal_after_refusal_pauses_the_drain_until_one_passes() {
    let city = City::start();
    refused(&city, 8);
    wait::until("the drain pauses", || {
        let status = city.gateway.status();
        let why = status["drain"]["paused"].as_str()?.to_owned();
        why.contains("422").then_some(())
    });
    city.gateway.await_metric("megamind_drain_paused", "", 1.0);
    city.cloud.heal();
    // Nobody has to do anything: what was refused meanwhile is tried again.
    city.gateway.await_drained();
    for number in 0..8 {
        assert_eq!(city.cloud.effects_of(&format!("\"refused-{number}\"")).len(), 1);
    }
    city.gateway.await_metric("megamind_drain_paused", "", 0.0);
}

#[test]
fn a_refused_item_of_a_bulk_request_is_not_lost() {
    let mut city = City::with("").cloud_flags(&["--no-dispatch"]).start();
    let ids = ["one", "two"].map(|name| city.place(name));
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
    let item = |order: &str, status: &str| json!({"orderId": order, "minionId": "P1", "status": status});
    // The last two are refused here already, so their client knows.
    let late = json!({"orderId": ids[0], "minionId": "P2", "status": "accepted"});
    let items = [
        item(&ids[0], "picked_up"),
        item("OB-unheard-of", "delivered"),
        item(&ids[1], "dancing"),
        late,
    ];
    let bulk = json!({ "deliveries": items });
    let answer = city.post("/updatemaster/bulk/deliveryInfo", &bulk).expect(200).expect_local();
    let results = answer.json()["results"].clone();
    let statuses: Vec<_> = (0..4).map(|place| results[place]["status"].clone()).collect();
    assert_eq!(statuses, [200, 200, 400, 409]);
    city.cloud.heal();
    await_parked(&city, 1);
    assert_eq!(parked(&city)[0]["lastError"], "the upstream took the request and refused item 2 with 404");
    assert_eq!(city.cloud.order(&ids[0]).expect("known")["status"], "picked_up");
    // It alone is left, fences nobody else, outlives the gateway, and is sent again under another key.
    city.gateway.await_mode("forwarding");
    city.track(&ids[0]).expect(200).expect_forwarded();
    city.gateway.kill();
    city.gateway.start();
    let seq = parked(&city)[0]["id"].to_string();
    let shown = city.gateway.said(&["queue", "show", &seq, "--json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let body: Value = serde_json::from_str(shown["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body, json!({ "deliveries": [item("OB-unheard-of", "delivered")] }));
    let told = city.cloud.effects_of(&ids[0]).len();
    city.gateway.said(&["queue", "retry", &seq]);
    wait::until("it was tried again", || {
        let parked = parked(&city);
        (parked.first()?["attempts"].as_u64()? >= 2).then_some(())
    });
    assert_eq!(parked(&city)[0]["lastError"], "the upstream took the request and refused item 2 with 404");
    assert_eq!(city.cloud.effects_of(&ids[0]).len(), told, "what was taken is not told again");
    city.gateway.said(&["queue", "discard", &seq, "--why", "a mistake"]);
    city.gateway.await_drained();
}
