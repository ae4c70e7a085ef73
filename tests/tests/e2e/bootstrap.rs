//! What was there before the gateway: asked for at the endpoints that list it.

use megamind_tests::city::{order, pilot};
use megamind_tests::http::Party;
use megamind_tests::{City, Client, Dialect, wait};
use serde_json::json;

fn check(dialect: Dialect) {
    let paths = format!("{:?}", [dialect.path("/minions"), dialect.path("/orders")]);
    let plan = City::with(&format!("shadow.bootstrap = {paths}")).speaking(dialect);
    let mut city = plan.cloud_flags(&["--no-dispatch"]).prepare();
    city.cloud.start();
    let mut direct = Client::connect_to(city.cloud.addr, Party::Other).expect("up");
    let mut send = |path: &str, body| direct.send(&city.dialect.post(path, &body)).expect("an answer");
    let placed = send("/placeOrder", order("before the gateway"));
    let id = city.id_of(&placed);
    send("/updatemaster/ind/generalinfo", pilot("P1")).expect(200);
    let picked = json!({"orderId": id, "minionId": "P1", "status": "picked_up"});
    send("/updatemaster/ind/deliveryInfo", picked).expect(200);
    city.gateway.start();
    city.gateway.await_mode("forwarding");
    wait::until("both are known", || {
        let count = |name, label| city.gateway.metric(name, label).filter(|count| *count >= 1.0);
        count("megamind_orders", "picked_up")
            .and(count("megamind_pilots", "busy").or(count("megamind_pilots", "available")))
    });
    city.lose_cloud();
    let answer = city.track(&id).expect(200).expect_local();
    let known = city.dialect.read(&answer);
    assert_eq!((&known["status"], &known["minionId"]), (&json!("picked_up"), &json!("P1")), "{answer}");
    let pilot = city
        .send(&city.dialect.get("/ind/getminiongeneralinfo", "minionId", "P1"))
        .expect(200);
    assert!(pilot.text().contains("12.97"), "{pilot}");
    // It is decided about as if it had been seen all along.
    city.post("/cancelOrder", &json!({"orderId": id})).expect(409);
}

#[test]
fn orders_and_pilots_that_were_there_before_are_known_in_the_outage() {
    check(Dialect::standard());
}

#[test]
fn in_another_dialect_too() {
    check(Dialect::enveloped());
}
