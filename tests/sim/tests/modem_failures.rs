//! The twelve things that real modems do, each on an emulated one.

mod modem_support;

use megamind_sim::modem::{Cure, Emulator, Fault};
use megamind_sms::{
    modem::{
        Alarm, Change, Config, DriverEvent, Modem, Rung, State,
        port::{Opener, Port},
    },
    pdu::Outcome,
};
use modem_support::{Rig, message, name, opener, quick, texts, unlimited, until};
use serialport::{SerialPort, TTYPort};
use std::{io, path::Path, sync::atomic::Ordering, time::Duration};

fn modem() -> Emulator {
    Emulator::tcp().expect("a port on the loopback interface")
}

/// Waits for the rung, then for the modem to work again.
fn recovers_by(rig: &mut Rig, rung: Rung) {
    rig.driver(&format!("{rung:?}"), |event| (*event == DriverEvent::Recovering(rung)).then_some(()));
    rig.ready();
}

#[test]
fn failure_1_silence_is_recovered_rung_by_rung() {
    for (cure, rung) in [
        (Cure::Escape, Rung::Escape),
        (Cure::Defaults, Rung::Defaults),
        (Cure::Restart, Rung::Restart),
        (Cure::Reopen, Rung::Reopen),
    ] {
        let modem = modem();
        let mut rig = Rig::new(&[&modem]);
        rig.ready();
        modem.fault(Fault::Silent(cure));
        recovers_by(&mut rig, rung);
        modem.deliver("+4366", "after the silence");
        assert_eq!(rig.received().text, "after the silence");
    }
}

#[test]
fn failure_2_the_device_comes_back_under_another_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let modem = Emulator::pty(&folder.path().join("modem0")).expect("a pseudo terminal");
    let device = || std::fs::read_link(modem.link().expect("on a pseudo terminal")).expect("link");
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    let before = device();
    modem.unplug();
    rig.state(State::Closed);
    // The old number is in use, so that the device gets another one.
    let _taken = taken(&before);
    modem.plug();
    rig.ready();
    assert_ne!(device(), before, "the test wants another name");
    modem.deliver("+4366", "from the new port");
    assert_eq!(rig.received().text, "from the new port");
}

