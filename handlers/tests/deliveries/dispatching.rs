//! Who gets what and why, told as requests and answers.

use std::sync::Arc;

use crate::support::{World, calling, order};
use megamind_domain::{Stance, Time};
use megamind_handlers::{
    Command, Event, Settings,
    dispatch::{Planner, Reason},
    event::Why,
    planning::{self, Cell, RoadTable, Scope, View, next_lapse},
    settings::{self, Dispatch, Pace, Speeds},
};
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;

fn world(change: impl FnOnce(&mut Dispatch)) -> World {
    let mut settings = Settings::new("blr");
    change(&mut settings.dispatch);
    World::new(settings)
}

/// A pilot who is available at a place, with whatever else is said.
fn pilot(world: &mut World, id: &str, lat: f64, more: &Value) {
    let mut body = json!({"minionId": id, "lat": lat, "lng": 77.5946, "status": "available"});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let (status, answer) = world.post("/ind/setminiongeneralinfo", &body);
    assert_eq!(status, 200, "{answer}");
}

fn place(world: &mut World, more: &Value) -> Value {
    let mut body = order();
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let (status, answer) = world.post("/placeOrder", &body);
    assert_eq!(status, 201, "{answer}");
    answer
}

fn id(answer: &Value) -> String {
    answer["orderId"].as_str().expect("an id").to_owned()
}

fn time(value: &Value) -> Time {
    let text = value.as_str().unwrap_or_else(|| panic!("a time, not {value}"));
    Time(text.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond())
}

/// What the planner would have told now, decided.
fn plan(world: &mut World, since: Time) {
    let settings = world.domain.settings();
    let scope = Scope { acting_since: Some(since), joins: true };
    let view = View::of(&world.city, settings, world.now, scope);
    let plan = Planner::new(planning::settings(settings)).plan(&view.snapshot, &view);
    let planned = planning::commitments(&plan, since);
    world.decide(&Command::FollowPlan(planned)).expect("decided");
}

/// Why the last assignment was made.
fn why(world: &World) -> Why {
    let found = world.events.iter().rev().find_map(|event| match event {
        Event::OrderAssigned(event) => event.why.clone(),
        _ => None,
    });
    *found.expect("an assignment that explains itself")
}

fn candidates(world: &mut World, id: &str) -> Vec<Value> {
    let (status, answer) = world.get("/score", &format!("orderId={id}"));
    assert_eq!(status, 200, "{answer}");
    answer["candidates"].as_array().expect("candidates").clone()
}

/// The near pilot cannot carry it: whoever can does, whatever the policy.
fn goes_to_the_other(near: &Value, more: &Value) {
    for planner in [settings::Planner::Plan, settings::Planner::Nearest] {
        let mut world = world(|dispatch| dispatch.planner = planner);
        pilot(&mut world, "near", 12.9716, near);
        pilot(&mut world, "far", 12.99, &json!({}));
        let placed = place(&mut world, more);
        assert_eq!(placed["minionId"], "far", "{planner:?}: {near} {more}");
        let near = candidates(&mut world, &id(&placed)).pop().expect("the near one");
        assert_eq!((&near["minionId"], &near["feasible"]), (&json!("near"), &json!(false)));
    }
}

#[test]
fn limits_hold_with_every_policy() {
    goes_to_the_other(&json!({"cashLimit": "300"}), &json!({"codAmount": "300.01"}));
    goes_to_the_other(&json!({"shiftEnd": "2026-01-31T03:59:00Z"}), &json!({}));
    goes_to_the_other(&json!({"capacity": 0}), &json!({}));
    goes_to_the_other(&json!({"status": "busy"}), &json!({}));
    goes_to_the_other(&json!({"vehicle": "walk"}), &json!({"vehicles": ["bike", "car"]}));
    goes_to_the_other(&json!({"vehicle": "bicycle"}), &json!({"vehicles": "bike"}));
}

