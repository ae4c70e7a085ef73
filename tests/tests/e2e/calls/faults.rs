//! Receivers that are broken: the right number of effective calls, in order.

use megamind_tests::{Request, wait};
use serde_json::json;

use super::{GOOD, Town};

/// Breaks the service and the app in the middle of an order's way, and repairs them.
fn survives(break_it: impl FnOnce(&mut Town), repair: impl FnOnce(&mut Town)) {
    let mut town = Town::with("callbacks.timeout = '1s'");
    let ids: Vec<_> = (0..3).map(|number| town.place(&format!("before {number}"))).collect();
    break_it(&mut town);
    for id in &ids {
        town.carry(id);
    }
    let during = town.place("during");
    repair(&mut town);
    town.carry(&during);
    for id in ids.iter().chain([&during]) {
        town.merchant.await_statuses(id, &GOOD);
    }
    town.await_all_told();
    // Each id took effect once; whatever came twice carried the id of the first.
    let effects = town.merchant.effects();
    assert_eq!(effects.len(), 4 * 6, "{effects:#?}");
    for id in ids.iter().chain([&during]) {
        assert_eq!(town.app.actions(id), ["assign"], "{id}");
    }
}

fn breaks(fault: &serde_json::Value) {
    let fault_both = |town: &mut Town| {
        town.merchant.fault(fault);
        town.app.fault(fault);
    };
    survives(fault_both, |_| {});
}

#[test]
fn refused() {
    survives(
        |town| {
            town.merchant.kill();
            town.app.kill();
        },
        |town| {
            for target in ["merchant", "pilot"] {
                wait::until(&format!("a call to a {target} is refused"), || {
                    let labels = format!("outcome=\"failed\",target=\"{target}\"");
                    let failed = town.city.gateway.metric("megamind_calls_total", &labels)?;
                    (failed > 0.0).then_some(())
                });
            }
            town.merchant.start();
            town.app.start();
        },
    );
}

#[test]
fn hanging() {
    breaks(&json!({"kind": "hang", "count": 2}));
}

#[test]
fn failing() {
    breaks(&json!({"kind": "status", "status": 500, "count": 7}));
}

#[test]
fn slow() {
    breaks(&json!({"kind": "slow", "delayMs": 150, "count": 6}));
}

#[test]
fn redirecting() {
    breaks(&json!({"kind": "redirect", "location": "http://127.0.0.1:9/", "count": 5}));
}

#[test]
fn losing_replies() {
    breaks(&json!({"kind": "lose_reply", "count": 5}));
}

/// Longer than is read of an answer: it was taken all the same.
#[test]
fn talkative() {
    breaks(&json!({"kind": "large", "count": 5}));
}

#[test]
fn gone_for_good_waits_for_the_operator() {
    let town = Town::start();
    town.merchant.fault(&json!({"kind": "status", "status": 410}));
    let id = town.place("gone");
    let parked = wait::until("they are parked", || {
        let owed = town.owed();
        (owed["parked"] == 3).then_some(owed)
    });
    let first = &parked["calls"][0];
    assert_eq!(
        (&first["state"], &first["target"]["id"], &first["orderId"]),
        (&json!("parked"), &json!("M1"), &json!(id))
    );
    assert!(first["lastError"].as_str().is_some_and(|text| text.contains("410")), "{first}");
    let shown = town.city.gateway.command(&["calls", "list", "--state", "parked"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout).lines().count(), 3);
    // Across a restart they wait still.
    let mut town = town;
    town.city.gateway.kill();
    town.city.gateway.start();
    assert_eq!(town.owed()["parked"], 3);
    town.merchant.fault(&json!({"kind": "none"}));
    // Of the three, the one that tells who comes.
    let calls = parked["calls"].as_array().expect("a list");
    let who = calls.iter().find(|call| call["path"] == "/pushgeneralinfo").expect("owed");
    let last = who["id"].to_string();
    let discarded = town
        .city
        .gateway
        .command(&["calls", "discard", &last, "--who", "ops", "--why", "test"]);
    assert!(discarded.status.success(), "{}", String::from_utf8_lossy(&discarded.stderr));
    let retried = town.city.gateway.command(&["calls", "retry", "--all-parked"]);
    assert!(retried.status.success(), "{}", String::from_utf8_lossy(&retried.stderr));
    town.merchant.await_statuses(&id, &["placed", "assigned"]);
    town.await_all_told();
    let again = Request::post(format!("/admin/calls/{last}/retry"), &json!({}));
    let answer = town.city.gateway.ask(&again).expect("the admin listener answers");
    assert_eq!(answer.status, 404, "{answer}");
}

#[test]
fn what_fails_for_too_long_is_parked() {
    let town = Town::with("callbacks.give_up_after = '1s'");
    town.merchant.fault(&json!({"kind": "status", "status": 503}));
    town.place("too long");
    wait::until("they are parked", || (town.owed()["parked"] == 3).then_some(()));
    assert_eq!(town.merchant.effects().len(), 0);
}
