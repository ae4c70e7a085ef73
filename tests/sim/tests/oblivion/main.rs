//! The stand-in cloud as a process, over real sockets.

mod process;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use process::{Oblivion, PATIENCE, exchange};

fn order() -> Value {
    json!({"merchantId": "m1", "clientRef": "r1", "pickup": {"lat": 12.9, "lng": 77.6}, "dropoff": {"lat": 12.8, "lng": 77.5}})
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[test]
fn an_order_lives_from_placing_to_delivery() {
    let cloud = Oblivion::start(&[]);
    let pilot = "minionId=p1&lat=12.9&lng=77.6&status=available";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(
        cloud
            .call("POST", "/updatemaster/ind/generalinfo", form, pilot)
            .expect("an answer")
            .status,
        200
    );
    let placed = cloud.json("POST", "/placeOrder/", "", &order());
    assert_eq!(placed.status, 201);
    assert_eq!(placed.value()["orderId"], "OB-1");
    assert_eq!(placed.value()["minionId"], "p1");
    for status in ["accepted", "arrived_at_pickup", "picked_up", "arrived_at_dropoff", "delivered"] {
        let path = format!("/updatemaster/ind/deliveryInfo?orderId=OB-1&minionId=p1&status={status}");
        assert_eq!(cloud.call("POST", &path, "", "").expect("an answer").status, 200, "{status}");
    }
    let tracked = cloud
        .call("GET", "/trackOrder?orderId=OB-1", "", "")
        .expect("an answer")
        .value();
    assert_eq!(tracked["status"], "delivered");
    assert_eq!(tracked["history"].as_array().map(Vec::len), Some(7));
    assert_eq!(
        cloud
            .call("GET", "/cancelOrder?orderId=OB-1", "", "")
            .expect("an answer")
            .status,
        409
    );
    let unknown = cloud.call("GET", "/trackOrder?orderId=OB-7", "", "").expect("an answer");
    assert_eq!((unknown.status, &unknown.value()["code"]), (404, &json!("order_not_found")));
    assert!(unknown.head.contains("application/problem+json"));
    let effects: Vec<_> = cloud.log().iter().map(|entry| entry["effect"].clone()).collect();
    assert_eq!(effects.len(), 7);
    assert_eq!(effects[..3], [json!("generalinfo"), json!("placed"), json!("accepted")]);
}

#[test]
fn other_routes_echo_list_and_allow() {
    let cloud = Oblivion::start(&[]);
    let told = cloud
        .call("DELETE", "/echo?a=1", "X-Odd: yes\r\nX-MegaMind-Replay: 3\r\n", "b")
        .expect("an answer")
        .value();
    assert_eq!(
        (&told["method"], &told["query"], &told["body"]),
        (&json!("DELETE"), &json!("a=1"), &json!("b"))
    );
    assert!(told["headers"].as_array().expect("a list").contains(&json!(["x-odd", "yes"])), "{told}");
    assert_eq!(cloud.call("GET", "/echo", "", "").expect("an answer").status, 200);
    let page = |method: &str, body: &str| cloud.call(method, "/catalogue/menu", "", body).expect("an answer");
    assert_eq!(page("GET", "").value()["version"], 1);
    assert_eq!(page("POST", "{\"version\":2}").status, 200);
    assert_eq!(page("GET", "").value()["version"], 2);
    let effects: Vec<_> = cloud.log().iter().map(|entry| entry["effect"].clone()).collect();
    assert_eq!(effects, [json!("echoed"), json!("catalogue")]);
    assert_eq!(cloud.log()[0]["headers"], json!({"x-megamind-replay": "3"}));
    let allowed = cloud
        .call("OPTIONS", "/placeOrder", "Origin: http://app\r\n", "")
        .expect("an answer");
    assert!(allowed.status == 204 && allowed.head.contains("access-control-allow-methods: get, post"));
    assert_eq!(cloud.call("GET", "/nowhere", "", "").expect("an answer").value()["code"], "not_found");
}

#[test]
fn a_key_takes_effect_once() {
    let cloud = Oblivion::start(&[]);
    let key = "Idempotency-Key: k1\r\nX-MegaMind-Replay: 7\r\n";
    let first = cloud.json("POST", "/placeOrder", key, &order());
    let again = cloud.json("POST", "/placeOrder", key, &order());
    assert_eq!((again.status, again.value()), (201, first.value()));
    assert!(again.head.contains("idempotency-replayed: true"));
    let mut other = order();
    other["merchantId"] = "m2".into();
    assert_eq!(cloud.json("POST", "/placeOrder", key, &other).status, 422);
    let log = cloud.log();
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["key"], &log[0]["replay"]), (&json!("k1"), &json!("7")));
    let found = cloud
        .call("GET", "/findOrder?merchantId=m1&clientRef=r1", "", "")
        .expect("an answer");
    assert_eq!(found.value(), json!({"orders": [{"orderId": "OB-1"}]}));

    let careless = Oblivion::start(&["--ignore-keys"]);
    for expect in ["OB-1", "OB-2"] {
        assert_eq!(careless.json("POST", "/placeOrder", key, &order()).value()["orderId"], expect);
    }
}

