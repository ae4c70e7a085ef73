//! The driver on injected time, against a modem that is a function from command to answer.

use super::{
    Rung::{Defaults, Escape, Power, Reopen, Restart},
    *,
};
use crate::modem::{Content, Durable, Inbound, SendOutcome};

const DELIVERY: &str = "0791198948004544040C9119894882006200007050307040042206CF35689E9603";

/// A driver, its clock, and what it has asked for.
struct Bed {
    driver: Driver,
    now: Instant,
    /// Answers a command; `None` is silence.
    modem: fn(&str) -> Option<String>,
    written: Vec<String>,
    events: Vec<DriverEvent>,
    outcomes: Vec<SendOutcome>,
    batches: Vec<(u64, Vec<Inbound>)>,
    opened: usize,
    closed: usize,
}

/// A modem where everything works.
#[allow(clippy::unnecessary_wraps, reason = "it stands where silence is possible")]
fn healthy(command: &str) -> Option<String> {
    let info = match command {
        "AT+CPIN?" => "+CPIN: READY",
        "AT+CREG?" => "+CREG: 1,1",
        "AT+CSQ" => "+CSQ: 20,0",
        "AT+CPMS?" => "+CPMS: \"SM\",1,20,\"SM\",1,20,\"SM\",1,20",
        "AT+CCLK?" => "+CCLK: \"26/11/21,12:00:00+22\"",
        "AT+CSMS=1" => "+CSMS: 1,1,1",
        "AT+CGSN" => "490154203237518",
        _ => return Some("\r\nOK\r\n".to_owned()),
    };
    Some(format!("\r\n{info}\r\n\r\nOK\r\n"))
}

fn silent(_command: &str) -> Option<String> {
    None
}

impl Bed {
    fn new(modem: fn(&str) -> Option<String>) -> Self {
        Self::with(modem, Config::default())
    }

    fn with(modem: fn(&str) -> Option<String>, config: Config) -> Self {
        let now = Instant::now();
        let mut bed = Self {
            driver: Driver::new(ModemId::new("test"), config, now),
            now,
            modem,
            written: Vec::new(),
            events: Vec::new(),
            outcomes: Vec::new(),
            batches: Vec::new(),
            opened: 0,
            closed: 0,
        };
        bed.give(Input::Tick);
        bed
    }

    fn ready() -> Self {
        let bed = Self::new(healthy);
        assert_eq!(bed.driver.state(), State::Ready);
        bed
    }

    /// Feeds the driver until it has nothing more to say.
    fn give(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.driver.step(input, self.now) {
                match output {
                    Output::Open => {
                        self.opened += 1;
                        inputs.push(Input::Opened);
                    }
                    Output::Close => self.closed += 1,
                    Output::Write(bytes) => {
                        let text = String::from_utf8(bytes).expect("ASCII");
                        let command = text.trim_end().to_owned();
                        let answer = (self.modem)(&command);
                        self.written.push(command);
                        inputs.extend(answer.map(|answer| Input::Bytes(answer.into_bytes())));
                    }
                    Output::CyclePower => {}
                    Output::Journal(batch, records) => self.batches.push((batch, records)),
                    Output::Sent(outcome) => self.outcomes.push(outcome),
                    Output::Event(event) => self.events.push(event),
                }
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.give(Input::Bytes(text.as_bytes().to_vec()));
    }

    /// Lets time pass in steps of a tenth of a second.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(100);
            self.give(Input::Tick);
        }
    }

    fn send(&mut self) {
        assert!(self.driver.can_send());
        let pdu = "0001000B914316565811F9000004E8373B0C".to_owned();
        self.give(Input::Send { pdu, length: 17 });
    }

    fn wrote(&self, command: &str) -> usize {
        self.written.iter().filter(|c| *c == command).count()
    }

    fn rungs(&self) -> Vec<Rung> {
        let rung = |event: &DriverEvent| match event {
            DriverEvent::Recovering(rung) => Some(*rung),
            _ => None,
        };
        self.events.iter().filter_map(rung).collect()
    }
}

