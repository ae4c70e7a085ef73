//! What the gateway learns from the traffic that it forwards.

use std::fs;

use flate2::read::GzDecoder;
use megamind_tests::city::{order, pilot};
use megamind_tests::{City, Request, wait};
use serde_json::json;

fn info(city: &City, minion: &str) -> megamind_tests::Answer {
    city.send(&Request::get(format!("/ind/getminiongeneralinfo?minionId={minion}")))
}

#[test]
fn pilots_and_orders_are_known_when_the_outage_comes() {
    let mut city = City::start();
    city.post("/updatemaster/ind/generalinfo", &pilot("P1"))
        .expect(200)
        .expect_forwarded();
    let minions = json!({"minions": [pilot("P2"), pilot("P3")]});
    city.post("/updatemaster/bulk/generalinfo", &minions)
        .expect(200)
        .expect_forwarded();
    let id = city.place("watched");
    for status in ["accepted", "picked_up"] {
        city.deliver(&id, "P1", status).expect(200).expect_forwarded();
    }
    let cancelled = city.place("cancelled");
    city.post("/cancelOrder", &json!({"orderId": cancelled}))
        .expect(200)
        .expect_forwarded();
    city.lose_cloud();
    let known = city.track(&id).expect(200).expect_local().json();
    assert_eq!((&known["status"], &known["minionId"]), (&json!("picked_up"), &json!("P1")));
    assert_eq!(city.status_of(&cancelled), "cancelled");
    for minion in ["P1", "P2", "P3"] {
        let known = info(&city, minion).expect(200).json().to_string();
        assert!(known.contains("12.97"), "the position of {minion}: {known}");
    }
    // And what was learned can be acted on.
    city.deliver(&id, "P1", "delivered").expect(200).expect_local();
    city.regain_cloud();
    assert_eq!(city.cloud.order(&id).expect("known")["status"], "delivered");
}

#[test]
fn an_assignment_is_learned_from_an_answer_to_a_question() {
    let mut city = City::start();
    let id = city.place("unassigned at first");
    // Oblivion gives the order to the first free pilot, without telling.
    city.post("/updatemaster/ind/generalinfo", &pilot("P7")).expect(200);
    let told = city.track(&id).expect(200).expect_forwarded().json();
    assert_eq!(told["minionId"], "P7", "{told}");
    city.lose_cloud();
    let known = city.track(&id).expect(200).expect_local().json();
    assert_eq!((&known["status"], &known["minionId"]), (&json!("assigned"), &json!("P7")));
}

#[test]
fn gzipped_answers_are_read_and_passed_on_untouched() {
    let mut city = City::with("").cloud_flags(&["--gzip"]).start();
    let request = city
        .dialect
        .post("/placeOrder", &order("gzipped"))
        .header("Accept-Encoding", "gzip");
    let answer = city.send(&request).expect(201).expect_forwarded();
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{answer}");
    let plain: serde_json::Value =
        serde_json::from_reader(GzDecoder::new(answer.body.as_slice())).expect("gzipped JSON");
    let id = plain["orderId"].as_str().expect("an id").to_owned();
    city.lose_cloud();
    assert_eq!(city.status_of(&id), "placed");
}

#[test]
fn what_was_learned_survives_a_restart() {
    let mut city = City::start();
    let id = city.place("kept");
    city.gateway.stop();
    city.cloud.kill();
    city.gateway.start();
    assert_eq!(city.status_of(&id), "placed");
}

#[test]
fn an_answer_passes_through_as_it_is() {
    let city = City::start();
    let id = city.place("untouched");
    let target = format!("/trackOrder?orderId={id}");
    let direct = megamind_tests::Client::connect_to(city.cloud.addr, megamind_tests::http::Party::Other)
        .and_then(|mut client| client.send(&Request::get(&target)))
        .expect("the cloud answers");
    let passed = city.send(&Request::get(&target)).expect_forwarded();
    assert_eq!((direct.status, &direct.body), (passed.status, &passed.body));
    for (name, value) in &direct.headers {
        if name != "date" {
            assert_eq!(passed.header(name), Some(value.as_str()), "{name}");
        }
    }
    // Its errors, too.
    let wrong = city.send(&Request::get("/trackOrder?orderId=OB-404")).expect(404);
    assert_eq!(wrong.expect_forwarded().code().as_deref(), Some("order_not_found"));
}