#[test]
fn refusing_closes_the_port_and_clearing_opens_the_same() {
    let cloud = Oblivion::start(&[]);
    let mut open = TcpStream::connect(cloud.addr).expect("a connection");
    open.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    open.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    assert!(open.read(&mut [0; 4096]).expect("an answer") > 0);
    cloud.fault(&json!({"kind": "refuse"}));
    assert!(matches!(open.read(&mut [0; 16]), Ok(0) | Err(_)));
    loop {
        // The fault is set first and the port closed next.
        match TcpStream::connect(cloud.addr) {
            Ok(_) => std::thread::yield_now(),
            Err(error) => break assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused),
        }
    }
    cloud.clear();
    while TcpStream::connect(cloud.addr).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(cloud.call("GET", "/healthz", "", "").expect("an answer").status, 200);
}

#[test]
fn faults_answer_as_broken_clouds_do() {
    let cloud = Oblivion::start(&[]);
    let answer = |fault: Value| {
        cloud.fault(&fault);
        cloud.call("GET", "/trackOrder?orderId=OB-1", "", "")
    };
    assert_eq!(answer(json!({"kind": "status", "status": 503})).expect("an answer").status, 503);
    let broken = answer(json!({"kind": "error_body"})).expect("an answer");
    assert_eq!((broken.status, &broken.value()["success"]), (200, &json!(false)));
    assert!(answer(json!({"kind": "html"})).expect("an answer").head.contains("text/html"));
    let portal = answer(json!({"kind": "captive_portal"})).expect("an answer");
    assert!(portal.status == 302 && portal.head.contains("location: http://portal.invalid/"));
    let limited = answer(json!({"kind": "rate_limit", "delay_ms": 1500})).expect("an answer");
    assert!(limited.status == 429 && limited.head.contains("retry-after: 2"));
    assert!(answer(json!({"kind": "reset"})).is_err());
    assert!(answer(json!({"kind": "truncate"})).is_err());
    assert_eq!(answer(json!({"kind": "flap"})).expect("an answer").status, 500);
    cloud.clear();
    cloud.fault(&json!({"kind": "error_body", "health_stays_ok": true}));
    assert_eq!(cloud.call("GET", "/healthz", "", "").expect("an answer").value(), json!({"status": "ok"}));
    for bad in [
        r#"{"kind":"gremlins"}"#,
        r#"{"kind":"hang","stauts":1}"#,
        "",
        r#"{"kind":"status","status":42}"#,
    ] {
        assert_eq!(
            exchange(cloud.control, "POST", "/__fault", "", bad).expect("an answer").status,
            400,
            "{bad}"
        );
    }
    assert!(cloud.log().is_empty());
}

#[test]
fn lost_replies_and_late_writes_have_their_effect_once() {
    let cloud = Oblivion::start(&[]);
    let key = "Idempotency-Key: k1\r\nContent-Type: application/json\r\n";
    cloud.fault(&json!({"kind": "lose_reply", "paths": ["/placeOrder"], "count": 1}));
    assert!(cloud.call("POST", "/placeOrder", key, &order().to_string()).is_err());
    let again = cloud.json("POST", "/placeOrder", "Idempotency-Key: k1\r\n", &order());
    assert_eq!((again.status, &again.value()["orderId"]), (201, &json!("OB-1")));

    // The client gives up; the write comes when it wants.
    cloud.fault(&json!({"kind": "apply_late", "delay_ms": 300, "count": 1}));
    let mut stream = TcpStream::connect(cloud.addr).expect("a connection");
    let body = order().to_string();
    write!(
        stream,
        "POST /placeOrder HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k2\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let until = |expect: u16| loop {
        let answer = cloud.json("POST", "/placeOrder", "Idempotency-Key: k2\r\n", &order());
        match answer.status {
            status if status == expect => break answer,
            409 => std::thread::yield_now(),
            status => panic!("{status}: {}", answer.body),
        }
    };
    // Wait until the fault has hit that request and no other.
    while exchange(cloud.control, "GET", "/__fault", "", "")
        .expect("the control plane")
        .value()["hits"]
        != 1
    {
        std::thread::yield_now();
    }
    drop(stream);
    assert_eq!(until(201).value()["orderId"], "OB-2");
    assert_eq!(cloud.log().len(), 2);
}