#[test]
fn the_initialisation_ends_with_a_listing() {
    let bed = Bed::ready();
    let order = ["AT", "ATE0", "AT+CMEE=1", "AT+CPIN?", "AT+CGMI"];
    assert_eq!(bed.written[..5], order);
    assert!(bed.wrote("AT+CMGF=0") == 1 && bed.wrote("AT+CNMI=2,1,0,2,0") == 1);
    assert_eq!(bed.wrote("AT+CMGL=4"), 1);
    let time = "2026-11-21T06:30:00Z".parse().expect("a time");
    assert!(bed.events.contains(&DriverEvent::Time(time)));
    assert!(bed.events.contains(&DriverEvent::Signal(-73)));
}

#[test]
fn other_ways_to_be_told_are_tried() {
    let bed = Bed::new(|command| match command {
        "AT+CNMI=2,1,0,2,0" | "AT+CNMI=2,1,0,1,0" => Some("\r\nERROR\r\n".to_owned()),
        _ => healthy(command),
    });
    assert_eq!(bed.driver.state(), State::Ready);
    assert_eq!(bed.wrote("AT+CNMI=1,1,0,1,0"), 1);
}

#[test]
fn an_idle_modem_is_asked_whether_it_lives() {
    let config = Config { poll: Duration::from_hours(1), status: Duration::from_hours(1), ..Config::default() };
    let mut bed = Bed::with(healthy, config.clone());
    let before = bed.wrote("AT");
    bed.pass(config.idle_ping);
    assert_eq!(bed.wrote("AT"), before + 1);
    bed.modem = silent;
    bed.pass(config.idle_ping + config.command_deadline);
    assert_eq!(bed.rungs(), [Rung::Escape]);
}

#[test]
fn the_whole_ladder() {
    let mut bed = Bed::ready();
    bed.pass(Config::default().settle);
    bed.modem = silent;
    bed.pass(Duration::from_mins(10));
    assert_eq!(bed.rungs()[..5], [Escape, Defaults, Restart, Reopen, Power]);
    let restarts = bed.rungs().iter().filter(|r| matches!(r, Restart | Power)).count();
    assert_eq!(restarts, Config::default().max_restarts);
    assert_ne!(bed.driver.state(), State::Ready);
    bed.modem = healthy;
    bed.pass(Duration::from_mins(3));
    assert_eq!(bed.driver.state(), State::Ready);
}

#[test]
fn a_late_answer_does_not_count_for_the_next_command() {
    let mut bed = Bed::ready();
    bed.modem = silent;
    while bed.rungs().is_empty() {
        bed.pass(Duration::from_millis(100));
    }
    assert_eq!(bed.rungs(), [Rung::Escape]);
    let written = bed.written.len();
    bed.say("\r\n+CSQ: 9,0\r\nOK\r\n");
    assert_eq!(bed.written.len(), written, "it waits until the line is quiet");
}

#[test]
fn sending_waits_a_minute_and_then_does_not_know() {
    let config = Config::default();
    let mut bed = Bed::ready();
    bed.modem = |command| command.starts_with("AT+CMGS").then(|| "\r\n> ".to_owned());
    bed.send();
    assert_eq!(bed.written.last().map(String::as_str), Some("0001000B914316565811F9000004E8373B0C\u{1a}"));
    bed.pass(config.send_deadline / 2);
    assert!(bed.outcomes.is_empty() && bed.rungs().is_empty());
    bed.pass(config.send_deadline / 2);
    assert_eq!(bed.written.last().map(String::as_str), Some("\u{1b}"));
    assert!(bed.outcomes.is_empty(), "the late answer may still come");
    bed.pass(config.send_grace);
    assert_eq!(bed.outcomes, [SendOutcome::Unknown]);
    assert_eq!(bed.rungs(), [Rung::Escape]);
}

#[test]
fn a_late_reference_counts() {
    let config = Config::default();
    let mut bed = Bed::ready();
    bed.modem = |command| command.starts_with("AT+CMGS").then(|| "\r\n> ".to_owned());
    bed.send();
    bed.pass(config.send_deadline);
    bed.say("\r\n+CMGS: 7\r\n");
    bed.pass(config.send_grace);
    assert_eq!(bed.outcomes, [SendOutcome::Sent { reference: 7 }]);
}

