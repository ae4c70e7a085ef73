//! Good requests with mistakes made at random: none may bring anything down, in any mode.

use megamind_tests::city::{order, pilot};
use megamind_tests::random::Random;
use megamind_tests::{City, Request};
use serde_json::{Value, json};

const REQUESTS: usize = 1_500;

/// Values that hardly anybody means.
const ODD: [&str; 14] = [
    "null",
    "true",
    "-1",
    "1e400",
    "18446744073709551616",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"9999-12-31T23:59:60Z\"",
    "\"-000001-01-01T00:00:00Z\"",
    "[]",
    "{}",
    "[[[[{}]]]]",
    "{\"lat\":1e-400}",
];

/// Every endpoint, with a body that it takes.
fn good(id: &str) -> Vec<(&'static str, Value)> {
    let event = json!({"orderId": id, "minionId": "P1", "status": "picked_up", "at": "2026-01-31T12:00:00+05:30"});
    let assignment = json!({"orderId": id, "minionId": "P1"});
    vec![
        ("/placeOrder", order("mutated")),
        ("/trackOrder", json!({"orderId": id})),
        (
            "/updateOrder",
            json!({"orderId": id, "readyAt": "2026-01-31T12:00:00Z", "codAmount": "1.50"}),
        ),
        ("/cancelOrder", json!({"orderId": id, "reason": "none"})),
        ("/cancelOrderll", json!({"orderId": id})),
        ("/score", json!({"minionId": "P1"})),
        ("/score", json!({"orderId": id})),
        ("/updatemaster/ind/generalinfo", pilot("P1")),
        ("/updatemaster/bulk/generalinfo", json!({"minions": [pilot("P1"), pilot("P2")]})),
        ("/updatemaster/ind/deliveryInfo", event.clone()),
        ("/updatemaster/bulk/deliveryInfo", json!({"deliveries": [event.clone(), event]})),
        ("/ind/assigntominion", assignment.clone()),
        ("/bulk/assigntominions", json!({"assignments": [assignment]})),
        ("/bulk/assigntominions", json!({})),
        ("/ind/getminiongeneralinfo", json!({"minionId": "P1"})),
        (
            "/bulk/getminionsgeneralinfo",
            json!({"minionIds": ["P1"], "near": {"lat": 1, "lng": 2}, "limit": 2}),
        ),
        ("/ind/getminiondeliveryinfo", json!({"minionId": "P1"})),
        ("/bulk/getminionsdeliveryinfo", json!({"status": "available"})),
        (
            "/ind/setminiongeneralinfo",
            json!({"minionId": "P1", "phone": "+919812345678", "capacity": 2, "vehicle": "bike"}),
        ),
        ("/bulk/setminionsgeneralinfo", json!({"minions": [pilot("P3")]})),
    ]
}

/// The same text with a mistake in it.
fn mutate(random: &mut Random, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.is_empty() {
        return random.pick(&ODD).as_bytes().to_vec();
    }
    match random.below(5) {
        // One value replaced.
        0 | 1 => {
            let colons: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == b':').collect();
            if !colons.is_empty() {
                let start = random.pick(&colons) + 1;
                let rest = &bytes[start..];
                let length = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']'));
                let end = start + length.unwrap_or(rest.len());
                bytes.splice(start..end, random.pick(&ODD).bytes());
            }
        }
        // One byte replaced.
        2 => {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
        // The end cut off.
        3 => bytes.truncate(random.below(bytes.len())),
        // A piece said twice.
        _ => {
            let (one, other) = (random.below(bytes.len()), random.below(bytes.len()));
            let piece = bytes[one.min(other)..one.max(other)].to_vec();
            let at = random.below(bytes.len());
            bytes.splice(at..at, piece);
        }
    }
    bytes
}

fn request(random: &mut Random, path: &str, body: &Value) -> Request {
    match random.below(4) {
        0 => {
            let pairs = body.as_object().expect("an object").iter();
            let form: Vec<String> = pairs
                .map(|(name, value)| format!("{name}={}", value.to_string().trim_matches('"')))
                .collect();
            Request::post_as(path, "application/x-www-form-urlencoded", mutate(random, &form.join("&")))
        }
        _ => Request::post_as(path, "application/json", mutate(random, &body.to_string())),
    }
}

/// Sends them all over one connection, which must stay usable. Every answer must be a good one,
/// and none may say that something went wrong inside.
fn send_all(city: &City, random: &mut Random, id: &str) {
    let good = good(id);
    let mut client = city.client();
    for _ in 0..REQUESTS {
        let (path, body) = random.pick(&good);
        let request = request(random, path, body);
        let answer = match client.send(&request) {
            Ok(answer) => answer,
            Err(trouble) => panic!("{trouble}, after {request:?}"),
        };
        assert_ne!(answer.status, 500, "{answer}, after {request:?}");
    }
}

#[test]
fn requests_with_random_mistakes_bring_nothing_down() {
    let mut random = Random::seeded();
    let mut city = City::start();
    let id = city.place("before");
    send_all(&city, &mut random, &id);
    city.lose_cloud();
    send_all(&city, &mut random, &id);
    let said = city.gateway.process().stderr();
    assert!(!said.contains("panicked"), "{said}");
    // It still works, and what it has on disk can be read again.
    let id = city.place("after");
    city.gateway.kill();
    city.gateway.start();
    city.track(&id).expect(200);
    let said = city.gateway.process().stderr();
    assert!(!said.contains("panicked"), "{said}");
}
