//! Several servers of one upstream.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use megamind_tests::city::order;
use megamind_tests::{City, Request, ports};

/// Answers every request with 200, until it is told to go.
fn serve_until(listener: &TcpListener, gone: &AtomicBool) {
    for stream in listener.incoming() {
        if gone.load(Ordering::Relaxed) {
            return;
        }
        let mut stream = stream.expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    }
}

/// A city of two servers, one of which goes away between two checks.
fn check(ask: impl Fn(&City, usize)) {
    let addr = ports::reserve();
    let listener = TcpListener::bind(addr).expect("a free port");
    let gone = AtomicBool::new(false);
    let mut city = City::with("health.interval = '1h'").prepare();
    let mut config = city.config().clone();
    let servers = vec![addr.to_string().into(), city.cloud.addr.to_string().into()];
    config["upstream"]["servers"] = toml::Value::Array(servers);
    city.gateway.configure(&config);
    city.cloud.start();
    thread::scope(|scope| {
        let server = scope.spawn(|| serve_until(&listener, &gone));
        city.gateway.start();
        city.gateway.await_mode("forwarding");
        gone.store(true, Ordering::Relaxed);
        // Wakes it.
        drop(TcpStream::connect(addr));
        server.join().expect("no panic");
    });
    drop(listener);
    for number in 0..4 {
        ask(&city, number);
    }
    let upstreams = city.gateway.status()["upstreams"].clone();
    assert_eq!((&upstreams[0]["healthy"], &upstreams[1]["healthy"]), (&false.into(), &true.into()));
}

#[test]
fn a_server_that_cannot_be_connected_is_passed_over_on_handled_routes() {
    check(|city, number| {
        let order = order(&format!("r-{number}"));
        city.post("/placeOrder", &order).expect(201).expect_forwarded();
    });
}

#[test]
fn a_server_that_cannot_be_connected_is_passed_over_on_other_routes() {
    check(|city, _| {
        city.send(&Request::get("/catalogue/menu")).expect(200).expect_forwarded();
    });
}