#[test]
fn what_was_not_typed_was_not_sent() {
    let mut bed = Bed::ready();
    bed.modem = silent;
    bed.send();
    bed.give(Input::Gone("EIO".to_owned()));
    assert!(matches!(bed.outcomes[..], [SendOutcome::NotSent(_)]));
    assert_eq!((bed.closed, bed.driver.state()), (1, State::Closed));

    let mut bed = Bed::ready();
    bed.modem = |command| command.starts_with("AT+CMGS").then(|| "\r\n> ".to_owned());
    bed.send();
    bed.give(Input::Gone("EIO".to_owned()));
    assert_eq!(bed.outcomes, [SendOutcome::Unknown]);
}

#[test]
fn a_restart_while_sending_leaves_an_outcome() {
    let mut bed = Bed::ready();
    bed.modem = |command| command.starts_with("AT+CMGS").then(|| "\r\n> ".to_owned());
    bed.send();
    bed.say("\r\nRDY\r\n\r\n+CMGS: 1\r\n\r\nOK\r\n");
    assert_eq!(bed.outcomes, [SendOutcome::Unknown]);
}

#[test]
fn errors_of_sending_are_told_apart() {
    for (answer, outcome) in [
        ("+CMS ERROR: 38", SendOutcome::Refused(Some(crate::at::CmsError(38)))),
        ("ERROR", SendOutcome::Refused(None)),
        ("+CMS ERROR: 332", SendOutcome::Unknown),
        ("+CMGS: 200\r\n\r\nOK", SendOutcome::Sent { reference: 200 }),
        ("OK", SendOutcome::Unknown),
    ] {
        let mut bed = Bed::ready();
        bed.modem = |command| command.starts_with("AT+CMGS").then(|| "\r\n> ".to_owned());
        bed.send();
        bed.say(&format!("\r\n{answer}\r\n"));
        assert_eq!(bed.outcomes, [outcome], "{answer}");
    }
}

#[test]
fn nothing_is_deleted_before_the_journal_says_so() {
    let mut bed = Bed::ready();
    bed.modem = |command| match command {
        "AT+CMGR=3" => Some(format!("\r\n+CMGR: 0,,25\r\n{DELIVERY}\r\n\r\nOK\r\n")),
        _ => healthy(command),
    };
    bed.say("\r\n+CMTI: \"SM\",3\r\n");
    let (batch, records) = bed.batches.remove(0);
    assert!(matches!(&records[..], [Inbound { content: Content::Message(_), .. }]));
    assert_eq!(bed.wrote("AT+CMGD=3"), 0);
    bed.give(Input::Durable(batch, Durable::after_commit()));
    assert_eq!(bed.wrote("AT+CMGD=3"), 1);

    bed.say("\r\n+CMTI: \"SM\",3\r\n");
    let (batch, _) = bed.batches.remove(0);
    bed.give(Input::NotDurable(batch));
    bed.pass(Duration::from_secs(1));
    assert_eq!(bed.wrote("AT+CMGD=3"), 1);
}

#[test]
fn direct_messages_are_acknowledged_when_durable() {
    let config = Config { direct: true, ..Config::default() };
    let mut bed = Bed::with(healthy, config);
    bed.say(&format!("\r\n+CMT: ,25\r\n{DELIVERY}\r\n"));
    let (batch, _) = bed.batches.remove(0);
    assert_eq!(bed.wrote("AT+CNMA"), 0);
    bed.give(Input::Durable(batch, Durable::after_commit()));
    assert_eq!(bed.wrote("AT+CNMA"), 1);
}

