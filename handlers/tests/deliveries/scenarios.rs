//! What a city does while the cloud is away, told as requests and answers.

use crate::support::{World, body_of, enveloped, get, order, post};
use megamind_domain::{Domain, Rejection, Replay, Stance};
use megamind_handlers::{
    Command, Settings,
    dispatch::Planner,
    order::Status,
    planning::{self, Scope, View},
};
use serde_json::{Value, json};

fn statuses(answer: &Value) -> Vec<&str> {
    (answer["history"].as_array().expect("a history").iter())
        .filter_map(|step| step["status"].as_str())
        .collect()
}

#[test]
fn an_order_goes_to_the_nearest_pilot_and_to_the_door() {
    let mut world = World::acting();
    world.pilot("far", 13.10, 77.60, 1);
    world.pilot("near", 12.97, 77.59, 1);
    let (status, answer) = world.post("/placeOrder", &order());
    assert_eq!(status, 201);
    assert_eq!(answer["status"], "assigned");
    assert_eq!(answer["minionId"], "near");
    let id = answer["orderId"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("blr-") && id.len() == 30, "{id}");
    for status in ["accepted", "arrived_at_pickup", "picked_up", "arrived_at_dropoff", "delivered"] {
        assert_eq!(world.report(&id, "near", status).0, 200, "{status}");
    }
    let told = world.track(&id);
    assert_eq!(told["status"], "delivered");
    assert_eq!(
        statuses(&told),
        [
            "placed",
            "assigned",
            "accepted",
            "arrived_at_pickup",
            "picked_up",
            "arrived_at_dropoff",
            "delivered"
        ]
    );
}

#[test]
fn an_assignment_is_told_in_a_form_of_its_own() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    world.replays.clear();
    let id = world.place();
    let [Replay::AsSent, Replay::Own(told)] = world.replays.as_slice() else {
        panic!("{:?}", world.replays);
    };
    assert_eq!(&*told.path, "/updatemaster/ind/deliveryInfo");
    let body: Value = serde_json::from_slice(&told.body).expect("JSON");
    assert_eq!(
        body,
        json!({"orderId": id, "minionId": "P1", "status": "assigned", "at": "2026-01-31T04:00:00Z"})
    );
}

#[test]
fn nobody_carries_more_than_fits_and_who_is_freed_gets_the_next() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    let first = world.place();
    let second = world.place();
    assert_eq!(world.track(&second)["status"], "placed");
    assert_eq!(world.report(&first, "P1", "delivered").0, 200);
    assert_eq!(world.track(&second)["minionId"], "P1");
}

#[test]
fn who_says_no_is_not_asked_again() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    let id = world.place();
    assert_eq!(world.report(&id, "P1", "rejected").0, 200);
    assert_eq!(world.track(&id)["status"], "placed");
    world.pilot("P2", 13.05, 77.59, 1);
    let told = world.track(&id);
    assert_eq!(told["minionId"], "P2");
    assert_eq!(statuses(&told), ["placed", "assigned", "rejected", "assigned"]);
    assert_eq!(world.report(&id, "P1", "rejected").0, 200);
    assert_eq!(world.report(&id, "P1", "accepted").0, 409);
}

#[test]
fn what_was_said_last_can_be_taken_back_while_nothing_else_has_happened() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    let id = world.place();
    let (order, pilot) = {
        let order = world.city.order_called("blr", &id).expect("placed");
        (order.key(), order.carrier().expect("assigned"))
    };
    assert_eq!(world.report(&id, "P1", "picked_up").0, 200);
    assert_eq!(world.report(&id, "P1", "delivered").0, 200);
    let back = |from, to| Command::TakeBack { order, pilot, from, to };
    let code = |answer: Result<_, Rejection>| answer.err().map(|rejection| rejection.code);
    assert_eq!(code(world.decide(&back(Status::PickedUp, Status::Accepted))), Some("cannot_take_back"));
    assert_eq!(code(world.decide(&back(Status::Delivered, Status::PickedUp))), None);
    assert_eq!(world.replays.last(), Some(&Replay::Nothing));
    let told = world.track(&id);
    assert_eq!((&told["status"], &told["minionId"]), (&json!("picked_up"), &json!("P1")));
    // Twice is once, and somebody else's word stands.
    assert_eq!(code(world.decide(&back(Status::Delivered, Status::PickedUp))), Some("cannot_take_back"));
    assert_eq!(world.report(&id, "P2", "delivered").0, 200);
    assert_eq!(code(world.decide(&back(Status::Delivered, Status::PickedUp))), Some("cannot_take_back"));
}

