//! Finished orders leave the memory, and are found and served all the same.

use megamind_tests::{City, wait};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Waits until no order is in memory.
#[track_caller]
fn await_forgotten(city: &City) {
    wait::until("no order is in memory", || {
        (city.gateway.metric("megamind_orders", "") == Some(0.0)).then_some(())
    });
}

#[test]
fn a_finished_order_leaves_the_memory_and_works_under_both_ids() {
    let mut city = City::with("orders.keep_terminal = '1s'").start();
    city.lose_cloud();
    let id = city.place("kept");
    for status in ["picked_up", "delivered"] {
        city.deliver(&id, "P1", status).expect(200).expect_local();
    }
    let told = city.track(&id).expect(200).json();
    // Never while it is queued.
    city.regain_cloud();
    let effects = city.cloud.effects_of("\"kept\"");
    let upstream = effects[0].text("orderId").to_owned();
    await_forgotten(&city);

    city.lose_cloud();
    for name in [&id, &upstream] {
        let now = city.track(name).expect(200).expect_local().json();
        assert_eq!(now["orderId"], name.as_str());
        for member in ["status", "minionId", "history"] {
            assert_eq!(now[member], told[member], "{member} by {name}");
        }
    }
    city.gateway.kill();
    city.gateway.start();
    city.gateway.await_mode("acting");
    assert_eq!(city.status_of(&id), "delivered", "after a restart");
    // A write takes it back: what cannot be done is refused for the right reason, and what happened is taken.
    let cancel = city.dialect.post("/cancelOrder", &json!({"orderId": upstream}));
    city.send(&cancel).expect(409);
    let late = json!({"orderId": id, "minionId": "P1", "status": "failed"});
    let answer = city.post("/updatemaster/ind/deliveryInfo", &late).expect(200);
    assert_ne!(answer.json()["known"], false, "{answer}");
    assert_eq!(city.status_of(&upstream), "delivered");
    city.cloud.start();
    city.gateway.await_mode("forwarding");
}

/// Waits until nothing is left of any order in the file.
#[track_caller]
fn await_gone(city: &City) {
    await_forgotten(city);
    let database = Connection::open(city.gateway.database()).expect("a database");
    wait::until("no order is in the archive", || {
        let rows = "SELECT (SELECT count(*) FROM archive) + (SELECT count(*) FROM archive_name)";
        let rows: i64 = database.query_row(rows, [], |row| row.get(0)).expect("counts");
        (rows == 0).then_some(())
    });
}

#[test]
fn an_order_that_left_the_file_too_is_not_denied_and_its_ids_still_lead_to_one_another() {
    let mut city = City::with("[orders]\nkeep_terminal = '1s'\nkeep_archived = '1s'").start();
    city.lose_cloud();
    let id = city.place("gone");
    for status in ["picked_up", "delivered"] {
        city.deliver(&id, "P1", status).expect(200).expect_local();
    }
    city.regain_cloud();
    let upstream = city.cloud.effects_of("\"gone\"")[0].text("orderId").to_owned();
    await_gone(&city);

    // The cloud may know it; an id that was never given is another matter.
    city.lose_cloud();
    city.gateway.kill();
    city.gateway.start();
    city.gateway.await_mode("acting");
    for name in [&id, &upstream] {
        city.track(name).expect_problem(503, "not_known_here");
        for path in ["/updateOrder", "/cancelOrder"] {
            city.post(path, &json!({"orderId": name})).expect_problem(503, "not_known_here");
        }
        city.post("/ind/assigntominion", &json!({"orderId": name, "minionId": "P1"}))
            .expect_problem(503, "not_known_here");
    }
    city.track("tst-01ARZ3NDEKTSV4RRFFQ69G5FAV")
        .expect_problem(404, "order_not_found");
    // What happened is taken, and told to the cloud under its own id: it knows that the order has ended.
    let answer = city.deliver(&id, "P1", "delivered").expect(200).expect_local();
    assert_eq!(answer.json()["known"], false, "{answer}");
    city.cloud.start();
    let parked = wait::until("the cloud has refused it", || {
        let parked = city.gateway.said(&["queue", "list", "--state", "parked", "--json"]);
        serde_json::from_str::<Value>(&parked).ok()
    });
    assert_eq!(parked["lastStatus"], 409, "{parked}");
    city.gateway
        .said(&["queue", "discard", &parked["id"].to_string(), "--why", "known"]);
    city.gateway.await_mode("forwarding");

    await_gone(&city);
    let known = city.track(&id).expect(200).expect_forwarded().json();
    assert_eq!((&known["orderId"], &known["status"]), (&json!(id), &json!("delivered")));
    let known = city.track(&upstream).expect(200).expect_forwarded().json();
    assert_eq!(known["orderId"], upstream.as_str());
}
