//! The driver of one modem: a state machine without IO. The port, the clock and the journal are
//! outside; see [`Input`] and [`Output`].
//!
//! Whatever happens, the modem gets read and emptied: messages are journaled first, then deleted
//! or acknowledged. A modem that stops answering is recovered rung by rung; a port that vanishes
//! is opened again and everything starts from the beginning.

mod receive;
mod recover;
mod send;
mod start;
#[cfg(test)]
mod tests;
mod types;
mod watch;

pub use self::types::{Alarm, Counters, DriverEvent, Identity, Input, Output, State, Storage};
use self::{receive::Intake, start::Step, watch::Watch};
use super::{
    Config, ModemId, Rung,
    exchange::{Command, End, Exchange, Outcome, Reply},
    ladder::Ladder,
};
use crate::at::{Registration, Urc};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// What the running command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    Start(Step),
    /// `AT`, after an escape or `ATZ`.
    Sync,
    Restart,
    Ping,
    Select(String),
    Read(u16),
    List,
    Delete(u16),
    Acknowledge,
    Send,
    Ussd,
    Registration,
    Signal,
    Storage,
    Network,
}

#[derive(Debug)]
enum Phase {
    Closed {
        until: Instant,
    },
    Opening,
    /// The next step is due at `at`; the SIM may be busy until `patience`.
    Starting {
        step: Step,
        at: Instant,
        patience: Instant,
    },
    Ready,
    /// Bytes are ignored until `quiet`; then `next` is run.
    Draining {
        quiet: Instant,
        next: Task,
    },
    /// Waiting for the answer to a recovery command.
    Recovering,
}

/// The driver. Feed it with [`Driver::step`].
#[derive(Debug)]
pub struct Driver {
    config: Config,
    exchange: Exchange,
    task: Option<Task>,
    phase: Phase,
    state: State,
    ladder: Ladder,
    tried_pins: HashSet<String>,
    intake: Intake,
    watch: Watch,
    identity: Identity,
    /// The part to send next, or being sent.
    sending: Option<Command>,
    ussd: Option<String>,
    /// The last task was a send: reading comes first now, so that neither starves.
    sent_last: bool,
    last_heard: Instant,
    counters: Counters,
    output: Vec<Output>,
}

impl Driver {
    /// A driver without a port; it asks for one at the first step.
    pub fn new(modem: ModemId, config: Config, now: Instant) -> Self {
        Self {
            exchange: Exchange::default(),
            task: None,
            phase: Phase::Closed { until: now },
            state: State::Closed,
            ladder: Ladder::new(&config),
            tried_pins: HashSet::new(),
            intake: Intake::new(modem, config.memory.clone()),
            watch: Watch::new(now),
            identity: Identity::default(),
            sending: None,
            ussd: None,
            sent_last: false,
            last_heard: now,
            counters: Counters::default(),
            output: Vec::new(),
            config,
        }
    }

    /// Where the driver stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The numbers so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether [`Input::Send`] is welcome.
    pub fn can_send(&self) -> bool {
        self.state == State::Ready && self.sending.is_none() && self.task != Some(Task::Send)
    }

