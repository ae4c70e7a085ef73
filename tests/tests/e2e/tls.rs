//! HTTPS on both sides.

use megamind_tests::tls::Certificate;
use megamind_tests::{City, Request, ports, wait};

#[test]
fn clients_are_served_in_tls() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let certificate = Certificate::issue(dir.path(), "city", "api.city.test");
    let addr = ports::reserve();
    let config = format!(
        "[gateway.tls]\nlisten = '{addr}'\ncert = '{}'\nkey = '{}'",
        certificate.cert.display(),
        certificate.key.display()
    );
    let mut city = City::with(&config).start();
    let mut client = certificate.connect(addr, "api.city.test").expect("a listener");
    let placed = client
        .send(&city.dialect.post("/placeOrder", &megamind_tests::city::order("in TLS")))
        .expect("an answer")
        .expect(201)
        .expect_forwarded();
    let id = city.id_of(&placed);
    let echo = client.send(&Request::get("/echo")).expect("an answer").expect(200);
    assert!(echo.text().contains("[\"x-forwarded-proto\",\"https\"]"), "{echo}");
    city.lose_cloud();
    let track = city.dialect.get("/trackOrder", "orderId", &id);
    client.send(&track).expect("the same connection").expect(200).expect_local();
    // Whoever expects somebody else is not served.
    let mut stranger = certificate.connect(addr, "other.test").expect("a listener");
    assert!(stranger.send(&track).is_err());
}

#[test]
fn oblivion_is_asked_in_tls_and_verified() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let certificate = Certificate::issue(dir.path(), "cloud", "api.oblivion.test");
    let server = certificate.serve().expect("a server");
    let config = format!(
        "[upstream]\nservers = ['https://{}']\ntls = {{ ca = '{}', server_name = 'api.oblivion.test' }}",
        server.addr,
        certificate.ca.display()
    );
    let mut city = City::with(&config).prepare();
    city.gateway.start();
    city.gateway.await_mode("forwarding");
    city.send(&Request::get("/anything")).expect(200).expect_forwarded();
    let seen = wait::until("the server has seen it", || {
        server.seen().into_iter().find(|seen| seen.head.starts_with("GET /anything"))
    });
    assert_eq!(seen.sni.as_deref(), Some("api.oblivion.test"));
    assert!(seen.head.to_ascii_lowercase().contains("host: city.test"), "{}", seen.head);
}

#[test]
fn a_cloud_that_cannot_prove_itself_is_no_cloud() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let certificate = Certificate::issue(dir.path(), "cloud", "api.oblivion.test");
    let stranger = Certificate::issue(dir.path(), "stranger", "api.oblivion.test");
    let server = stranger.serve().expect("a server");
    let config = format!(
        "[upstream]\nservers = ['https://{}']\ntls = {{ ca = '{}', server_name = 'api.oblivion.test' }}",
        server.addr,
        certificate.ca.display()
    );
    let city = City::with(&config).start_without_cloud();
    city.place("not for strangers");
    city.send(&Request::get("/anything")).expect_problem(503, "upstream_down");
    assert!(server.seen().is_empty(), "nothing was sent to it");
}

#[test]
fn a_bad_certificate_is_named_before_anything_starts() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let certificate = Certificate::issue(dir.path(), "city", "api.city.test");
    std::fs::write(&certificate.key, "not a key").expect("a writable folder");
    let config = format!(
        "[gateway.tls]\nlisten = '{}'\ncert = '{}'\nkey = '{}'",
        ports::reserve(),
        certificate.cert.display(),
        certificate.key.display()
    );
    let mut city = City::with(&config).prepare();
    let output = city.gateway.command(&["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("gateway.tls.key"), "{said}");
    let said = city.gateway.try_start().expect_err("it must not start");
    assert!(said.contains("gateway.tls.key") && !said.contains("panicked"), "{said}");
}
