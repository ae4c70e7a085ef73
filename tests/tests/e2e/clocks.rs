//! Clocks that are wrong: a board without a battery, and steps of a week.

use megamind_tests::City;
use megamind_tests::clock::{Clock, DAY};
use megamind_tests::wait;
use serde_json::json;

fn await_trust(city: &City, trusted: bool) {
    wait::until(&format!("that the clock is trusted is {trusted}"), || {
        (city.gateway.status()["clock"]["trusted"] == trusted).then_some(())
    });
}

#[test]
fn a_city_that_starts_in_1970_works_and_hands_over_once_it_knows_the_time() {
    let mut city = City::with("").prepare();
    let Some(clock) = Clock::new(city.dir()) else {
        return;
    };
    clock.start_in_1970();
    city.gateway.environment(clock.environment());
    city.gateway.start();
    city.gateway.await_mode("acting");
    await_trust(&city, false);
    let id = city.place("of 1970");
    city.deliver(&id, "P1", "arrived_at_pickup").expect(200).expect_local();
    city.gateway.kill();
    city.gateway.start();
    city.deliver(&id, "P1", "picked_up").expect(200).expect_local();
    clock.step(0);
    // Any time is as good as its clock's, until somebody tells the time.
    city.cloud.start();
    city.gateway.await_drained();
    await_trust(&city, true);
    assert_eq!(city.deliver(&id, "P1", "delivered").expect(200).json()["status"], "delivered");
    let effects: Vec<_> = city.cloud.log().iter().map(|effect| effect.text("effect").to_owned()).collect();
    let of_order: Vec<_> = effects
        .iter()
        .filter(|effect| *effect != "unchanged" && *effect != "assigned")
        .collect();
    assert_eq!(of_order, ["placed", "arrived_at_pickup", "picked_up", "delivered"]);
}

#[test]
fn nothing_grows_old_by_a_step_of_the_clock() {
    let config = "upstream.key_retention = '24h'\nidempotency.natural_window = '10m'";
    for days in [8, -8] {
        let mut city = City::with(config).prepare();
        let Some(clock) = Clock::new(city.dir()) else {
            return;
        };
        city.cloud.start();
        city.gateway.environment(clock.environment());
        city.gateway.start();
        city.gateway.await_mode("forwarding");
        await_trust(&city, true);
        // One may have been applied: its key must not be taken for forgotten.
        let paths = json!(["/placeOrder"]);
        let away = json!({"kind": "status", "status": 503});
        let lost = json!({"kind": "lose_reply", "paths": paths, "count": 1, "then": away});
        city.cloud.fault(&lost);
        let first = city.place("lost");
        city.gateway.await_mode("acting");
        city.place("queued");
        clock.step(days * DAY);
        city.cloud.fault(&json!({"kind": "status", "status": 503, "paths": paths}));
        await_trust(&city, false);
        // Nor is a merchant's repetition taken for another order.
        assert_eq!(city.place("lost"), first, "{days} days");
        city.cloud.heal();
        city.gateway.await_drained();
        clock.step(0);
        city.place("after");
        city.gateway.await_drained();
        for name in ["lost", "queued", "after"] {
            assert_eq!(city.cloud.effects_of(&format!("\"{name}\"")).len(), 1, "{name}, {days} days");
        }
    }
}