    /// Takes one input; gives what is to be done.
    pub fn step(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Opened => self.opened(now),
            Input::OpenFailed(error) => self.open_failed(error, now),
            Input::Bytes(bytes) => self.bytes(&bytes, now),
            Input::Gone(error) => self.gone(error, now),
            Input::Tick => {}
            Input::Send { pdu, length } => self.accept(pdu, length),
            Input::Ussd(request) => self.ussd = Some(request),
            Input::Pin(pin) => self.config.pin = Some(pin),
            Input::Durable(batch, _proof) => self.intake.durable(batch),
            Input::NotDurable(batch) => self.intake.not_durable(batch),
        }
        self.tick(now);
        std::mem::take(&mut self.output)
    }

    fn opened(&mut self, now: Instant) {
        self.counters.opened += 1;
        self.ladder.appeared(now);
        self.last_heard = now;
        self.begin(now);
    }

    /// Starts the initialisation from the beginning.
    fn begin(&mut self, now: Instant) {
        self.intake.restarted();
        self.phase = Phase::Starting { step: Step::FIRST, at: now, patience: now + self.config.ready_deadline };
        self.enter(State::Starting);
    }

    fn open_failed(&mut self, error: String, now: Instant) {
        self.event(DriverEvent::PortLost(error));
        let until = now + self.ladder.wait(&self.config);
        self.phase = Phase::Closed { until };
        self.enter(State::Closed);
    }

    /// The port is gone. It is closed first: while this side holds it, the system gives the
    /// device another name when it comes back.
    fn gone(&mut self, error: String, now: Instant) {
        if matches!(self.phase, Phase::Closed { .. }) {
            return;
        }
        self.counters.lost += 1;
        self.event(DriverEvent::PortLost(error));
        let wait = self.ladder.wait(&self.config);
        self.close(now + wait);
    }

    fn close(&mut self, until: Instant) {
        self.drop_task();
        self.output.push(Output::Close);
        self.intake.restarted();
        self.phase = Phase::Closed { until };
        self.enter(State::Closed);
    }

    /// Gives up on the running command and on a part that waits.
    fn drop_task(&mut self) {
        let reply = self.exchange.abort();
        match (self.task.take(), reply) {
            (Some(Task::Send), Some(reply)) => self.sent(&reply),
            // Its answer is in the same bytes as what ends it, and is not looked at any more.
            (Some(Task::Send), None) => self.sent(&Reply::lost()),
            _ => {}
        }
        self.give_back();
    }

    fn bytes(&mut self, bytes: &[u8], now: Instant) {
        self.last_heard = now;
        for outcome in self.exchange.bytes(bytes, now) {
            self.outcome(outcome, now);
        }
    }

    fn outcome(&mut self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Write(bytes) => self.output.push(Output::Write(bytes)),
            Outcome::Done(reply) => {
                if let Some(task) = self.task.take() {
                    self.done(task, &reply, now);
                }
            }
            Outcome::Urc(urc) => self.urc(urc, now),
            Outcome::Stray(line) => {
                tracing::debug!(line, "stray line");
                self.counters.strays += 1;
            }
        }
    }

    fn urc(&mut self, urc: Urc, now: Instant) {
        match urc {
            Urc::MessageStored { memory, index } | Urc::ReportStored { memory, index } => {
                self.intake.announced(memory, index);
            }
            Urc::Message(pdu) | Urc::Report(pdu) => self.arrived_directly(pdu),
            Urc::Registration(registration) => self.registered(registration, now),
            Urc::Ussd { text, coding, .. } => self.ussd_answer(text, coding),
            Urc::Booted if !matches!(self.phase, Phase::Starting { .. }) => {
                // It has restarted by itself: all settings are gone.
                self.drop_task();
                self.begin(now);
            }
            Urc::Booted | Urc::Sim(_) | Urc::Other(_) => {}
        }
    }

    /// A command has ended.
    fn done(&mut self, task: Task, reply: &Reply, now: Instant) {
        if reply.end == End::Silence && task != Task::Restart {
            self.counters.silences += 1;
            if task == Task::Send {
                self.sent(reply);
            }
            self.climb(now);
            return;
        }
        match task {
            Task::Start(step) => self.started(step, reply, now),
            Task::Sync => self.begin(now),
            Task::Restart => self.restarted(now),
            Task::Ping | Task::Acknowledge | Task::Network => {}
            Task::Select(memory) => self.intake.selected(memory, reply.is_ok()),
            Task::Read(index) => self.read(index, reply),
            Task::List => self.listed(reply),
            Task::Delete(index) => self.intake.deleted(index, reply.is_ok()),
            Task::Send => self.sent(reply),
            Task::Ussd => self.ussd_sent(reply),
            Task::Registration => self.registration_answer(reply, now),
            Task::Signal => self.signal_answer(reply),
            Task::Storage => self.storage_answer(reply),
        }
    }

    /// Looks at deadlines, then starts what is due.
    fn tick(&mut self, now: Instant) {
        self.ladder.tick(now, &self.config);
        if let Some(outcome) = self.exchange.tick(now) {
            self.outcome(outcome, now);
        }
        if self.exchange.is_idle() {
            self.next(now);
        }
    }

    fn next(&mut self, now: Instant) {
        match &self.phase {
            Phase::Closed { until } if *until <= now => {
                self.phase = Phase::Opening;
                self.output.push(Output::Open);
            }
            Phase::Starting { step, at, .. } if *at <= now => {
                let step = *step;
                self.run_step(step, now);
            }
            Phase::Draining { quiet, next } if *quiet <= now => {
                let next = next.clone();
                self.phase = Phase::Recovering;
                self.run(next, now);
            }
            Phase::Ready => {
                if let Some(task) = self.choose(now) {
                    self.run(task, now);
                }
            }
            _ => {}
        }
    }

    /// What to do next. Reading and sending take turns, what can wait comes last.
    fn choose(&mut self, now: Instant) -> Option<Task> {
        if self.watch.poll_due(&self.config, now) {
            self.intake.poll();
        }
        let sending = self.sending.is_some() && self.state == State::Ready;
        if sending && !self.sent_last {
            self.sent_last = true;
            return Some(Task::Send);
        }
        self.sent_last = false;
        let send = sending.then_some(Task::Send);
        let ussd = self.ussd.is_some().then_some(Task::Ussd);
        self.intake
            .next_task()
            .or(send)
            .or(ussd)
            .or_else(|| self.watch.next_task(&self.config, now))
            .or_else(|| self.ping_due(now).then_some(Task::Ping))
    }

    fn ping_due(&self, now: Instant) -> bool {
        self.last_heard + self.config.idle_ping <= now
    }

    fn run(&mut self, task: Task, now: Instant) {
        let command = self.command(&task);
        self.start_command(task, command, now);
    }

    fn start_command(&mut self, task: Task, command: Command, now: Instant) {
        let bytes = self.exchange.start(command, now);
        self.task = Some(task);
        self.output.push(Output::Write(bytes));
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.event(DriverEvent::State(state));
        }
    }

    fn event(&mut self, event: DriverEvent) {
        self.output.push(Output::Event(event));
    }

    fn quick(&self) -> Duration {
        self.config.command_deadline
    }
}
