//! Two orders that turn out to be one: placed at the cloud directly, and again here in the outage.

use megamind_tests::city::{order, pilot};
use megamind_tests::http::Party;
use megamind_tests::{City, Client, Receiver, Request, wait};
use serde_json::json;
use tempfile::TempDir;

fn step(effects: &[megamind_tests::cloud::Effect], status: &str) -> usize {
    let at = effects
        .iter()
        .position(|effect| effect.body().contains(&format!("\"{status}\"")));
    at.unwrap_or_else(|| panic!("no {status} in {effects:?}"))
}

#[test]
fn the_one_further_along_wins_and_the_other_pilot_is_told() {
    let dir = TempDir::new().expect("a folder for temporary files");
    let app = Receiver::start_new(dir.path(), "app");
    let city = City::with("callbacks.allow = ['127.0.0.0/8']")
        .cloud_flags(&["--no-dispatch"])
        .within(dir)
        .start();
    let mut p1 = pilot("P1");
    p1["callbackUrl"] = app.url().into();
    city.post("/ind/setminiongeneralinfo", &p1).expect(200);
    city.gateway.await_drained();
    // A merchant who goes to Oblivion, and comes here when the answer is lost.
    let placing = city
        .dialect
        .post("/placeOrder", &order("twice"))
        .header("Idempotency-Key", "k1");
    let mut direct = Client::connect_to(city.cloud.addr, Party::Other).expect("up");
    let placed = direct.send(&placing).expect("an answer").expect(201);
    let theirs = city.id_of(&placed);
    // Oblivion gives it to a pilot who talks to it directly.
    let accepted = json!({"orderId": theirs, "minionId": "P2", "status": "accepted"});
    let accepted = city.dialect.post("/updatemaster/ind/deliveryInfo", &accepted);
    direct.send(&accepted).expect("an answer").expect(200);
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
    let answer = city.send(&placing).expect(201).expect_local();
    let ours = city.id_of(&answer);
    let give = json!({"orderId": ours, "minionId": "P1"});
    city.post("/ind/assigntominion", &give).expect(200);
    wait::until("P1 has it", || (app.actions(&ours) == ["assign"]).then_some(()));
    // That pilot comes here now, under the id that Oblivion gave.
    city.deliver(&theirs, "P2", "picked_up").expect(200).expect_local();
    city.cloud.heal();
    city.gateway.await_drained();
    for id in [&ours, &theirs] {
        let answer = city.track(id).expect(200);
        let known = city.dialect.read(&answer);
        assert_eq!(
            (&known["orderId"], &known["status"], &known["minionId"]),
            (&json!(id), &json!("picked_up"), &json!("P2"))
        );
    }
    wait::until("P1 knows that it is gone", || {
        app.actions(&ours).ends_with(&["cancel".to_owned()]).then_some(())
    });
    assert_eq!(city.cloud.effects_of("\"twice\"").len(), 1);
}

#[test]
fn what_was_queued_about_either_goes_in_order_under_both_ids() {
    let city = City::with("").cloud_flags(&["--no-dispatch"]).start();
    let placing = city
        .dialect
        .post("/placeOrder", &order("twice"))
        .header("Idempotency-Key", "k1");
    let placed = Client::connect_to(city.cloud.addr, Party::Other)
        .and_then(|mut client| client.send(&placing))
        .expect("up")
        .expect(201);
    let theirs = city.id_of(&placed);
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
    let ours = city.id_of(&city.send(&placing).expect(201).expect_local());
    for (id, status) in [(&theirs, "accepted"), (&ours, "arrived_at_pickup"), (&theirs, "picked_up")] {
        city.deliver(id, "P1", status).expect(200).expect_local();
    }
    // The order goes through, and what is queued about it does not yet.
    city.cloud
        .fault(&json!({"kind": "status", "status": 422, "paths": ["/updatemaster/ind/deliveryInfo"]}));
    wait::until("the first is parked", || (city.gateway.status()["queue"]["parked"] == 1).then_some(()));
    city.gateway.await_mode("forwarding");
    // Both ids lead to what is fenced.
    for id in [&ours, &theirs] {
        city.track(id).expect(200).expect_local();
    }
    city.deliver(&ours, "P1", "delivered").expect(200).expect_local();
    city.cloud.heal();
    city.gateway
        .ask(&Request::get("/admin/queue?state=parked"))
        .expect("an answer")
        .expect(200);
    let output = city.gateway.command(&["queue", "retry", "--all-parked"]);
    assert!(output.status.success(), "{output:?}");
    city.gateway.await_drained();
    let told = city.cloud.effects_of("\"P1\"");
    let order: Vec<_> = ["accepted", "arrived_at_pickup", "picked_up", "delivered"]
        .map(|status| step(&told, status))
        .into();
    assert!(order.is_sorted(), "{told:?}");
    assert_eq!(city.cloud.order(&theirs).expect("known")["status"], "delivered");
}

#[test]
fn an_order_placed_twice_here_keeps_both_ids_after_a_crash() {
    let mut city = City::with("idempotency.natural_window = '100ms'").start();
    city.lose_cloud();
    let first = city.place("again and again");
    std::thread::sleep(std::time::Duration::from_millis(150));
    let second = city.place("again and again");
    assert_ne!(first, second, "the window is over");
    city.regain_cloud();
    assert_eq!(city.cloud.effects_of("again and again").len(), 1, "Oblivion knows the key");
    city.lose_cloud();
    city.gateway.kill();
    city.gateway.start();
    for id in [&first, &second] {
        let answer = city.track(id).expect(200).expect_local();
        assert_eq!(city.dialect.read(&answer)["status"], "placed", "{answer}");
    }
}
