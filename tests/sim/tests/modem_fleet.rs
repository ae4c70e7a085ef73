//! Several modems together, and many messages through one.

mod modem_support;

use megamind_sim::modem::{Emulator, Fault};
use megamind_sms::modem::{Change, Config, FleetEvent, Priority, State};
use modem_support::{Rig, message, name, quick, texts, unlimited, until};
use std::{collections::BTreeMap, time::Duration};

fn modem() -> Emulator {
    Emulator::tcp().expect("a port on the loopback interface")
}

/// How often each text was sent, by all modems together.
fn copies(modems: &[&Emulator]) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for text in modems.iter().flat_map(|modem| texts(modem)) {
        *copies.entry(text).or_default() += 1;
    }
    copies
}

#[test]
fn two_modems_one_yanked_while_it_sends() {
    for sent in [true, false] {
        let modems = [modem(), modem()];
        let both = [&modems[0], &modems[1]];
        let mut rig = Rig::new(&both);
        rig.ready();
        rig.ready();
        modems[0].fault(Fault::VanishAfterText { sent });
        // Whichever modem is free takes the next message, so the other one may take a whole round.
        let mut count = 0;
        let unknown = (0..200).find_map(|_| {
            for _ in 0..30 {
                rig.send(&format!("message {count}"));
                count += 1;
            }
            rig.within(Duration::from_millis(300), |event| match event {
                FleetEvent::Outbound(record) => match &record.change {
                    Change::Unknown { modem, .. } if *modem == name(0) => Some(record.clone()),
                    _ => None,
                },
                _ => None,
            })
        });
        let unknown = unknown.expect("the modem that vanishes has its turn within 6,000 messages");
        modems[0].unplug();
        rig.drained();

        let copies = copies(&both);
        assert_eq!(copies.len(), count, "everything goes out");
        let twice: Vec<&String> = copies.iter().filter(|(_, n)| **n > 1).map(|(t, _)| t).collect();
        let counters = rig.fleet.outbox();
        assert_eq!((counters.unknown, counters.resent), (1, 1), "counted");
        assert_eq!(counters.completed, count as u64);
        assert_eq!(twice.len(), usize::from(sent), "once, but for the one in flight");
        // The one in flight was sent again under the same reference.
        let record = rig.journal.outbound.lock().unwrap();
        let reference = record.iter().find_map(|r| match r.change {
            Change::Queued { message_reference, .. } if r.id == unknown.id => Some(message_reference),
            _ => None,
        });
        let again = modems.iter().flat_map(Emulator::sent).filter(|s| s.submit.reject_duplicates);
        let again: Vec<u8> = again.map(|s| s.submit.message_reference).collect();
        assert_eq!(again, [reference.expect("it was queued")]);
    }
}

#[test]
fn a_long_message_stays_with_one_modem() {
    let modems = [modem(), modem()];
    let mut rig = Rig::new(&[&modems[0], &modems[1]]);
    rig.ready();
    rig.ready();
    for nth in 0..5 {
        rig.send(&format!("{nth} {}", "long ".repeat(80)));
    }
    rig.drained();
    let total: usize = modems.iter().map(|modem| modem.sent().len()).sum();
    assert_eq!(total, 15);
    for modem in &modems {
        assert_eq!(modem.sent().len() % 3, 0, "all parts of a message from one number");
    }
}

#[test]
fn an_answer_leaves_by_the_sim_that_was_written_to() {
    let modems = [modem(), modem()];
    let mut rig = Rig::new(&[&modems[0], &modems[1]]);
    rig.ready();
    rig.ready();
    for nth in 0..10 {
        modems[1].deliver("+4366", &format!("question {nth}"));
        let question = rig.received();
        let answer =
            megamind_sms::modem::Outgoing { to: question.from, modem: Some(question.modem), ..message("answer") };
        rig.fleet.send(answer).expect("room");
    }
    rig.drained();
    assert_eq!((modems[0].sent().len(), modems[1].sent().len()), (0, 10));
}

#[test]
fn assignments_go_first_and_have_a_share_of_the_budget() {
    let modem = modem();
    let mut fleet = unlimited();
    fleet.outbox.daily_budget = 10;
    fleet.outbox.reserved_percent = 30;
    let mut rig = Rig::with(&[&modem], &quick(), fleet);
    rig.ready();
    for nth in 0..12 {
        rig.send(&format!("normal {nth}"));
    }
    until("the share of normal messages used up", || modem.sent().len() == 7);
    for nth in 0..12 {
        let assignment =
            megamind_sms::modem::Outgoing { priority: Priority::Assignment, ..message(&format!("assignment {nth}")) };
        rig.fleet.send(assignment).expect("room");
    }
    until("the budget used up", || modem.sent().len() == 10);
    let texts = texts(&modem);
    assert_eq!(texts[6], "normal 6");
    assert_eq!(texts[7..], ["assignment 0", "assignment 1", "assignment 2"]);
    assert_eq!(rig.fleet.waiting(), 14);
}

#[test]
fn a_thousand_messages_come_in() {
    let modem = modem();
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    for nth in 0..1000 {
        modem.deliver("+4366", &format!("message {nth}"));
    }
    let mut got: Vec<String> = (0..1000).map(|_| rig.received().text).collect();
    got.sort_by_key(|text| text[8..].parse::<u32>().expect("a number"));
    let expected: Vec<String> = (0..1000).map(|nth| format!("message {nth}")).collect();
    assert_eq!(got, expected, "none lost, none doubled");
    until("everything deleted", || modem.stored() + modem.waiting() == 0);
}

#[test]
fn a_panicking_modem_is_started_again() {
    struct Panics(u32, Box<dyn megamind_sms::modem::port::Opener>);
    impl megamind_sms::modem::port::Opener for Panics {
        fn open(&mut self) -> std::io::Result<Box<dyn megamind_sms::modem::port::Port>> {
            self.0 += 1;
            assert!(self.0 > 1, "the first opening panics, as the test wants it");
            self.1.open()
        }
    }
    let modem = modem();
    let panicking = megamind_sms::modem::Modem {
        id: name(0),
        opener: Box::new(Panics(0, modem_support::opener(&modem))),
        config: quick(),
    };
    let mut rig = Rig::of(vec![panicking], unlimited());
    rig.wait("panic", |event| matches!(event, FleetEvent::Panicked(_)).then_some(()));
    rig.ready();
    until("counted", || rig.fleet.status().get(&name(0)).is_some_and(|s| s.panics == 1));
}

#[test]
fn direct_delivery_is_acknowledged_one_by_one() {
    let modem = modem();
    let config = Config { direct: true, ..quick() };
    let mut rig = Rig::with(&[&modem], &config, unlimited());
    rig.state(State::Ready);
    for nth in 0..50 {
        modem.deliver("+4366", &format!("direct {nth}"));
    }
    let got: Vec<String> = (0..50).map(|_| rig.received().text).collect();
    assert_eq!(got, (0..50).map(|n| format!("direct {n}")).collect::<Vec<_>>());
    until("all acknowledged", || modem.waiting() == 0);
}
