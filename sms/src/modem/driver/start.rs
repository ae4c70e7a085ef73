//! The initialisation, from the first `AT` to the first listing. All of it is done again after
//! every reset and every new port, because nothing can be known then.

use super::{Alarm, Command, Driver, DriverEvent, Instant, Phase, Reply, State, Task};
use crate::{
    at::{Answer, Fields, Registration, ResultCode, fields},
    modem::exchange::End,
};

/// One step. The order of the variants is the order of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Hello,
    EchoOff,
    Errors,
    Sim,
    Pin,
    Manufacturer,
    Model,
    Revision,
    Serial,
    PduMode,
    Service,
    Memory,
    /// The n-th way to ask for announcements: modems know different subsets.
    Announce(usize),
    RegistrationCodes,
    Registration,
    Clock,
}

/// What `AT+CNMI` is told: messages stored and announced, reports stored and announced, or given
/// directly, or not at all.
const ANNOUNCE: [&str; 5] = ["2,1,0,2,0", "2,1,0,1,0", "1,1,0,1,0", "2,1,0,0,0", "1,1,0,0,0"];
/// The same for messages given directly.
const ANNOUNCE_DIRECT: [&str; 2] = ["2,2,0,1,0", "1,2,0,1,0"];

impl Step {
    pub(super) const FIRST: Self = Self::Hello;

    const fn next(self) -> Option<Self> {
        Some(match self {
            Self::Hello => Self::EchoOff,
            Self::EchoOff => Self::Errors,
            Self::Errors | Self::Pin => Self::Sim,
            Self::Sim => Self::Manufacturer,
            Self::Manufacturer => Self::Model,
            Self::Model => Self::Revision,
            Self::Revision => Self::Serial,
            Self::Serial => Self::PduMode,
            Self::PduMode => Self::Service,
            Self::Service => Self::Memory,
            Self::Memory => Self::Announce(0),
            Self::Announce(_) => Self::RegistrationCodes,
            Self::RegistrationCodes => Self::Registration,
            Self::Registration => Self::Clock,
            Self::Clock => return None,
        })
    }

    /// Without these there is no SMS; the others may fail.
    const fn is_required(self) -> bool {
        matches!(self, Self::PduMode | Self::Memory)
    }
}

impl Driver {
    pub(super) fn run_step(&mut self, step: Step, now: Instant) {
        let command = self.step_command(step);
        self.start_command(Task::Start(step), command, now);
    }

    fn step_command(&self, step: Step) -> Command {
        let (quick, slow) = (self.config.command_deadline, self.config.slow_deadline);
        let plain = |text: &str| Command::new(text, Answer::None, quick);
        let free = |text: &str| Command::new(text, Answer::Free, quick);
        match step {
            Step::Hello => plain("AT"),
            Step::EchoOff => plain("ATE0"),
            Step::Errors => plain("AT+CMEE=1"),
            Step::Sim => Command::new("AT+CPIN?", Answer::Lines("+CPIN:"), slow),
            Step::Pin => {
                let pin = self.config.pin.as_deref().unwrap_or_default();
                Command::new(format!("AT+CPIN=\"{pin}\""), Answer::None, slow)
            }
            Step::Manufacturer => free("AT+CGMI"),
            Step::Model => free("AT+CGMM"),
            Step::Revision => free("AT+CGMR"),
            Step::Serial => free("AT+CGSN"),
            Step::PduMode => plain("AT+CMGF=0"),
            Step::Service => Command::new("AT+CSMS=1", Answer::Lines("+CSMS:"), quick),
            Step::Memory => {
                let memory = &self.config.memory;
                let text = format!("AT+CPMS=\"{memory}\",\"{memory}\",\"{memory}\"");
                Command::new(text, Answer::Lines("+CPMS:"), slow)
            }
            Step::Announce(nth) => {
                let way = self.ways().get(nth).copied().unwrap_or_default();
                plain(&format!("AT+CNMI={way}"))
            }
            Step::RegistrationCodes => plain("AT+CREG=1"),
            Step::Registration => Command::new("AT+CREG?", Answer::Lines("+CREG:"), quick),
            Step::Clock => Command::new("AT+CCLK?", Answer::Lines("+CCLK:"), quick),
        }
    }

