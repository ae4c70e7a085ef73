//! Clouds that do not honour keys: what may have been applied is looked up, waited for, or left to the operator.

use megamind_tests::city::order;
use megamind_tests::{City, Request, wait};
use serde_json::{Value, json};

const LOOKUP: &str = r#"
    [upstream]
    idempotency = "lookup"
    settle_after = "1s"
    [upstream.lookup]
    path = "/findOrder"
    match = ["merchantId", "clientRef"]
    found = "/orders/0/orderId"
"#;

fn forgetful(config: &str) -> City {
    City::with(config).cloud_flags(&["--ignore-keys"]).start()
}

#[test]
fn an_order_whose_reply_was_lost_is_found_and_not_placed_again() {
    let city = forgetful(LOOKUP);
    city.cloud
        .fault(&json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1}));
    let local = city.place("lost");
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("\"lost\"").len(), 1);
    // It has both ids.
    let answer = city.track(&local).expect(200).expect_forwarded();
    assert_eq!(answer.json()["orderId"], local);
}

#[test]
fn an_order_that_did_not_arrive_is_placed_once() {
    let city = forgetful(LOOKUP);
    city.cloud
        .fault(&json!({"kind": "status", "status": 500, "paths": ["/placeOrder"], "count": 1}));
    let local = city.place("refused");
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("\"refused\"").len(), 1);
    city.track(&local).expect(200).expect_forwarded();
}

#[test]
fn what_cannot_be_looked_up_is_held() {
    let city = forgetful(LOOKUP);
    let id = city.place("known");
    city.cloud
        .fault(&json!({"kind": "lose_reply", "paths": ["/updateOrder"], "count": 1}));
    city.post("/updateOrder", &json!({"orderId": id, "notes": "by the back door"}))
        .expect(200);
    // Nor can an order without its match fields.
    let mut order = order("");
    order.as_object_mut().expect("an object").remove("clientRef");
    city.cloud
        .fault(&json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1}));
    city.post("/placeOrder", &order).expect(201).expect_local();
    wait::until("both are parked", || (city.gateway.status()["queue"]["parked"] == 2).then_some(()));
    assert_eq!(city.cloud.effects_of("back door").len(), 1);
}

#[test]
fn an_operator_who_knows_that_it_arrived_says_so() {
    let city = City::with("upstream.idempotency = 'hold'")
        .cloud_flags(&["--ignore-keys"])
        .start();
    city.cloud
        .fault(&json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1}));
    let local = city.place("arrived");
    wait::until("it is parked", || (city.gateway.status()["queue"]["parked"] == 1).then_some(()));
    let listed = city.gateway.said(&["queue", "list", "--state", "parked", "--json"]);
    let seq = serde_json::from_str::<Value>(&listed).expect("one entry")["id"].to_string();
    let upstream = city.cloud.orders()[0]["orderId"].as_str().expect("an id").to_owned();
    let refused = city.gateway.command(&["queue", "acknowledge", &seq, "--why", "seen"]);
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.contains("upstreamId"), "{refused}");
    let why = ["--why", "seen in its log", "--upstream-id", &upstream];
    city.gateway.said(&[&["queue", "acknowledge", &seq], &why[..]].concat());
    city.gateway.await_drained();
    for id in [&local, &upstream] {
        let answer = city.track(id).expect(200).expect_forwarded();
        assert_eq!(answer.json()["orderId"], **id);
    }
    assert_eq!(city.cloud.effects_of("\"arrived\"").len(), 1);
    let again = city.gateway.command(&[&["queue", "acknowledge", &seq], &why[..]].concat());
    assert!(!again.status.success(), "it does not wait any more");
}

#[test]
fn what_is_put_aside_unsent_is_no_trial_of_the_cloud() {
    let city = City::with("upstream.idempotency = 'hold'\nupstream.response_timeout = '1s'")
        .cloud_flags(&["--ignore-keys"])
        .start();
    city.cloud.fault(&json!({"kind": "hang", "paths": ["/placeOrder"]}));
    // The page stays green, so a replay has to succeed; and nothing has failed but these orders, all at once.
    std::thread::scope(|scope| {
        for number in 0..24 {
            let city = &city;
            scope.spawn(move || city.place(&format!("doubtful-{number}")));
        }
    });
    city.place("never sent");
    city.cloud.heal();
    city.gateway.await_mode("forwarding");
    assert_eq!(city.cloud.effects_of("\"never sent\"").len(), 1);
    assert_eq!(city.gateway.status()["queue"]["parked"], 24);
}

