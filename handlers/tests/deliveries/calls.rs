//! Who is owed which call.

use megamind_domain::{Domain, Stance, Touching};
use megamind_handlers::{
    City, Command,
    calls::{Action, Call, Channel, Kind, Outcome, Target},
    id::KeptName,
};
use serde_json::{Value, json};

use crate::support::{World, calling, order};

/// A city with a merchant M7 and three pilots: one with an app, one with a phone alone, one with neither.
fn world() -> World {
    let mut world = World::new(calling());
    let set = Command::SetMerchant {
        id: KeptName::Text("M7".into()),
        callback_url: "https://m7.example.com/hooks".into(),
        secret_file: "/etc/m7".into(),
    };
    world.decide(&set).expect("an allowed URL");
    pilot(
        &mut world,
        &json!({"minionId": "APP", "callbackUrl": "https://p1.example.com", "phone": "+918022220001"}),
    );
    pilot(&mut world, &json!({"minionId": "PHONE", "phone": "+918022220002"}));
    pilot(&mut world, &json!({"minionId": "POLLS"}));
    world
}

fn pilot(world: &mut World, body: &Value) {
    assert_eq!(world.post("/ind/setminiongeneralinfo", body).0, 200);
}

fn assign(world: &mut World, order: &str, pilot: &str) {
    let (status, answer) = world.post("/ind/assigntominion", &json!({"orderId": order, "minionId": pilot}));
    assert_eq!(status, 200, "{answer}");
}

/// What is owed, in order: target, kind, and a part of the body.
fn owed(city: &City) -> Vec<(String, Kind, Value)> {
    let told = |call: &Call| {
        let target = match &call.target {
            Target::Pilot(pilot) => city.pilot(*pilot).expect("a pilot").id().text().into_owned(),
            Target::Merchant(id) => id.to_string(),
        };
        (target, call.kind, serde_json::from_str(&call.payload).expect("JSON"))
    };
    city.calls_due().map(told).collect()
}

fn done(world: &mut World) {
    let settled: Vec<_> = world.city.calls_due().map(|call| (call.key(), Outcome::Done)).collect();
    world.decide(&Command::SettleCalls(settled)).expect("settled");
    assert_eq!(world.city.calls_count(), 0);
}

#[test]
fn an_order_is_told_step_by_step() {
    let mut world = world();
    let id = world.place();
    assign(&mut world, &id, "APP");
    let told = owed(&world.city);
    let [placed, assigned, to_pilot, who] = [0, 1, 2, 3].map(|index| {
        let found = told.get(index).unwrap_or_else(|| panic!("{told:?}"));
        (found.0.as_str(), found.1, found.2.clone())
    });
    assert_eq!((placed.0, placed.1), ("M7", Kind::DeliveryInfo));
    assert_eq!((&placed.2["orderId"], &placed.2["status"]), (&json!(id), &json!("placed")));
    // The pilot is told first.
    assert_eq!((assigned.0, assigned.1), ("APP", Kind::Assign(Action::Assign)));
    assert_eq!(assigned.2["dropoff"], json!({"lat": 12.9352, "lng": 77.6245}));
    assert_eq!((&assigned.2["codAmount"], &assigned.2["currency"]), (&json!("349.50"), &json!("INR")));
    assert_eq!(
        (to_pilot.0, to_pilot.1, &to_pilot.2["status"]),
        ("M7", Kind::DeliveryInfo, &json!("assigned"))
    );
    assert_eq!((who.0, who.1, &who.2["minionId"]), ("M7", Kind::GeneralInfo, &json!("APP")));
    assert_eq!(told.len(), 4, "{told:?}");
    let version = &assigned.2["planVersion"];
    assert_eq!(*version, world.get("/ind/getminiondeliveryinfo", "minionId=APP").1["version"]);
    done(&mut world);

    world.report(&id, "APP", "accepted");
    world.report(&id, "APP", "picked_up");
    world.report(&id, "APP", "picked_up");
    world.report(&id, "APP", "delivered");
    let statuses: Vec<_> = owed(&world.city).iter().map(|(_, _, body)| body["status"].clone()).collect();
    assert_eq!(statuses, ["accepted", "picked_up", "delivered"], "each once, and none to the pilot");
}

