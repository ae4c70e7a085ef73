use super::*;
use crate::pdu::{Address, ServiceTime, Status, Tpdu};
use std::time::Duration;

fn one() -> ModemId {
    ModemId::new("one")
}

fn two() -> ModemId {
    ModemId::new("two")
}

fn message(text: &str) -> Outgoing {
    Outgoing {
        to: Address::number("+919876543210").unwrap(),
        text: text.to_owned(),
        priority: Priority::Normal,
        report: true,
        modem: None,
    }
}

fn outbox(config: OutboxConfig) -> (Outbox, Instant) {
    (Outbox::new(config), Instant::now())
}

fn unlimited() -> OutboxConfig {
    OutboxConfig { per_minute: 1e6, burst: 1e6, daily_budget: 1000, ..OutboxConfig::default() }
}

fn report(reference: u8, number: &str, status: Status) -> StatusReport {
    let time = ServiceTime([0; 7]);
    StatusReport {
        more_messages: false,
        loop_prevention: false,
        for_command: false,
        message_reference: reference,
        recipient: Address::number(number).unwrap(),
        timestamp: time,
        discharge: time,
        status,
        parameters: Vec::new(),
    }
}

#[test]
fn the_bucket_fills_with_time() {
    let config = OutboxConfig { per_minute: 60.0, burst: 2.0, ..OutboxConfig::default() };
    let (mut outbox, now) = outbox(config);
    for nth in 0..5 {
        outbox.push(message(&nth.to_string()), now).unwrap();
    }
    assert!(outbox.take(&one(), now).is_some() && outbox.take(&one(), now).is_some());
    assert!(outbox.take(&one(), now).is_none());
    assert!(outbox.take(&two(), now).is_some(), "each SIM has its own");
    assert!(outbox.take(&one(), now + Duration::from_secs(1)).is_some());
}

#[test]
fn the_budget_is_new_the_next_day() {
    let config = OutboxConfig { daily_budget: 1, reserved_percent: 0, ..unlimited() };
    let (mut outbox, now) = outbox(config);
    outbox.push(message("today"), now).unwrap();
    outbox.push(message("tomorrow"), now).unwrap();
    assert!(outbox.take(&one(), now).is_some());
    assert!(outbox.take(&one(), now + Duration::from_hours(23)).is_none());
    assert!(outbox.take(&one(), now + Duration::from_hours(24)).is_some());
}

#[test]
fn failures_wait_longer_and_longer_and_end() {
    let config = OutboxConfig { max_attempts: 3, ..unlimited() };
    let (mut outbox, mut now) = outbox(config.clone());
    outbox.push(message("never"), now).unwrap();
    let mut last = Vec::new();
    for attempt in 0..3 {
        let wait = config.retry_min * 2u32.pow(attempt);
        let job = outbox.take(&one(), now).expect("due");
        assert_eq!(job.attempts, attempt);
        last = outbox.result(&one(), &job, &SendOutcome::Refused(Some(CmsError(41))), now);
        assert!(outbox.take(&one(), now + wait * 9 / 10).is_none());
        now += wait;
    }
    assert!(matches!(last.last().map(|r| &r.change), Some(Change::Dead { .. })));
    assert!(outbox.is_empty());
    assert_eq!(outbox.counters().dead, 1);
}

#[test]
fn a_refused_sim_rests_and_another_takes_over() {
    let (mut outbox, now) = outbox(unlimited());
    outbox.push(message("x"), now).unwrap();
    outbox.push(message("y"), now).unwrap();
    let job = outbox.take(&one(), now).unwrap();
    outbox.result(&one(), &job, &SendOutcome::Refused(Some(CmsError(38))), now);
    assert!(outbox.take(&one(), now).is_none());
    assert!(outbox.take(&two(), now).is_some());
    assert!(outbox.take(&one(), now + unlimited().rest).is_some());
}