#[test]
fn a_hanging_request_ends_when_the_fault_is_cleared() {
    let cloud = Oblivion::start(&[]);
    cloud.fault(&json!({"kind": "hang"}));
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| cloud.call("GET", "/healthz", "", ""));
        while exchange(cloud.control, "GET", "/__fault", "", "")
            .expect("the control plane")
            .value()["hits"]
            != 1
        {
            std::thread::yield_now();
        }
        cloud.clear();
        assert!(hanging.join().expect("no panic").is_err());
    });
}

#[test]
fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("oblivion.jsonl");
    let data = ["--data", utf8(&file)];
    let mut cloud = Oblivion::start(&data);
    let first = cloud.json("POST", "/placeOrder", "Idempotency-Key: k1\r\n", &order());
    cloud.json("POST", "/updateOrder", "", &json!({"orderId": "OB-1", "note": "ring twice"}));
    cloud.json("PUT", "/catalogue/menu", "", &json!({"version": 2}));
    let (log, orders) = (cloud.log(), cloud.call("GET", "/__orders", "", "").expect("an answer").value());
    cloud.child.kill().expect("killed");
    cloud.child.wait().expect("gone");
    // A line that was never finished was never answered.
    let mut text = std::fs::read(&file).expect("the file");
    text.extend_from_slice(b"{\"entry\":{\"seq\":4");
    std::fs::write(&file, text).expect("written");

    let cloud = Oblivion::start(&data);
    assert_eq!(cloud.log(), log);
    assert_eq!(cloud.call("GET", "/__orders", "", "").expect("an answer").value(), orders);
    assert_eq!(
        cloud.call("GET", "/catalogue/menu", "", "").expect("an answer").value(),
        json!({"version": 2})
    );
    assert_eq!(
        cloud.json("POST", "/placeOrder", "Idempotency-Key: k1\r\n", &order()).value(),
        first.value()
    );
    assert_eq!(cloud.json("POST", "/placeOrder", "", &order()).value()["orderId"], "OB-2");
    drop(cloud);
    assert_eq!(Oblivion::start(&data).log().len(), 4);
}

#[test]
fn the_enveloped_dialect_speaks_its_own_names() {
    let cloud = Oblivion::start(&["--dialect", "enveloped", "--gzip"]);
    let body = json!({
        "merchant_id": "m1", "client_ref": "r1", "ready_at": "2026-01-31 12:00:00",
        "pickup": {"latitude": 1, "longitude": 1}, "dropoff": {"latitude": 1, "longitude": 1},
    });
    let placed = cloud.json("POST", "/api/v2/orders/create", "", &body);
    assert_eq!((placed.status, &placed.value()["success"]), (200, &json!(true)));
    assert_eq!(placed.value()["data"]["order_id"], "OB-1");
    let collected = json!({
        "order_id": "OB-1", "rider_id": "p", "status": "collected", "at": "2026-01-31 12:30:00",
    });
    assert_eq!(cloud.json("POST", "/api/v2/riders/delivery", "", &collected).status, 200);
    let tracked = cloud
        .call("GET", "/api/v2/orders/track?order_id=OB-1", "", "")
        .expect("an answer")
        .value();
    assert_eq!(tracked["data"]["status"], "collected");
    assert_eq!(tracked["data"]["history"][1]["at"], "2026-01-31 12:30:00");
    let unknown = cloud
        .call("GET", "/api/v2/orders/track?order_id=OB-7", "", "")
        .expect("an answer");
    assert_eq!((unknown.status, &unknown.value()["error_code"]), (404, &json!("order_not_found")));
    assert_eq!(cloud.json("POST", "/placeOrder", "", &order()).status, 404);
    let log = cloud.log();
    assert_eq!(
        (&log[0]["endpoint"], &log[0]["path"]),
        (&json!("/placeOrder"), &json!("/api/v2/orders/create"))
    );
    let path = "/api/v2/orders/track?order_id=OB-1";
    let packed = cloud.call("GET", path, "Accept-Encoding: gzip\r\n", "").expect("an answer");
    assert!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
}

#[test]
fn sigterm_ends_it_and_a_bad_file_is_named() {
    let mut cloud = Oblivion::start(&[]);
    kill_process(Pid::from_child(&cloud.child), Signal::TERM).expect("sent");
    assert!(cloud.child.wait().expect("an end").success());

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("other.jsonl");
    std::fs::write(&file, "not a log\n").expect("written");
    let refused = Command::new(env!("CARGO_BIN_EXE_megamind-oblivion"))
        .args(["--listen", "127.0.0.1:0", "--data", utf8(&file)])
        .output()
        .expect("an end");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("other.jsonl:1"));
}
