//! What is told, when all goes well.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use megamind_tests::{City, Receiver, Request, binary, city, skipped, wait};
use serde_json::{Value, json};

use super::{GOOD, SECRET, Town};

#[test]
fn an_order_is_told_step_by_step() {
    let town = Town::start();
    let id = town.place("step by step");
    town.carry(&id);
    town.merchant.await_statuses(&id, &GOOD);
    town.await_all_told();
    assert_eq!(town.app.actions(&id), ["assign"]);
    let assign = &town.app.effects()[0]["body"];
    assert_eq!((&assign["codAmount"], &assign["currency"]), (&json!("149.50"), &json!("INR")));
    assert!(assign["planVersion"].is_u64() && assign["pickup"]["lat"].is_f64(), "{assign}");
    let who = town
        .merchant
        .effects()
        .into_iter()
        .find(|call| call["path"] == "/pushgeneralinfo")
        .expect("who");
    assert_eq!((&who["body"]["minionId"], &who["body"]["name"]), (&json!("P1"), &json!("Asha")));

    let second = town.place("changed");
    town.city
        .post("/updateOrder", &json!({"orderId": second, "dropoff": {"address": "the back door"}}))
        .expect(200);
    town.city.post("/cancelOrder", &json!({"orderId": second})).expect(200);
    wait::until("the app knows", || {
        (town.app.actions(&second) == ["assign", "change", "cancel"]).then_some(())
    });
    town.merchant.await_statuses(&second, &["placed", "assigned", "cancelled"]);
    town.await_all_told();
    assert!(
        town.city
            .gateway
            .metric("megamind_calls_total", "target=\"merchant\",outcome=\"done\"")
            >= Some(8.0)
            || town
                .city
                .gateway
                .metric("megamind_calls_total", "outcome=\"done\",target=\"merchant\"")
                >= Some(8.0)
    );
}

#[test]
fn a_merchant_can_be_set_while_running() {
    let town = Town::start();
    let service = Receiver::start_new(town.city.dir(), "m2");
    let secret = town.city.dir().join("m2.secret");
    std::fs::write(&secret, SECRET).expect("a writable folder");
    let secret = secret.display().to_string();
    let set = |url: &str| {
        town.city
            .gateway
            .command(&["merchant", "set", "M2", "--callback-url", url, "--secret-file", &secret])
    };
    assert!(!set("http://10.0.0.1/").status.success(), "not on the list");
    let done = set(&service.url());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut order = city::order("for M2");
    order["merchantId"] = "M2".into();
    let id = town.city.id_of(&town.city.post("/placeOrder", &order));
    wait::until("M2 knows", || {
        (service.statuses(&id).first().map(String::as_str) == Some("placed")).then_some(())
    });
    assert!(town.merchant.statuses(&id).is_empty());
    let done = town
        .city
        .gateway
        .command(&["pilot", "set", "P9", "--phone", "+918022229999", "--name", "Ravi"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let info = town
        .city
        .send(&Request::get("/ind/getminiongeneralinfo?minionId=P9"))
        .expect(200)
        .json();
    assert_eq!(info["name"], "Ravi");
}

#[test]
fn pilots_are_asked_when_acting_starts() {
    let dir = tempfile::TempDir::new().expect("a folder for temporary files");
    let app = Receiver::start_new(dir.path(), "app");
    let mut city = City::with("callbacks.allow = ['127.0.0.1']").within(dir).start();
    let mut pilot = city::pilot("P1");
    pilot["callbackUrl"] = app.url().into();
    city.post("/ind/setminiongeneralinfo", &pilot).expect(200);
    let id = city.place("stale");
    city.post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}))
        .expect(200);
    app.answer("/getgeneralinfo", &json!({"minionId": "P1", "lat": 12.5, "lng": 77.5, "status": "busy"}));
    app.answer("/getdeliveryinfo", &json!({"minionId": "P1", "orderId": id, "status": "picked_up"}));
    city.lose_cloud();
    wait::until("it is known", || (city.status_of(&id) == "picked_up").then_some(()));
    let info = city
        .send(&Request::get("/ind/getminiongeneralinfo?minionId=P1"))
        .expect(200)
        .json();
    assert_eq!((&info["lat"], &info["status"]), (&json!(12.5), &json!("busy")));
    // An answer about somebody else is not taken.
    city.regain_cloud();
    app.answer("/getgeneralinfo", &json!({"minionId": "P2", "lat": 1.0, "lng": 1.0}));
    app.answer("/getdeliveryinfo", &json!({"minionId": "P1", "orderId": id, "status": "delivered"}));
    city.lose_cloud();
    wait::until("it is known", || (city.status_of(&id) == "delivered").then_some(()));
    city.send(&Request::get("/ind/getminiongeneralinfo?minionId=P2"))
        .expect_problem(503, "not_known_here");
}

