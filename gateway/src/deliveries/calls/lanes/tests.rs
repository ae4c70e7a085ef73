use std::num::NonZeroU64;

use megamind_handlers::pilot::PilotKey;
use proptest::{collection::vec, prelude::*};

use super::*;

fn key(number: u64) -> CallKey {
    CallKey(NonZeroU64::new(number).expect("not 0"))
}

fn order(number: u64) -> OrderKey {
    OrderKey(NonZeroU64::new(number).expect("not 0"))
}

fn merchant() -> Target {
    Target::Merchant("M7".into())
}

fn keys(started: &[(CallKey, Target)]) -> Vec<u64> {
    let mut keys: Vec<_> = started.iter().map(|(key, _)| key.0.get()).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn calls_of_one_order_go_one_after_the_other_and_orders_side_by_side() {
    let (now, mut lanes) = (Instant::now(), Lanes::new(2, Duration::from_mins(1)));
    for (call, of) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
        lanes.add(key(call), &merchant(), order(of));
        lanes.add(key(call), &merchant(), order(of));
    }
    assert_eq!(keys(&lanes.start(now, 9)), [1, 3], "two at a time");
    assert!(lanes.start(now, 9).is_empty());
    lanes.over(key(1), &merchant(), order(1), true);
    assert_eq!(keys(&lanes.start(now, 9)), [2]);
    lanes.over(key(3), &merchant(), order(2), true);
    lanes.over(key(2), &merchant(), order(1), true);
    assert_eq!(keys(&lanes.start(now, 9)), [4]);
    lanes.over(key(4), &merchant(), order(3), true);
    assert!(lanes.is_empty());
}

#[test]
fn a_pilot_is_called_about_one_thing_after_the_other() {
    let pilot = Target::Pilot(PilotKey(NonZeroU64::MIN));
    let (now, mut lanes) = (Instant::now(), Lanes::new(4, Duration::from_mins(1)));
    for call in 1..=3 {
        lanes.add(key(call), &pilot, order(call));
    }
    assert_eq!(keys(&lanes.start(now, 9)), [1]);
    lanes.over(key(1), &pilot, order(1), true);
    assert_eq!(keys(&lanes.start(now, 9)), [2]);
}

#[test]
fn what_failed_comes_before_what_is_behind_it() {
    let (now, mut lanes) = (Instant::now(), Lanes::new(2, Duration::from_mins(1)));
    for (call, of) in [(1, 1), (2, 1), (3, 2)] {
        lanes.add(key(call), &merchant(), order(of));
    }
    assert_eq!(keys(&lanes.start(now, 9)), [1, 3]);
    assert_eq!(lanes.note_failure(&merchant(), order(1), false), Failed { attempts: 1, in_a_row: 0 });
    lanes.again(key(1), &merchant(), order(1), (now, 1.0), Duration::ZERO);
    // Only this order waits.
    lanes.over(key(3), &merchant(), order(2), true);
    lanes.add(key(4), &merchant(), order(3));
    assert_eq!(keys(&lanes.start(now, 9)), [4]);
    let then = lanes.wake_at().expect("a time");
    assert_eq!(then, now + FIRST_PAUSE);
    assert_eq!(keys(&lanes.start(then, 9)), [1]);
}

#[test]
fn a_target_that_is_away_is_probed_by_one_call_at_a_time() {
    let (now, mut lanes) = (Instant::now(), Lanes::new(4, Duration::from_secs(2)));
    for call in 1..=9 {
        lanes.add(key(call), &merchant(), order(call));
    }
    let started = lanes.start(now, 9);
    assert_eq!(keys(&started), [1, 2, 3, 4]);
    for (call, _) in started {
        lanes.note_failure(&merchant(), order(call.0.get()), true);
        lanes.again(call, &merchant(), order(call.0.get()), (now, 1.0), Duration::ZERO);
    }
    let mut then = now;
    for _ in 0..5 {
        assert!(lanes.start(then, 9).is_empty());
        then = lanes.wake_at().expect("a time");
        let probe = lanes.start(then, 9);
        assert_eq!(probe.len(), 1);
        let of = order(probe[0].0.0.get());
        lanes.note_failure(&merchant(), of, true);
        lanes.again(probe[0].0, &merchant(), of, (then, 1.0), Duration::ZERO);
        assert!(lanes.wake_at().expect("a time") <= then + Duration::from_secs(2), "the pause is bounded");
    }
    then = lanes.wake_at().expect("a time");
    let (call, _) = lanes.start(then, 9).remove(0);
    lanes.over(call, &merchant(), order(call.0.get()), true);
    assert_eq!(lanes.start(then, 9).len(), 4, "all of its width again");
}

#[test]
fn what_was_settled_elsewhere_is_taken_out() {
    let (now, mut lanes) = (Instant::now(), Lanes::new(4, Duration::from_secs(2)));
    for call in 1..=2 {
        lanes.add(key(call), &merchant(), order(1));
    }
    lanes.remove(key(1), &merchant(), order(1));
    assert_eq!(lanes.waiting_for(&merchant()), [key(2)]);
    assert_eq!(keys(&lanes.start(now, 9)), [2]);
    lanes.remove(key(2), &merchant(), order(1));
    lanes.over(key(2), &merchant(), order(1), true);
    lanes.add(key(3), &merchant(), order(1));
    lanes.remove(key(3), &merchant(), order(1));
    assert!(lanes.is_empty());
    // Owed again, once it is known that it was settled.
    lanes.add(key(3), &merchant(), order(1));
    assert!(lanes.is_empty());
    lanes.forget(key(3));
    lanes.add(key(3), &merchant(), order(1));
    assert_eq!(keys(&lanes.start(now, 9)), [3]);
}