#[test]
fn who_takes_nothing_now_is_named_with_the_reason() {
    let mut world = World::acting();
    pilot(&mut world, "full", 12.9716, &json!({"capacity": 1}));
    place(&mut world, &json!({"clientRef": "fills it"}));
    pilot(&mut world, "busy", 12.9716, &json!({"status": "busy"}));
    pilot(&mut world, "gone", 12.9716, &json!({"status": "offline"}));
    let waits = id(&place(&mut world, &json!({"clientRef": "waits"})));
    let told: Vec<_> = (candidates(&mut world, &waits).iter())
        .map(|candidate| (candidate["minionId"].clone(), candidate["reasons"].clone()))
        .collect();
    assert_eq!(told, [(json!("full"), json!(["no_room"])), (json!("busy"), json!(["busy"]))]);
}

#[test]
fn an_order_that_waits_has_an_estimate_as_soon_as_somebody_could_take_it() {
    let mut world = world(|dispatch| dispatch.planner = settings::Planner::PlanOnly);
    let placed = place(&mut world, &json!({}));
    assert_eq!((&placed["status"], placed.get("eta")), (&json!("placed"), None));
    pilot(&mut world, "P1", 12.9716, &json!({}));
    let told = world.track(&id(&placed));
    let eta = time(&told["eta"]);
    assert!(told.get("minionId").is_none() && eta > world.now.plus_millis(10 * MINUTE), "{told}");
    let since = world.now;
    plan(&mut world, since);
    let told = world.track(&id(&placed));
    assert_eq!((&told["minionId"], time(&told["eta"])), (&json!("P1"), eta));
    let placed = place(&mut world, &json!({"clientRef": "next"}));
    assert!(placed["eta"].is_string(), "{placed}");
}

#[test]
fn how_fast_pilots_are_is_a_setting_that_counts_everywhere() {
    let eta = |vehicle: &str, pace: Pace| {
        let mut world = world(|dispatch| dispatch.pace = pace);
        pilot(&mut world, "P1", 12.98, &json!({"vehicle": vehicle}));
        let placed = place(&mut world, &json!({}));
        let first = &candidates(&mut world, &id(&placed))[0];
        assert_eq!(first["etaDropoff"], placed["eta"], "the score tells another story");
        (time(&placed["eta"]).0 - world.now.0) / MINUTE
    };
    let usual = Pace::default();
    let slow = Speeds { walk: 0.7, ..usual.speeds };
    let (bike, walk) = (eta("bike", usual), eta("walk", usual));
    assert!(walk > 3 * bike, "{walk} {bike}");
    assert!(eta("walk", Pace { speeds: slow, ..usual }) > walk + 60);
    assert_eq!(eta("bike", Pace { speeds: slow, ..usual }), bike);
    assert!(eta("bike", Pace { detour: 2.6, ..usual }) > bike + 15);
    let hasty = Pace { pickup_service: 0, dropoff_service: 0, ..usual };
    assert_eq!(eta("bike", hasty), bike - 6);
}

#[test]
fn times_by_road_count_wherever_they_are_known() {
    let mut world = world(|dispatch| dispatch.auto = false);
    pilot(&mut world, "P1", 12.98, &json!({}));
    let placed = place(&mut world, &json!({}));
    let estimated = time(&candidates(&mut world, &id(&placed))[0]["etaPickup"]);
    let cells = [(12.98, 77.5946), (12.9716, 77.5946)].map(Cell::of);
    let table = RoadTable::new(cells, vec![None, Some(3_600), Some(60), None]).expect("square");
    world.domain.settings().roads.put(Arc::new(table));
    let by_road = time(&candidates(&mut world, &id(&placed))[0]["etaPickup"]);
    // An hour on the road and half of what a pickup takes.
    assert_eq!(by_road, world.now.plus_millis(62 * MINUTE));
    assert!(estimated < by_road);
    let named = json!({"orderId": id(&placed), "minionId": "P1"});
    let (_, given) = world.post("/ind/assigntominion", &named);
    assert!(time(&given["eta"]) > by_road, "{given}");
}