    fn ways(&self) -> &'static [&'static str] {
        if self.config.direct { &ANNOUNCE_DIRECT } else { &ANNOUNCE }
    }

    /// A step has ended with a result code.
    pub(super) fn started(&mut self, step: Step, reply: &Reply, now: Instant) {
        let ok = reply.is_ok();
        match step {
            Step::Sim => return self.sim_answer(reply, now),
            Step::Pin if !ok => {
                self.event(DriverEvent::Alarm(Alarm::Pin));
                return self.locked(now);
            }
            Step::Announce(nth) if !ok && nth + 1 < self.ways().len() => {
                return self.go_on(Step::Announce(nth + 1), now);
            }
            Step::Manufacturer | Step::Model | Step::Revision | Step::Serial if ok => {
                self.identity(step, reply);
            }
            Step::Service => {
                let service = first(reply, "+CSMS:").and_then(|mut f| f.number::<u8>());
                self.intake.acknowledges = ok && service.is_some();
            }
            Step::Registration if ok => self.registration_answer(reply, now),
            Step::Clock if ok => self.clock_answer(reply),
            Step::Memory if ok => {
                let memory = self.config.memory.clone();
                self.intake.selected(memory, true);
            }
            _ => {}
        }
        if step.is_required() && !ok {
            return self.retry(step, reply, now);
        }
        match step.next() {
            Some(next) => self.go_on(next, now),
            None => self.ready(now),
        }
    }

    fn go_on(&mut self, next: Step, now: Instant) {
        if let Phase::Starting { step, at, .. } = &mut self.phase {
            *step = next;
            *at = now;
        }
    }

    /// The SIM is still being read: the same step again, as long as patience lasts. Then the
    /// modem is treated as one that does not answer.
    fn retry(&mut self, again: Step, reply: &Reply, now: Instant) {
        tracing::debug!(step = ?again, end = ?reply.end, "not yet");
        let wait = self.config.busy_retry;
        match &mut self.phase {
            Phase::Starting { step, at, patience } if now < *patience => {
                *step = again;
                *at = now + wait;
            }
            _ => self.climb(now),
        }
    }

    fn sim_answer(&mut self, reply: &Reply, now: Instant) {
        match &reply.end {
            End::Code(ResultCode::Cme(code)) if code.is_sim_missing() => {
                self.event(DriverEvent::Alarm(Alarm::NoSim));
                return self.locked(now);
            }
            // Busy, or a modem without the command, which another step will tell.
            End::Code(ResultCode::Ok) => {}
            End::Code(ResultCode::Error) => return self.go_on(Step::Manufacturer, now),
            _ => return self.retry(Step::Sim, reply, now),
        }
        let state = first(reply, "+CPIN:").and_then(|mut f| f.next().map(str::to_owned));
        match state.as_deref() {
            Some("READY") => {
                // Locked or not, the SIM is there now.
                self.enter(State::Starting);
                self.go_on(Step::Manufacturer, now);
            }
            Some("SIM PIN") => match self.config.pin.clone() {
                // A wrong PIN tried three times costs the SIM: each value once.
                Some(pin) if self.tried_pins.insert(pin.clone()) => self.go_on(Step::Pin, now),
                _ => {
                    self.event(DriverEvent::Alarm(Alarm::Pin));
                    self.locked(now);
                }
            },
            Some("SIM PUK") => {
                self.event(DriverEvent::Alarm(Alarm::Puk));
                self.locked(now);
            }
            _ => self.retry(Step::Sim, reply, now),
        }
    }

    /// Nothing can be done but to look again later; the modem is not to be reset for this.
    fn locked(&mut self, now: Instant) {
        self.enter(State::SimLocked);
        let at = now + self.config.locked_retry;
        self.phase = Phase::Starting { step: Step::Sim, at, patience: at + self.config.ready_deadline };
    }

    fn identity(&mut self, step: Step, reply: &Reply) {
        let Some(line) = reply.lines.first() else {
            return;
        };
        // Some modems repeat the command in front of the answer.
        let value = line.split_once(": ").map_or(line.as_str(), |(_, v)| v);
        let value = value.trim_matches('"').to_owned();
        match step {
            Step::Manufacturer => self.identity.manufacturer = value,
            Step::Model => self.identity.model = value,
            Step::Revision => self.identity.revision = value,
            _ => {
                self.identity.serial = value;
                let identity = self.identity.clone();
                self.event(DriverEvent::Identified(identity));
            }
        }
    }

    fn ready(&mut self, now: Instant) {
        self.ladder.ready(now);
        self.phase = Phase::Ready;
        self.watch.ready(now);
        // What came while nobody listened.
        self.intake.poll();
        let registered = self.watch.registration().is_registered();
        self.enter(if registered { State::Ready } else { State::NoNetwork });
    }

    /// `+CREG` has been said, asked or not.
    pub(super) fn registered(&mut self, registration: Registration, now: Instant) {
        if !self.watch.set_registration(registration, now) {
            return;
        }
        self.event(DriverEvent::Registration(registration));
        if matches!(self.phase, Phase::Ready) {
            if registration.is_registered() {
                self.enter(State::Ready);
            } else {
                self.network_lost();
            }
        }
    }
}

/// The parameters of the first line with `prefix`.
pub(super) fn first<'a>(reply: &'a Reply, prefix: &str) -> Option<Fields<'a>> {
    reply.lines.iter().find_map(|line| fields(line, prefix))
}