#[test]
fn who_said_no_may_think_again_while_nobody_else_has_it() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    let id = world.place();
    let order = world.city.order_called("blr", &id).expect("placed");
    let (order, pilot) = (order.key(), order.carrier().expect("assigned"));
    assert_eq!(world.report(&id, "P1", "rejected").0, 200);
    let back = Command::TakeBack { order, pilot, from: Status::Placed, to: Status::Accepted };
    world.decide(&back).expect("nobody else has it");
    assert_eq!(world.track(&id)["status"], "accepted");
    assert_eq!(world.report(&id, "P1", "rejected").0, 200);
    world.pilot("P2", 12.97, 77.59, 1);
    assert_eq!(world.track(&id)["minionId"], "P2");
    assert!(world.decide(&back).is_err());
}

#[test]
fn nobody_dispatches_beside_the_upstream() {
    let mut world = World::acting();
    world.stance = Stance::Standby;
    world.pilot("P1", 12.97, 77.59, 1);
    let id = world.place();
    assert_eq!(world.track(&id)["status"], "placed");
    let (status, answer) = world.post("/ind/assigntominion", &json!({"orderId": id, "minionId": "P1"}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["minionId"], "P1");
    assert_eq!(world.track(&id)["status"], "assigned");
}

#[test]
fn facts_are_taken_whatever_was_planned() {
    let mut world = World::acting();
    let (status, answer) = world.report("OB-99", "stranger", "picked_up");
    assert_eq!((status, &answer["known"]), (200, &json!(false)));
    assert_eq!(world.track("OB-99")["minionId"], "stranger");
    assert_eq!(world.report("OB-99", "stranger", "arrived_at_pickup").0, 200);
    assert_eq!(world.track("OB-99")["status"], "picked_up");
    let (status, answer) = world.report("OB-99", "other", "delivered");
    assert_eq!((status, &answer["known"]), (200, &json!(false)));
    let told = world.track("OB-99");
    assert_eq!((&told["status"], &told["minionId"]), (&json!("delivered"), &json!("other")));
    let (_, answer) = world.report("OB-99", "other", "delivered");
    assert_eq!(answer.get("known"), None);
}

#[test]
fn an_order_is_called_off_until_it_is_picked_up() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    let id = world.place();
    let cancel = json!({"orderId": id, "reason": "changed my mind"});
    world.replays.clear();
    let (status, answer) = world.post("/cancelOrderll", &cancel);
    assert_eq!((status, &answer["status"]), (200, &json!("cancelled")));
    assert_eq!(world.post("/cancelOrder", &cancel).0, 200);
    assert_eq!(world.replays, [Replay::AsSent, Replay::Nothing]);
    assert_eq!(world.post("/updateOrder", &cancel).1["code"], "order_final");

    let id = world.place();
    world.report(&id, "P1", "picked_up");
    let (status, answer) = world.post("/cancelOrder", &json!({"orderId": id}));
    assert_eq!((status, &answer["code"]), (409, &json!("already_picked_up")));
    let (status, answer) = world.post("/updateOrder", &json!({"orderId": id, "readyAt": "2026-01-31T05:00:00Z"}));
    assert_eq!((status, &answer["field"]), (409, &json!("readyAt")));
    let moved = json!({"orderId": id, "dropoff": {"address": "the back door"}});
    assert_eq!(world.post("/updateOrder", &moved).0, 200);
}

#[test]
fn what_is_not_known_is_not_denied() {
    let mut world = World::acting();
    for path in ["/trackOrder", "/updateOrder", "/cancelOrder", "/score"] {
        let (status, answer) = world.post(path, &json!({"orderId": "OB-1"}));
        assert_eq!((status, &answer["code"]), (503, &json!("not_known_here")), "{path}");
        let own = json!({"orderId": "blr-01KG9VXHT0Q2V0E2Z0RX9CTW5D"});
        let (status, answer) = world.post(path, &own);
        assert_eq!((status, &answer["code"]), (404, &json!("order_not_found")), "{path}");
        assert_eq!(answer["field"], "orderId");
    }
}

#[test]
fn what_stands_in_stays_within_its_limits() {
    let mut world = World::acting();
    let mut dear = order();
    dear["codAmount"] = json!("5000.01");
    let (status, answer) = world.post("/placeOrder", &dear);
    assert_eq!((status, &answer["code"]), (503, &json!("beyond_stand_in")));
    assert_eq!(answer["field"], "codAmount");
    for _ in 0..200 {
        world.place();
    }
    let (status, answer) = world.post("/placeOrder", &order());
    assert_eq!((status, &answer["code"]), (503, &json!("beyond_stand_in")));
    world.stance = Stance::Standby;
    assert_eq!(world.post("/placeOrder", &dear).0, 201);
}

