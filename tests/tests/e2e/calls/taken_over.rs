//! What is told when the cloud, back again, has it otherwise.

use megamind_tests::http::{Client, Party};
use megamind_tests::wait;
use serde_json::json;

use super::Town;

/// Tells the cloud something behind the gateway's back.
fn tell_cloud(town: &Town, path: &str, body: &serde_json::Value) {
    let mut client = Client::connect_to(town.city.cloud.addr, Party::Other).expect("the cloud accepts");
    let request = town.city.dialect.post(path, body);
    client.send(&request).expect("the cloud answers").expect(200);
}

#[test]
fn a_cancellation_that_the_cloud_refuses_is_taken_back_and_both_are_told() {
    let town = Town::served("");
    let id = town.place("on its way");
    wait::until("the app knows", || (town.app.actions(&id) == ["assign"]).then_some(()));
    town.city.gateway.await_drained();
    assert!(town.city.gateway.command(&["mode", "act"]).status.success());
    town.city.gateway.await_mode("acting");
    // The pilot's word reaches the cloud by another way.
    let picked_up = json!({"orderId": id, "minionId": "P1", "status": "picked_up"});
    tell_cloud(&town, "/updatemaster/ind/deliveryInfo", &picked_up);
    town.city.post("/cancelOrder", &json!({"orderId": id})).expect(200);
    town.merchant.await_statuses(&id, &["cancelled"]);
    wait::until("the app knows", || (town.app.actions(&id) == ["assign", "cancel"]).then_some(()));
    assert!(town.city.gateway.command(&["mode", "auto"]).status.success());
    town.city.gateway.await_drained();
    town.merchant.await_statuses(&id, &["cancelled", "picked_up"]);
    wait::until("the app knows", || {
        (town.app.actions(&id) == ["assign", "cancel", "assign"]).then_some(())
    });
    assert_eq!(town.city.status_of(&id), "picked_up");
    town.await_all_told();
}

#[test]
fn of_a_discarded_order_both_are_told_though_the_cloud_serves() {
    let mut town = Town::served("");
    town.city.lose_cloud();
    let id = town.place("refused for good");
    town.merchant.await_statuses(&id, &["placed", "assigned"]);
    town.city.cloud.start();
    let fault = json!({"kind": "status", "status": 422, "paths": ["/placeOrder"], "health_stays_ok": true});
    town.city.cloud.fault(&fault);
    let parked = wait::until("it is parked", || {
        let answer = town
            .city
            .gateway
            .ask(&megamind_tests::Request::get("/admin/queue?state=parked"));
        let list = answer.ok()?.json();
        list["entries"][0]["id"].as_u64()
    });
    town.city.gateway.await_mode("forwarding");
    let parked = parked.to_string();
    let discard = ["queue", "discard", &parked, "--who", "ops", "--why", "refused for good"];
    let discarded = town.city.gateway.command(&discard);
    assert!(discarded.status.success(), "{}", String::from_utf8_lossy(&discarded.stderr));
    town.merchant.await_statuses(&id, &["placed", "assigned", "cancelled"]);
    wait::until("the app knows", || (town.app.actions(&id) == ["assign", "cancel"]).then_some(()));
    town.await_all_told();
}
