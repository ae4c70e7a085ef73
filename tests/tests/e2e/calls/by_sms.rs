//! Pilots whose app does not answer, or who have none, are told by SMS.

use megamind_tests::{Receiver, Request, city, wait};
use serde_json::json;

use crate::sms::{self, Rig};

/// P1 with an app beside the phone. P2 has a phone alone.
fn rig() -> (Rig, Receiver) {
    let mut rig = Rig::with(|link| {
        let calls = "callbacks.allow = ['127.0.0.1']\ncallbacks.timeout = '1s'\ncallbacks.max_backoff = '200ms'\n";
        format!("{calls}dispatch.auto = false\n{}", sms::config(link))
    });
    let app = Receiver::start_new(rig.city.dir(), "app");
    let mut pilot = city::pilot("P1");
    pilot["callbackUrl"] = app.url().into();
    rig.city.post("/ind/setminiongeneralinfo", &pilot).expect(200);
    rig.city.gateway.await_drained();
    rig.city.lose_cloud();
    (rig, app)
}

impl Rig {
    fn give(&self, client_ref: &str, pilot: &str) -> String {
        let id = self.city.place(client_ref);
        self.city
            .post("/ind/assigntominion", &json!({"orderId": id, "minionId": pilot}))
            .expect(200);
        id
    }

    fn await_all_told(&self) {
        wait::until_good("nothing is owed", || {
            let owed = self
                .city
                .gateway
                .ask(&Request::get("/admin/calls"))
                .expect("an answer")
                .expect(200)
                .json();
            if owed["count"] == 0 { Ok(()) } else { Err(owed) }
        });
    }

    /// The first words of all that was sent to a pilot.
    fn words(&self, pilot: usize) -> Vec<String> {
        let texts = self.texts(self.pilots[pilot].number());
        texts
            .iter()
            .map(|text| text.split(' ').next().expect("a word").to_owned())
            .collect()
    }
}

#[test]
fn an_app_that_hangs_is_told_by_sms_within_the_time() {
    let (rig, app) = rig();
    app.fault(&json!({"kind": "hang"}));
    let id = rig.give("hangs", "P1");
    let text = rig.await_text(rig.pilots[0].number(), "NEW ");
    assert!(text.contains("1 Church Street"), "{text}");
    rig.await_all_told();
    assert_eq!(rig.words(0), ["NEW"]);
    let told = app.calls().into_iter().filter(|call| call["path"] == "/assign");
    // What the app is asked when acting starts may have been answered before it hung.
    assert_eq!((told.count(), app.actions(&id).len()), (1, 0));
    rig.city.gateway.await_metric("megamind_calls_total", "outcome=\"by_sms\"", 1.0);
    // An app that is there again is called again.
    app.fault(&json!({"kind": "none"}));
    rig.city.post("/cancelOrder", &json!({"orderId": id})).expect(200);
    wait::until("the app knows", || (app.actions(&id) == ["cancel"]).then_some(()));
    rig.await_all_told();
    assert_eq!(rig.words(0), ["NEW"]);
}

#[test]
fn what_follows_about_an_order_does_not_overtake_its_sms() {
    let (rig, mut app) = rig();
    app.kill();
    // Nothing leaves the modem for a while.
    rig.modem.set_registration(2);
    let id = rig.give("no coverage", "P1");
    wait::until("the first goes by SMS", || {
        (rig.city.gateway.metric("megamind_calls_total", "outcome=\"by_sms\"")? >= 1.0).then_some(())
    });
    app.start();
    rig.city
        .post("/updateOrder", &json!({"orderId": id, "dropoff": {"address": "the back door"}}))
        .expect(200);
    rig.city.post("/cancelOrder", &json!({"orderId": id})).expect(200);
    // Another order goes to the app, which is there.
    let other = rig.give("another", "P1");
    wait::until("the app knows the other", || (app.actions(&other) == ["assign"]).then_some(()));
    rig.modem.set_registration(1);
    rig.await_all_told();
    assert_eq!(rig.words(0), ["NEW", "CHANGED", "CANCELLED"]);
    assert!(app.actions(&id).is_empty());
}

#[test]
fn a_pilot_without_an_app_is_told_by_sms() {
    let (rig, app) = rig();
    let id = rig.give("no app", "P2");
    rig.city
        .post("/updateOrder", &json!({"orderId": id, "dropoff": {"address": "the back door"}}))
        .expect(200);
    rig.city.post("/cancelOrder", &json!({"orderId": id})).expect(200);
    rig.await_all_told();
    assert_eq!(rig.words(1), ["NEW", "CHANGED", "CANCELLED"]);
    assert!(app.calls().iter().all(|call| call["path"] != "/assign"));
}