#[test]
fn positions_are_overwritten_and_availability_is_told_in_order() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    world.replays.clear();
    let here = json!({"minionId": "P1", "lat": 12.98, "lng": 77.6, "status": "available"});
    world.now.0 += 1_000;
    let (status, answer) = world.post("/updatemaster/ind/generalinfo", &here);
    assert_eq!((status, answer), (200, json!({"minionId": "P1", "status": "available"})));
    let gone = json!({"minionId": "P1", "status": "offline"});
    assert_eq!(world.post("/updatemaster/ind/generalinfo", &gone).0, 200);
    assert!(
        matches!(world.replays.as_slice(), [Replay::Newest { .. }, Replay::AsSent]),
        "{:?}",
        world.replays
    );
    let (_, pilot) = world.get("/ind/getminiongeneralinfo", "minionId=P1");
    assert_eq!((&pilot["lat"], &pilot["status"]), (&json!(12.98), &json!("offline")));
}

#[test]
fn bulk_requests_answer_item_by_item() {
    let mut world = World::acting();
    let id = world.place();
    let (status, answer) = world.post(
        "/updatemaster/bulk/deliveryInfo",
        &json!({"deliveries": [
            {"orderId": "OB-5", "minionId": "P9", "status": "picked_up"},
            {"orderId": id, "minionId": "P9", "status": "accepted"},
            {"orderId": "OB-5", "status": "delivered"},
            {"orderId": "OB-5", "minionId": "P9", "status": "delivered"},
        ]}),
    );
    assert_eq!(status, 200);
    let results = answer["results"].as_array().expect("results");
    let told: Vec<_> = (results.iter())
        .map(|item| (item["status"].as_u64(), item["code"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some(200), None),
            (Some(409), Some("not_assigned")),
            (Some(400), Some("missing_field")),
            (Some(200), None),
        ]
    );
    assert_eq!(world.track("OB-5")["status"], "delivered");
}

