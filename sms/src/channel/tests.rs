use super::*;

const DROP: Duration = Duration::from_secs(30);

fn candidates(loads: &[usize]) -> Vec<Candidate> {
    loads
        .iter()
        .enumerate()
        .map(|(at, load)| Candidate { id: ChannelId(at), load: *load, full: false })
        .collect()
}

fn chosen(scheduler: &mut dyn Scheduler, candidates: &[Candidate]) -> usize {
    scheduler.choose(candidates).expect("somebody").id.0
}

#[test]
fn a_channel_is_there_from_its_first_heartbeat_until_they_stop() {
    let start = Instant::now();
    let mut registry = Registry::new(DROP);
    let modem = registry.register("sim1");
    let other = registry.register("provider");
    assert_eq!(registry.called("provider"), Some(other));
    assert!(!registry.is_usable(modem, start));
    assert_eq!(registry.beat(modem, Ok(()), start), Some(Turn::Back(modem)));
    assert_eq!(registry.beat(modem, Ok(()), start + DROP / 2), None);
    assert_eq!(registry.beat(modem, Err("no network".into()), start + DROP), None);
    assert_eq!(registry.trouble(modem), Some("no network"));
    assert_eq!(registry.tick(start + DROP), [], "half a minute has not passed since the last good one");
    assert_eq!(registry.tick(start + DROP * 3 / 2), [Turn::Dropped(modem)]);
    assert_eq!(registry.tick(start + DROP * 2), [], "told once");
    assert!(!registry.is_usable(modem, start + DROP * 2));
    assert_eq!(registry.beat(modem, Ok(()), start + DROP * 3), Some(Turn::Back(modem)));
    assert!(registry.is_usable(modem, start + DROP * 3) && registry.trouble(modem).is_none());
}

#[test]
fn a_channel_that_fails_pauses_longer_each_time_until_it_succeeds() {
    let start = Instant::now();
    let mut registry = Registry::new(DROP);
    let id = registry.register("provider");
    registry.beat(id, Ok(()), start);
    let pause = |registry: &mut Registry| {
        registry.failed(id, start);
        (0..1_000)
            .map(|seconds| start + Duration::from_secs(seconds))
            .position(|at| registry.is_usable(id, at))
    };
    assert_eq!(pause(&mut registry), Some(2));
    assert_eq!(pause(&mut registry), Some(4));
    for _ in 0..100 {
        registry.failed(id, start);
    }
    assert!(registry.is_there(id));
    assert_eq!(pause(&mut registry), Some(600));
    registry.succeeded(id);
    assert!(registry.is_usable(id, start));
    assert_eq!(pause(&mut registry), Some(2));
}

#[test]
fn schedulers_choose_as_their_names_say() {
    assert_eq!(Priority.choose(&[]), None);
    assert_eq!(chosen(&mut Priority, &candidates(&[9, 0])), 0);
    assert_eq!(chosen(&mut LeastBusy, &candidates(&[2, 1, 1])), 1);
    let mut turns = RoundRobin::default();
    let all = candidates(&[0, 0, 0]);
    let taken: Vec<usize> = (0..4).map(|_| chosen(&mut turns, &all)).collect();
    assert_eq!(taken, [0, 1, 2, 0]);
    // The one whose turn it is has gone.
    assert_eq!(chosen(&mut turns, &[all[0], all[2]]), 2);
    assert_eq!(chosen(&mut turns, &all), 0);
    assert_eq!(turns.choose(&[]), None);
    let mut dice = [7, 0, 5].into_iter();
    let mut random = Random(move || dice.next().unwrap_or(0));
    let taken: Vec<usize> = (0..3).map(|_| chosen(&mut random, &all)).collect();
    assert_eq!(taken, [1, 0, 2]);
    assert_eq!(random.choose(&[]), None);
}

#[test]
fn a_full_channel_is_waited_for_or_passed_over() {
    let mut two = candidates(&[4, 0]);
    two[0].full = true;
    assert_eq!(Priority.choose(&two), None, "the second is for when the first does not work");
    assert_eq!(chosen(&mut RoundRobin::default(), &two), 1);
    assert_eq!(chosen(&mut LeastBusy, &two), 1);
    assert_eq!(chosen(&mut Random(|| 0), &two), 1);
    two[1].full = true;
    assert_eq!(
        (RoundRobin::default().choose(&two), LeastBusy.choose(&two), Random(|| 0).choose(&two)),
        (None, None, None)
    );
}
