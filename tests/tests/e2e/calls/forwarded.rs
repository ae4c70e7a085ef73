//! Assignments through the gateway while the cloud serves: taken as given, and passed on to the pilot.

use megamind_tests::{City, Receiver, Request, city, wait};
use serde_json::json;
use tempfile::TempDir;

/// A cloud that serves, and a pilot whose app can be called.
struct Served {
    city: City,
    app: Receiver,
}

impl Served {
    /// With flags for the cloud and more configuration. Cloud and gateway both know the pilot.
    fn start(flags: &[&'static str], config: &str) -> Self {
        let dir = TempDir::new().expect("a folder for temporary files");
        let app = Receiver::start_new(dir.path(), "app");
        let config = format!("callbacks.allow = ['127.0.0.1']\n{config}");
        let city = City::with(&config).cloud_flags(flags).within(dir).start();
        let mut pilot = city::pilot("P1");
        pilot["callbackUrl"] = app.url().into();
        city.post("/ind/setminiongeneralinfo", &pilot).expect(200);
        city.gateway.await_drained();
        Self { city, app }
    }

    fn assign(&self, id: &str) {
        self.city
            .post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}))
            .expect(200);
    }

    /// The orders that the pilot has as the gateway knows it, once it has taken in all that was watched so far.
    fn carried(&self) -> Vec<String> {
        // The journal takes a write after everything that was watched before it.
        self.city.post("/ind/setminiongeneralinfo", &city::pilot("P2")).expect(200);
        let answer = self
            .city
            .send(&Request::get("/ind/getminiondeliveryinfo?minionId=P1"))
            .expect(200)
            .json();
        let orders = answer["orders"].as_array().expect("a list").clone();
        orders
            .iter()
            .map(|order| order["orderId"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// The pilot is told to carry the order, keeps it whatever the cloud says of it, and is told nothing else.
    fn keeps(&self, id: &str) {
        wait::until("the app knows", || (self.app.actions(id) == ["assign"]).then_some(()));
        let told = &self.app.effects()[0]["body"];
        assert!(told["pickup"]["lat"].is_f64() && told["dropoff"]["lng"].is_f64(), "{told}");
        self.city.gateway.await_drained();
        for _ in 0..5 {
            self.city.track(id).expect(200);
            assert_eq!(self.carried(), [id]);
        }
        assert_eq!(self.app.actions(id), ["assign"]);
    }
}

#[test]
fn an_assignment_is_passed_on() {
    let served = Served::start(&["--no-dispatch"], "");
    let id = served.city.place("forwarded");
    served.assign(&id);
    served.keeps(&id);
}

#[test]
fn what_the_cloud_was_seen_to_assign_is_passed_on_all_the_same() {
    let served = Served::start(&[], "");
    let answer = served.city.post("/placeOrder", &city::order("assigned by the cloud"));
    assert_eq!(answer.json()["minionId"], "P1", "the cloud assigns at once: {answer}");
    let id = served.city.id_of(&answer);
    served.assign(&id);
    served.assign(&id);
    served.keeps(&id);
}

#[test]
fn a_cloud_that_refuses_assigned_takes_nothing_back() {
    let served = Served::start(&["--no-dispatch"], "");
    let id = served.city.place("refused");
    let paths = ["/updatemaster/ind/deliveryInfo"];
    served
        .city
        .cloud
        .fault(&json!({"kind": "status", "status": 400, "paths": paths, "health_stays_ok": true}));
    served.assign(&id);
    served.keeps(&id);
}

#[test]
fn a_cloud_that_is_told_of_no_assignments_takes_nothing_back() {
    let served = Served::start(&["--no-dispatch"], "drain.assigned = 'skip'");
    let id = served.city.place("skipped");
    served.assign(&id);
    served.keeps(&id);
    assert!(served.city.cloud.log().iter().all(|effect| !effect.body().contains("assigned")));
}