#[test]
fn whoever_loses_an_order_is_told() {
    let mut world = world();
    let id = world.place();
    assign(&mut world, &id, "APP");
    done(&mut world);
    assign(&mut world, &id, "PHONE");
    let told: Vec<_> = owed(&world.city).into_iter().filter(|(who, ..)| who != "M7").collect();
    assert_eq!((told[0].0.as_str(), told[0].1), ("APP", Kind::Assign(Action::Cancel)));
    assert_eq!((told[1].0.as_str(), told[1].1), ("PHONE", Kind::Assign(Action::Assign)));
    let sms: Vec<_> = world.city.calls_due_by_sms().map(|call| call.channel).collect();
    assert_eq!(sms, [Channel::Sms]);
    done(&mut world);
    world.post("/updateOrder", &json!({"orderId": id, "dropoff": {"address": "the back door"}}));
    assert_eq!(owed(&world.city)[0].1, Kind::Assign(Action::Change));
    done(&mut world);
    // Who says no knows it.
    world.report(&id, "PHONE", "rejected");
    assert!(owed(&world.city).iter().all(|(who, ..)| who == "M7"));
    done(&mut world);
    assign(&mut world, &id, "APP");
    done(&mut world);
    world.post("/cancelOrder", &json!({"orderId": id}));
    let told = owed(&world.city);
    assert_eq!((told[0].0.as_str(), told[0].1), ("APP", Kind::Assign(Action::Cancel)));
    assert_eq!((told[1].0.as_str(), &told[1].2["status"]), ("M7", &json!("cancelled")));
    done(&mut world);
    // Who can be reached in no way is owed nothing: the app asks.
    let id = world.place();
    done(&mut world);
    assign(&mut world, &id, "POLLS");
    assert!(owed(&world.city).iter().all(|(who, ..)| who == "M7"));
}

#[test]
fn while_the_upstream_serves_it_tells_its_own() {
    let mut world = world();
    world.stance = Stance::Standby;
    let seen = json!({"status": "assigned", "minionId": "APP"});
    let mut placed = order();
    placed["merchantId"] = json!("M7");
    world.watch("/placeOrder", &placed, 201, &json!({"orderId": "OB-1", "status": "placed"}));
    world.watch("/trackOrder", &json!({"orderId": "OB-1"}), 200, &seen);
    assert_eq!(owed(&world.city), []);
    // An assignment through this gateway is passed on.
    assign(&mut world, "OB-1", "PHONE");
    let told = owed(&world.city);
    assert_eq!(told.iter().map(|(who, ..)| who.as_str()).collect::<Vec<_>>(), ["APP", "PHONE"]);
    done(&mut world);
    // And taken back where the upstream overrules it: both are told.
    world.watch(
        "/trackOrder",
        &json!({"orderId": "OB-1"}),
        200,
        &json!({"status": "assigned", "minionId": "POLLS"}),
    );
    let told = owed(&world.city);
    assert_eq!((told[0].0.as_str(), told[0].1), ("PHONE", Kind::Assign(Action::Cancel)));
    assert_eq!((told[1].0.as_str(), told[1].1), ("M7", Kind::DeliveryInfo));
}

#[test]
fn what_the_upstream_was_only_seen_to_assign_is_passed_on_when_somebody_asks_for_it() {
    let mut world = world();
    world.stance = Stance::Standby;
    let tracked = json!({"orderId": "OB-1"});
    let assigned = json!({"orderId": "OB-1", "status": "assigned", "minionId": "APP"});
    world.watch("/placeOrder", &order(), 201, &assigned);
    assert_eq!(owed(&world.city), []);
    // Said twice is said once.
    for _ in 0..2 {
        assign(&mut world, "OB-1", "APP");
        let told = owed(&world.city);
        assert_eq!((told[0].0.as_str(), told[0].1), ("APP", Kind::Assign(Action::Assign)), "{told:?}");
        assert_eq!((told.len(), &told[0].2["pickup"]["lat"]), (1, &json!(12.9716)), "{told:?}");
    }
    // Who is full with it has room for it.
    world.stance = Stance::Acting;
    world.pilot("FULL", 12.97, 77.59, 1);
    let mut other = order();
    other["clientRef"] = json!("A-2");
    world.watch(
        "/placeOrder",
        &other,
        201,
        &json!({"orderId": "OB-2", "status": "assigned", "minionId": "FULL"}),
    );
    assign(&mut world, "OB-2", "FULL");
    // Where nobody is named it stays with whom it is.
    world.watch(
        "/placeOrder",
        &other,
        201,
        &json!({"orderId": "OB-3", "status": "assigned", "minionId": "APP"}),
    );
    assert_eq!(world.post("/ind/assigntominion", &json!({"orderId": "OB-3"})).0, 200);
    let told = owed(&world.city);
    let last = told.iter().rfind(|(who, ..)| who != "M7").expect("a call to a pilot");
    assert_eq!((last.0.as_str(), &last.2["orderId"]), ("APP", &json!("OB-3")));
    // Who has answered knows.
    done(&mut world);
    world.watch(
        "/trackOrder",
        &tracked,
        200,
        &json!({"orderId": "OB-1", "status": "accepted", "minionId": "APP"}),
    );
    assign(&mut world, "OB-1", "APP");
    assert!(owed(&world.city).iter().all(|(who, ..)| who == "M7"));
}

