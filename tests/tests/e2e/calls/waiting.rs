//! Pilots who cannot be called wait for news.

use std::thread;
use std::time::{Duration, Instant};

use megamind_tests::{City, Request, city};
use rustix::process::Signal;
use serde_json::json;

fn version(city: &City) -> u64 {
    let answer = city
        .send(&Request::get("/ind/getminiondeliveryinfo?minionId=P1"))
        .expect(200)
        .json();
    answer["version"].as_u64().expect("a version")
}

/// An app that waits, and what it is told.
fn waits(city: &City, since: u64, wait: &str) -> thread::JoinHandle<(Duration, serde_json::Value)> {
    let mut client = city.client();
    let request = Request::get(format!("/ind/getminiondeliveryinfo?minionId=P1&since={since}&wait={wait}"));
    thread::spawn(move || {
        let began = Instant::now();
        let answer = client.send(&request).expect("an answer").expect(200).json();
        (began.elapsed(), answer)
    })
}

fn town() -> City {
    let city = City::with("dispatch.auto = false").start_without_cloud();
    city.post("/ind/setminiongeneralinfo", &city::pilot("P1")).expect(200);
    city
}

#[test]
fn news_comes_to_who_waits() {
    let city = town();
    let since = version(&city);
    let waiting = waits(&city, since, "25s");
    // Another pilot's news is not this one's.
    city.post("/ind/setminiongeneralinfo", &city::pilot("P2")).expect(200);
    let id = city.place("news");
    thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished());
    city.post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}))
        .expect(200);
    let (_, answer) = waiting.join().expect("no panic");
    assert_eq!(answer["orders"][0]["orderId"], json!(id));
    let since = answer["version"].as_u64().expect("a version");
    assert_ne!(since, version(&town()), "of another city");
    // What was taken away is news too.
    let waiting = waits(&city, since, "25s");
    city.post("/cancelOrder", &json!({"orderId": id})).expect(200);
    assert_eq!(waiting.join().expect("no panic").1["orders"], json!([]));
    // Who is behind is answered at once, and who asks for nothing new is too.
    assert_eq!(waits(&city, since, "25s").join().expect("no panic").1["orders"], json!([]));
}

#[test]
fn who_waits_in_vain_is_told_what_is() {
    let city = town();
    let since = version(&city);
    let (took, answer) = waits(&city, since, "1s").join().expect("no panic");
    assert!(took >= Duration::from_millis(990), "{took:?}");
    assert_eq!(answer["version"], json!(since));
}

#[test]
fn a_gateway_that_stops_lets_those_who_wait_go() {
    let mut city = town();
    let waiting = waits(&city, version(&city), "25s");
    thread::sleep(Duration::from_millis(300));
    city.gateway.signal(Signal::TERM);
    let status = city.gateway.wait();
    assert!(status.success());
    let answer = waiting.join();
    assert_eq!(answer.map(|(_, answer)| answer["orders"].clone()).ok(), Some(json!([])));
}
