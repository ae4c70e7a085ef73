//! What connections may do besides carrying one whole request after the other.

use std::thread;
use std::time::{Duration, Instant};

use megamind_tests::{City, Request, city};
use rustix::process::Signal;

const ASK: &str = "/ind/getminiongeneralinfo?minionId=P1";

fn town() -> City {
    let city = City::with("").start_without_cloud();
    city.post("/ind/setminiongeneralinfo", &city::pilot("P1")).expect(200);
    city
}

#[test]
fn a_head_may_come_in_pieces() {
    let city = town();
    let mut client = city.client();
    let head = format!("GET {ASK} HTTP/1.1\r\nHost: city\r\nX-Long: {}\r\n\r\n", "x".repeat(9_000));
    for pieces in [vec![1, 2, 30], vec![4_096], vec![4_095, 4_097], vec![9_000]] {
        let mut at = 0;
        for to in pieces.into_iter().chain([head.len()]) {
            client.write(&head.as_bytes()[at..to]).expect("the gateway reads");
            at = to;
            thread::sleep(Duration::from_millis(20));
        }
        client.read("GET").expect("an answer").expect(200);
        client.still_usable().expect("a usable connection");
    }
}

#[test]
fn what_is_left_of_a_head_closes_only_its_own_connection() {
    let city = town();
    let mut broken = city.client();
    broken
        .write(format!("GET {ASK} HTTP/1.1\r\nHo").as_bytes())
        .expect("the gateway reads");
    drop(broken);
    city.send(&Request::get(ASK)).expect(200);
}

#[test]
fn a_gateway_that_stops_closes_idle_connections() {
    let mut city = town();
    let mut clients: Vec<_> = (0..50).map(|_| city.client()).collect();
    // Half of them have asked something, half nothing yet.
    for client in clients.iter_mut().step_by(2) {
        client.send(&Request::get(ASK)).expect("an answer").expect(200);
    }
    let began = Instant::now();
    city.gateway.signal(Signal::TERM);
    assert!(city.gateway.wait().success());
    assert!(began.elapsed() < Duration::from_secs(20), "idle connections hold nothing up");
    for client in &mut clients {
        assert!(client.still_usable().is_err());
    }
}
