//! Requests that come again, with and without a key of the client's own.

use std::thread;

use megamind_tests::city::order;
use megamind_tests::http::Request;
use megamind_tests::{Answer, City, Client};
use serde_json::json;

fn place(city: &City, client_ref: &str, key: &str) -> Request {
    city.dialect
        .post("/placeOrder", &order(client_ref))
        .header("Idempotency-Key", key)
}

#[track_caller]
fn expect_repeated(answer: &Answer, first: &Answer) {
    assert_eq!((answer.status, answer.text()), (first.status, first.text()), "{answer}");
    assert_eq!(answer.header("idempotency-replayed"), Some("true"), "{answer}");
}

#[test]
fn the_first_answer_is_repeated_in_every_mode_and_after_a_crash() {
    let mut city = City::with("").cloud_flags(&["--ignore-keys"]).start();
    let request = place(&city, "again", "k1");
    let first = city.send(&request).expect(201).expect_forwarded();
    expect_repeated(&city.send(&request), &first);
    city.send(&place(&city, "another", "k1"))
        .expect_problem(422, "idempotency_key_reused");
    city.lose_cloud();
    expect_repeated(&city.send(&request), &first);
    city.gateway.kill();
    city.gateway.start();
    expect_repeated(&city.send(&request), &first);
    city.regain_cloud();
    expect_repeated(&city.send(&request), &first);
    assert_eq!(city.cloud.effects_of("\"again\"").len(), 1);
    assert_eq!(city.cloud.effects_of("\"another\"").len(), 0);
    // A key is one client's at one endpoint.
    city.send(&place(&city, "fresh", "k2")).expect(201).expect_forwarded();
}

#[test]
fn an_answer_of_the_handlers_is_repeated_while_forwarding() {
    let mut city = City::with("").cloud_flags(&["--ignore-keys"]).start();
    city.lose_cloud();
    let request = place(&city, "ours", "k1");
    let first = city.send(&request).expect(201).expect_local();
    city.regain_cloud();
    expect_repeated(&city.send(&request), &first);
    assert_eq!(city.cloud.effects_of("\"ours\"").len(), 1);
    city.track(&city.id_of(&first)).expect(200).expect_forwarded();
}

#[test]
fn twins_wait_for_each_other() {
    let city = City::with("").cloud_flags(&["--ignore-keys"]).start();
    city.cloud
        .fault(&json!({"kind": "slow", "delay_ms": 500, "paths": ["/placeOrder"]}));
    let request = place(&city, "twin", "k1");
    let answers: Vec<Answer> = thread::scope(|scope| {
        let send = || {
            let mut client = Client::connect(city.gateway.addr).expect("the gateway accepts");
            client.send(&request).expect("an answer")
        };
        let twins: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        twins.into_iter().map(|twin| twin.join().expect("no panic")).collect()
    });
    let replayed = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed") == Some("true"));
    assert_eq!(replayed.count(), 3);
    for answer in &answers {
        assert_eq!((answer.status, answer.text()), (201, answers[0].text()), "{answer}");
    }
    assert_eq!(city.cloud.effects_of("\"twin\"").len(), 1);
}

#[test]
fn natural_content_is_recognized_across_the_beginning_of_an_outage() {
    let mut city = City::with("").cloud_flags(&["--ignore-keys"]).start();
    let request = city.dialect.post("/placeOrder", &order("natural"));
    let first = city.send(&request).expect(201).expect_forwarded();
    city.lose_cloud();
    expect_repeated(&city.send(&request), &first);
    let local = city.dialect.post("/placeOrder", &order("natural too"));
    let first = city.send(&local).expect(201).expect_local();
    expect_repeated(&city.send(&local), &first);
    city.regain_cloud();
    assert_eq!(city.cloud.effects_of("\"natural\"").len(), 1);
    assert_eq!(city.cloud.effects_of("\"natural too\"").len(), 1);
}

#[test]
fn a_retry_after_a_crash_of_the_gateway_is_in_doubt_where_keys_are_not_honoured() {
    let mut city = City::with("upstream.idempotency = 'hold'")
        .cloud_flags(&["--ignore-keys"])
        .start();
    city.cloud
        .fault(&json!({"kind": "slow", "delay_ms": 60_000, "paths": ["/placeOrder"]}));
    let request = place(&city, "crashed", "k1");
    let mut client = Client::connect(city.gateway.addr).expect("the gateway accepts");
    client.write(&request.encode()).expect("a request on its way");
    megamind_tests::wait::until("the cloud has it", || (city.cloud.hits() > 0).then_some(()));
    city.gateway.kill();
    city.cloud.heal();
    city.gateway.start();
    city.gateway.await_mode("forwarding");
    // Sent on once more, it might take effect twice: it is taken here, and left to the operator.
    let again = city.send(&request).expect(201).expect_local();
    expect_repeated(&city.send(&request), &again);
    megamind_tests::wait::until("it is parked", || (city.gateway.status()["queue"]["parked"] == 1).then_some(()));
    // What nobody sent before goes through.
    city.send(&place(&city, "fresh", "k2")).expect(201).expect_forwarded();
}
