//! Pilots who cannot be called wait for news.

use std::thread;
use std::time::{Duration, Instant};

use megamind_tests::{City, Request, city, wait};
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
    town_with("")
}

fn town_with(config: &str) -> City {
    let city = City::with(&format!("dispatch.auto = false\n{config}")).start_without_cloud();
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

/// Waits until so many wait.
fn await_waiting(city: &City, expected: usize) {
    wait::until(&format!("{expected} wait"), || {
        let waiting = city.gateway.metric("megamind_requests_waiting", "")?;
        (waiting as usize == expected).then_some(())
    });
}

fn assign(city: &City, client_ref: &str) -> String {
    let id = city.place(client_ref);
    city.post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}))
        .expect(200);
    id
}

#[test]
fn what_is_no_version_and_no_duration_is_refused_by_name() {
    let city = town();
    for (query, field) in [
        ("minionId=P1&since=new&wait=25s", "since"),
        ("minionId=P1&since=-1", "since"),
        ("minionId=P1&since=1&wait=soon", "wait"),
        ("minionId=P1&since=1&wait=25h", "wait"),
        ("since=1&wait=25s", "minionId"),
    ] {
        let answer = city.send(&Request::get(format!("/ind/getminiondeliveryinfo?{query}")));
        assert_eq!((answer.status, answer.field().as_deref()), (400, Some(field)), "{query}: {answer}");
    }
}

#[test]
fn of_a_pilot_unknown_here_nothing_is_waited_for() {
    let city = town();
    let began = Instant::now();
    city.send(&Request::get("/ind/getminiondeliveryinfo?minionId=P77&since=1&wait=25s"))
        .expect_problem(503, "not_known_here");
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// One connection, one poll after the other, and requests of others between them.
#[test]
fn a_connection_goes_on_after_it_has_waited() {
    let city = town();
    let mut client = city.client();
    let mut since = version(&city);
    for round in 0..3 {
        let poll = Request::get(format!("/ind/getminiondeliveryinfo?minionId=P1&since={since}&wait=25s"));
        let waiting = thread::spawn(move || {
            let answer = client.send(&poll).expect("an answer").expect(200);
            client.still_usable().expect("a usable connection");
            (client, answer)
        });
        await_waiting(&city, 1);
        let id = assign(&city, &format!("round {round}"));
        let answer;
        (client, answer) = waiting.join().expect("no panic");
        let told = answer.json();
        let orders = told["orders"].as_array().expect("a list");
        assert!(orders.iter().any(|order| order["orderId"] == json!(id)), "{answer}");
        since = told["version"].as_u64().expect("a version");
        // On the same connection, something that is answered at once, and something that is passed on.
        client
            .send(&Request::get("/ind/getminiongeneralinfo?minionId=P1"))
            .expect("an answer")
            .expect(200);
        client
            .send(&Request::get("/elsewhere"))
            .expect("an answer")
            .expect_problem(503, "upstream_down");
    }
    await_waiting(&city, 0);
}

#[test]
fn who_goes_away_waits_no_longer() {
    let city = town_with("callbacks.max_waiting = 1");
    let since = version(&city);
    for _ in 0..3 {
        let mut client = city.client();
        let poll =
            format!("GET /ind/getminiondeliveryinfo?minionId=P1&since={since}&wait=25s HTTP/1.1\r\nHost: city\r\n\r\n");
        client.write(poll.as_bytes()).expect("the gateway reads");
        await_waiting(&city, 1);
        drop(client);
        await_waiting(&city, 0);
    }
    // More than may wait are answered at once.
    let waiting = waits(&city, since, "25s");
    await_waiting(&city, 1);
    assert_eq!(waits(&city, since, "25s").join().expect("no panic").1["version"], json!(since));
    let id = assign(&city, "for who waits");
    assert_eq!(waiting.join().expect("no panic").1["orders"][0]["orderId"], json!(id));
}

#[test]
fn modes_change_while_somebody_waits() {
    let mut city = City::with("dispatch.auto = false").cloud_flags(&["--no-dispatch"]).start();
    city.post("/ind/setminiongeneralinfo", &city::pilot("P1")).expect(200);
    let waiting = waits(&city, version(&city), "25s");
    await_waiting(&city, 1);
    city.lose_cloud();
    let id = assign(&city, "in the outage");
    let (_, told) = waiting.join().expect("no panic");
    assert_eq!(told["orders"][0]["orderId"], json!(id));
    let mut since = told["version"].as_u64().expect("a version");
    let waiting = waits(&city, since, "25s");
    await_waiting(&city, 1);
    city.regain_cloud();
    // The cloud's own id is news, and so is its cancellation.
    let mut told = waiting.join().expect("no panic").1;
    assert_eq!(told["orders"].as_array().map(Vec::len), Some(1), "{told}");
    since = told["version"].as_u64().expect("a version");
    city.post("/cancelOrder", &json!({"orderId": id})).expect(200);
    told = waits(&city, since, "25s").join().expect("no panic").1;
    assert_eq!(told["orders"], json!([]));
}

#[test]
fn a_gateway_that_stops_lets_a_hundred_go() {
    let mut city = town();
    let since = version(&city);
    let waiting: Vec<_> = (0..100).map(|_| waits(&city, since, "25s")).collect();
    await_waiting(&city, 100);
    let began = Instant::now();
    city.gateway.signal(Signal::TERM);
    assert!(city.gateway.wait().success());
    assert!(began.elapsed() < Duration::from_secs(20), "it waits for nobody: {:?}", began.elapsed());
    for one in waiting {
        assert_eq!(one.join().expect("no panic").1["version"], json!(since));
    }
}
