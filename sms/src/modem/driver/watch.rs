//! Looking after a modem that works: signal, registration, clock, storage.

use super::{Alarm, Command, Config, Driver, DriverEvent, Instant, Registration, Reply, Storage, Task, start::first};
use crate::at::Answer;
use jiff::{civil::DateTime, tz::Offset};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Watch {
    next_poll: Instant,
    next_status: Instant,
    due: VecDeque<Task>,
    registration: Registration,
    /// Since when there is no network, or since when it was last complained about.
    lost_since: Option<Instant>,
    storage: Storage,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next_poll: now,
            next_status: now,
            due: VecDeque::new(),
            registration: Registration::default(),
            lost_since: Some(now),
            storage: Storage::default(),
        }
    }

    pub(super) fn ready(&mut self, now: Instant) {
        self.next_status = now;
        self.due.clear();
    }

    pub(super) fn registration(&self) -> Registration {
        self.registration
    }

    /// Whether it is news.
    pub(super) fn set_registration(&mut self, registration: Registration, now: Instant) -> bool {
        if registration.is_registered() {
            self.lost_since = None;
        } else if self.lost_since.is_none() {
            self.lost_since = Some(now);
        }
        std::mem::replace(&mut self.registration, registration) != registration
    }

    pub(super) fn poll_due(&mut self, config: &Config, now: Instant) -> bool {
        let due = self.next_poll <= now;
        if due {
            self.next_poll = now + config.poll;
        }
        due
    }

    pub(super) fn next_task(&mut self, config: &Config, now: Instant) -> Option<Task> {
        if self.next_status <= now {
            self.next_status = now + config.status;
            self.due = [Task::Registration, Task::Signal, Task::Storage].into();
        }
        self.due.pop_front()
    }
}

impl Driver {
    /// The command of a task of the ready phase.
    pub(super) fn command(&mut self, task: &Task) -> Command {
        let slow = self.config.slow_deadline;
        let plain = |text: String| Command::new(text, Answer::None, slow);
        let quick = |text: &str, prefix| Command::new(text, Answer::Lines(prefix), self.quick());
        match task {
            Task::Select(memory) => Command::new(format!("AT+CPMS=\"{memory}\""), Answer::Lines("+CPMS:"), slow),
            Task::Read(index) => Command::new(format!("AT+CMGR={index}"), Answer::Pdus("+CMGR:"), slow),
            // 4: all messages, read ones too, because a crash can leave those.
            Task::List => Command::new("AT+CMGL=4", Answer::Pdus("+CMGL:"), slow),
            Task::Delete(index) => plain(format!("AT+CMGD={index}")),
            Task::Acknowledge => plain("AT+CNMA".to_owned()),
            Task::Registration => quick("AT+CREG?", "+CREG:"),
            Task::Signal => quick("AT+CSQ", "+CSQ:"),
            Task::Storage => quick("AT+CPMS?", "+CPMS:"),
            Task::Network => plain("AT+COPS=0".to_owned()),
            Task::Restart => plain("AT+CFUN=1,1".to_owned()),
            Task::Ussd => self.ussd_command(),
            Task::Send => match self.sending.take() {
                Some(command) => command,
                None => Command::new("AT", Answer::None, self.quick()),
            },
            Task::Sync | Task::Ping | Task::Start(_) => Command::new("AT", Answer::None, self.quick()),
        }
    }

    pub(super) fn registration_answer(&mut self, reply: &Reply, now: Instant) {
        let code = first(reply, "+CREG:").and_then(|mut f| f.nth(1)?.parse().ok());
        if let Some(code) = code {
            self.registered(Registration::from_code(code), now);
        }
        let lost = self.watch.lost_since;
        if lost.is_some_and(|since| since + self.config.registration_deadline <= now) {
            self.watch.lost_since = Some(now);
            self.event(DriverEvent::Alarm(Alarm::NoNetwork));
            self.watch.due.push_back(Task::Network);
        }
    }

    /// 0 to 31 are steps of 2 dBm from -113 on (3GPP TS 27.007 §8.5).
    pub(super) fn signal_answer(&mut self, reply: &Reply) {
        let strength = first(reply, "+CSQ:").and_then(|mut f| f.number::<i16>());
        if let Some(strength @ 0..=31) = strength {
            self.event(DriverEvent::Signal(2 * strength - 113));
        }
    }

    /// A full storage means silence: near that, it is emptied at once.
    pub(super) fn storage_answer(&mut self, reply: &Reply) {
        let Some(mut fields) = first(reply, "+CPMS:") else {
            return;
        };
        let _memory = fields.next();
        let (Some(used), Some(total)) = (fields.number(), fields.number()) else {
            return;
        };
        self.watch.storage = Storage { used, total };
        let watermark = u32::from(total) * u32::from(self.config.storage_watermark) / 100;
        if total > 0 && u32::from(used) >= watermark {
            self.event(DriverEvent::Alarm(Alarm::StorageHigh(self.watch.storage)));
            self.intake.poll();
        }
    }

    /// `+CCLK: "26/11/21,06:20:54+22"`, the zone in quarters of an hour.
    pub(super) fn clock_answer(&mut self, reply: &Reply) {
        let Some(text) = first(reply, "+CCLK:").and_then(|mut f| f.next()) else {
            return;
        };
        if let Some(time) = clock(text) {
            self.event(DriverEvent::Time(time));
        }
    }
}

fn clock(text: &str) -> Option<jiff::Timestamp> {
    let at = text.rfind(['+', '-'])?;
    let (local, zone) = text.split_at(at);
    let mut numbers = local.split(['/', ',', ':']).map(|field| field.trim().parse::<i8>().ok());
    let mut field = || numbers.next().flatten();
    let (year, month, day) = (field()?, field()?, field()?);
    let (hour, minute, second) = (field()?, field()?, field()?);
    let year = 2000 + i16::from(year);
    // A modem that the network has told nothing counts from its own beginning.
    if !(2020..2090).contains(&year) {
        return None;
    }
    let quarters: i32 = zone.parse().ok()?;
    let offset = Offset::from_seconds(quarters * 15 * 60).ok()?;
    let local = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    offset.to_timestamp(local).ok()
}
