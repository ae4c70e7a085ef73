//! When a connection stays open after an answer (RFC 9112, 6.1 and 9.3).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use megamind_tests::City;
use megamind_tests::wait::PATIENCE;

/// The answer to `request`, and whether the connection was closed after it.
fn exchange(city: &City, request: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(city.gateway.addr).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece).expect("an answer, or the end of the connection") {
            0 => return (String::from_utf8(answer).expect("text"), true),
            count => answer.extend_from_slice(&piece[..count]),
        }
        let text = String::from_utf8_lossy(&answer);
        let head = text.split_once("\r\n\r\n").map(|(head, _)| head.to_ascii_lowercase());
        if head.is_some_and(|head| !head.contains("connection: close")) {
            return (text.into_owned(), false);
        }
    }
}

const READ: &str = "/trackOrder?orderId=OB-1";
const PLAIN: &str = "/catalogue/menu";

fn judge(city: &City) {
    for path in [READ, PLAIN] {
        let (answer, closed) = exchange(city, &format!("GET {path} HTTP/1.0\r\nHost: city\r\n\r\n"));
        assert!(closed, "an HTTP/1.0 client reads to the end of the connection: {answer}");
        let kept = format!("GET {path} HTTP/1.0\r\nHost: city\r\nConnection: keep-alive\r\n\r\n");
        assert!(!exchange(city, &kept).1, "{path} was asked to keep the connection");
        assert!(!exchange(city, &format!("GET {path} HTTP/1.1\r\nHost: city\r\n\r\n")).1);
        let last = format!("GET {path} HTTP/1.1\r\nHost: city\r\nConnection: close\r\n\r\n");
        assert!(exchange(city, &last).1);
        // Two framings at once: whoever stands between may have seen another end of this request.
        let ambiguous = format!(
            "POST {path} HTTP/1.1\r\nHost: city\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        );
        let (answer, closed) = exchange(city, &ambiguous);
        assert!(closed, "two framings at once: {answer}");
    }
}

#[test]
fn a_connection_stays_open_where_client_and_framing_allow_it() {
    let mut city = City::start();
    judge(&city);
    city.cloud.kill();
    city.gateway.await_mode("acting");
    judge(&city);
}
