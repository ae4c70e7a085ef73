//! Everything that a client may get wrong: a clear refusal, and nothing changed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use megamind_tests::city::order;
use megamind_tests::wait::PATIENCE;
use megamind_tests::{Answer, City, Request};
use serde_json::{Value, json};

/// Everything that a refused request must leave as it was.
#[derive(Debug, PartialEq)]
struct State {
    queued: Value,
    pilots: Value,
    order: Value,
}

impl State {
    fn of(city: &City, id: &str) -> Self {
        let bulk = Request::post("/bulk/getminionsgeneralinfo", &json!({}));
        Self {
            queued: city.gateway.status()["queue"]["entries"].clone(),
            pilots: city.send(&bulk).expect(200).json(),
            order: city.track(id).expect(200).json(),
        }
    }
}

/// An acting city with one order, and what it was before the bad requests.
struct Bench {
    city: City,
    id: String,
    before: State,
}

impl Bench {
    fn new() -> Self {
        let city = City::with("").start_without_cloud();
        let pilot = json!({"minionId": "P9", "name": "Asha", "status": "offline"});
        city.post("/ind/setminiongeneralinfo", &pilot).expect(200);
        let id = city.place("good");
        let before = State::of(&city, &id);
        Self { city, id, before }
    }

    /// Sends a bad request, which must be refused so, naming this field.
    #[track_caller]
    fn refuses(&self, request: &Request, status: u16, code: &str, field: &str) {
        let answer = self.city.send(request).expect_problem(status, code);
        assert_names(&answer, field);
    }

