//! Forms that others rely on, written down: every released event, and the answers of the default dialect.

use std::{collections::BTreeSet, fmt::Write, path::PathBuf};

use megamind_domain::Domain;
use megamind_handlers::{
    Command, Deliveries, Event, Settings,
    calls::{Call, Outcome},
    dialect::openapi,
    id::KeptName,
};
use serde_json::{Value, json};

use crate::support::{World, calling, order};

/// Every kind of event; the compiler reminds whoever adds one.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::OrderPlaced(_) => "order_placed",
        Event::OrderSeen(_) => "order_seen",
        Event::OrderAssigned(_) => "order_assigned",
        Event::OrderAccepted(_) => "order_accepted",
        Event::OrderRejected(_) => "order_rejected",
        Event::OrderProgressed(_) => "order_progressed",
        Event::OrderUpdated(_) => "order_updated",
        Event::OrderCancelled(_) => "order_cancelled",
        Event::OrderAliased(_) => "order_aliased",
        Event::OrderJoined(_) => "order_joined",
        Event::OrderRetired(_) => "order_retired",
        Event::OrderRecalled(_) => "order_recalled",
        Event::PilotSeen(_) => "pilot_seen",
        Event::PilotChanged(_) => "pilot_changed",
        Event::CallDue(_) => "call_due",
        Event::CallSettled(_) => "call_settled",
        Event::MerchantSet(_) => "merchant_set",
        Event::OrderLapsed(_) => "order_lapsed",
    }
}

const KINDS: usize = 18;

fn golden(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/golden").join(name)
}

/// A story in which everything happens once.
fn story() -> World {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 2);
    let mut full = order();
    full["items"] = json!([{"name": "idli", "count": 2}]);
    full["pickup"]["contact"] = json!({"name": "Ravi", "phone": "+918022223333"});
    full["readyAt"] = json!("2026-01-31T09:32:00+05:30");
    let (_, placed) = world.post("/placeOrder", &full);
    let id = placed["orderId"].as_str().expect("an id").to_owned();
    world.now.0 += 1_500;
    world.report(&id, "P1", "rejected");
    world.pilot("P2", 12.98, 77.59, 1);
    world.report(&id, "P2", "accepted");
    world.post("/updateOrder", &json!({"orderId": id, "dropoff": {"address": "the back door"}}));
    world.now.0 += 60_000;
    let body = json!({
        "orderId": id, "minionId": "P2", "status": "picked_up", "at": "2026-01-31T04:00:58Z",
        "lat": 12.9716, "lng": 77.5946, "proof": {"photo": "p.jpg"},
    });
    world.post("/updatemaster/ind/deliveryInfo", &body);
    world.replayed(&id, &json!({"orderId": 4711}));
    let body = json!({"orderId": id, "minionId": "P3", "status": "delivered", "at": "1999-01-01T00:00:00Z", "codCollected": "349.50"});
    world.post("/updatemaster/ind/deliveryInfo", &body);
    let second = world.place();
    world.report("OB-2", "P1", "arrived_at_pickup");
    world.replayed(&second, &json!({"orderId": "OB-2"}));
    let third = world.place();
    world.post("/cancelOrder", &json!({"orderId": third, "reason": "no more hunger"}));
    world.watch(
        "/trackOrder",
        &json!({"orderId": "OB-3"}),
        200,
        &json!({"status": "assigned", "minionId": "P1", "eta": "2026-01-31T04:30:00Z"}),
    );
    let fourth = world.place();
    assert_eq!(world.track(&fourth)["minionId"], "P2");
    world.now.0 += 60_000;
    world.decide(&Command::DispatchDue).expect("time passes");
    world.post("/cancelOrder", &json!({"orderId": fourth}));
    calls(&mut world);
    leaves_and_comes_back(&mut world);
    world
}

fn leaves_and_comes_back(world: &mut World) {
    let ended = world
        .city
        .orders()
        .find(|order| order.ended_at().is_some())
        .expect("one was delivered")
        .key();
    let row = world.domain.encode(&world.city, ended.into()).expect("a row");
    let row = String::from_utf8(row).expect("JSON").into();
    world.decide(&Command::Retire(vec![ended])).expect("retired");
    world.decide(&Command::Recall { order: ended, row }).expect("recalled");
}