/// Says of each call, one JSON object a line, whether the published library takes it.
const VERIFY: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook
for line in sys.stdin:
    call = json.loads(line)
    headers = {"webhook-id": call["webhookId"], "webhook-timestamp": call["timestamp"], "webhook-signature": call["signature"]}
    for secret in sys.argv[1:]:
        Webhook(secret).verify(call["text"], headers)
        try:
            Webhook(secret).verify(call["text"] + " ", headers)
            sys.exit("a changed body was taken")
        except Exception:
            pass
print("verified")
"#;

/// The Python that has a library, in the target folder.
fn python(library: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| binary::root().join("target"), Into::into);
    let python = root.join("tools/python/bin/python");
    let works = Command::new(&python).args(["-c", &format!("import {library}")]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skipped(&format!("what needs {library}: no Python with it is in target/tools/python"));
    None
}

#[test]
fn the_published_library_takes_the_signatures() {
    let Some(python) = python("standardwebhooks") else { return };
    let town = Town::start();
    let id = town.place("signed");
    town.carry(&id);
    town.merchant.await_statuses(&id, &GOOD);
    verify(&python, &town.merchant.effects(), &[SECRET]);
    // During rotation both secrets hold.
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    std::fs::write(town.city.dir().join("m1.secret"), format!("{other}\n{SECRET}\n")).expect("a writable folder");
    let both = wait::until("both sign", || {
        town.city.place(&format!("rotated {}", town.merchant.calls().len()));
        let signed = |call: &Value| call["signature"].as_str().is_some_and(|text| text.contains(' '));
        let both: Vec<_> = town.merchant.effects().into_iter().filter(signed).collect();
        (!both.is_empty()).then_some(both)
    });
    verify(&python, &both, &[SECRET, other]);
}

fn verify(python: &Path, calls: &[Value], secrets: &[&str]) {
    let lines: Vec<_> = calls.iter().map(Value::to_string).collect();
    assert_eq!(run(python, VERIFY, secrets, &lines.join("\n")), "verified", "{calls:#?}");
}

/// What a program says about its input.
fn run(python: &Path, program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(python)
        .arg("-c")
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("python reads");
    drop(pipe);
    let output = child.wait_with_output().expect("python ends");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Says what the published validator finds in a document.
const VALIDATE: &str = r#"
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator
found = [f"{list(error.path)}: {error.message}" for error in OpenAPIV31SpecValidator(json.load(sys.stdin)).iter_errors()]
print("\n".join(found) or "valid")
"#;

#[test]
fn the_interface_is_described() {
    let city = City::with("").start_without_cloud();
    let document = city
        .gateway
        .ask(&Request::get("/openapi.json"))
        .expect("the admin listener answers");
    let document = document.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    if let Some(python) = python("openapi_spec_validator") {
        assert_eq!(run(&python, VALIDATE, &[], &document.to_string()), "valid");
    }
    for called in ["assign", "getdeliveryinfo", "getgeneralinfo", "pushdeliveryinfo", "pushgeneralinfo"] {
        assert!(document["webhooks"][called]["post"]["requestBody"].is_object(), "{called}");
    }
    assert!(document["paths"]["/placeOrder"]["post"]["responses"]["201"].is_object());
}