    #[track_caller]
    fn unchanged(mut self) {
        assert_eq!(State::of(&self.city, &self.id), self.before);
        let said = self.city.gateway.process().stderr();
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[track_caller]
fn assert_names(answer: &Answer, field: &str) {
    let named = answer.field().unwrap_or_default();
    assert!(named.starts_with(field), "{field:?} is not named: {answer}");
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(!detail.is_empty(), "{answer}");
}

/// A good order, but for one member.
fn with(name: &str, value: Value) -> Request {
    let mut body = order("bad");
    body[name] = value;
    Request::post("/placeOrder", &body)
}

fn without(name: &str) -> Request {
    let mut body = order("bad");
    body.as_object_mut().expect("an object").remove(name);
    Request::post("/placeOrder", &body)
}

#[test]
fn orders_that_are_none() {
    let bench = Bench::new();
    for name in ["merchantId", "pickup", "dropoff"] {
        bench.refuses(&without(name), 400, "missing_field", name);
    }
    for (name, value) in [
        ("merchantId", json!({"id": "M1"})),
        ("merchantId", json!(["M1"])),
        ("pickup", json!("12.97,77.59")),
        ("dropoff", json!([12.97, 77.59])),
        ("dropoff", json!(null)),
    ] {
        let answer = bench.city.send(&with(name, value)).expect(400);
        assert_names(&answer.expect_local(), name);
    }
    for (lat, lng) in [
        (json!(90.1), json!(77.59)),
        (json!(12.97), json!(-180.5)),
        (json!("north"), json!(77.59)),
        (json!("NaN"), json!(77.59)),
        (json!(1e300), json!(77.59)),
    ] {
        let request = with("pickup", json!({"lat": lat, "lng": lng}));
        let answer = bench.city.send(&request).expect(400);
        assert_names(&answer.expect_local(), "pickup.l");
    }
    for (name, value) in [
        ("codAmount", json!("-1")),
        ("codAmount", json!("12.34567")),
        ("codAmount", json!("a lot")),
        ("currency", json!("RUPEES")),
        ("merchantId", json!("M".repeat(500))),
        ("merchantId", json!("M\u{0}1")),
        ("merchantId", json!("")),
        ("readyAt", json!("tomorrow")),
    ] {
        let answer = bench.city.send(&with(name, value)).expect(400);
        assert_names(&answer.expect_local(), name);
    }
    bench.unchanged();
}

#[test]
fn bodies_that_are_none() {
    let bench = Bench::new();
    let json = |body: &[u8]| Request::post_as("/placeOrder", "application/json", body);
    for body in [
        &b"{\"merchantId\":"[..],
        b"{\"merchantId\" \"M1\"}",
        b"[]",
        b"\"text\"",
        b"{\"merchantId\":\"\xff\xfe\"}",
        b"",
        b"{}{}",
    ] {
        let answer = bench.city.send(&json(body)).expect(400);
        answer.expect_local();
    }
    let deep = format!("{}{}", "{\"a\":".repeat(500), "1".to_owned() + &"}".repeat(500));
    bench.city.send(&json(deep.as_bytes())).expect(400).expect_local();
    let brackets = format!("merchantId=M1&items{}=1", "[a]".repeat(500));
    let form = Request::form("/placeOrder", &brackets);
    bench.city.send(&form).expect(400).expect_local();
    let undecodable = Request::form("/placeOrder", "merchantId=%FF%FE");
    bench.city.send(&undecodable).expect(400).expect_local();
    let xml = Request::post_as("/placeOrder", "application/xml", "<order/>");
    bench.city.send(&xml).expect(415).expect_local();
    let large = json!({"merchantId": "M1", "notes": "x".repeat(65 * 1024)});
    bench
        .city
        .send(&Request::post("/placeOrder", &large))
        .expect(413)
        .expect_local();
    bench.unchanged();
}

#[test]
fn orders_pilots_and_statuses_that_nobody_knows() {
    let bench = Bench::new();
    let unknown = "tst-01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for path in ["/updateOrder", "/cancelOrder"] {
        let request = Request::post(path, &json!({"orderId": unknown}));
        bench.refuses(&request, 404, "order_not_found", "");
        let request = Request::post(path, &json!({"orderId": "OB-77"}));
        bench.refuses(&request, 503, "not_known_here", "");
        bench.refuses(&Request::post(path, &json!({})), 400, "missing_field", "orderId");
    }
    bench.refuses(&Request::get("/trackOrder"), 400, "missing_field", "orderId");
    let nobody = Request::get("/ind/getminiongeneralinfo?minionId=nobody");
    let answer = bench.city.send(&nobody);
    assert!(matches!(answer.status, 404 | 503), "{answer}");
    let delivery = |status: Value| {
        let body = json!({"orderId": bench.id, "minionId": "P1", "status": status});
        Request::post("/updatemaster/ind/deliveryInfo", &body)
    };
    for status in [json!("jumping"), json!({"a": 1}), json!("")] {
        let answer = bench.city.send(&delivery(status)).expect(400);
        assert_names(&answer, "status");
    }
    let position = json!({"minionId": "P9", "lat": 91, "lng": 0});
    let answer = bench.city.post("/updatemaster/ind/generalinfo", &position).expect(400);
    assert_names(&answer, "lat");
    let answer = bench
        .city
        .post("/updatemaster/bulk/generalinfo", &json!({"minions": "all"}))
        .expect(400);
    assert_names(&answer, "minions");
    bench.unchanged();
}

#[test]
fn methods_that_do_not_work_here() {
    let bench = Bench::new();
    for method in ["PUT", "DELETE", "PATCH"] {
        let request = Request::new(method, format!("/trackOrder?orderId={}", bench.id));
        let answer = bench.city.send(&request).expect_problem(405, "method_not_allowed");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{answer}");
    }
    bench.unchanged();
}

/// Whatever is written, what comes back is nothing or a refusal, and the gateway goes on.
#[test]
fn bytes_that_are_not_http() {
    let bench = Bench::new();
    let truncated = b"POST /placeOrder HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{\"merchantId\":\"M1\",";
    let lies = b"POST /placeOrder HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
    let both =
        b"POST /placeOrder HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let chunk = b"POST /placeOrder HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n";
    let negative = b"POST /placeOrder HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n";
    let line = b"PLACE AN ORDER\r\n\r\n";
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let mut noise = Vec::new();
    let mut state = 0x9E37_79B9_u32;
    for _ in 0..4096 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push((state >> 24) as u8);
    }
    let long_name = [b"GET /".to_vec(), vec![b'a'; 200_000], b" HTTP/1.1\r\n\r\n".to_vec()].concat();
    let all: [&[u8]; 9] = [truncated, lies, both, chunk, negative, line, tls, &noise, &long_name];
    for bytes in all {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let said = say(&bench.city, bytes);
        let status = said.get(9..12).unwrap_or_default();
        assert!(said.is_empty() || status.starts_with(['4', '5']), "{shown:?}: {said}");
        bench.city.track(&bench.id).expect(200);
    }
    bench.unchanged();
}

/// Writes bytes, closes the writing half, and reads until the end.
fn say(city: &City, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(city.gateway.addr).expect("the gateway accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The gateway may hang up before all is said.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn bad_input_is_counted() {
    let bench = Bench::new();
    bench.refuses(&without("pickup"), 400, "missing_field", "pickup");
    bench
        .city
        .gateway
        .await_metric("megamind_requests_total", "status=\"400\"", 1.0);
    bench.unchanged();
}