#[test]
fn nothing_that_is_watched_is_dropped() {
    let city = City::start();
    for count in 0..200 {
        city.place(&format!("one of many {count}"));
    }
    let dropped = city.gateway.metric("megamind_shadow_dropped_total", "");
    assert_eq!(dropped, Some(0.0));
}

#[test]
fn every_forwarded_write_carries_a_key() {
    let city = City::start();
    city.place("without a key");
    let own = city
        .dialect
        .post("/placeOrder", &order("with a key"))
        .header("Idempotency-Key", "mine");
    city.send(&own).expect(201);
    let keys: Vec<_> = city.cloud.log().iter().map(|effect| effect.key().map(str::to_owned)).collect();
    assert!(keys[0].as_ref().is_some_and(|key| !key.is_empty()), "{keys:?}");
    assert_eq!(keys[1].as_deref(), Some("mine"));
}

const PILOTS: &str = "minionId,name,phone,vehicle,capacity,lat,lng,status\n\
    P1,\"Rao, Asha\",+919812345678,bike,2,12.97,77.59,available\n\
    P2,Vikram,+919812345679,car,4,12.98,77.60,offline\n";

#[test]
fn pilots_are_imported_from_a_table() {
    let mut city = City::with("").start_without_cloud();
    let file = city.dir().join("pilots.csv");
    fs::write(&file, PILOTS).expect("a writable folder");
    let path = file.display().to_string();
    let output = city.gateway.command(&["import", "pilots", &path]);
    assert!(output.status.success(), "{output:?}");
    let known = info(&city, "P1").expect(200).json();
    assert_eq!(known["name"], "Rao, Asha", "{known}");
    info(&city, "P2").expect(200);
    let placed = city.post("/placeOrder", &order("for an imported pilot")).expect(201);
    assert_eq!(placed.json()["minionId"], "P1", "{placed}");
    city.gateway.kill();
    city.gateway.start();
    info(&city, "P2").expect(200);
}

#[test]
fn a_table_with_a_mistake_changes_nothing() {
    let mut city = City::with("").start_without_cloud();
    let file = city.dir().join("pilots.csv");
    fs::write(&file, format!("{PILOTS}P3,Anil,+919812345670,bike,2,912.98,77.60,available\n"))
        .expect("a writable folder");
    let path = file.display().to_string();
    let output = city.gateway.command(&["import", "pilots", &path]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains('4') && said.contains("lat"), "the line and the field: {said}");
    for minion in ["P1", "P2", "P3"] {
        let answer = info(&city, minion);
        assert_ne!(answer.status, 200, "{minion} is there: {answer}");
    }
    let said = city.gateway.process().stderr();
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_forwarded_change_to_an_order_of_ours_waits_for_those_before_it() {
    // The drain is slow, so that the order stays fenced while the next write about it comes.
    let mut city = City::with("drain.max_rate = 2").start();
    city.lose_cloud();
    for count in 0..10 {
        city.place(&format!("queued before {count}"));
    }
    let id = city.place("fenced");
    city.cloud.start();
    city.gateway.await_mode("draining");
    let change = json!({"orderId": id, "notes": "after it"});
    city.post("/updateOrder", &change).expect(200).expect_local();
    city.post("/placeOrder", &order("unrelated")).expect(201).expect_forwarded();
    wait::until("the change has arrived", || (city.cloud.effects_of("after it").len() == 1).then_some(()));
    let log = city.cloud.log();
    let position = |text: &str| log.iter().position(|effect| effect.body().contains(text));
    assert!(position("\"fenced\"") < position("after it"));
}
