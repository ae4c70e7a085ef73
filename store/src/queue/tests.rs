use proptest::prelude::*;

use super::*;

fn entry(touches: &[(u64, Role)]) -> Queued {
    let touch = |(key, role): &(u64, Role)| Touch { key: EntityKey(*key), role: *role };
    Queued::new(Endpoint(1), Time(0), touches.iter().map(touch).collect())
}

fn parked(mut entry: Queued) -> Queued {
    entry.parked = Some(Box::new(Parked { at: Time(1), status: Some(422), reason: "no".into() }));
    entry
}

/// A queue with the fences that its owner keeps.
#[derive(Default)]
struct Bench {
    queue: Queue,
    fences: OrdMap<u64, u32>,
}

impl Bench {
    fn change(&mut self, seq: u64, change: Option<Queued>) {
        if let Some(before) = self.queue.get(seq) {
            lower(&mut self.fences, before.keys());
        }
        if let Some(after) = &change {
            raise(&mut self.fences, after.keys());
        }
        self.queue.apply(Changes::from([(seq, change)]), &self.fences);
    }

    fn offered(&self) -> Vec<u64> {
        self.queue
            .work(100, (100, 100), &[], |_| false)
            .iter()
            .map(|work| work.seq)
            .collect()
    }
}

const ORDER: Role = Role::Subject;
const PILOT: Role = Role::Actor;

#[test]
fn one_entity_goes_in_order_and_unrelated_ones_side_by_side() {
    let mut bench = Bench::default();
    bench.change(1, Some(entry(&[(10, ORDER)])));
    bench.change(2, Some(entry(&[(11, ORDER), (90, PILOT)])));
    bench.change(3, Some(entry(&[(10, ORDER)])));
    bench.change(4, Some(entry(&[(12, ORDER), (90, PILOT)])));
    assert_eq!(bench.offered(), [1, 2]);
    let rest: Vec<_> = bench
        .queue
        .work(100, (100, 100), &[], |seq| seq == 1)
        .iter()
        .map(|work| work.seq)
        .collect();
    assert_eq!(rest, [2], "what is in flight still holds its place");
    bench.change(1, None);
    bench.change(2, None);
    assert_eq!(bench.offered(), [3, 4]);
}

#[test]
fn a_parked_entry_holds_back_its_order_and_not_its_pilot() {
    let mut bench = Bench::default();
    bench.change(1, Some(entry(&[(10, ORDER), (90, PILOT)])));
    bench.change(2, Some(entry(&[(10, ORDER), (91, PILOT)])));
    bench.change(3, Some(entry(&[(11, ORDER), (90, PILOT)])));
    bench.change(4, Some(entry(&[(12, ORDER), (91, PILOT)])));
    bench.change(1, Some(parked(entry(&[(10, ORDER), (90, PILOT)]))));
    assert_eq!(bench.offered(), [3, 4], "nor does what it holds back hold back a pilot");
    assert_eq!((bench.queue.sendable(), bench.queue.parked(), bench.queue.len()), (2, 1, 4));
    bench.change(5, Some(entry(&[(10, ORDER)])));
    assert_eq!(bench.queue.sendable(), 2, "what comes later is held back too");
    bench.change(1, Some(entry(&[(10, ORDER), (90, PILOT)])));
    assert_eq!(bench.offered(), [1], "taken back, it is the first of its order and its pilot again");
    bench.change(1, None);
    assert_eq!(bench.offered(), [2, 3]);
    assert_eq!(bench.queue.sendable(), 4);
}

#[test]
fn discarding_a_parked_entry_lets_the_others_go() {
    let mut bench = Bench::default();
    bench.change(1, Some(parked(entry(&[(10, ORDER)]))));
    bench.change(2, Some(entry(&[(10, ORDER)])));
    assert_eq!(bench.offered(), [0u64; 0]);
    bench.change(1, None);
    assert_eq!(bench.offered(), [2]);
}

#[test]
fn a_slot_does_not_fence_and_does_not_overtake_its_owner() {
    let mut bench = Bench::default();
    let mut position = entry(&[]);
    position.slot = Some(EntityKey(90));
    bench.change(1, Some(entry(&[(10, ORDER), (90, PILOT)])));
    bench.change(2, Some(position));
    assert_eq!(bench.offered(), [1], "only behind what is told in order about the same pilot");
    assert_eq!(bench.queue.slot(EntityKey(90)), Some(2));
    bench.change(3, Some(entry(&[(10, ORDER), (90, PILOT)])));
    bench.change(1, None);
    assert_eq!(bench.offered(), [2, 3], "and nothing waits for it");
    bench.change(2, None);
    assert_eq!(bench.queue.slot(EntityKey(90)), None);
}

#[test]
fn what_comes_next_about_an_order_is_offered_first() {
    let mut bench = Bench::default();
    bench.change(1, Some(entry(&[(10, ORDER)])));
    bench.change(2, Some(entry(&[(11, ORDER)])));
    bench.change(3, Some(entry(&[(12, ORDER)])));
    bench.change(4, Some(entry(&[(12, ORDER)])));
    bench.change(5, Some(entry(&[(13, ORDER), (90, PILOT)])));
    bench.change(3, None);
    let first = |next: &[u64], limit| -> Vec<u64> {
        let next: Vec<_> = next.iter().copied().map(EntityKey).collect();
        let work = bench.queue.work(100, (limit, limit), &next, |seq| seq == 2);
        work.iter().map(|work| work.seq).collect()
    };
    assert_eq!(first(&[12], 2), [4, 1]);
    assert_eq!(first(&[12], 10), [4, 1, 5], "each once, and none that is in flight");
    assert_eq!(first(&[77], 1), [1], "nothing waits about it");
}