#[test]
fn a_modem_that_was_not_there_costs_nothing() {
    let config = OutboxConfig { daily_budget: 1, reserved_percent: 0, ..unlimited() };
    let (mut outbox, now) = outbox(config);
    outbox.push(message("x"), now).unwrap();
    let job = outbox.take(&one(), now).unwrap();
    outbox.result(&one(), &job, &SendOutcome::NotSent("gone".to_owned()), now);
    assert_eq!(outbox.budget(&one()), (0, 1));
    assert_eq!(outbox.take(&two(), now).unwrap().attempts, 0);
}

#[test]
fn reports_are_found_by_modem_reference_and_number() {
    let (mut outbox, now) = outbox(unlimited());
    let id = outbox.push(message("x"), now).unwrap().id;
    let job = outbox.take(&one(), now).unwrap();
    outbox.result(&one(), &job, &SendOutcome::Sent { reference: 9 }, now);
    let number = "919876543210";
    assert!(outbox.report(&two(), &report(9, number, Status::RECEIVED)).is_none());
    assert!(outbox.report(&one(), &report(8, number, Status::RECEIVED)).is_none());
    assert!(outbox.report(&one(), &report(9, "+15550000000", Status::RECEIVED)).is_none());
    let trying = outbox.report(&one(), &report(9, number, Status(0x20))).expect("found");
    assert_eq!(trying.id, id);
    // The national form of the same number, as some centres give it.
    assert!(outbox.report(&one(), &report(9, "09876543210", Status::RECEIVED)).is_some());
    assert!(outbox.report(&one(), &report(9, number, Status::RECEIVED)).is_none(), "only once");
    assert_eq!(outbox.counters().delivered, 1);
}

#[test]
fn a_sim_without_reports_rests() {
    let (mut outbox, now) = outbox(unlimited());
    outbox.push(message("x"), now).unwrap();
    outbox.push(message("y"), now).unwrap();
    let job = outbox.take(&one(), now).unwrap();
    outbox.result(&one(), &job, &SendOutcome::Sent { reference: 9 }, now);
    let silent = now + unlimited().silent_after;
    assert!(outbox.tick(now + unlimited().silent_after / 2).is_empty());
    assert_eq!(outbox.tick(silent), [one()]);
    assert!(outbox.take(&one(), silent).is_none());
    assert!(outbox.tick(silent).is_empty(), "told once");
}

#[test]
fn a_begun_message_starts_again_when_its_modem_is_lost() {
    let (mut outbox, now) = outbox(unlimited());
    outbox.push(message(&"x".repeat(300)), now).unwrap();
    let job = outbox.take(&one(), now).unwrap();
    outbox.result(&one(), &job, &SendOutcome::Sent { reference: 1 }, now);
    assert!(outbox.take(&two(), now).is_none(), "its parts come from one number");
    outbox.modem_lost(&one());
    assert_eq!(outbox.take(&two(), now).unwrap().part, 0);
}

#[test]
fn what_the_journal_knows_is_taken_up() {
    let (mut outbox, now) = outbox(unlimited());
    let mut journal = vec![
        outbox.push(message("finished"), now).unwrap(),
        outbox.push(message(&"begun ".repeat(50)), now).unwrap(),
        outbox.push(message("waits"), now).unwrap(),
    ];
    // The first goes out, of the second one part of two; the attempt at the other never ends.
    for _ in 0..2 {
        let job = outbox.take(&one(), now).unwrap();
        journal.push(job.trying(&one()));
        journal.extend(outbox.result(&one(), &job, &SendOutcome::Sent { reference: 1 }, now));
    }
    let lost = outbox.take(&one(), now).unwrap();
    journal.push(lost.trying(&one()));

    let (mut again, now) = (Outbox::new(unlimited()), Instant::now());
    again.restore(Replay::of(journal), now).unwrap();
    assert_eq!(again.len(), 2);
    let other = again.take(&two(), now).unwrap();
    assert_eq!(other.id, MessageId(3), "the begun one waits for its modem");
    let job = again.take(&one(), now).unwrap();
    let (Tpdu::Submit(before), Tpdu::Submit(after)) = (lost.frame.tpdu, job.frame.tpdu) else {
        panic!("both are SUBMITs");
    };
    assert_eq!((job.id, job.part, after.reject_duplicates), (MessageId(2), 1, true));
    assert_eq!(after.message_reference, before.message_reference);
    assert_eq!(again.push(message("new"), now).unwrap().id, MessageId(4));
}

