//! Signals, modes, the admin listener, the command line, and what plain HTTP asks of a proxy.

use std::thread;

use megamind_tests::city::order;
use megamind_tests::{City, Client, Request, wait};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn sigterm_finishes_requests() {
    let mut city = City::with("gateway.grace = '20s'").start();
    city.cloud.fault(&json!({"kind": "slow", "delay_ms": 1000, "paths": ["/echo"]}));
    let mut client = city.client();
    let waiting = thread::spawn(move || client.send(&Request::get("/echo")));
    wait::until("the request is on its way", || (city.cloud.hits() == 1).then_some(()));
    city.gateway.signal(Signal::TERM);
    let answer = waiting.join().expect("no panic").expect("an answer");
    answer.expect(200).expect_forwarded();
    assert!(city.gateway.wait().success());
    assert!(Client::connect(city.gateway.addr).is_err(), "nobody listens");
}

#[test]
fn sigterm_does_not_wait_for_ever() {
    // A request that would take longer than the test has patience.
    let mut city = City::with("gateway.grace = '1s'\nupstream.response_timeout = '120s'").start();
    city.cloud.fault(&json!({"kind": "hang", "paths": ["/echo"]}));
    let mut client = city.client();
    let waiting = thread::spawn(move || client.send(&Request::get("/echo")));
    wait::until("the request is on its way", || (city.cloud.hits() == 1).then_some(()));
    city.gateway.stop();
    // Cut or refused, as long as it ends.
    let _ = waiting.join().expect("no panic");
}

#[test]
fn sigterm_keeps_what_was_acknowledged() {
    let mut city = City::with("").start_without_cloud();
    let id = city.place("before SIGTERM");
    city.gateway.stop();
    city.gateway.start();
    assert_eq!(city.status_of(&id), "placed");
}

#[test]
fn sighup_does_not_kill() {
    let mut city = City::start();
    city.gateway.signal(Signal::HUP);
    for count in 0..20 {
        city.place(&format!("after SIGHUP {count}"));
    }
    assert_eq!(city.gateway.process().ended(), None);
}

#[test]
fn port_zero_takes_a_free_port_and_tells_it() {
    let mut city = City::with("gateway.listen = '127.0.0.1:0'\nadmin.listen = '127.0.0.1:0'").prepare();
    city.cloud.start();
    city.gateway.start();
    assert_ne!(city.gateway.addr.port(), 0);
    city.gateway.await_mode("forwarding");
    city.place("on a free port");
}