#[test]
fn an_order_that_the_cloud_may_have_is_left_alone_unless_somebody_asks() {
    let adopt_after = Dispatch::default().adopt_after;
    let ask = |path: &str, late: i64| {
        let mut world = World::acting();
        pilot(&mut world, "P1", 12.9716, &json!({}));
        world.in_doubt = true;
        let placed = place(&mut world, &json!({}));
        world.in_doubt = false;
        assert_eq!((&placed["status"], placed.get("minionId")), (&json!("placed"), None));
        let since = world.now;
        plan(&mut world, since);
        assert_eq!(world.track(&id(&placed))["status"], "placed");
        world.now = world.now.plus_millis(late);
        match path {
            "" => plan(&mut world, since),
            path => assert_eq!(world.post(path, &json!({"orderId": id(&placed)})).0, 200),
        }
        world.track(&id(&placed))["minionId"].clone()
    };
    assert_eq!(ask("", adopt_after - 1), Value::Null);
    assert_eq!(ask("", adopt_after), "P1");
    assert_eq!(ask("/ind/assigntominion", 0), "P1");
    assert_eq!(ask("/bulk/assigntominions", 0), "P1");
}

#[test]
fn an_order_is_taken_over_from_a_pilot_who_gives_no_sign_of_life() {
    let mut world = World::acting();
    world.watch("/placeOrder", &order(), 201, &json!({"orderId": "OB-1", "status": "placed"}));
    pilot(&mut world, "silent", 12.9716, &json!({}));
    assert_eq!(world.report("OB-1", "silent", "accepted").0, 200);
    let since = world.now;
    world.now = world.now.plus_millis(Dispatch::default().adopt_after);
    pilot(&mut world, "other", 12.99, &json!({}));
    plan(&mut world, since);
    assert_eq!(world.track("OB-1")["minionId"], "other");
}

#[test]
fn whoever_asks_may_assign_in_every_mode() {
    for stance in [Stance::Acting, Stance::Standby] {
        let mut world = world(|dispatch| dispatch.auto = false);
        world.stance = stance;
        pilot(&mut world, "near", 12.9716, &json!({}));
        pilot(&mut world, "far", 12.99, &json!({}));
        let orders: Vec<String> = (0..3)
            .map(|number| {
                let theirs = json!({"orderId": format!("OB-{number}"), "status": "placed"});
                world.watch("/placeOrder", &order(), 201, &theirs);
                format!("OB-{number}")
            })
            .collect();
        let (status, answer) = world.post("/ind/assigntominion", &json!({"orderId": orders[0]}));
        assert_eq!((status, &answer["minionId"]), (200, &json!("near")), "{answer}");
        let both = json!({"assignments": [{"orderId": orders[1], "minionId": "far"}, {"minionId": "far"}]});
        let (_, answer) = world.post("/bulk/assigntominions", &both);
        assert_eq!(answer["results"][0]["minionId"], "far", "{answer}");
        assert_eq!(answer["results"][1]["status"], 400, "{answer}");
        let (_, answer) = world.post("/bulk/assigntominions", &json!({}));
        assert_eq!(answer["results"].as_array().map(Vec::len), Some(1), "{answer}");
        assert_eq!(answer["results"][0]["orderId"], *orders[2]);
        assert_eq!(answer["results"][0]["minionId"], "near", "{answer}");
        let (_, answer) = world.post("/bulk/assigntominions", &json!({"assignments": []}));
        assert_eq!(answer, json!({"results": []}));
    }
}

#[test]
fn a_choice_of_somebody_is_explained_with_what_it_was_chosen_over() {
    let mut world = world(|dispatch| dispatch.auto = false);
    pilot(&mut world, "near", 12.9716, &json!({}));
    pilot(&mut world, "far", 12.99, &json!({}));
    let placed = place(&mut world, &json!({}));
    let named = json!({"orderId": id(&placed), "minionId": "far"});
    assert_eq!(world.post("/ind/assigntominion", &named).0, 200);
    let far = why(&world);
    assert_eq!(far.reasons[0], Reason::Named);
    let near = far.runner_up.expect("the near one");
    assert!(near.added_seconds < far.added_seconds, "{far:?}");
}