#[test]
fn everything_that_waits_is_given_out_when_somebody_asks() {
    let mut world = World::acting();
    world.stance = Stance::Standby;
    let ids: Vec<String> = (0..3).map(|_| world.place()).collect();
    world.pilot("P1", 12.97, 77.59, 2);
    let (status, answer) = world.post("/bulk/assigntominions", &json!({}));
    assert_eq!(status, 200);
    let results = answer["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    assert_eq!(results[0]["orderId"], *ids[0]);
    assert_eq!((&results[1]["minionId"], &results[2]["code"]), (&json!("P1"), &json!("no_pilot")));
    let (_, carried) = world.get("/ind/getminiondeliveryinfo", "minionId=P1");
    assert_eq!(carried["orders"].as_array().map(Vec::len), Some(2));
    assert_eq!(carried["orders"][0]["codAmount"], "349.50");
}

#[test]
fn an_order_is_found_under_both_its_ids() {
    let mut world = World::acting();
    world.pilot("P1", 12.97, 77.59, 1);
    let id = world.place();
    assert_eq!(world.replayed(&id, &json!({"orderId": 4711})).as_deref(), Some("4711"));
    assert_eq!(world.track(&id)["orderId"], *id);
    assert_eq!(world.track("4711")["orderId"], "4711");
    let (_, answer) = world.post("/trackOrder", &json!({"orderId": 4711}));
    assert_eq!((&answer["orderId"], &answer["minionId"]), (&json!(4711), &json!("P1")));
    let headers = world.domain.annotate(&world.city, &id);
    assert_eq!(
        headers,
        [
            ("X-MegaMind-Local-Id", id),
            ("X-MegaMind-Status", "assigned".to_owned()),
            ("X-MegaMind-Minion", "P1".to_owned()),
        ]
    );
}

#[test]
fn two_accounts_of_one_order_become_one() {
    let mut world = World::acting();
    let id = world.place();
    world.report("OB-1", "P1", "picked_up");
    world.replayed(&id, &json!({"orderId": "OB-1"}));
    assert_eq!(world.track(&id)["status"], "picked_up");
    assert_eq!(world.track("OB-1")["minionId"], "P1");
    assert_eq!(world.city.orders().count(), 1);
    world.report("OB-1", "P1", "delivered");
    assert_eq!(world.track(&id)["status"], "delivered");
}

#[test]
fn what_passes_is_remembered() {
    let mut world = World::acting();
    world.stance = Stance::Standby;
    world.watch("/placeOrder", &order(), 201, &json!({"orderId": "OB-1", "status": "placed"}));
    let here = json!({"minionId": "P1", "lat": 12.97, "lng": 77.59, "status": "available"});
    world.watch("/updatemaster/ind/generalinfo", &here, 200, &json!({}));
    let accepted = json!({"orderId": "OB-1", "minionId": "P1", "status": "accepted"});
    world.watch("/updatemaster/ind/deliveryInfo", &accepted, 200, &json!({}));
    let refused = json!({"orderId": "OB-1", "minionId": "P1", "status": "delivered"});
    world.watch("/updatemaster/ind/deliveryInfo", &refused, 500, &json!({}));
    world.stance = Stance::Acting;
    let told = world.track("OB-1");
    assert_eq!((&told["status"], &told["minionId"]), (&json!("accepted"), &json!("P1")));
    assert_eq!(told["location"]["lat"], 12.97);
    let delivered = json!({"orderId": "OB-1", "minionId": "P1", "status": "delivered"});
    world.watch("/updatemaster/ind/deliveryInfo", &delivered, 200, &Value::Null);
    let late = json!({"orderId": "OB-1", "status": "picked_up", "minionId": "P2"});
    world.watch("/trackOrder", &json!({"orderId": "OB-1"}), 200, &late);
    let told = world.track("OB-1");
    assert_eq!((&told["status"], &told["minionId"]), (&json!("delivered"), &json!("P1")));
    world.watch(
        "/trackOrder",
        &json!({"orderId": "OB-2"}),
        200,
        &json!({"orderId": "OB-2", "status": "assigned", "minionId": "P1"}),
    );
    assert_eq!(world.track("OB-2")["minionId"], "P1");
    world.watch("/cancelOrder", &json!({"orderId": "OB-2"}), 200, &json!({"ok": 1}));
    assert_eq!(world.track("OB-2")["status"], "cancelled");
}

#[test]
fn a_bulk_exchange_tells_only_of_what_was_taken() {
    let mut world = World::acting();
    let deliveries = json!({"deliveries": [
        {"orderId": "OB-1", "minionId": "P1", "status": "delivered"},
        {"orderId": "OB-2", "minionId": "P1", "status": "delivered"},
    ]});
    let answer = json!({"results": [{"status": 200}, {"status": 409}]});
    world.watch("/updatemaster/bulk/deliveryInfo", &deliveries, 200, &answer);
    assert_eq!(world.track("OB-1")["status"], "delivered");
    assert_eq!(world.get("/trackOrder", "orderId=OB-2").0, 503);
}

#[test]
fn another_dialect_tells_the_same_story() {
    let mut world = World::new(Settings { dialect: enveloped(), ..Settings::new("blr") });
    let here = json!({"minion_id": "P1", "latitude": 12.97, "longitude": 77.59, "status": "FREE"});
    let (status, answer) = world.post("/api/v2/minions/update", &here);
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({"success": true, "data": {"minion_id": "P1", "status": "FREE", "known": false}})
    );
    let placed = json!({
        "merchant_id": "M7",
        "pickup": {"latitude": "12.9716", "longitude": 77.5946},
        "dropoff": {"latitude": 12.9352, "longitude": 77.6245},
    });
    let (status, answer) = world.post("/api/v2/orders/create", &placed);
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    assert_eq!(answer["data"]["status"], "ASSIGNED");
    let id = answer["data"]["order_id"].as_str().expect("an id").to_owned();
    let picked_up = json!({"order_id": id, "minion_id": "P1", "status": "COLLECTED", "at": 1_769_832_000});
    assert_eq!(world.post("/api/v2/deliveries/update", &picked_up).0, 200);
    let (_, told) = world.get("/api/v2/orders/track", &format!("order_id={id}"));
    assert_eq!(told["data"]["status"], "COLLECTED");
    assert_eq!(told["data"]["history"][0]["at"], 1_769_832_000);
    let (status, answer) = world.post("/api/v2/orders/create", &json!({"merchant_id": "M7"}));
    assert_eq!(status, 400);
    assert_eq!(
        answer,
        json!({"success": false, "error": {"code": "missing_field", "message": "pickup is missing."}})
    );
    let Some(Replay::Own(told)) = world.replays.iter().find(|replay| matches!(replay, Replay::Own(_))) else {
        panic!("{:?}", world.replays);
    };
    assert_eq!(&*told.path, "/api/v2/deliveries/update");
    assert_eq!(
        serde_json::from_slice::<Value>(&told.body).expect("JSON"),
        json!({"order_id": id, "minion_id": "P1", "status": "ASSIGNED", "at": 1_769_832_000})
    );
}

