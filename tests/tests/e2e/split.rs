//! Bulk requests of which some items name what waits in the queue.

use std::thread;

use megamind_tests::cloud::Effect;
use megamind_tests::{Answer, City, Client, Request, dialect::Dialect, wait};
use serde_json::{Value, json};

const IND: &str = "/updatemaster/ind/deliveryInfo";
const BULK: &str = "/updatemaster/bulk/deliveryInfo";

/// Two orders, the first of which has an event in the queue that Oblivion does not take for now.
fn fenced(plan: megamind_tests::city::Plan) -> (City, [String; 2]) {
    let city = plan.cloud_flags(&["--no-dispatch"]).start();
    let ids = ["fenced", "free"].map(|name| city.place(name));
    close(&city);
    city.deliver(&ids[0], "P1", "arrived_at_pickup").expect(200).expect_local();
    (city, ids)
}

/// Oblivion takes no single events.
fn close(city: &City) {
    let path = city.dialect.path(IND);
    city.cloud.fault(&json!({"kind": "status", "status": 503, "paths": [path]}));
}

fn both(ids: &[String; 2]) -> Value {
    let item = |id: &String, minion: &str| json!({"orderId": id, "minionId": minion, "status": "picked_up"});
    json!({"deliveries": [item(&ids[0], "P1"), item(&ids[1], "P2")], "shift": 1.50})
}

fn bulk(city: &City, ids: &[String; 2], key: &str) -> Request {
    city.dialect.post(BULK, &both(ids)).header("Idempotency-Key", key)
}

#[track_caller]
fn expect_both(city: &City, answer: &Answer) {
    let results = city.dialect.read(answer)["results"].clone();
    let statuses: Vec<_> = results
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["status"].clone())
        .collect();
    assert_eq!(statuses, [200, 200], "{answer}");
}

/// How often Oblivion wrote an order's status into its history.
fn times(city: &City, id: &str, status: &str) -> usize {
    let order = city.cloud.order(id).expect("Oblivion knows it");
    let history = order["history"].as_array().cloned().unwrap_or_default();
    history.iter().filter(|step| step["status"] == status).count()
}

/// In the end Oblivion has each event once, and those of the first order in order.
fn expect_once(city: &City, ids: &[String; 2]) {
    city.cloud.heal();
    city.gateway.await_drained();
    for id in ids {
        assert_eq!(times(city, id, "picked_up"), 1, "{:?}", city.cloud.order(id));
        assert_eq!(city.cloud.order(id).expect("known")["status"], "picked_up");
    }
    let log = city.cloud.effects_of(&ids[0]);
    let events: Vec<_> = log.iter().filter(|effect| effect.endpoint() != "/placeOrder").collect();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[0].body().contains("arrived") || events[0].text("query").contains("arrived"),
        "{events:?}"
    );
}

fn sent_in_bulk(city: &City) -> Vec<Effect> {
    let log = city.cloud.log().into_iter();
    log.filter(|effect| effect.endpoint() == BULK).collect()
}

fn check_split(plan: megamind_tests::city::Plan) {
    let (city, ids) = fenced(plan);
    let request = bulk(&city, &ids, "b1");
    let first = city.send(&request).expect(200).expect_local();
    expect_both(&city, &first);
    // The free order's event has arrived under the client's key, alone and with every byte of the rest.
    let sent = sent_in_bulk(&city);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].key(), Some("b1"));
    assert!(sent[0].body().contains(&ids[1]) && !sent[0].body().contains(&ids[0]), "{sent:?}");
    assert!(sent[0].body().contains(r#""shift":1.5"#), "{sent:?}");
    let again = city.send(&request).expect(200);
    assert_eq!(city.dialect.read(&again), city.dialect.read(&first));
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again}");
    expect_once(&city, &ids);
    // Nothing is fenced any more, and it is still the same request.
    let again = city.send(&request).expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again}");
    expect_once(&city, &ids);
}

#[test]
fn what_is_fenced_queues_behind_and_the_rest_goes_on() {
    check_split(City::with(""));
}

#[test]
fn in_another_dialect_too() {
    check_split(City::with("").speaking(Dialect::enveloped()));
}