#[test]
fn an_entry_stays_small() {
    assert!(size_of::<Queued>() <= 128, "{}", size_of::<Queued>());
}

fn any_entry() -> impl Strategy<Value = Queued> {
    let role = prop_oneof![Just(Role::Subject), Just(Role::Actor)];
    let progress = prop_oneof![
        Just(Progress::NeverSent),
        any::<i64>().prop_map(|since| Progress::PossiblyApplied { since: Time(since) })
    ];
    (
        proptest::collection::vec((any::<u64>(), role), 0..5),
        (proptest::option::of(any::<u64>()), any::<u64>()),
        progress,
        (any::<u32>(), 0..128u8, any::<bool>(), any::<i64>()),
        proptest::option::of((any::<Option<u16>>(), ".*")),
    )
        .prop_map(|(touches, (slot, bundle), progress, (attempts, rekeyed, unknown, at), reason)| Queued {
            slot: slot.map(EntityKey),
            bundle: NonZeroU64::new(bundle),
            progress,
            attempts,
            rekeyed,
            retry: Retry { kept_key: attempts % 2 == 1, insisted: attempts % 3 == 1 },
            unknown,
            sealed: unknown,
            outdated: unknown,
            fields: attempts,
            left: (rekeyed % 2 == 1).then(|| [attempts, u32::from(rekeyed)].into()),
            at: Time(at),
            parked: reason.map(|(status, reason)| Box::new(Parked { at: Time(1), status, reason })),
            ..entry(&touches)
        })
}

/// What [`Queue::work`] promises, checked pair by pair.
fn expected(entries: &BTreeMap<u64, Queued>) -> (Vec<u64>, usize) {
    let mut held: HashSet<EntityKey> = HashSet::new();
    let mut taken: HashSet<EntityKey> = HashSet::new();
    let (mut offered, mut sendable) = (Vec::new(), 0);
    for (seq, entry) in entries {
        if entry.parked.is_some() || entry.keys().any(|key| held.contains(&key)) {
            held.extend(entry.subjects());
            continue;
        }
        sendable += 1;
        if entry.keys().all(|key| !taken.contains(&key)) {
            offered.push(*seq);
        }
        taken.extend(entry.keys());
    }
    (offered, sendable)
}

proptest! {
    #[test]
    fn a_row_is_read_back_as_it_was_written(entry in any_entry()) {
        let row = pack(&entry);
        prop_assert_eq!(unpack(&row), Some(entry));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = unpack(&bytes);
    }

    #[test]
    fn the_order_holds_over_any_changes(
        steps in proptest::collection::vec((0..12u64, 0..4u64, 0..3u64, 0..3u8), 1..60)
    ) {
        let mut bench = Bench::default();
        let mut model: BTreeMap<u64, Queued> = BTreeMap::new();
        let mut next = 1;
        for (target, order, pilot, what) in steps {
            let known = model.keys().nth(target as usize % model.len().max(1)).copied();
            let (seq, change) = match (what, known) {
                (1, Some(seq)) => {
                    let entry = model[&seq].clone();
                    let unparked = Queued { parked: None, ..entry.clone() };
                    (seq, Some(if entry.parked.is_some() { unparked } else { parked(entry) }))
                }
                (2, Some(seq)) => (seq, None),
                _ => {
                    next += 1;
                    (next, Some(entry(&[(order, ORDER), (10 + pilot, PILOT)])))
                }
            };
            match &change {
                Some(entry) => model.insert(seq, entry.clone()),
                None => model.remove(&seq),
            };
            bench.change(seq, change);
            let (offered, sendable) = expected(&model);
            prop_assert_eq!(bench.offered(), offered);
            prop_assert_eq!(bench.queue.sendable(), sendable as u64);
            prop_assert_eq!(bench.queue.len(), model.len() as u64);
            prop_assert_eq!(&bench.queue.fences(), &bench.fences);
        }
    }

    /// The fences are an `imbl::OrdMap`: the dependency is held to the standard library's map.
    #[test]
    fn imbl_equals_the_standard_map(
        steps in proptest::collection::vec((0..300u64, any::<u32>(), 0..4u8), 1..400)
    ) {
        let mut ours: OrdMap<u64, u32> = OrdMap::new();
        let mut std: BTreeMap<u64, u32> = BTreeMap::new();
        let mut snapshots = Vec::new();
        for (key, value, what) in steps {
            match what {
                0 => prop_assert_eq!(ours.remove(&key), std.remove(&key)),
                1 => {
                    prop_assert_eq!(ours.range(key..).next(), std.range(key..).next());
                    prop_assert_eq!(ours.range(..key).next_back(), std.range(..key).next_back());
                    snapshots.push((ours.clone(), std.clone()));
                }
                2 => {
                    *ours.entry(key).or_insert(0) ^= value;
                    *std.entry(key).or_insert(0) ^= value;
                }
                _ => prop_assert_eq!(ours.insert(key, value), std.insert(key, value)),
            }
        }
        snapshots.push((ours, std));
        for (ours, std) in snapshots {
            prop_assert_eq!(ours.len(), std.len());
            prop_assert!(ours.iter().eq(std.iter()), "a snapshot changed");
        }
    }
}