/// Pseudo terminals, one of them of this name. The system gives the lowest number that is free, and the name's own only
/// when its last owner has closed it.
fn taken(name: &Path) -> Vec<(TTYPort, TTYPort)> {
    let mut taken = Vec::new();
    for _ in 0..100 {
        let pair = TTYPort::pair().expect("a pseudo terminal");
        let is_it = pair.1.name().is_some_and(|slave| Path::new(&slave) == name);
        taken.push(pair);
        if is_it {
            return taken;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // Somebody else has it by now, which serves as well.
    taken
}

#[test]
fn failure_3_recovery_is_no_reset_loop() {
    let modem = modem();
    let config = Config { max_restarts: 2, ..quick() };
    let mut rig = Rig::with(&[&modem], &config, unlimited());
    rig.ready();
    modem.fault(Fault::Silent(Cure::Nothing));
    // It goes on trying, but only to open the port.
    let mut reopened = 0;
    rig.driver("eight attempts to open", |event| {
        reopened += usize::from(*event == DriverEvent::Recovering(Rung::Reopen));
        (reopened == 8).then_some(())
    });
    let restarts = rig.past.iter().filter(|event| {
        use megamind_sms::modem::FleetEvent::Modem;
        matches!(event, Modem(_, DriverEvent::Recovering(Rung::Restart | Rung::Power)))
    });
    assert_eq!(restarts.count(), 2);
    modem.clear_faults();
    rig.ready();
}

#[test]
fn failure_4_codes_between_and_glued_to_answers() {
    let modem = modem();
    modem.fault(Fault::Glue);
    modem.fault(Fault::Garbage);
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    for nth in 0..20 {
        modem.deliver("+4366", &format!("glued {nth}"));
        rig.send(&format!("out {nth}"));
    }
    let mut got: Vec<String> = (0..20).map(|_| rig.received().text).collect();
    got.sort_by_key(|text| text[6..].parse::<u32>().expect("a number"));
    assert_eq!(got, (0..20).map(|n| format!("glued {n}")).collect::<Vec<_>>());
    rig.drained();
    assert_eq!(texts(&modem), (0..20).map(|n| format!("out {n}")).collect::<Vec<_>>());
}

#[test]
fn failure_5_echo_that_cannot_be_switched_off() {
    let modem = modem();
    modem.fault(Fault::KeepEcho);
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    rig.send("echoed");
    rig.drained();
    modem.deliver("+4366", "AT+CMGS=5");
    assert_eq!(rig.received().text, "AT+CMGS=5");
    assert_eq!(texts(&modem), ["echoed"]);
    assert_eq!(modem.restarts(), 0);
}

#[test]
fn failure_6_the_sim_is_busy_after_the_start() {
    let modem = modem();
    modem.fault(Fault::BusySim(5));
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    assert_eq!(modem.restarts(), 0);
    let asked = modem.log().iter().filter(|line| *line == "AT+CPIN?").count();
    assert!(asked > 5, "asked {asked} times");
}

#[test]
fn failure_7_parts_missing_reordered_doubled_absurd() {
    let modem = modem();
    let mut fleet = unlimited();
    fleet.inbox.timeout = Duration::from_millis(300);
    let mut rig = Rig::with(&[&modem], &quick(), fleet);
    rig.ready();

    // Reordered and doubled.
    let text = "long ".repeat(80);
    let parts = modem.pdus("+4366", &text);
    assert_eq!(parts.len(), 3);
    for nth in [2, 0, 2, 1, 0] {
        modem.deliver_pdu(&parts[nth]);
    }
    let whole = rig.received();
    assert_eq!((whole.text.as_str(), whole.missing.len()), (text.as_str(), 0));

    // One missing: it comes incomplete after a while.
    let parts = modem.pdus("+4366", &"gone ".repeat(80));
    modem.deliver_pdu(&parts[0]);
    modem.deliver_pdu(&parts[2]);
    let rest = rig.received();
    assert_eq!(rest.missing, [2]);
    assert!(rest.text.starts_with("gone gone"));

    // 200 parts: nobody waits for those.
    modem.deliver_pdu("0044069021430008625021000000000A050003070201C80041");
    modem.deliver_pdu(
        "0044069021430008625021000000000A0500030801C8 0300410042"
            .replace(' ', "")
            .as_str(),
    );
    until("everything deleted", || modem.stored() == 0 && modem.waiting() == 0);
    assert!(rig.journal.inbound.lock().unwrap().len() >= 9);
}

#[test]
fn failure_8_a_full_storage_is_emptied() {
    let modem = modem();
    modem.set_capacity("SM", 5);
    // Full before anybody listens, and more at the network.
    for nth in 0..40 {
        modem.deliver("+4366", &format!("waiting {nth}"));
    }
    assert_eq!((modem.stored(), modem.waiting()), (5, 35));
    let mut rig = Rig::new(&[&modem]);
    let got: Vec<String> = (0..40).map(|_| rig.received().text).collect();
    assert_eq!(got, (0..40).map(|n| format!("waiting {n}")).collect::<Vec<_>>());
    until("everything deleted", || modem.stored() == 0);
}

#[test]
fn failure_9_the_wrong_memory_and_lost_announcements() {
    let modem = modem();
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    modem.fault(Fault::StoreIn("ME".to_owned()));
    modem.deliver("+4366", "in the wrong place");
    assert_eq!(rig.received().text, "in the wrong place");
    until("deleted there", || modem.stored() == 0);
    modem.clear_faults();
    modem.fault(Fault::LoseAnnouncements);
    modem.deliver("+4366", "never announced");
    assert_eq!(rig.received().text, "never announced");
    until("deleted", || modem.stored() == 0);
}

/// A delivery with a user data header of 255 octets in user data of five.
const POISON: &str = "0791198948004544440C911989488200620008705030704004220 5FF00030102";

#[test]
fn failure_10_poison_is_quarantined() {
    let modem = modem();
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    modem.deliver_pdu(&POISON.replace(' ', ""));
    modem.deliver_pdu("not even hexadecimal");
    modem.deliver_pdu("00");
    modem.deliver("+4366", "service goes on");
    assert_eq!(rig.received().text, "service goes on");
    until("the poison deleted", || modem.stored() == 0);
    assert_eq!(rig.journal.poison(), 3);
    rig.send("out too");
    rig.drained();
    assert_eq!(texts(&modem), ["out too"]);
    until("three counted", || {
        rig.fleet.status().get(&name(0)).is_some_and(|s| s.counters.poison == 3)
    });
}

#[test]
fn failure_11_an_unknown_outcome_is_not_a_failure() {
    for (sent, copies) in [(true, 2), (false, 1)] {
        let modem = modem();
        let mut rig = Rig::new(&[&modem]);
        rig.ready();
        modem.fault(Fault::SilentAfterText { sent, cure: Cure::Escape });
        rig.send("did it go?");
        rig.outbound("unknown outcome", |r| matches!(r.change, Change::Unknown { .. }));
        rig.outbound("sent", |r| matches!(r.change, Change::Sent { .. }));
        let out = modem.sent();
        assert_eq!(out.len(), copies);
        // The same reference, and the request to refuse the second one.
        let last = &out[copies - 1].submit;
        assert!(last.reject_duplicates);
        assert!(out.iter().all(|s| s.submit.message_reference == last.message_reference));
        let counters = rig.fleet.outbox();
        assert_eq!((counters.unknown, counters.resent), (1, 1));
    }
}

#[test]
fn failure_11_resending_is_a_setting() {
    let modem = modem();
    let mut fleet = unlimited();
    fleet.outbox.unknown = megamind_sms::modem::UnknownPolicy::AssumeSent;
    let mut rig = Rig::with(&[&modem], &quick(), fleet);
    rig.ready();
    modem.fault(Fault::SilentAfterText { sent: true, cure: Cure::Escape });
    rig.send("once");
    rig.outbound("unknown outcome", |r| matches!(r.change, Change::Unknown { .. }));
    rig.ready();
    rig.drained();
    assert_eq!(texts(&modem), ["once"]);
}

#[test]
fn failure_12_a_pin_is_tried_once() {
    let modem = modem();
    modem.lock_sim("1234");
    let config = Config { pin: Some("9999".to_owned()), ..quick() };
    let mut rig = Rig::with(&[&modem], &config, unlimited());
    let alarm = |event: &DriverEvent| (*event == DriverEvent::Alarm(Alarm::Pin)).then_some(());
    rig.driver("alarm", alarm);
    // It looks again, and does not try again.
    rig.driver("second alarm", alarm);
    rig.driver("third alarm", alarm);
    assert_eq!(modem.wrong_pins(), 1);
    assert!(rig.fleet.pin(&name(0), "1234"));
    rig.ready();
    assert_eq!(modem.restarts(), 0);
}

#[test]
fn failure_12_no_network_holds_messages_back() {
    let modem = modem();
    modem.set_registration(3);
    let mut rig = Rig::new(&[&modem]);
    rig.state(State::NoNetwork);
    rig.send("when there is a network");
    modem.deliver("+4366", "reading works all the same");
    rig.received();
    assert_eq!(texts(&modem), Vec::<String>::new());
    modem.set_registration(5);
    rig.ready();
    rig.drained();
    assert_eq!(texts(&modem), ["when there is a network"]);
}

/// Refuses a few times, as a device does that another process has.
struct Held {
    times: u32,
    inner: Box<dyn Opener>,
}

impl Opener for Held {
    fn open(&mut self) -> io::Result<Box<dyn Port>> {
        if self.times > 0 {
            self.times -= 1;
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        self.inner.open()
    }
}

#[test]
fn failure_12_a_held_port_is_tried_again() {
    let modem = modem();
    let held = Modem { id: name(0), opener: Box::new(Held { times: 3, inner: opener(&modem) }), config: quick() };
    let mut rig = Rig::of(vec![held], unlimited());
    for _ in 0..3 {
        rig.driver("a refusal", |event| matches!(event, DriverEvent::PortLost(_)).then_some(()));
    }
    rig.ready();
}

#[test]
fn failure_12_a_pty_has_no_modem_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let modem = Emulator::pty(&folder.path().join("modem0")).expect("a pseudo terminal");
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    rig.send("over a pseudo terminal");
    rig.drained();
    assert_eq!(texts(&modem), ["over a pseudo terminal"]);
}

#[test]
fn nothing_is_deleted_before_it_is_durable() {
    for direct in [false, true] {
        let modem = modem();
        let config = Config { direct, ..quick() };
        let mut rig = Rig::with(&[&modem], &config, unlimited());
        rig.ready();
        rig.journal.broken.store(true, Ordering::Relaxed);
        modem.deliver("+4366", "precious");
        rig.wait("journal error", |event| {
            matches!(event, megamind_sms::modem::FleetEvent::Journal(_)).then_some(())
        });
        assert_eq!(modem.stored() + modem.waiting(), 1, "direct: {direct}");
        assert!(rig.fleet.send(message("not taken")).is_err());
        assert_eq!(rig.fleet.waiting(), 0);
        rig.journal.broken.store(false, Ordering::Relaxed);
        if direct {
            // The network repeats what was not acknowledged.
            modem.unplug();
            rig.state(State::Closed);
            modem.plug();
        }
        assert_eq!(rig.received().text, "precious");
        until("deleted or acknowledged", || modem.stored() + modem.waiting() == 0);
    }
}

#[test]
fn what_cannot_be_deleted_is_journaled_once() {
    let modem = modem();
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    modem.fault(Fault::KeepMessages(3));
    modem.deliver("+4366", "sticky");
    assert_eq!(rig.received().text, "sticky");
    until("deleted in the end", || modem.stored() == 0);
    assert_eq!(rig.journal.inbound.lock().unwrap().len(), 1);
}

#[test]
fn a_refusal_rests_the_sim_and_the_message_is_tried_again() {
    let modem = modem();
    let mut fleet = unlimited();
    fleet.outbox.rest = Duration::from_millis(100);
    let mut rig = Rig::with(&[&modem], &quick(), fleet);
    rig.ready();
    modem.fault(Fault::Refuse { code: 42, times: 2 });
    rig.send("congested");
    rig.outbound("failure", |r| matches!(r.change, Change::Failed { .. }));
    rig.outbound("sent", |r| matches!(r.change, Change::Sent { .. }));
    assert_eq!(texts(&modem), ["congested"]);
    // A wrong number is not tried again.
    modem.fault(Fault::Refuse { code: 1, times: 1 });
    rig.send("nobody");
    rig.outbound("end", |r| matches!(r.change, Change::Dead { .. }));
    assert_eq!(rig.fleet.waiting(), 0);
}

#[test]
fn reports_find_their_message() {
    for direct in [false, true] {
        let modem = modem();
        let config = Config { direct, ..quick() };
        let mut rig = Rig::with(&[&modem], &config, unlimited());
        rig.ready();
        let wanted = megamind_sms::modem::Outgoing { report: true, ..message(&"in two parts ".repeat(15)) };
        let id = rig.fleet.send(wanted).expect("room");
        for part in 0..2 {
            let record = rig.outbound("report", |r| matches!(r.change, Change::Reported { .. }));
            assert_eq!(record.id, id);
            let Change::Reported { part: found, status } = record.change else {
                unreachable!("asked for a report");
            };
            assert_eq!((found, status.outcome()), (part, Outcome::Completed));
        }
        assert_eq!(rig.fleet.outbox().delivered, 2);
        until("reports deleted", || modem.stored() == 0);
    }
}

#[test]
fn ussd_asks_for_the_balance() {
    let modem = modem();
    let mut rig = Rig::new(&[&modem]);
    rig.ready();
    assert!(rig.fleet.ussd(&name(0), "*100#"));
    let answer = rig.driver("answer", |event| match event {
        DriverEvent::Ussd(text) => Some(text.clone()),
        _ => None,
    });
    assert_eq!(answer.as_deref(), Some("Balance 42.17, valid 31.12."));
}
