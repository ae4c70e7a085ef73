use super::*;
use crate::oblivion::endpoint::Read;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn city() -> State {
    State::new(true)
}

fn send(state: &mut State, write: Write, body: Value, replay: bool) -> Result<Outcome, Refusal> {
    let params = object(body);
    let at = "2026-01-01T12:00:00Z".parse().expect("a time");
    state.apply(&Command { write, params: Params(&params), at, path: "/x", body: "", replay })
}

fn place(state: &mut State) -> Outcome {
    let body = json!({
        "merchantId": "m", "clientRef": "r", "odd": {"kept": true},
        "pickup": {"lat": 12.9, "lng": 77.6}, "dropoff": {"lat": "12.91", "lng": "77.61"},
    });
    send(state, Write::PlaceOrder, body, false).expect("placed")
}

fn pilot(state: &mut State, name: &str, lat: f64) {
    let body = json!({"minionId": name, "lat": lat, "lng": 77.6, "status": "available"});
    send(state, Write::GeneralInfo, body, false).expect("taken");
}

fn deliver(state: &mut State, name: &str, status: &str) -> Result<Outcome, Refusal> {
    send(
        state,
        Write::DeliveryInfo,
        json!({"orderId": "OB-1", "minionId": name, "status": status}),
        false,
    )
}

fn track(state: &State) -> Value {
    let params = object(json!({"orderId": "OB-1"}));
    state.read(Read::TrackOrder, Params(&params)).expect("known")
}

#[test]
fn the_nearest_free_pilot_gets_the_order() {
    let mut state = city();
    pilot(&mut state, "far", 13.5);
    pilot(&mut state, "near", 12.95);
    let outcome = place(&mut state);
    assert_eq!(outcome.answer["minionId"], "near");
    assert_eq!(outcome.answer["status"], "assigned");
    assert_eq!(track(&state)["location"]["lat"], 12.95);
    assert_eq!(place(&mut state).minion.as_deref(), Some("far"));
    assert_eq!(place(&mut state).minion, None);
}

#[test]
fn a_waiting_order_goes_to_the_pilot_that_comes_free() {
    let mut state = city();
    place(&mut state);
    assert_eq!(track(&state)["status"], "placed");
    pilot(&mut state, "p", 12.9);
    assert_eq!(track(&state)["minionId"], "p");
    deliver(&mut state, "p", "rejected").expect("rejected");
    // Nobody else is there, so it is offered to the same pilot again.
    assert_eq!(track(&state)["status"], "assigned");
    assert_eq!(track(&state)["history"].as_array().map(Vec::len), Some(4));
}

#[test]
fn what_a_stand_in_decided_is_not_dispatched_again() {
    let mut state = city();
    pilot(&mut state, "p", 12.9);
    let body = json!({"merchantId": "m", "pickup": {"lat": 1, "lng": 1}, "dropoff": {"lat": 1, "lng": 1}});
    let outcome = send(&mut state, Write::PlaceOrder, body, true).expect("placed");
    assert_eq!(outcome.minion, None);
    assert_eq!(deliver(&mut state, "q", "assigned").expect("taken").effect, "assigned");
    assert_eq!(deliver(&mut state, "q", "assigned").expect("taken").effect, "unchanged");
    assert!(matches!(deliver(&mut state, "p", "assigned"), Err(Refusal::Conflict(_))));
}

#[test]
fn an_order_is_changed_and_cancelled_until_it_is_picked_up() {
    let mut state = city();
    place(&mut state);
    let body = json!({"orderId": "OB-1", "status": "delivered", "note": "ring twice"});
    let outcome = send(&mut state, Write::UpdateOrder, body.clone(), false).expect("updated");
    assert_eq!(outcome.answer["status"], "placed");
    assert_eq!(outcome.answer["note"], "ring twice");
    assert_eq!(outcome.answer["odd"]["kept"], true);
    deliver(&mut state, "p", "picked_up").expect("picked up");
    assert!(matches!(send(&mut state, Write::UpdateOrder, body, false), Err(Refusal::Conflict(_))));
    let cancel = send(&mut state, Write::CancelOrderll, json!({"orderId": "OB-1"}), false);
    assert!(matches!(cancel, Err(Refusal::Conflict(_))));
    place(&mut state);
    let cancel = |state: &mut State| send(state, Write::CancelOrder, json!({"orderId": "OB-2"}), false);
    assert_eq!(cancel(&mut state).expect("cancelled").effect, "cancelled");
    assert_eq!(cancel(&mut state).expect("cancelled").effect, "unchanged");
}

#[test]
fn a_bulk_request_answers_item_by_item() {
    let mut state = city();
    place(&mut state);
    let body = json!({"deliveries": [
        {"orderId": "OB-1", "minionId": "p", "status": "accepted"},
        {"orderId": "OB-9", "minionId": "p", "status": "accepted"},
        7,
        {"orderId": "OB-1", "minionId": "p", "status": "delivered"},
    ]});
    let outcome = send(&mut state, Write::DeliveryInfoBulk, body, false).expect("taken");
    let statuses: Vec<_> = outcome.items.iter().map(|item| item.status).collect();
    assert_eq!(statuses, [200, 404, 400, 200]);
    assert_eq!(outcome.answer["results"][1]["code"], "order_not_found");
    assert_eq!(track(&state)["status"], "delivered");
}

#[test]
fn orders_are_found_by_the_merchants_reference() {
    let mut state = city();
    place(&mut state);
    let find = |client_ref: &str| {
        let params = object(json!({"merchantId": "m", "clientRef": client_ref}));
        state.read(Read::FindOrder, Params(&params)).expect("an answer")
    };
    assert_eq!(find("r"), json!({"orders": [{"orderId": "OB-1"}]}));
    assert_eq!(find("s"), json!({"orders": []}));
}

#[test]
fn a_refusal_changes_nothing() {
    let mut state = city();
    place(&mut state);
    let before = format!("{state:?}");
    for (write, body) in [
        (Write::PlaceOrder, json!({"merchantId": "m"})),
        (
            Write::PlaceOrder,
            json!({"merchantId": "m", "pickup": {"lat": 91, "lng": 0}, "dropoff": {"lat": 1, "lng": 1}}),
        ),
        (Write::UpdateOrder, json!({"orderId": "OB-1", "note": "x", "dropoff": 3})),
        (Write::CancelOrder, json!({"orderId": "blr-01"})),
        (Write::GeneralInfo, json!({"minionId": "p", "status": "asleep"})),
        (Write::DeliveryInfo, json!({"orderId": "OB-1", "minionId": "p", "status": "lost"})),
        (
            Write::DeliveryInfo,
            json!({"orderId": "OB-1", "minionId": "p", "status": "accepted", "at": "noon"}),
        ),
    ] {
        assert!(send(&mut state, write, body.clone(), false).is_err(), "{body}");
        assert_eq!(format!("{state:?}"), before, "{body}");
    }
}
