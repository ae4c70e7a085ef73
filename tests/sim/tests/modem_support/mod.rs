//! A fleet on emulated modems, with a journal in memory and everything sped up.

#![allow(dead_code, reason = "every test file uses its own part")]

use megamind_sim::modem::Emulator;
use megamind_sms::{
    modem::{
        Config, Content, DriverEvent, Durable, Fleet, FleetConfig, FleetEvent, Inbound, Journal, JournalError, Modem,
        ModemId, Outbound, OutboxConfig, Outgoing, Priority, Received, State,
        port::{Opener, SerialOpener, TcpOpener},
    },
    pdu::Address,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// Far beyond what anything takes: it only ends a test that would otherwise hang.
const BOUND: Duration = Duration::from_mins(2);

/// A journal in memory that can be told to fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryJournal {
    pub(crate) inbound: Arc<Mutex<Vec<Inbound>>>,
    pub(crate) outbound: Arc<Mutex<Vec<Outbound>>>,
    pub(crate) broken: Arc<AtomicBool>,
}

impl MemoryJournal {
    fn check(&self) -> Result<Durable, JournalError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(JournalError("disk full".to_owned()));
        }
        Ok(Durable::after_commit())
    }

    pub(crate) fn poison(&self) -> usize {
        let inbound = self.inbound.lock().unwrap();
        let is_poison = |record: &&Inbound| matches!(record.content, Content::Poison { .. });
        inbound.iter().filter(is_poison).count()
    }
}

impl Journal for MemoryJournal {
    fn inbound(&mut self, records: &[Inbound]) -> Result<Durable, JournalError> {
        let durable = self.check()?;
        self.inbound.lock().unwrap().extend_from_slice(records);
        Ok(durable)
    }

    fn outbound(&mut self, records: &[Outbound]) -> Result<Durable, JournalError> {
        let durable = self.check()?;
        self.outbound.lock().unwrap().extend_from_slice(records);
        Ok(durable)
    }
}

pub(crate) fn name(modem: usize) -> ModemId {
    ModemId::new(&format!("modem{modem}"))
}

/// Everything as fast as an emulated modem can be, every deadline long enough for a busy machine.
pub(crate) fn quick() -> Config {
    let ms = Duration::from_millis;
    Config {
        command_deadline: ms(700),
        slow_deadline: ms(1000),
        send_deadline: ms(2000),
        send_grace: ms(100),
        ready_deadline: Duration::from_secs(5),
        busy_retry: ms(20),
        locked_retry: ms(50),
        idle_ping: ms(100),
        poll: ms(150),
        status: ms(150),
        drain: ms(50),
        boot: ms(50),
        settle: ms(10),
        reopen_min: ms(20),
        reopen_max: ms(100),
        healthy: ms(100),
        ..Config::default()
    }
}

/// No limits but those that a test sets.
pub(crate) fn unlimited() -> FleetConfig {
    FleetConfig {
        outbox: OutboxConfig {
            per_minute: 1e6,
            burst: 1e6,
            daily_budget: 1_000_000,
            retry_min: Duration::from_millis(20),
            retry_max: Duration::from_millis(100),
            ..OutboxConfig::default()
        },
        ..FleetConfig::default()
    }
}

pub(crate) fn opener(emulator: &Emulator) -> Box<dyn Opener> {
    match (emulator.address(), emulator.link()) {
        (Some(address), _) => Box::new(TcpOpener { address }),
        (None, link) => {
            Box::new(SerialOpener { path: link.expect("on TCP or behind a link").to_owned(), baud: 115_200 })
        }
    }
}

pub(crate) struct Rig {
    pub(crate) fleet: Fleet,
    pub(crate) journal: MemoryJournal,
    events: mpsc::Receiver<FleetEvent>,
    /// Events taken while waiting for another one.
    pub(crate) past: Vec<FleetEvent>,
}

impl Rig {
    pub(crate) fn new(emulators: &[&Emulator]) -> Self {
        Self::with(emulators, &quick(), unlimited())
    }

    pub(crate) fn with(emulators: &[&Emulator], config: &Config, fleet: FleetConfig) -> Self {
        let modems = emulators.iter().enumerate().map(|(nth, emulator)| Modem {
            id: name(nth),
            opener: opener(emulator),
            config: config.clone(),
        });
        Self::of(modems.collect(), fleet)
    }

    pub(crate) fn of(modems: Vec<Modem>, fleet: FleetConfig) -> Self {
        let journal = MemoryJournal::default();
        let (sender, events) = mpsc::channel();
        let listener = move |event| {
            // The test may be over.
            let _ = sender.send(event);
        };
        let fleet = Fleet::start(modems, fleet, Box::new(journal.clone()), listener).expect("threads");
        Self { fleet, journal, events, past: Vec::new() }
    }

    /// Waits for the first event that `wanted` makes something of.
    pub(crate) fn wait<T>(&mut self, what: &str, wanted: impl FnMut(&FleetEvent) -> Option<T>) -> T {
        match self.within(BOUND, wanted) {
            Some(found) => found,
            None => panic!("no {what}; there were {:#?}", self.past),
        }
    }

    /// The same, but gives up after a while.
    pub(crate) fn within<T>(
        &mut self,
        patience: Duration,
        mut wanted: impl FnMut(&FleetEvent) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).ok()?;
            let found = wanted(&event);
            self.past.push(event);
            if found.is_some() {
                return found;
            }
        }
    }

    pub(crate) fn ready(&mut self) {
        self.state(State::Ready);
    }

    pub(crate) fn state(&mut self, state: State) {
        self.wait(&format!("{state:?}"), |event| {
            matches!(event, FleetEvent::Modem(_, DriverEvent::State(s)) if *s == state).then_some(())
        });
    }

    pub(crate) fn driver<T>(&mut self, what: &str, mut wanted: impl FnMut(&DriverEvent) -> Option<T>) -> T {
        self.wait(what, |event| match event {
            FleetEvent::Modem(_, event) => wanted(event),
            _ => None,
        })
    }

    pub(crate) fn received(&mut self) -> Received {
        self.wait("message", |event| match event {
            FleetEvent::Received(message) => Some(message.clone()),
            _ => None,
        })
    }

    pub(crate) fn outbound(&mut self, what: &str, wanted: impl Fn(&Outbound) -> bool) -> Outbound {
        self.wait(what, |event| match event {
            FleetEvent::Outbound(record) if wanted(record) => Some(record.clone()),
            _ => None,
        })
    }

    pub(crate) fn send(&self, text: &str) {
        self.fleet.send(message(text)).expect("the outbox has room");
    }

    /// Waits until every message is out or dead.
    pub(crate) fn drained(&self) {
        until("an empty outbox", || self.fleet.waiting() == 0);
    }
}

pub(crate) fn message(text: &str) -> Outgoing {
    Outgoing {
        to: Address::number("+919876543210").unwrap(),
        text: text.to_owned(),
        priority: Priority::Normal,
        report: false,
        modem: None,
    }
}

/// Polls until `condition` holds.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn texts(emulator: &Emulator) -> Vec<String> {
    let sent = emulator.sent();
    sent.iter().map(|s| s.submit.user_data.text()).collect()
}