#[test]
fn items_of_a_list_that_may_have_been_applied_are_not_denied() {
    let city = City::with("health.passive.min_requests = 100")
        .cloud_flags(&["--no-dispatch"])
        .start();
    let [done, other] = ["done", "other"].map(|name| city.place(name));
    let item = |order: &str, pilot: &str, status: &str| json!({"orderId": order, "minionId": pilot, "status": status});
    let delivered = [item(&done, "P1", "picked_up"), item(&done, "P1", "delivered")];
    for told in &delivered {
        city.post("/updatemaster/ind/deliveryInfo", told).expect(200).expect_forwarded();
    }
    // The repetition by the gateway itself included.
    city.cloud
        .fault(&json!({"kind": "lose_reply", "paths": ["/updatemaster/bulk/deliveryInfo"], "count": 2}));
    // Nobody accepts what is delivered, as far as is known here.
    let bulk = json!({"deliveries": [item(&other, "P1", "picked_up"), item(&done, "P2", "accepted")]});
    let answer = city.post("/updatemaster/bulk/deliveryInfo", &bulk).expect(200).expect_local();
    let results = answer.json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(200), &json!(504)), "{results}");
    assert_eq!(results[1]["code"], "outcome_unknown");
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("\"picked_up\"").len(), 2, "once each");
}

#[test]
fn a_restart_between_attempt_and_answer_does_not_repeat_a_replay() {
    let mut city = forgetful(LOOKUP);
    city.lose_cloud();
    let local = city.place("crashed");
    // The replay is applied, and its answer comes after the gateway's death.
    city.cloud.start();
    city.cloud
        .fault(&json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1}));
    wait::until("the replay was applied", || {
        (!city.cloud.effects_of("\"crashed\"").is_empty()).then_some(())
    });
    city.gateway.kill();
    city.gateway.start();
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("\"crashed\"").len(), 1);
    city.track(&local).expect(200).expect_forwarded();
}

#[test]
fn a_write_that_was_sent_is_waited_for() {
    let city =
        City::with("upstream.on_timeout = 'wait'\nupstream.response_timeout = '1s'\nhealth.passive.min_requests = 100")
            .start();
    city.cloud
        .fault(&json!({"kind": "slow", "delay_ms": 3000, "paths": ["/placeOrder", "/trackOrder"]}));
    let id = city.place("slow");
    assert!(!id.starts_with("tst-"), "Oblivion's own answer was waited for");
    assert_eq!(city.cloud.effects_of("\"slow\"").len(), 1);
    // A read is not worth the wait.
    city.track(&id).expect(200).expect_local();
}

/// Answers that say nothing of the content: nobody has decided about it.
fn refusals() -> [Value; 4] {
    [
        json!({"kind": "status", "status": 401}),
        json!({"kind": "status", "status": 403}),
        json!({"kind": "no_backend"}),
        json!({"kind": "rate_limit", "delay_ms": 1}),
    ]
}

fn conflict() -> Value {
    json!({"kind": "status", "status": 409})
}

#[test]
fn a_repetition_by_the_gateway_itself_takes_nothing_back() {
    // One thread, so that a connection rests that the next request takes.
    let city = City::with("gateway.threads = 1\nhealth.passive.min_requests = 1000").start();
    let mut client = city.client();
    for (number, mut refusal) in refusals().into_iter().chain([conflict()]).enumerate() {
        city.place(&format!("rests {number}"));
        (refusal["count"], refusal["paths"]) = (1.into(), json!(["/placeOrder"]));
        city.cloud
            .fault(&json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1, "then": refusal}));
        let name = format!("\"twice {number}\"");
        let answer = client.send(&Request::post("/placeOrder", &order(name.trim_matches('"'))));
        answer.expect("an answer").expect(201).expect_local();
        city.gateway.await_drained();
        assert_eq!(city.cloud.effects_of(&name).len(), 1, "{refusal}");
    }
}

#[test]
fn a_replay_that_was_refused_on_its_way_is_not_in_doubt() {
    let city = forgetful("upstream.idempotency = 'hold'");
    for (number, mut refusal) in refusals().into_iter().enumerate() {
        city.cloud.fault(&json!({"kind": "status", "status": 503}));
        city.gateway.await_mode("acting");
        let name = format!("refused {number}");
        city.place(&name);
        (refusal["count"], refusal["paths"]) = (1.into(), json!(["/placeOrder"]));
        city.cloud.fault(&refusal);
        city.gateway.await_drained();
        assert_eq!(city.cloud.effects_of(&format!("\"{name}\"")).len(), 1, "{refusal}");
    }
}
