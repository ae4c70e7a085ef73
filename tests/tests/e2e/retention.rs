//! Finished orders leave the memory, and are found and served all the same.

use megamind_tests::{City, wait};
use serde_json::json;

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