#[test]
fn a_plan_made_beforehand_leaves_out_what_has_been_taken_meanwhile() {
    let mut world = world(|dispatch| dispatch.auto = false);
    pilot(&mut world, "P1", 12.9716, &json!({"capacity": 3}));
    let orders = ["a", "b", "c"].map(|name| id(&place(&mut world, &json!({"clientRef": name}))));
    let everything = Command::AssignMany(None);
    let ahead = world.domain.plan_ahead(&world.city, &everything, world.now).expect("a plan");
    pilot(&mut world, "P2", 12.99, &json!({}));
    assert_eq!(world.post("/cancelOrder", &json!({"orderId": orders[0]})).0, 200);
    let other = json!({"orderId": orders[1], "minionId": "P2"});
    assert_eq!(world.post("/ind/assigntominion", &other).0, 200);
    world.decide(&ahead).expect("a decision");
    let told = |world: &mut World, order: &str| {
        let told = world.track(order);
        (told["status"].clone(), told["minionId"].clone())
    };
    assert_eq!(told(&mut world, &orders[0]), ("cancelled".into(), Value::Null));
    assert_eq!(told(&mut world, &orders[1]), ("assigned".into(), "P2".into()));
    assert_eq!(told(&mut world, &orders[2]), ("assigned".into(), "P1".into()));
    assert!(world.domain.plan_ahead(&world.city, &Command::DispatchDue, world.now).is_none());
}

#[test]
fn every_order_of_a_plan_for_all_is_explained_and_nobody_gets_more_than_fits() {
    let mut world = world(|dispatch| dispatch.auto = false);
    pilot(&mut world, "P1", 12.9716, &json!({"capacity": 2}));
    pilot(&mut world, "P2", 12.99, &json!({"capacity": 2}));
    for number in 0..4 {
        // Two of them can be fetched much later: nobody would be told of them yet.
        let ready = if number < 2 { "2026-01-31T04:00:00Z" } else { "2026-01-31T06:00:00Z" };
        place(&mut world, &json!({"clientRef": number.to_string(), "readyAt": ready}));
    }
    let (_, answer) = world.post("/bulk/assigntominions", &json!({}));
    let results = answer["results"].as_array().expect("results");
    assert!(results.iter().all(|result| result["status"] == 200), "{answer}");
    let explained = world.events.iter().filter_map(|event| match event {
        Event::OrderAssigned(event) => event.why.as_ref(),
        _ => None,
    });
    let explained: Vec<_> = explained.collect();
    assert_eq!(explained.len(), 4);
    assert!(
        explained.iter().all(|why| !why.reasons.is_empty() && why.added_seconds > 0),
        "{explained:?}"
    );
}

#[test]
fn a_kitchen_that_takes_longer_moves_the_arrival() {
    let mut world = World::acting();
    pilot(&mut world, "P1", 12.9716, &json!({}));
    let placed = place(&mut world, &json!({}));
    let later = json!({"orderId": id(&placed), "readyAt": "2026-01-31T05:00:00Z"});
    let (_, updated) = world.post("/updateOrder", &later);
    let hour = 60 * MINUTE;
    assert!(time(&updated["eta"]) > world.now.plus_millis(hour), "{updated}");
    assert!(time(&placed["eta"]) < world.now.plus_millis(hour), "{placed}");
    let again = json!({"orderId": id(&placed), "items": ["one more"]});
    assert_eq!(world.post("/updateOrder", &again).1["eta"], updated["eta"]);
}