/// A merchant is told of an order, and everything becomes of it that can.
fn calls(world: &mut World) {
    world.domain = Deliveries::new(calling());
    let set = Command::SetMerchant {
        id: KeptName::Text("M8".into()),
        callback_url: "https://m8.example.com/hooks".into(),
        secret_file: "/etc/megamind/m8.secret".into(),
    };
    world.decide(&set).expect("an allowed URL");
    let mut placed = order();
    placed["merchantId"] = json!("M8");
    world.post("/placeOrder", &placed);
    let owed: Vec<_> = world.city.calls_due().map(Call::key).collect();
    let outcomes = [
        Outcome::BySms { why: "no answer within 5s".into() },
        Outcome::Parked { why: "410 Gone".into() },
        Outcome::Retried,
        Outcome::Done,
    ];
    for outcome in outcomes {
        world.decide(&Command::SettleCalls(vec![(owed[0], outcome)])).expect("settled");
    }
    let discarded = Outcome::Discarded { who: "ops".into(), why: "closed for good".into() };
    world
        .decide(&Command::SettleCalls(vec![(owed[1], discarded)]))
        .expect("settled");
}

#[test]
fn every_released_event_is_read_and_written_again() {
    let text = std::fs::read_to_string(golden("events-v1.jsonl")).expect("the golden file");
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let event: Event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(serde_json::to_string(&event).expect("JSON"), line);
        let tag: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((tag["type"].as_str(), &tag["v"]), (Some(kind(&event)), &json!(1)));
        seen.insert(kind(&event));
    }
    assert_eq!(seen.len(), KINDS, "{seen:?}");
}

#[test]
fn an_assignment_without_a_reason_is_still_read() {
    let line =
        r#"{"type":"order_assigned","v":1,"order":2,"pilot":1,"at":1769832000000,"here":true,"eta":1769835363000}"#;
    let event: Event = serde_json::from_str(line).expect("the first form");
    assert_eq!(serde_json::to_string(&event).expect("JSON"), line);
}

/// With `GOLDEN=write` in the environment the files are written anew; the difference is for a person to read.
#[test]
fn the_story_is_told_in_the_released_form() {
    let world = story();
    let told: String = (world.events.iter())
        .map(|event| serde_json::to_string(event).expect("JSON") + "\n")
        .collect();
    check("events-v1.jsonl", &told);
}

#[test]
fn answers_have_the_form_of_the_contract() {
    let mut world = story();
    let ids: Vec<String> = (world.city.orders())
        .filter_map(|order| Some(order.local()?.name("blr")))
        .collect();
    let mut told = String::new();
    let mut tell = |what: &str, (status, answer): (u16, Value)| {
        let answer = serde_json::to_string_pretty(&answer).expect("JSON");
        writeln!(told, "{what}\n{status} {answer}\n").expect("text");
    };
    let track = format!("orderId={}", ids[0]);
    tell("trackOrder", world.get("/trackOrder", &track));
    tell("trackOrder by the other id", world.get("/trackOrder", "orderId=4711"));
    tell("trackOrder on its way", world.get("/trackOrder", "orderId=OB-2"));
    tell("cancelOrder", world.post("/cancelOrder", &json!({"orderId": ids[2]})));
    tell("cancelOrder refused", world.post("/cancelOrder", &json!({"orderId": ids[0]})));
    tell("trackOrder unknown", world.get("/trackOrder", "orderId=OB-77"));
    tell("placeOrder", world.post("/placeOrder", &order()));
    tell("placeOrder refused", world.post("/placeOrder", &json!({"merchantId": "M7"})));
    tell("pilot", world.get("/ind/getminiongeneralinfo", "minionId=P1"));
    tell("pilots", world.get("/bulk/getminionsgeneralinfo", "limit=1"));
    tell("deliveries", world.get("/ind/getminiondeliveryinfo", "minionId=P1"));
    tell("score", world.get("/score", "minionId=P1"));
    tell("candidates", world.get("/score", "orderId=OB-2"));
    tell("assign", world.post("/ind/assigntominion", &json!({"orderId": "OB-2", "minionId": "P2"})));
    check("answers.txt", &told);
}

