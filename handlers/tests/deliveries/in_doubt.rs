//! Lists that the upstream may have taken already.

use megamind_domain::Replay;
use serde_json::{Value, json};

use crate::support::World;

const BULK: &str = "/updatemaster/bulk/deliveryInfo";

fn codes(answer: &Value) -> Vec<(Option<u64>, Option<&str>)> {
    let results = answer["results"].as_array().expect("results");
    results
        .iter()
        .map(|item| (item["status"].as_u64(), item["code"].as_str()))
        .collect()
}

#[test]
fn no_item_is_denied() {
    let mut world = World::acting();
    let id = world.place();
    world.in_doubt = true;
    let items = json!({"deliveries": [
        {"orderId": "OB-5", "minionId": "P9", "status": "picked_up"},
        {"orderId": id, "minionId": "P9", "status": "accepted"},
        {"orderId": "OB-5", "status": "delivered"},
    ]});
    let (status, answer) = world.post(BULK, &items);
    let unknown = (Some(504), Some("outcome_unknown"));
    assert_eq!((status, codes(&answer)), (200, vec![(Some(200), None), unknown, unknown]));
    assert_eq!(world.replays.last(), Some(&Replay::AsSent));
    assert_eq!(world.track("OB-5")["status"], "picked_up");
    assert_eq!(world.track(&id)["status"], "placed");
    // Told again: nothing changes any more, and still the refused items have to be settled.
    let (_, again) = world.post(BULK, &items);
    assert_eq!((codes(&again)[1], world.replays.last()), (unknown, Some(&Replay::AsSent)));
}

#[test]
fn a_list_of_which_nothing_can_be_decided_is_refused_as_a_whole() {
    let mut world = World::acting();
    let id = world.place();
    let items = json!({"deliveries": [{"orderId": id, "minionId": "P9", "status": "accepted"}]});
    assert_eq!(world.post(BULK, &items).0, 200);
    world.in_doubt = true;
    let (status, answer) = world.post(BULK, &items);
    assert_eq!((status, answer["code"].as_str()), (409, Some("not_assigned")));
    let unreadable = json!({"minions": [{"minionId": "P1", "status": "asleep"}]});
    assert_eq!(world.post("/updatemaster/bulk/generalinfo", &unreadable).0, 400);
}
