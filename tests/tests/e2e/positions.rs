//! Positions: only the newest of each pilot is told, together with those of the others.

use megamind_tests::City;
use megamind_tests::city::pilot;
use megamind_tests::cloud::Effect;
use serde_json::{Value, json};

/// Pilots known to both, and an outage in which each moved twice.
fn moved(city: &City) {
    for minion in ["P1", "P2", "P3"] {
        city.post("/updatemaster/ind/generalinfo", &pilot(minion)).expect(200);
    }
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
    for step in 1..=2 {
        for minion in ["P1", "P2", "P3"] {
            let moved = json!({"minionId": minion, "lat": 13.0, "lng": 77.0 + f64::from(step) / 100.0});
            city.post("/updatemaster/ind/generalinfo", &moved).expect(200).expect_local();
        }
    }
}

fn replays(city: &City) -> Vec<Effect> {
    let mut log = city.cloud.log();
    log.retain(Effect::is_replay);
    log
}

/// The members of a bulk request: who, and where.
fn members(effect: &Effect) -> Vec<(String, f64)> {
    let body: Value = serde_json::from_str(effect.body()).expect("JSON");
    let list = body["minions"].as_array().expect("a list").clone();
    let mut members: Vec<_> = (list.iter())
        .map(|item| {
            (
                item["minionId"].as_str().expect("an id").to_owned(),
                item["lng"].as_f64().expect("a number"),
            )
        })
        .collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members
}

#[test]
fn the_newest_of_each_pilot_go_in_one_request_and_fence_nobody() {
    let city = City::start();
    moved(&city);
    assert_eq!(city.gateway.status()["queue"]["entries"], 3);
    city.cloud.heal();
    city.gateway.await_drained();
    let replays = replays(&city);
    let [bulk] = replays.as_slice() else {
        panic!("not one request: {replays:?}");
    };
    assert_eq!(bulk.endpoint(), "/updatemaster/bulk/generalinfo");
    let newest = ["P1", "P2", "P3"].map(|minion| (minion.to_owned(), 77.02));
    assert_eq!(members(bulk), newest);
}

#[test]
fn what_came_in_bulk_is_merged_per_field_by_its_time() {
    let city = City::start();
    moved(&city);
    let bulk = json!({"minions": [
        {"minionId": "P1", "lat": 13.5, "lng": 77.5},
        {"minionId": "P3", "battery": 40},
        {"minionId": "P2", "battery": 20},
        {"minionId": "P2", "battery": 30},
    ]});
    city.post("/updatemaster/bulk/generalinfo", &bulk).expect(200).expect_local();
    assert_eq!(city.gateway.status()["queue"]["entries"], 3);
    city.cloud.heal();
    city.gateway.await_drained();
    let replays = replays(&city);
    let [sent] = replays.as_slice() else {
        panic!("not one request: {replays:?}");
    };
    let body: Value = serde_json::from_str(sent.body()).expect("JSON");
    let of = |minion: &str| {
        let items: Vec<&Value> = body["minions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| item["minionId"] == minion)
            .collect();
        assert_eq!(items.len(), 1, "{body}");
        items[0].clone()
    };
    assert_eq!(of("P1"), json!({"minionId": "P1", "lat": 13.5, "lng": 77.5}));
    assert_eq!((&of("P2")["lng"], &of("P2")["battery"]), (&json!(77.02), &json!(30)));
    assert_eq!((&of("P3")["lng"], &of("P3")["battery"]), (&json!(77.02), &json!(40)));
}

#[test]
fn availability_in_a_bulk_request_is_told_in_order_and_the_rest_is_not() {
    let city = City::start();
    moved(&city);
    let bulk = json!({"minions": [
        {"minionId": "P1", "lat": 13.1, "lng": 77.1},
        {"minionId": "P2", "lat": 13.2, "lng": 77.2, "status": "busy"},
    ]});
    city.post("/updatemaster/bulk/generalinfo", &bulk).expect(200).expect_local();
    city.cloud.heal();
    city.gateway.await_drained();
    let replays = replays(&city);
    let in_order: Vec<_> = replays.iter().filter(|replay| replay.body().contains("busy")).collect();
    assert_eq!(in_order.len(), 1, "{replays:?}");
    assert_eq!(members(in_order[0]), [("P2".to_owned(), 77.2)]);
    let merged: Vec<_> = replays.iter().filter(|replay| !replay.body().contains("busy")).collect();
    let p1: Vec<f64> = merged
        .iter()
        .flat_map(|replay| members(replay))
        .filter(|(who, _)| who == "P1")
        .map(|(_, lng)| lng)
        .collect();
    assert_eq!(p1, [77.1], "{replays:?}");
}

#[test]
fn a_newer_position_that_was_forwarded_deletes_the_queued_one() {
    // Failures of one path are no outage here.
    let city = City::with("health.passive.min_requests = 100000").start();
    city.post("/updatemaster/ind/generalinfo", &pilot("P1")).expect(200);
    let bulk = "/updatemaster/bulk/generalinfo";
    let ind = "/updatemaster/ind/generalinfo";
    city.cloud
        .fault(&json!({"kind": "status", "status": 503, "paths": [ind, bulk]}));
    let at = |lng: f64| json!({"minionId": "P1", "lat": 13.0, "lng": lng});
    city.post(ind, &at(77.1)).expect(200).expect_local();
    city.cloud.fault(&json!({"kind": "status", "status": 503, "paths": [bulk]}));
    city.post(ind, &at(77.2)).expect(200).expect_forwarded();
    city.gateway.await_drained();
    city.cloud.heal();
    let lngs: Vec<_> = city
        .cloud
        .effects_of("P1")
        .iter()
        .map(|effect| effect.body().contains("77.1"))
        .collect();
    assert!(!lngs.contains(&true), "{lngs:?}");
}

#[test]
fn a_retry_has_the_same_members_and_the_same_key() {
    let city = City::start();
    moved(&city);
    let lost = json!({"kind": "lose_reply", "paths": ["/updatemaster/bulk/generalinfo"], "count": 1});
    city.cloud.fault(&lost);
    city.gateway.await_drained();
    let replays = replays(&city);
    assert_eq!(replays.len(), 1, "the cloud knew the second one by its key: {replays:?}");
    assert!(replays[0].key().is_some_and(|key| key.starts_with("tst-")));
}

#[test]
fn a_cloud_without_the_bulk_endpoint_is_told_one_by_one() {
    let city = City::start();
    moved(&city);
    let missing = json!({"kind": "status", "status": 404, "paths": ["/updatemaster/bulk/generalinfo"]});
    city.cloud.fault(&missing);
    city.gateway.await_drained();
    let replays = replays(&city);
    assert_eq!(replays.len(), 3, "{replays:?}");
    assert!(
        replays
            .iter()
            .all(|replay| replay.endpoint() == "/updatemaster/ind/generalinfo")
    );
}