#[test]
fn the_document_of_the_interface_is_as_released() {
    let document = openapi::document(&Settings::new("blr"));
    check("openapi.json", &(serde_json::to_string_pretty(&document).expect("JSON") + "\n"));
}

/// The schemas name every member that an answer has, and no answer lacks what they require.
#[test]
fn answers_and_calls_are_as_the_document_says() {
    let mut world = story();
    let document = openapi::document(&Settings::new("blr"));
    let id = (world.city.orders())
        .find_map(|order| Some(order.local()?.name("blr")))
        .expect("an order");
    let fresh = world.place();
    let questions = [
        ("/trackOrder", json!({"orderId": id})),
        ("/placeOrder", order()),
        ("/updateOrder", json!({"orderId": "OB-2", "dropoff": {"address": "the back door"}})),
        ("/updatemaster/ind/generalinfo", json!({"minionId": "P1", "status": "busy"})),
        ("/updatemaster/bulk/generalinfo", json!({"minions": [{"minionId": "P1"}]})),
        (
            "/updatemaster/ind/deliveryInfo",
            json!({"orderId": "OB-2", "minionId": "P1", "status": "picked_up"}),
        ),
        ("/ind/getminiongeneralinfo", json!({"minionId": "P1"})),
        ("/bulk/getminionsgeneralinfo", json!({"limit": 1})),
        ("/ind/getminiondeliveryinfo", json!({"minionId": "P1"})),
        ("/score", json!({"minionId": "P1"})),
        ("/score", json!({"orderId": fresh})),
        ("/ind/setminiongeneralinfo", json!({"minionId": "P1", "name": "Asha"})),
    ];
    for (path, question) in questions {
        let pointer = format!("/paths/{}/post", path.replace('/', "~1"));
        let operation = document.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}"));
        conforms(path, &question, &operation["requestBody"]["content"]["application/json"]["schema"]);
        let (status, answer) = world.post(path, &question);
        assert!(status < 300, "{path}: {answer}");
        let schema = &operation["responses"][status.to_string()]["content"]["application/json"]["schema"];
        conforms(path, &answer, schema);
    }
    world.post("/placeOrder", &{
        let mut order = order();
        order["merchantId"] = json!("M8");
        order
    });
    for call in world.city.calls() {
        let name = call.kind.path().trim_start_matches('/');
        let schema = &document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"];
        conforms(name, &serde_json::from_str(&call.payload).expect("JSON"), schema);
    }
}

fn conforms(what: &str, value: &Value, schema: &Value) {
    match value {
        Value::Object(members) if schema.get("properties").is_some() => {
            for needed in schema["required"].as_array().into_iter().flatten() {
                assert!(members.contains_key(needed.as_str().expect("a name")), "{what}: {needed} in {value}");
            }
            for (name, value) in members {
                let schema = &schema["properties"][name];
                assert!(!schema.is_null(), "{what}: {name} is not in the document");
                conforms(what, value, schema);
            }
        }
        Value::Array(items) if schema.get("items").is_some() => {
            // Items of a bulk answer have more, by what was asked for.
            for item in items
                .iter()
                .filter(|item| item.get("status").is_none_or(|status| !status.is_number()))
            {
                conforms(what, item, &schema["items"]);
            }
        }
        Value::String(text) => {
            let words = schema["enum"].as_array();
            assert!(words.is_none_or(|words| words.contains(&json!(text))), "{what}: {text}");
        }
        _ => {}
    }
}

fn check(name: &str, told: &str) {
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(golden(name), told).expect("the golden file is written");
    }
    let expect = std::fs::read_to_string(golden(name)).expect("the golden file");
    assert_eq!(told, expect, "{name}: see the test's comment");
}
