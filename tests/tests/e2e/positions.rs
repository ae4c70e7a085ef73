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
