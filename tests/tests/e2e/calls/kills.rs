//! kill -9 of the gateway while calls are under way: none is forgotten, and none is made up.

use std::time::Duration;

use megamind_tests::random::Random;
use serde_json::json;

use super::{GOOD, Town};

const ROUNDS: usize = 30;

#[test]
fn no_call_is_forgotten_or_made_up_by_crashes() {
    let mut random = Random::seeded();
    let mut town = Town::with("callbacks.timeout = '1s'");
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        match random.below(4) {
            0 => town.merchant.fault(&json!({"kind": "slow", "delayMs": 30, "count": 3})),
            1 => town.merchant.fault(&json!({"kind": "lose_reply", "count": 2})),
            _ => {}
        }
        for order in 0..2 {
            let id = town.place(&format!("round {round}, order {order}"));
            town.carry(&id);
            ids.push(id);
        }
        std::thread::sleep(Duration::from_millis(random.below(40) as u64));
        town.city.gateway.kill();
        town.city.gateway.start();
    }
    town.await_all_told();
    for id in &ids {
        assert_eq!(town.merchant.statuses(id), GOOD, "{id}");
        assert_eq!(town.app.actions(id), ["assign"], "{id}");
    }
    // Five statuses and one pilot an order, and nothing else.
    assert_eq!(town.merchant.effects().len(), ids.len() * 6);
    let assigned = town.app.effects().into_iter().filter(|call| call["path"] == "/assign");
    assert_eq!(assigned.count(), ids.len());
}