#[test]
fn the_three_forms_mean_the_same() {
    let mut world = World::acting();
    let form = "merchantId=M7&pickup[lat]=12.9716&pickup[lng]=77.5946&dropoff%5Blat%5D=12.9352\
                &dropoff%5Blng%5D=77.6245&codAmount=349.50&items[0][name]=idli";
    let request = megamind_domain::Request {
        content_type: Some("application/x-www-form-urlencoded; charset=utf-8".into()),
        body: form.into(),
        ..post("/placeOrder", &Value::Null)
    };
    assert_eq!(world.serve(&request).status, 201);
    assert_eq!(world.serve(&get("/placeOrder", form)).status, 201);
    let mixed = megamind_domain::Request {
        query: Some("merchantId=M8&codAmount=9999".into()),
        content_type: None,
        ..post("/placeOrder", &order())
    };
    let answer = world.serve(&mixed);
    assert_eq!(answer.status, 201, "{}", body_of(&answer));
    assert_eq!((world.city.open_orders("M7"), world.city.open_orders("M8")), (3, 0));
}

#[test]
fn scores_and_candidates() {
    let mut world = World::acting();
    world.domain = megamind_handlers::Deliveries::new(Settings {
        dispatch: megamind_handlers::settings::Dispatch { auto: false, ..Default::default() },
        ..Settings::new("blr")
    });
    world.pilot("near", 12.97, 77.59, 1);
    world.pilot("far", 13.10, 77.60, 1);
    let id = world.place();
    let (status, answer) = world.get("/score", "minionId=near");
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({"minionId": "near", "score": 100, "parts": {"acceptance": 100, "completion": 100, "punctuality": 100, "freshness": 100}})
    );
    let (status, answer) = world.get("/score", &format!("orderId={id}"));
    assert_eq!(status, 200);
    let ranked: Vec<_> = (answer["candidates"].as_array().expect("candidates").iter())
        .map(|candidate| candidate["minionId"].as_str())
        .collect();
    assert_eq!(ranked, [Some("near"), Some("far")]);
    assert_eq!(answer["candidates"][0]["feasible"], true);
}

/// Found by the random stories: the order stayed `placed`, with a pilot.
#[test]
fn an_answer_that_names_a_pilot_gives_the_order_to_that_pilot() {
    let mut world = World::acting();
    let id = world.place();
    let answer = json!({"orderId": id, "minionId": "P1", "status": "rejected"});
    world.watch("/updateOrder", &json!({"orderId": id}), 200, &answer);
    let told = world.track(&id);
    assert_eq!((&told["status"], &told["minionId"]), (&json!("assigned"), &json!("P1")));
}

/// Found by the random stories: joining took an order at the door back to `cancelled`.
#[test]
fn what_was_picked_up_was_not_called_off_before() {
    let mut world = World::acting();
    let id = world.place();
    world.report(&id, "P1", "picked_up");
    world.watch("/cancelOrder", &json!({"orderId": "OB-1"}), 200, &json!({}));
    world.replayed(&id, &json!({"orderId": "OB-1"}));
    assert_eq!(world.track("OB-1")["status"], "picked_up");
}

#[test]
fn whom_nobody_saw_is_not_there() {
    let mut world = World::acting();
    let ask = |world: &mut World| {
        let (status, answer) = world.get("/ind/getminiongeneralinfo", "minionId=P1");
        (status, answer["code"].as_str().map(str::to_owned))
    };
    assert_eq!(ask(&mut world), (503, Some("not_known_here".into())));
    world.stance = Stance::Standby;
    assert_eq!(ask(&mut world), (404, Some("minion_not_found".into())));
}

#[test]
fn ten_thousand_orders_at_one_restaurant_are_planned() {
    let mut world = World::acting();
    for number in 0..10_000 {
        let mut body = order();
        body["merchantId"] = json!(format!("M{}", number / 100));
        body["clientRef"] = json!(number.to_string());
        assert_eq!(world.post("/placeOrder", &body).0, 201);
    }
    world.pilot("P1", 12.97, 77.59, 4);
    let scope = Scope { acting_since: None, joins: true };
    let view = View::of(&world.city, world.domain.settings(), world.now, scope);
    let plan = Planner::new(planning::settings(world.domain.settings())).plan(&view.snapshot, &view);
    let planned = planning::commitments(&plan, world.now);
    assert_eq!(planned.len(), 4, "a bundle of one restaurant");
    world.decide(&Command::FollowPlan(planned.clone())).expect("decided");
    let carried = |world: &World| world.city.carried().count();
    assert_eq!(carried(&world), 4);
    // The same plan again finds its orders taken.
    world.decide(&Command::FollowPlan(planned)).expect("decided");
    assert_eq!(carried(&world), 4);
}