#[test]
fn numbers_are_not_used_again_when_all_is_finished() {
    let (mut outbox, now) = outbox(unlimited());
    let mut journal = vec![outbox.push(message("x"), now).unwrap()];
    let job = outbox.take(&one(), now).unwrap();
    journal.extend(outbox.result(&one(), &job, &SendOutcome::Sent { reference: 1 }, now));
    let mut again = Outbox::new(unlimited());
    again.restore(Replay::of(journal), now).unwrap();
    assert!(again.is_empty());
    assert_eq!(again.push(message("y"), now).unwrap().id, MessageId(2));
}

#[test]
fn the_outbox_is_bounded() {
    let (mut outbox, now) = outbox(OutboxConfig { capacity: 1, max_parts: 1, ..unlimited() });
    assert!(matches!(outbox.push(message(&"x".repeat(161)), now), Err(OutboxError::TooLong(_))));
    outbox.push(message("x"), now).unwrap();
    assert_eq!(outbox.push(message("y"), now), Err(OutboxError::Full(1)));
}

#[test]
fn what_has_not_begun_can_be_taken_back() {
    let (mut outbox, now) = outbox(unlimited());
    let to_one = |text: &str| Outgoing { modem: Some(one()), ..message(text) };
    let first = outbox.push(to_one("first"), now).unwrap().id;
    let second = outbox.push(to_one("second"), now).unwrap().id;
    assert_eq!(outbox.load(&one()), 2);
    let job = outbox.take(&one(), now).unwrap();
    assert_eq!(outbox.held().iter().map(|held| held.id).collect::<Vec<_>>(), [second], "one is under way");
    assert!(outbox.take_back(first).is_none());
    // Nobody knows whether it is out.
    outbox.result(&one(), &job, &SendOutcome::Unknown, now);
    assert!(outbox.take_back(first).is_none());
    assert!(matches!(outbox.take_back(second).unwrap().change, Change::Withdrawn));
    assert!(outbox.held().is_empty() && outbox.len() == 1);
    // It certainly is not.
    let third = outbox.push(to_one("third"), now).unwrap().id;
    let later = now + unlimited().retry_min;
    let jobs: Vec<Job> = std::iter::from_fn(|| outbox.take(&one(), later)).collect();
    let job = jobs.iter().find(|job| job.id == third).expect("taken");
    outbox.result(&one(), job, &SendOutcome::Refused(Some(CmsError(41))), later);
    assert_eq!(outbox.held(), [Held { id: third, modem: one(), priority: Priority::Normal, refused: 1 }]);
}

#[test]
fn what_is_taken_as_sent_has_a_record_that_says_so() {
    let config = OutboxConfig { unknown: UnknownPolicy::AssumeSent, ..unlimited() };
    let (mut outbox, now) = outbox(config);
    outbox.push(message("x"), now).unwrap();
    let job = outbox.take(&one(), now).unwrap();
    let records = outbox.result(&one(), &job, &SendOutcome::Unknown, now);
    assert!(matches!(records[1].change, Change::Assumed { part: 0, .. }), "{records:?}");
    assert!(outbox.is_empty());
}

#[test]
fn a_sim_that_rests_sends_nothing_however_urgent() {
    let (mut outbox, now) = outbox(unlimited());
    assert!(outbox.may_send(&one(), Priority::Normal, now) && !outbox.rests(&one(), now));
    outbox.rest(&one(), now);
    assert!(!outbox.may_send(&one(), Priority::Assignment, now) && outbox.rests(&one(), now));
    assert!(outbox.may_send(&one(), Priority::Assignment, now + unlimited().rest));
}