#[test]
fn a_durable_word_from_before_the_restart_deletes_nothing() {
    let mut bed = Bed::ready();
    bed.modem = |command| match command {
        "AT+CMGR=3" => Some(format!("\r\n+CMGR: 0,,25\r\n{DELIVERY}\r\n\r\nOK\r\n")),
        _ => healthy(command),
    };
    bed.say("\r\n+CMTI: \"SM\",3\r\n");
    let (batch, _) = bed.batches.remove(0);
    bed.say("\r\nRDY\r\n");
    bed.give(Input::Durable(batch, Durable::after_commit()));
    bed.pass(Duration::from_secs(1));
    assert_eq!((bed.wrote("ATE0"), bed.wrote("AT+CMGD=3")), (2, 0));
}

#[test]
fn a_sim_that_is_busy_is_waited_for() {
    let config = Config::default();
    let mut bed = Bed::new(|command| match command {
        "AT+CPIN?" => Some("\r\n+CME ERROR: 515\r\n".to_owned()),
        _ => healthy(command),
    });
    bed.pass(config.ready_deadline / 2);
    assert!(bed.rungs().is_empty());
    bed.modem = healthy;
    bed.pass(config.busy_retry);
    assert_eq!(bed.driver.state(), State::Ready);
}

#[test]
fn a_locked_sim_is_not_a_reason_to_reset() {
    for (state, alarm) in [("SIM PUK", Alarm::Puk), ("SIM PIN", Alarm::Pin)] {
        let modem = |command: &str| match command {
            "AT+CPIN?" => Some("\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n".to_owned()),
            _ => healthy(command),
        };
        let locked = |command: &str| match command {
            "AT+CPIN?" => Some("\r\n+CPIN: SIM PUK\r\n\r\nOK\r\n".to_owned()),
            _ => healthy(command),
        };
        let mut bed = Bed::new(if state == "SIM PUK" { locked } else { modem });
        bed.pass(Duration::from_mins(10));
        assert_eq!(bed.driver.state(), State::SimLocked);
        assert!(bed.events.contains(&DriverEvent::Alarm(alarm)));
        assert!(bed.rungs().is_empty());
    }
}

#[test]
fn no_network_is_told_once_in_a_while() {
    let config = Config::default();
    let mut bed = Bed::new(|command| match command {
        "AT+CREG?" => Some("\r\n+CREG: 1,3\r\n\r\nOK\r\n".to_owned()),
        _ => healthy(command),
    });
    assert_eq!(bed.driver.state(), State::NoNetwork);
    bed.pass(config.registration_deadline + config.status);
    let alarms = bed.events.iter().filter(|e| **e == DriverEvent::Alarm(Alarm::NoNetwork));
    assert_eq!(alarms.count(), 1);
    assert_eq!(bed.wrote("AT+COPS=0"), 1);
}

#[test]
fn a_nearly_full_storage_is_emptied_at_once() {
    let mut bed = Bed::ready();
    bed.modem = |command| match command {
        "AT+CPMS?" => Some("\r\n+CPMS: \"SM\",17,20,\"SM\",17,20\r\n\r\nOK\r\n".to_owned()),
        _ => healthy(command),
    };
    bed.pass(Config::default().status);
    let alarm = Alarm::StorageHigh(Storage { used: 17, total: 20 });
    assert!(bed.events.contains(&DriverEvent::Alarm(alarm)));
}

#[test]
fn answers_to_ussd_in_all_codings() {
    for (said, text) in [
        ("\"Balance 1\",15", "Balance 1"),
        ("\"41E19058341E9149E592D9743EA151\",15", "ABCDEFGHIJKLMNOPQ"),
        ("\"04110430043B0430043D0441\",72", "Баланс"),
        ("\"1500\",15", "1500"),
    ] {
        let mut bed = Bed::ready();
        bed.say(&format!("\r\n+CUSD: 0,{said}\r\n"));
        let answer = DriverEvent::Ussd(Some(text.to_owned()));
        assert!(bed.events.contains(&answer), "{said}: {:?}", bed.events.last());
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_stop_the_driver(noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let mut bed = Bed::ready();
        bed.give(Input::Bytes(noise));
        bed.say("\r\n");
        bed.pass(Duration::from_mins(5));
        proptest::prop_assert_eq!(bed.driver.state(), State::Ready);
    }
}
