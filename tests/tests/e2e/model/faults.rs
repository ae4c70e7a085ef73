//! What goes wrong around the gateway, and with it.

use std::time::Duration;

use megamind_sim::chaos::Chaos;
use megamind_tests::clock::DAY;
use megamind_tests::random::Random;
use serde_json::{Value, json};

/// One thing that goes wrong, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Disturbance {
    /// The cloud has this fault.
    Cloud(Value),
    /// The network does this.
    Network(Chaos),
    /// kill -9 of the gateway, and its next start.
    Kill,
    /// The gateway's clock is so many seconds off.
    Clock(i64),
    /// All is well for a while.
    Rest,
}

/// Out of a hundred.
const KILLS: usize = 12;
const RESTS: usize = 22;
const NETWORK: usize = 25;
const CLOCK: usize = 6;

impl Disturbance {
    /// Any of them.
    pub(super) fn any(random: &mut Random) -> Self {
        match random.below(100) {
            n if n < KILLS => Self::Kill,
            n if n < KILLS + RESTS => Self::Rest,
            n if n < KILLS + RESTS + NETWORK => Self::Network(network(random)),
            n if n < KILLS + RESTS + NETWORK + CLOCK => Self::Clock(*random.pick(&[8 * DAY, 0, -8 * DAY])),
            _ => Self::Cloud(cloud(random)),
        }
    }
}

fn network(random: &mut Random) -> Chaos {
    match random.below(4) {
        0 => Chaos::SwallowReplies,
        1 => Chaos::CutAfter(random.below(2_000) as u64),
        2 => Chaos::Delay(Duration::from_millis(random.below(400) as u64)),
        _ => Chaos::Refuse,
    }
}

fn cloud(random: &mut Random) -> Value {
    let mut fault = match random.below(14) {
        0 => return json!({"kind": "refuse"}),
        1 => json!({"kind": "hang"}),
        2 => json!({"kind": "reset"}),
        3 => json!({"kind": "status", "status": 500}),
        4 => json!({"kind": "status", "status": 503}),
        5 => json!({"kind": "status", "status": 409}),
        6 => json!({"kind": "no_backend"}),
        7 => json!({"kind": "expired_credentials"}),
        8 => json!({"kind": "rate_limit", "delay_ms": random.below(2) * 1_000}),
        9 => json!({"kind": "slow", "delay_ms": random.below(400)}),
        10 => json!({"kind": "lose_reply"}),
        11 => json!({"kind": "apply_late", "delay_ms": random.below(600)}),
        12 => json!({"kind": "truncate"}),
        _ => json!({"kind": "flap", "status": 502}),
    };
    fault["probability"] = (*random.pick(&[1.0, 0.5, 0.2])).into();
    fault["health_stays_ok"] = random.percent(50).into();
    fault
}