#[test]
fn an_uncertain_kitchen_is_visited_earlier() {
    let told = |ready_spread: i64| {
        let mut world = world(|dispatch| dispatch.ready_spread = ready_spread);
        pilot(&mut world, "P1", 12.9716, &json!({}));
        place(&mut world, &json!({"readyAt": "2026-01-31T04:10:00Z"}))
            .get("minionId")
            .is_some()
    };
    assert!(!told(0));
    assert!(told(10 * MINUTE));
}

#[test]
fn by_sms_pilots_are_told_earlier_have_longer_to_answer_and_get_less_at_a_time() {
    let offered = |phone_only: bool| {
        let mut settings = calling();
        settings.dispatch.bundle_pickups = 1;
        let mut world = World::new(settings);
        let app = json!({"phone": "+919800000001", "callbackUrl": "http://app.example.com/"});
        let more = if phone_only { json!({"phone": "+919800000001"}) } else { app };
        pilot(&mut world, "P1", 12.9716, &more);
        let soon = place(&mut world, &json!({"clientRef": "soon", "readyAt": "2026-01-31T04:02:50Z"}));
        let at_once = soon.get("minionId").is_some();
        if !at_once {
            let named = json!({"orderId": id(&soon), "minionId": "P1"});
            assert_eq!(world.post("/ind/assigntominion", &named).0, 200);
        }
        let lapse = next_lapse(&world.city, world.domain.settings()).expect("an offer stands");
        // Far away: it would be carried after the first.
        let far = json!({"clientRef": "far", "pickup": {"lat": 13.2, "lng": 77.9}});
        let far = id(&place(&mut world, &far));
        let candidate = candidates(&mut world, &far).remove(0);
        (at_once, lapse.millis_since(world.now) / 1000, candidate["feasible"] == true)
    };
    assert_eq!(offered(false), (false, 60, true));
    assert_eq!(offered(true), (true, 300, false));
}

#[test]
fn who_did_not_answer_is_asked_again_where_nobody_else_is_left_but_not_at_once() {
    let mut world = World::acting();
    pilot(&mut world, "P1", 12.9716, &json!({}));
    let placed = id(&place(&mut world, &json!({})));
    assert_eq!(world.report(&placed, "P1", "rejected").0, 200);
    let since = world.now;
    world.now = world.now.plus_millis(Dispatch::default().ask_again_after - 1);
    plan(&mut world, since);
    assert_eq!(world.track(&placed)["status"], "placed");
    world.now = world.now.plus_millis(1);
    plan(&mut world, since);
    assert_eq!(world.track(&placed)["minionId"], "P1");
}

#[test]
fn a_full_pilot_who_is_soon_free_is_planned_with() {
    let mut world = world(|dispatch| dispatch.planner = settings::Planner::PlanOnly);
    pilot(&mut world, "P1", 12.9352, &json!({"capacity": 1, "vehicle": "bike"}));
    let first = id(&place(&mut world, &json!({})));
    let since = world.now;
    plan(&mut world, since);
    assert_eq!(world.report(&first, "P1", "picked_up").0, 200);
    place(&mut world, &json!({"clientRef": "next"}));
    let scope = Scope { acting_since: Some(since), joins: true };
    let view = View::of(&world.city, world.domain.settings(), world.now, scope);
    let plan = Planner::new(planning::settings(world.domain.settings())).plan(&view.snapshot, &view);
    assert_eq!((plan.commitments.len(), plan.tentative.len(), plan.later.len()), (0, 1, 0));
}

#[test]
fn something_that_changes_is_noticed_and_a_position_is_not() {
    let mut world = World::acting();
    let mut changed = |act: &dyn Fn(&mut World)| {
        let before = world.city.changes();
        act(&mut world);
        world.city.changes() != before
    };
    let here = |lat: f64| move |world: &mut World| pilot(world, "P1", lat, &json!({}));
    assert!(changed(&here(12.97)));
    assert!(!changed(&here(12.98)));
    assert!(changed(&|world| pilot(world, "P1", 12.98, &json!({"capacity": 7}))));
    assert!(changed(&|world| _ = place(world, &json!({}))));
}