#[test]
fn in_every_form() {
    for as_query in [false, true] {
        let (city, ids) = fenced(City::with(""));
        let pairs = format!(
            "deliveries[0][orderId]={}&deliveries[0][minionId]=P1&deliveries[0][status]=picked_up\
             &deliveries[1][orderId]={}&deliveries[1][minionId]=P2&deliveries[1][status]=picked_up",
            ids[0], ids[1]
        );
        let request = if as_query {
            Request::get(format!("{BULK}?{pairs}"))
        } else {
            Request::form(BULK, &pairs)
        };
        let answer = city.send(&request).expect(200).expect_local();
        expect_both(&city, &answer);
        let sent = sent_in_bulk(&city);
        assert_eq!(sent.len(), 1, "{sent:?}");
        let said = format!("{}{}", sent[0].text("query"), sent[0].body());
        let expected = format!(
            "deliveries[0][orderId]={}&deliveries[0][minionId]=P2&deliveries[0][status]=picked_up",
            ids[1]
        );
        assert_eq!(said, expected);
        expect_once(&city, &ids);
    }
}

#[test]
fn a_part_whose_way_fails_is_decided_here_too() {
    for fault in ["status", "lose_reply"] {
        let (city, ids) = fenced(City::with(""));
        city.cloud.fault(&json!({"kind": fault, "status": 503, "paths": [IND, BULK]}));
        let answer = city.send(&bulk(&city, &ids, "b1")).expect(200).expect_local();
        expect_both(&city, &answer);
        expect_once(&city, &ids);
    }
}

#[test]
fn a_refusal_of_the_part_is_the_answer_and_nothing_is_decided_here() {
    let (city, ids) = fenced(City::with(""));
    city.cloud
        .fault(&json!({"kind": "status", "status": 429, "paths": [BULK, IND]}));
    city.send(&bulk(&city, &ids, "b1")).expect(429);
    // The same request again is no repetition of something done.
    close(&city);
    let answer = city.send(&bulk(&city, &ids, "b1")).expect(200).expect_local();
    assert_eq!(answer.header("idempotency-replayed"), None, "{answer}");
    expect_once(&city, &ids);
}

fn parked(city: &City) -> u64 {
    city.gateway.status()["queue"]["parked"].as_u64().expect("a number")
}

/// Takes back what is parked.
fn retry(city: &City) {
    let output = city.gateway.command(&["queue", "retry", "--all-parked"]);
    assert!(output.status.success(), "{output:?}");
}

/// The gateway dies between the attempt and its answer.
fn killed(plan: megamind_tests::city::Plan) -> (City, [String; 2]) {
    let (mut city, ids) = fenced(plan);
    // For good: so the fence stays where it is.
    city.cloud.fault(&json!({"kind": "status", "status": 422, "paths": [IND]}));
    wait::until("it is parked", || (parked(&city) == 1).then_some(()));
    let late = json!({"kind": "apply_late", "delay_ms": 200, "paths": [BULK], "count": 1});
    city.cloud.fault(&late);
    let request = bulk(&city, &ids, "b1");
    let addr = city.gateway.addr;
    let client = thread::spawn(move || Client::connect(addr).and_then(|mut client| client.send(&request)).is_ok());
    wait::until("the part has been sent", || (city.cloud.hits() > 0).then_some(()));
    city.gateway.kill();
    assert!(!client.join().expect("no panic"), "there was no answer");
    wait::until("the part is applied", || (times(&city, &ids[1], "picked_up") == 1).then_some(()));
    city.gateway.start();
    (city, ids)
}

#[test]
fn a_retry_after_a_crash_is_split_alike() {
    let (city, ids) = killed(City::with("upstream.response_timeout = '20s'"));
    city.cloud.heal();
    retry(&city);
    city.gateway.await_drained();
    // By now nothing is fenced.
    let answer = city.send(&bulk(&city, &ids, "b1")).expect(200);
    expect_both(&city, &answer);
    expect_once(&city, &ids);
}

#[test]
fn a_retry_after_a_crash_is_held_where_keys_are_not_honoured() {
    let plan = City::with("upstream.response_timeout = '20s'\nupstream.idempotency = 'hold'");
    let (city, ids) = killed(plan.cloud_flags(&["--ignore-keys"]));
    city.cloud.heal();
    retry(&city);
    city.gateway.await_drained();
    let answer = city.send(&bulk(&city, &ids, "b1")).expect(200);
    expect_both(&city, &answer);
    wait::until("the part in doubt is parked", || {
        (city.gateway.status()["queue"]["parked"] == 1).then_some(())
    });
    wait::until("the other part has arrived", || (times(&city, &ids[0], "picked_up") == 1).then_some(()));
    assert_eq!(times(&city, &ids[1], "picked_up"), 1);
}