#[test]
fn an_upstream_that_does_not_know_of_an_assignment_does_not_take_it_back() {
    let mut world = world();
    world.stance = Stance::Standby;
    let placed = json!({"orderId": "OB-1", "status": "placed"});
    world.watch("/placeOrder", &order(), 201, &placed);
    assign(&mut world, "OB-1", "APP");
    done(&mut world);
    let tracked = json!({"orderId": "OB-1"});
    world.watch("/trackOrder", &tracked, 200, &placed);
    world.watch("/updateOrder", &json!({"orderId": "OB-1", "priority": 1}), 200, &placed);
    assert!(
        owed(&world.city)
            .iter()
            .all(|(_, kind, _)| *kind != Kind::Assign(Action::Cancel))
    );
    let carried = world.get("/ind/getminiondeliveryinfo", "minionId=APP").1;
    assert_eq!(carried["orders"][0]["orderId"], json!("OB-1"), "{carried}");
    // What only the upstream assigned, it takes back.
    world.watch(
        "/trackOrder",
        &tracked,
        200,
        &json!({"orderId": "OB-1", "status": "assigned", "minionId": "PHONE"}),
    );
    world.watch("/trackOrder", &tracked, 200, &placed);
    let carried = world.get("/ind/getminiondeliveryinfo", "minionId=PHONE").1;
    assert_eq!(carried["orders"], json!([]));
}

#[test]
fn what_the_upstream_does_not_let_be_cancelled_goes_on_and_both_are_told() {
    let mut world = world();
    let assigned = json!({"orderId": "OB-1", "status": "assigned", "minionId": "APP"});
    world.watch("/placeOrder", &order(), 201, &assigned);
    assert_eq!(world.post("/cancelOrder", &json!({"orderId": "OB-1"})).0, 200);
    let told = owed(&world.city);
    assert_eq!(told.iter().map(|(who, ..)| who.as_str()).collect::<Vec<_>>(), ["APP", "M7"]);
    done(&mut world);
    world.stance = Stance::Standby;
    world.settle("OB-1", &json!({"orderId": "OB-1", "status": "accepted", "minionId": "APP"}));
    let told = owed(&world.city);
    assert_eq!((told[0].0.as_str(), told[0].1), ("APP", Kind::Assign(Action::Assign)), "{told:?}");
    assert_eq!((told[1].0.as_str(), &told[1].2["status"]), ("M7", &json!("accepted")));
    done(&mut world);
    // What was the same all along is told to nobody.
    world.settle("OB-1", &json!({"orderId": "OB-1", "status": "accepted", "minionId": "APP"}));
    assert_eq!(owed(&world.city), []);
}

#[test]
fn of_an_order_that_the_operator_calls_off_both_are_told_in_every_mode() {
    let mut world = world();
    let id = world.place();
    assign(&mut world, &id, "APP");
    done(&mut world);
    world.stance = Stance::Standby;
    let command = world.domain.disowned(&id, "refused for good").expect("an order of ours");
    world.decide(&command).expect("decided");
    let told = owed(&world.city);
    assert_eq!((told[0].0.as_str(), told[0].1), ("APP", Kind::Assign(Action::Cancel)), "{told:?}");
    assert_eq!((told[1].0.as_str(), &told[1].2["status"]), ("M7", &json!("cancelled")));
}

