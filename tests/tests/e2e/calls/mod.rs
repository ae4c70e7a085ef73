//! Calls to pilots' apps and merchants' services, which are processes of their own.

mod by_sms;
mod faults;
mod forwarded;
mod kills;
mod refused;
mod taken_over;
mod told;
mod waiting;

use megamind_tests::city::{self, Plan};
use megamind_tests::{City, Receiver};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Every way of an order that goes well.
const GOOD: [&str; 5] = ["placed", "assigned", "accepted", "picked_up", "delivered"];

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A city without its cloud, a merchant's service, and a pilot's app.
struct Town {
    city: City,
    merchant: Receiver,
    app: Receiver,
}

impl Town {
    fn start() -> Self {
        Self::with("")
    }

    /// With more configuration.
    fn with(config: &str) -> Self {
        let town = Self::allowing("['127.0.0.0/8', 'localhost']", config);
        town.set_pilot("P1", &town.app.url());
        town
    }

    /// Where only these may be called, and no pilot is known yet.
    fn allowing(allow: &str, config: &str) -> Self {
        Self::planned(allow, config, Plan::start_without_cloud)
    }

    /// With its cloud, which assigns nothing by itself.
    fn served(config: &str) -> Self {
        let town = Self::planned("['127.0.0.0/8']", config, |plan| plan.cloud_flags(&["--no-dispatch"]).start());
        town.set_pilot("P1", &town.app.url());
        town.city.gateway.await_drained();
        town
    }

    fn planned(allow: &str, config: &str, start: impl FnOnce(Plan) -> City) -> Self {
        let dir = TempDir::new().expect("a folder for temporary files");
        let secret = dir.path().join("m1.secret");
        std::fs::write(&secret, SECRET).expect("a writable folder");
        let merchant = Receiver::start_new(dir.path(), "merchant");
        let app = Receiver::start_new(dir.path(), "app");
        let config = format!(
            "callbacks.allow = {allow}\ncallbacks.max_backoff = '200ms'\n{config}\n\
             [[merchant]]\nid = 'M1'\ncallback_url = '{}'\nsecret_file = '{}'\n",
            merchant.url(),
            secret.display(),
        );
        let city = start(City::with(&config).within(dir));
        Self { city, merchant, app }
    }

    fn set_pilot(&self, id: &str, url: &str) {
        let mut pilot = city::pilot(id);
        pilot["callbackUrl"] = url.into();
        pilot["name"] = "Asha".into();
        pilot["capacity"] = 1000.into();
        self.city.post("/ind/setminiongeneralinfo", &pilot).expect(200);
    }

    /// Places an order and gives it to the pilot, where that has not happened by itself.
    fn place(&self, client_ref: &str) -> String {
        let id = self.city.place(client_ref);
        self.city
            .post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}))
            .expect(200);
        id
    }

    /// Everything that a pilot does with an order.
    fn carry(&self, id: &str) {
        for status in ["accepted", "picked_up", "delivered"] {
            self.city.deliver(id, "P1", status).expect(200);
        }
    }

    fn owed(&self) -> Value {
        let request = megamind_tests::Request::get("/admin/calls");
        self.city
            .gateway
            .ask(&request)
            .expect("the admin listener answers")
            .expect(200)
            .json()
    }

    /// Waits until nothing is owed.
    fn await_all_told(&self) {
        megamind_tests::wait::until_good("nothing is owed", || {
            let owed = self.owed();
            if owed["count"] == 0 { Ok(()) } else { Err(owed) }
        });
    }
}
