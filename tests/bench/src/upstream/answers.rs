//! What the fast cloud says.

use std::io::Write as _;

/// Answers the request with this head. Whether it placed an order, then the one with `number`.
pub(super) fn answer(head: &[u8], number: u64, out: &mut Vec<u8>) -> bool {
    let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if path.starts_with(b"/placeOrder") {
        let body = format!(
            r#"{{"orderId":"OB-{number:09}","status":"assigned","minionId":"p000000001","eta":"2030-01-01T12:30:00Z"}}"#
        );
        respond(out, "201 Created", body.as_bytes());
        return true;
    }
    if path.starts_with(b"/trackOrder") {
        let id = path.split(|byte| *byte == b'=').nth(1).unwrap_or(b"OB-000000000");
        let mut body = Vec::with_capacity(320);
        body.extend_from_slice(br#"{"orderId":""#);
        body.extend_from_slice(id);
        body.extend_from_slice(
            br#"","status":"assigned","minionId":"p000000001","location":{"lat":12.9716,"lng":77.5946},"eta":"2030-01-01T12:30:00Z","history":[{"status":"placed","at":"2030-01-01T12:00:00Z"},{"status":"assigned","at":"2030-01-01T12:00:05Z"}]}"#,
        );
        respond(out, "200 OK", &body);
    } else if path.starts_with(b"/updatemaster/bulk/") || path.starts_with(b"/bulk/") {
        respond(out, "200 OK", br#"{"results":[]}"#);
    } else {
        respond(
            out,
            "200 OK",
            br#"{"status":"ok","city":"bench","items":["idli","dosa","vada","upma","poha"],"version":1}"#,
        );
    }
    false
}

fn respond(out: &mut Vec<u8>, status: &str, body: &[u8]) {
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\nServer: fixed\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &str, write: bool, expect: &str) {
        let mut out = Vec::new();
        assert_eq!(answer(request.as_bytes(), 7, &mut out), write, "{request}");
        let out = String::from_utf8_lossy(&out);
        assert!(out.contains(expect), "{out}");
    }

    #[test]
    fn orders_are_numbered_and_tracked_by_their_id() {
        check("POST /placeOrder HTTP/1.1\r\n", true, r#""orderId":"OB-000000007""#);
        check("GET /trackOrder?orderId=OB-000000003 HTTP/1.1\r\n", false, r#""orderId":"OB-000000003""#);
        check("GET /anything HTTP/1.1\r\n", false, "200 OK");
    }
}