#[test]
fn calls_survive_in_their_rows() {
    let mut world = world();
    let id = world.place();
    assign(&mut world, &id, "APP");
    let parked = world.city.calls_due().next().expect("a call").key();
    let outcome = Outcome::Parked { why: "410 Gone".into() };
    world.decide(&Command::SettleCalls(vec![(parked, outcome)])).expect("settled");
    let mut again = City::default();
    let keys = world
        .events
        .iter()
        .flat_map(|event| world.domain.touches(&world.city, Touching::Event(event)));
    let keys: std::collections::BTreeSet<_> = keys.map(|touch| touch.key).collect();
    for key in keys {
        if let Some(row) = world.domain.encode(&world.city, key) {
            world.domain.decode(&mut again, key, &row).expect("a row");
        }
    }
    let all = |city: &City| city.calls().cloned().collect::<Vec<_>>();
    assert_eq!(all(&again), all(&world.city));
    assert_eq!((again.calls_count(), again.calls_parked()), (4, 1));
    assert_eq!(again.merchants().count(), 1);
}

#[test]
fn a_url_that_may_not_be_called_is_refused_at_registration_and_dropped_from_reports() {
    let mut world = world();
    for url in ["http://127.0.0.1:1/", "https://example.org", "http://169.254.169.254/latest"] {
        let body = json!({"minionId": "APP", "callbackUrl": url});
        let (status, problem) = world.post("/ind/setminiongeneralinfo", &body);
        assert_eq!((status, &problem["code"]), (403, &json!("callback_not_allowed")), "{problem}");
        let (status, answer) =
            world.post("/bulk/setminionsgeneralinfo", &json!({"minions": [body, {"minionId": "OK"}]}));
        assert_eq!(
            (status, &answer["results"][0]["status"], &answer["results"][1]["status"]),
            (200, &json!(403), &json!(200))
        );
        // A report is a fact: it is taken, and the URL is not.
        assert_eq!(world.post("/updatemaster/ind/generalinfo", &body).0, 200);
        let info = world.get("/ind/getminiongeneralinfo", "minionId=APP").1;
        assert_eq!(info["callbackUrl"], "https://p1.example.com");
    }
}

#[test]
fn news_is_waited_for_by_version() {
    let mut world = world();
    let version = world.get("/ind/getminiondeliveryinfo", "minionId=POLLS").1["version"].clone();
    let query = format!("minionId=POLLS&since={version}&wait=25s");
    let parsed = world
        .parse(&crate::support::get("/ind/getminiondeliveryinfo", &query))
        .expect("a request");
    assert_eq!(parsed.patience.as_ref().map(|patience| patience.limit.as_secs()), Some(25));
    let refused = world.decide(&parsed.command).err().expect("nothing is new");
    assert_eq!(refused.code, "unchanged");
    assert!(world.decide(&parsed.patience.expect("patience").at_last).is_ok());
    let id = world.place();
    assign(&mut world, &id, "POLLS");
    let answer = world.get("/ind/getminiondeliveryinfo", &query).1;
    assert_eq!(answer["orders"][0]["orderId"], json!(id));
    assert_ne!(answer["version"], version);
    let newer = format!("minionId=POLLS&since={}&wait=1", answer["version"]);
    assert_eq!(world.get("/ind/getminiondeliveryinfo", &newer).0, 304);
    world.post("/cancelOrder", &json!({"orderId": id}));
    assert_eq!(world.get("/ind/getminiondeliveryinfo", &newer).1["version"], version, "as it was before");
    for (query, field) in [
        ("since=1&wait=soon", "wait"),
        ("since=1&wait=-1s", "wait"),
        ("since=1&wait=99999999999999999999s", "wait"),
        ("since=1.5&wait=25s", "since"),
        ("since=-1", "since"),
    ] {
        let (status, problem) = world.get("/ind/getminiondeliveryinfo", &format!("minionId=POLLS&{query}"));
        assert_eq!((status, &problem["code"]), (400, &json!("wrong_type")), "{query}: {problem}");
        assert_eq!(problem["field"], field, "{query}: {problem}");
    }
    let (status, problem) = world.get("/ind/getminiondeliveryinfo", "since=1&wait=25s");
    assert_eq!((status, &problem["field"]), (400, &json!("minionId")), "{problem}");
}
