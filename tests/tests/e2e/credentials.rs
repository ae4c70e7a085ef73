//! Whose credentials the replays carry: a cloud that lets in only who has the right one.

use std::fs;

use megamind_tests::city::order;
use megamind_tests::http::Answer;
use megamind_tests::{City, wait};
use serde_json::{Value, json};

/// Everybody without one of these is refused, except the health page.
fn let_in(credentials: &[&str]) -> Value {
    json!({"kind": "status", "status": 401, "spare_authorization": credentials, "health_stays_ok": true})
}

fn place(city: &City, reference: &str, credential: &str) -> Answer {
    let request = city.dialect.post("/placeOrder", &order(reference));
    city.send(&request.header("Authorization", credential))
}

fn effects(city: &City, reference: &str) -> usize {
    city.cloud.effects_of(&format!("\"{reference}\"")).len()
}

#[test]
fn a_replay_carries_the_newest_credential_that_was_accepted_and_waits_for_a_fresh_one() {
    let mut city = City::with("drain.credential_wait = '1s'").start();
    city.cloud.fault(&let_in(&["Bearer first"]));
    place(&city, "refused", "Bearer wrong").expect(401).expect_forwarded();
    place(&city, "learned", "Bearer first").expect(201).expect_forwarded();
    // It outlives the process; nobody finds it in the database.
    wait::until("it is on disk", || {
        let wal = city.gateway.database().with_extension("db-wal");
        let disk = [fs::read(city.gateway.database()).ok()?, fs::read(wal).ok()?].concat();
        let text = String::from_utf8_lossy(&disk).into_owned();
        assert!(!text.contains("Bearer first"), "a credential in clear");
        text.contains("sealed/1").then_some(())
    });
    city.lose_cloud();
    city.gateway.kill();
    city.gateway.start();
    city.gateway.await_mode("acting");
    // While acting nobody checks it: what comes with a wrong one is replayed with the one that was accepted.
    place(&city, "queued", "Bearer wrong").expect(201).expect_local();

    city.cloud.start();
    city.cloud.fault(&let_in(&["Bearer second"]));
    wait::until("the replay waits for a credential, and that is an alarm", || {
        (city.gateway.metric("megamind_drain_credentials_overdue", "") == Some(1.0)).then_some(())
    });
    let status = city.gateway.status();
    assert_eq!(
        (&status["queue"]["entries"], &status["queue"]["parked"]),
        (&json!(1), &json!(0)),
        "{status}"
    );
    assert_eq!(effects(&city, "queued"), 0);
    // The merchant comes with a fresh one; that is enough for what it had queued.
    let track = city.dialect.post("/placeOrder", &order("fresh"));
    wait::until("the fresh one is accepted", || {
        let answer = city.send(&track.clone().header("Authorization", "Bearer second"));
        (answer.status == 201).then_some(())
    });
    city.gateway.await_drained();
    assert_eq!((effects(&city, "queued"), effects(&city, "fresh")), (1, 1));
    assert_eq!(city.gateway.metric("megamind_drain_credentials_waiting", ""), Some(0.0));
}

#[test]
fn what_may_have_been_applied_is_repeated_with_the_credential_of_its_first_attempt() {
    let city = City::with("upstream.response_timeout = '1s'\nupstream.connect_timeout = '1s'").start();
    place(&city, "before", "Bearer other").expect(201).expect_forwarded();
    let late = json!({"kind": "apply_late", "delay_ms": 2500, "paths": ["/placeOrder"]});
    city.cloud.fault(&late);
    place(&city, "lost", "Bearer mine").expect(201).expect_local();
    // From now on only who tried it may try again.
    city.cloud.fault(&let_in(&["Bearer mine"]));
    city.gateway.await_drained();
    assert_eq!(effects(&city, "lost"), 1);
    let shown = city.gateway.command(&["queue", "list", "--state", "done"]);
    let said = city.gateway.command(&["queue", "export"]);
    for output in [shown, said] {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("Bearer"), "{text}");
    }
}

#[test]
fn the_gateway_s_own_credential_is_read_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("service");
    fs::write(&file, "old\n").expect("written");
    let config = format!("drain = {{ credentials = 'service', service_credential_file = '{}' }}", file.display());
    let mut city = City::with(&config).start();
    city.lose_cloud();
    place(&city, "queued", "Bearer client").expect(201).expect_local();
    city.cloud.start();
    city.cloud.fault(&let_in(&["Bearer new"]));
    wait::until("the replay waits", || {
        (city.gateway.metric("megamind_drain_credentials_waiting", "") == Some(1.0)).then_some(())
    });
    fs::write(&file, "new\n").expect("written");
    city.gateway.await_drained();
    assert_eq!(effects(&city, "queued"), 1);
}

#[test]
fn a_request_that_names_nobody_carries_its_own_credential_and_then_its_merchants() {
    let mut city = City::start();
    let id = place(&city, "mine", "Bearer mine").expect(201).json()["orderId"].clone();
    let other = place(&city, "other", "Bearer mine").expect(201).json()["orderId"].clone();
    let change = |city: &City, id: &Value, credential: &str| {
        let change = json!({"orderId": id, "notes": format!("said by {credential}")});
        let request = city.dialect.post("/updateOrder", &change);
        city.send(&request.header("Authorization", credential)).expect(200)
    };
    // Somebody else is let in with requests that name nobody, too.
    change(&city, &other, "Bearer theirs").expect_forwarded();
    city.lose_cloud();
    change(&city, &id, "Bearer own").expect_local();
    change(&city, &other, "Bearer old").expect_local();
    city.cloud.start();
    city.cloud.fault(&let_in(&["Bearer own", "Bearer mine"]));
    city.gateway.await_drained();
    for said in ["said by Bearer own", "said by Bearer old"] {
        assert_eq!(city.cloud.effects_of(said).len(), 1, "{said}");
    }
}