#[test]
fn targets_that_are_away_leave_room_for_those_that_are_there() {
    let target = |number: u64| Target::Pilot(PilotKey(NonZeroU64::new(number).expect("not 0")));
    let (now, mut lanes) = (Instant::now(), Lanes::new(1, Duration::from_secs(1)));
    for number in 1..=10 {
        lanes.add(key(number), &target(number), order(number));
    }
    for (call, to) in lanes.start(now, 10) {
        lanes.note_failure(&to, order(call.0.get()), true);
        lanes.again(call, &to, order(call.0.get()), (now, 1.0), Duration::ZERO);
    }
    let later = now + Duration::from_secs(2);
    assert_eq!(lanes.start(later, 10).len(), 5);
    for number in 11..=15 {
        lanes.add(key(number), &target(number), order(number));
    }
    assert_eq!(keys(&lanes.start(later, 10)), [11, 12, 13, 14, 15]);
}

/// What happens to the oldest running call, or beside it.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A new call to one of three targets, about one of four orders.
    Owed {
        to: usize,
        about: u64,
    },
    Done,
    /// The target is away, or refuses this call.
    Fails {
        away: bool,
    },
    /// Time passes.
    Later,
    /// The operator settles a call that waits.
    Settled {
        to: usize,
    },
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..3_usize, 1..5_u64).prop_map(|(to, about)| Happens::Owed { to, about }),
        4 => Just(Happens::Done),
        3 => any::<bool>().prop_map(|away| Happens::Fails { away }),
        2 => Just(Happens::Later),
        1 => (0..3_usize).prop_map(|to| Happens::Settled { to }),
    ]
}

/// Calls as they were owed, and those of them that run.
struct Model {
    lanes: Lanes,
    now: Instant,
    owed: Vec<(CallKey, Target, OrderKey)>,
    running: Vec<CallKey>,
}

const WIDTH: usize = 2;
const MOST: usize = 3;

impl Model {
    fn of(&self, key: CallKey) -> (CallKey, Target, OrderKey) {
        self.owed.iter().find(|owed| owed.0 == key).expect("it is owed").clone()
    }

    fn start(&mut self) {
        for (key, target) in self.lanes.start(self.now, MOST) {
            let (_, to, about) = self.of(key);
            assert_eq!(to, target);
            // Whoever is in the same lane and older is done.
            let before = |owed: &&(CallKey, Target, OrderKey)| {
                owed.0 < key && owed.1 == to && lane_of(&owed.1, owed.2) == lane_of(&to, about)
            };
            assert_eq!(self.owed.iter().find(before), None, "{key:?} overtakes");
            self.running.push(key);
            let beside = self.running.iter().filter(|running| self.of(**running).1 == to).count();
            assert!(self.running.len() <= MOST && beside <= WIDTH);
        }
    }

    fn happen(&mut self, what: Happens) {
        let targets = [merchant(), Target::Merchant("M8".into()), Target::Pilot(PilotKey(NonZeroU64::MIN))];
        match what {
            Happens::Owed { to, about } => {
                let new = self.owed.last().map_or(1, |last| last.0.0.get() + 1);
                let new = (key(new), targets[to].clone(), order(about));
                self.lanes.add(new.0, &new.1, new.2);
                self.owed.push(new);
            }
            Happens::Later => self.now += Duration::from_millis(700),
            Happens::Settled { to } => {
                if let Some(waits) = self.lanes.waiting_for(&targets[to]).first().copied() {
                    let (_, to, about) = self.of(waits);
                    self.lanes.remove(waits, &to, about);
                    self.forget(waits);
                }
            }
            Happens::Done | Happens::Fails { .. } if self.running.is_empty() => {}
            Happens::Done => {
                let oldest = self.running.remove(0);
                let (key, to, about) = self.of(oldest);
                self.lanes.over(key, &to, about, true);
                self.forget(key);
            }
            Happens::Fails { away } => {
                let oldest = self.running.remove(0);
                let (key, to, about) = self.of(oldest);
                self.lanes.note_failure(&to, about, away);
                self.lanes.again(key, &to, about, (self.now, 0.5), Duration::ZERO);
            }
        }
        self.start();
    }

    fn forget(&mut self, key: CallKey) {
        self.lanes.forget(key);
        self.owed.retain(|owed| owed.0 != key);
    }
}

proptest! {
    /// Whatever happens, calls keep their order and their limits, and in the end each has been made.
    #[test]
    fn every_call_is_made_in_its_order(all in vec(happens(), 0..120)) {
        let lanes = Lanes::new(WIDTH, Duration::from_secs(2));
        let mut model = Model { lanes, now: Instant::now(), owed: Vec::new(), running: Vec::new() };
        for what in all {
            model.happen(what);
        }
        // All is well from now on.
        let mut rounds = 0;
        while !model.owed.is_empty() {
            rounds += 1;
            prop_assert!(rounds < 1_000, "{:?} are not made", model.owed);
            if model.running.is_empty() {
                model.now = model.lanes.wake_at().expect("something may be made later").max(model.now);
                model.start();
            }
            model.happen(Happens::Done);
        }
        // The pauses of what was settled elsewhere meanwhile pass too.
        model.now += Duration::from_mins(1);
        model.start();
        model.start();
        prop_assert!(model.lanes.is_empty());
    }
}
