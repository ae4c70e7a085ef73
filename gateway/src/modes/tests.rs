//! The table of the contract, transition by transition, on injected time.

use std::time::Duration;

use super::machine::{Cause, Limits, Machine, Mode, Observation, Order};

fn limits() -> Limits {
    Limits {
        fall: 3,
        rise: 2,
        flap_window: Duration::from_mins(5),
        window: Duration::from_secs(10),
        failure_ratio: 0.5,
        min_requests: 10,
    }
}

/// Feeds one observation a second and says which modes were entered, and why.
fn check(start: Mode, observations: &[Observation], expect: &[(Mode, Cause)]) {
    let mut machine = Machine::new(limits(), start);
    let changes: Vec<_> = observations
        .iter()
        .zip(1..)
        .filter_map(|(observation, second)| machine.observe(Duration::from_secs(second), *observation))
        .map(|change| (change.to, change.cause))
        .collect();
    assert_eq!(changes, expect, "from {start} with {observations:?}");
}

const WELL: Observation = Observation::Checked { well: true };
const ILL: Observation = Observation::Checked { well: false };

fn traffic(good: u64, failed: u64) -> Observation {
    Observation::Traffic { good, failed }
}

#[test]
fn acting_starts_after_fall_failures_in_a_row() {
    check(Mode::Forwarding, &[ILL, ILL], &[]);
    check(Mode::Forwarding, &[ILL, ILL, WELL, ILL, ILL], &[]);
    check(Mode::Forwarding, &[ILL, ILL, ILL], &[(Mode::Acting, Cause::Checks)]);
    check(Mode::Forwarding, &[ILL, ILL, ILL, ILL, ILL], &[(Mode::Acting, Cause::Checks)]);
}

#[test]
fn one_good_check_recovers_and_rise_of_them_serve() {
    check(
        Mode::Acting,
        &[WELL, WELL],
        &[(Mode::Recovering, Cause::Recovery), (Mode::Forwarding, Cause::Recovery)],
    );
    check(
        Mode::Acting,
        &[WELL, ILL, WELL],
        &[
            (Mode::Recovering, Cause::Recovery),
            (Mode::Acting, Cause::Checks),
            (Mode::Recovering, Cause::Recovery),
        ],
    );
}

#[test]
fn what_is_queued_is_drained_before_forwarding() {
    check(
        Mode::Acting,
        &[Observation::Sendable(2), WELL, WELL, Observation::Sendable(1), Observation::Sendable(0)],
        &[
            (Mode::Recovering, Cause::Recovery),
            (Mode::Draining, Cause::Recovery),
            (Mode::Forwarding, Cause::Drained),
        ],
    );
}

#[test]
fn a_single_failed_forward_that_queues_its_write_changes_no_mode() {
    check(Mode::Forwarding, &[traffic(0, 1), Observation::Sendable(1), WELL], &[]);
}

#[test]
fn an_outage_while_draining_stops_the_drain() {
    check(
        Mode::Acting,
        &[Observation::Sendable(9), WELL, WELL, ILL, ILL, ILL],
        &[
            (Mode::Recovering, Cause::Recovery),
            (Mode::Draining, Cause::Recovery),
            (Mode::Acting, Cause::Checks),
        ],
    );
}

#[test]
fn real_requests_trip_before_the_checks_do() {
    check(Mode::Forwarding, &[traffic(5, 4)], &[]);
    check(Mode::Forwarding, &[traffic(6, 5)], &[]);
    check(Mode::Forwarding, &[traffic(5, 4), traffic(0, 1)], &[(Mode::Acting, Cause::Passive)]);
}

#[test]
fn the_passive_window_forgets() {
    let mut machine = Machine::new(limits(), Mode::Forwarding);
    assert!(machine.observe(Duration::from_secs(0), traffic(0, 9)).is_none());
    assert!(machine.observe(Duration::from_secs(11), traffic(0, 9)).is_none());
    assert!(machine.observe(Duration::from_secs(12), traffic(0, 1)).is_some());
}

#[test]
fn a_green_health_page_does_not_end_a_passive_trip() {
    check(
        Mode::Forwarding,
        &[traffic(0, 10), WELL, WELL, WELL, WELL, traffic(0, 1), WELL, traffic(1, 0), WELL],
        &[
            (Mode::Acting, Cause::Passive),
            (Mode::Recovering, Cause::Recovery),
            (Mode::Acting, Cause::Passive),
            (Mode::Recovering, Cause::Recovery),
            (Mode::Forwarding, Cause::Recovery),
        ],
    );
}

#[test]
fn the_operator_has_the_last_word() {
    check(
        Mode::Forwarding,
        &[Observation::Ordered(Order::Act), WELL, WELL, WELL],
        &[(Mode::Acting, Cause::Operator)],
    );
    check(
        Mode::Forwarding,
        &[Observation::Ordered(Order::Act), Observation::Ordered(Order::Auto), WELL, WELL],
        &[
            (Mode::Acting, Cause::Operator),
            (Mode::Recovering, Cause::Recovery),
            (Mode::Forwarding, Cause::Recovery),
        ],
    );
    check(
        Mode::Acting,
        &[Observation::Sendable(1), Observation::Ordered(Order::Forward), ILL, ILL, ILL, ILL],
        &[(Mode::Draining, Cause::Operator)],
    );
}

#[test]
fn each_relapse_doubles_rise_to_eight_times() {
    let mut machine = Machine::new(limits(), Mode::Forwarding);
    let mut clock = 0;
    let mut step = |machine: &mut Machine, observation| {
        clock += 1;
        machine.observe(Duration::from_secs(clock), observation)
    };
    let mut rises = Vec::new();
    for _ in 0..6 {
        for _ in 0..3 {
            step(&mut machine, ILL);
        }
        assert_eq!(machine.mode(), Mode::Acting);
        rises.push(machine.rise());
        while machine.mode() != Mode::Forwarding {
            step(&mut machine, WELL);
        }
    }
    assert_eq!(rises, [2, 4, 8, 16, 16, 16]);
}

#[test]
fn a_calm_time_forgets_the_relapses() {
    let mut machine = Machine::new(limits(), Mode::Acting);
    for second in 0..2 {
        machine.observe(Duration::from_secs(second), WELL);
    }
    for second in 600..603 {
        machine.observe(Duration::from_secs(second), ILL);
    }
    assert_eq!((machine.mode(), machine.rise()), (Mode::Acting, 2));
}
