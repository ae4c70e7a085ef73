//! Whom the gateway does not call.

use megamind_tests::tls::{Certificate, Server};
use megamind_tests::wait;
use serde_json::json;
use tempfile::TempDir;

use super::Town;

#[test]
fn a_target_that_is_not_allowed_is_refused_at_registration() {
    let town = Town::start();
    let secret = town.city.dir().join("m1.secret").display().to_string();
    for url in [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://[fe80::1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.1@evil.test/",
        "http://127.0.0.1:1:80/",
        "http://evil.test/",
    ] {
        let body = json!({"minionId": "P2", "callbackUrl": url});
        let answer = town.city.post("/ind/setminiongeneralinfo", &body);
        assert_eq!(
            answer.expect_problem(403, "callback_not_allowed").field().as_deref(),
            Some("callbackUrl"),
            "{url}"
        );
        let set = ["merchant", "set", "M2", "--callback-url", url, "--secret-file", &secret];
        let set = town.city.gateway.command(&set);
        let said = String::from_utf8_lossy(&set.stderr);
        assert!(set.status.code() == Some(1) && said.contains("callbacks.allow"), "{url}: {said}");
    }
}

#[test]
fn what_is_no_url_of_http_is_refused_by_name() {
    let town = Town::start();
    for url in ["ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1:80", "callback"] {
        let body = json!({"minionId": "P2", "callbackUrl": url});
        let answer = town.city.post("/ind/setminiongeneralinfo", &body);
        assert_eq!((answer.status, answer.field().as_deref()), (400, Some("callbackUrl")), "{url}: {answer}");
    }
}

/// The name is on the list; the address behind it is this machine's, and not of any network on the list.
#[test]
fn a_name_that_leads_to_this_machine_is_not_called() {
    let town = Town::allowing("['localhost']", "");
    let url = format!("http://localhost:{}", town.app.addr.port());
    town.set_pilot("P1", &url);
    let id = town.city.place("rebound");
    town.city
        .post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}))
        .expect(200);
    let owed = wait::until("it is parked", || {
        let owed = town.owed();
        let calls = owed["calls"].as_array().expect("a list").clone();
        calls
            .into_iter()
            .find(|call| call["path"] == "/assign" && call["state"] == "parked")
    });
    assert!(owed["lastError"].as_str().is_some_and(|why| why.contains("may not be called")), "{owed}");
    assert!(town.app.calls().is_empty());
}

/// An app in HTTPS, which shows a certificate of one authority while those of another are trusted, or of the same.
fn over_tls(trusted: bool) -> (Town, Server) {
    let dir = TempDir::new().expect("a folder for temporary files");
    let shown = Certificate::issue(dir.path(), "shown", "localhost");
    let other = Certificate::issue(dir.path(), "other", "localhost");
    let server = shown.serve().expect("a server");
    let ca = if trusted { &shown.ca } else { &other.ca };
    let config = format!("callbacks.ca = '{}'", ca.display());
    let town = Town::allowing("['127.0.0.0/8', 'localhost']", &config);
    town.set_pilot("P1", &format!("https://localhost:{}/app", server.addr.port()));
    let id = town.city.place("over TLS");
    town.city
        .post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}))
        .expect(200);
    (town, server)
}

#[test]
fn an_app_whose_certificate_is_trusted_is_called() {
    let (_town, server) = over_tls(true);
    wait::until("the app is called", || {
        server
            .seen()
            .into_iter()
            .find(|seen| seen.head.starts_with("POST /app/assign HTTP/1.1"))
    });
}

#[test]
fn an_app_whose_certificate_is_not_trusted_is_not() {
    let (town, server) = over_tls(false);
    let owed = wait::until("the call fails", || {
        let calls = town.owed()["calls"].as_array().expect("a list").clone();
        calls
            .into_iter()
            .find(|call| call["path"] == "/assign" && call["lastError"].is_string())
    });
    assert!(
        owed["lastError"]
            .as_str()
            .is_some_and(|why| why.contains("no TLS with localhost")),
        "{owed}"
    );
    assert!(server.seen().is_empty());
}