#[test]
fn an_operator_forces_a_mode_and_gives_it_back() {
    let city = City::start();
    let mode = |word| {
        let output = city.gateway.command(&["mode", word]);
        assert!(output.status.success(), "{output:?}");
    };
    mode("act");
    city.gateway.await_mode("acting");
    let id = city.place("planned maintenance");
    assert!(id.starts_with("tst-"), "{id}");
    assert!(city.cloud.effects_of("planned maintenance").is_empty());
    let output = city.gateway.command(&["status"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("acting"), "{said}");
    mode("auto");
    city.gateway.await_drained();
    assert_eq!(city.cloud.effects_of("planned maintenance").len(), 1);
}

#[test]
fn a_mode_that_there_is_not_changes_nothing() {
    let city = City::start();
    let output = city.gateway.command(&["mode", "party"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let request = Request::post("/admin/mode", &json!({"mode": "party"}));
    let answer = city.gateway.ask(&request).expect("an answer");
    assert_eq!(answer.status, 400, "{answer}");
    assert_eq!(city.gateway.mode(), "forwarding");
}

#[test]
fn the_command_line_says_where_no_gateway_runs() {
    let city = City::with("").prepare();
    for arguments in [&["status"][..], &["mode", "act"]] {
        let output = city.gateway.command(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let admin = city.gateway.admin.to_string();
        assert!(said.contains(&admin) && said.contains("megamind run"), "{said}");
    }
}

#[test]
fn the_admin_listener_tells_what_it_should() {
    let mut city = City::start();
    city.place("counted");
    city.cloud
        .fault(&json!({"kind": "status", "paths": ["/catalogue/menu"], "count": 1}));
    city.send(&Request::get("/catalogue/menu"));
    city.lose_cloud();
    city.place("queued");
    for path in ["/healthz", "/readyz"] {
        let answer = city.gateway.ask(&Request::get(path)).expect("an answer");
        answer.expect(200);
    }
    let status = city.gateway.status();
    assert_eq!(status["city"], "tst");
    assert_eq!(status["queue"]["entries"], 1);
    assert_eq!(status["queue"]["parked"], 0);
    assert_eq!(status["upstreams"][0]["healthy"], false, "{status}");
    for name in ["since", "reason", "version"] {
        assert!(status[name].is_string(), "{name} in {status}");
    }
    let metric = |name, labels| city.gateway.metric(name, labels);
    city.gateway.await_metric("megamind_mode", "mode=\"acting\"", 1.0);
    city.gateway.await_metric("megamind_mode", "mode=\"forwarding\"", 0.0);
    city.gateway.await_metric("megamind_upstream_up", "", 0.0);
    city.gateway.await_metric("megamind_queue_entries", "", 1.0);
    city.gateway.await_metric("megamind_parked_entries", "", 0.0);
    city.gateway.await_metric("megamind_failovers_total", "", 1.0);
    for name in [
        "megamind_requests_total",
        "megamind_request_duration_seconds_count",
        "megamind_upstream_failures_total",
        "megamind_outage_seconds_total",
        "megamind_queue_oldest_seconds",
        "megamind_journal_commit_seconds_count",
        "megamind_journal_bytes",
        "megamind_shadow_dropped_total",
        "megamind_orders",
        "process_resident_memory_bytes",
    ] {
        assert!(metric(name, "").is_some(), "{name} is not told");
    }
    city.regain_cloud();
    city.gateway.await_metric("megamind_drained_total", "", 1.0);
}

#[test]
fn a_plain_route_says_that_oblivion_is_down() {
    let mut city = City::start();
    city.send(&Request::get("/catalogue/menu")).expect(200).expect_forwarded();
    city.lose_cloud();
    let answer = city.send(&Request::get("/catalogue/menu")).expect_problem(503, "upstream_down");
    let after = answer.header("retry-after").and_then(|value| value.parse::<u32>().ok());
    assert!(after.is_some(), "{answer}");
    city.regain_cloud();
    city.send(&Request::get("/catalogue/menu")).expect(200).expect_forwarded();
}

#[test]
fn large_bodies_pass_while_oblivion_is_there() {
    let mut city = City::start();
    let mut large = order("large");
    large["notes"] = "x".repeat(300 * 1024).into();
    city.post("/placeOrder", &large).expect(201).expect_forwarded();
    let upload = Request::post_as("/echo", "application/octet-stream", vec![b'y'; 2 << 20]);
    let echoed = city.send(&upload).expect(200).expect_forwarded();
    assert_eq!(echoed.json()["bodyBytes"], 2 << 20);
    city.lose_cloud();
    city.post("/placeOrder", &large).expect(413).expect_local();
    // One that just fits is taken.
    let mut fits = order("fits");
    fits["notes"] = "x".repeat(60 * 1024).into();
    city.post("/placeOrder", &fits).expect(201).expect_local();
}

#[test]
fn head_options_and_trailing_slashes() {
    let mut city = City::start();
    let id = city.place("asked for");
    let target = format!("/trackOrder?orderId={id}");
    let preflight = Request::new("OPTIONS", "/trackOrder").header("Origin", "https://shop.example");
    city.send(&Request::new("HEAD", &target)).expect(200).expect_forwarded();
    let seen = city.send(&preflight).expect_forwarded();
    city.send(&Request::get(format!("/trackOrder/?orderId={id}")))
        .expect(200)
        .expect_forwarded();
    city.lose_cloud();
    let head = city.send(&Request::new("HEAD", &target)).expect(200).expect_local();
    assert!(head.body.is_empty());
    let answer = city.send(&preflight).expect_local();
    assert!(answer.status < 300, "{answer}");
    for name in ["access-control-allow-origin", "access-control-allow-methods"] {
        assert_eq!(answer.header(name), seen.header(name), "{name}");
    }
    city.send(&Request::get(format!("/trackOrder/?orderId={id}")))
        .expect(200)
        .expect_local();
    city.send(&Request::post("/placeOrder/", &order("with a slash")))
        .expect(201)
        .expect_local();
}

#[test]
fn oblivion_is_told_where_a_request_came_from() {
    let city = City::start();
    let request = Request::get("/echo?a=b%20c&d").header("X-Forwarded-For", "192.0.2.7");
    let echo = city.send(&request).expect(200).json();
    assert_eq!(echo["query"], "a=b%20c&d");
    let header = |name: &str| {
        let all = echo["headers"].as_array().expect("headers");
        let found = all.iter().find(|pair| pair[0] == name).expect(name);
        found[1].as_str().expect("text").to_owned()
    };
    assert_eq!(header("x-forwarded-for"), "192.0.2.7, 127.0.0.1");
    assert_eq!(header("x-forwarded-proto"), "http");
    assert_eq!(header("x-forwarded-host"), "city.test");
    assert_eq!(header("host"), "city.test");
}

#[test]
fn local_routes_are_answered_here_in_every_mode() {
    let mut city = City::start();
    let set = json!({"minionId": "P1", "name": "Asha", "status": "offline", "lat": 12.97, "lng": 77.59});
    let get = Request::get("/ind/getminiongeneralinfo?minionId=P1");
    city.post("/ind/setminiongeneralinfo", &set).expect(200).expect_local();
    city.send(&get).expect(200).expect_local();
    city.gateway.await_drained();
    assert!(!city.cloud.effects_of("P1").is_empty(), "Oblivion is told");
    city.lose_cloud();
    let known = city.send(&get).expect(200).expect_local();
    assert_eq!(known.json()["name"], "Asha");
}

#[test]
fn requests_follow_one_another_on_one_connection_whatever_happens() {
    let mut city = City::start();
    let mut client = city.client();
    let mut ask = |request: &Request| client.send(request).expect("a usable connection");
    ask(&city.dialect.post("/placeOrder", &order("one")))
        .expect(201)
        .expect_forwarded();
    ask(&Request::post_as("/trackOrder", "application/json", "{")).expect(400);
    city.cloud.kill();
    ask(&city.dialect.post("/placeOrder", &order("two"))).expect(201).expect_local();
    city.gateway.await_mode("acting");
    ask(&Request::post_as("/placeOrder", "application/json", "{"))
        .expect(400)
        .expect_local();
    ask(&Request::get("/catalogue/menu")).expect_problem(503, "upstream_down");
    ask(&city.dialect.post("/placeOrder", &order("three")))
        .expect(201)
        .expect_local();
    city.regain_cloud();
    ask(&city.dialect.post("/placeOrder", &order("four")))
        .expect(201)
        .expect_forwarded();
}
