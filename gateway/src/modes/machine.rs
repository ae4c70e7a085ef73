//! The modes as a pure state machine: observations and a clock in, a mode out.
//!
//! The table of the contract is this file. Nothing here does IO or reads a clock, so every transition is
//! tested on injected time.

use std::{fmt, time::Duration};

use super::window::Window;

/// What the gateway does with traffic for the upstream now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// The upstream serves.
    Forwarding = 0,
    /// The upstream does not serve, or an operator said so: the handlers answer.
    Acting = 1,
    /// Checks succeed again, fewer than `rise` in a row: the handlers answer, a few trial replays run.
    Recovering = 2,
    /// The upstream serves and what an outage has queued is being replayed.
    Draining = 3,
}

impl Mode {
    /// All modes, in the order of the metric's label values.
    pub const ALL: [Mode; 4] = [Mode::Forwarding, Mode::Acting, Mode::Recovering, Mode::Draining];

    /// The word used in the journal, the status and the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Forwarding => "forwarding",
            Mode::Acting => "acting",
            Mode::Recovering => "recovering",
            Mode::Draining => "draining",
        }
    }

    /// Whether requests of handled routes are answered here.
    pub fn stands_in(self) -> bool {
        matches!(self, Mode::Acting | Mode::Recovering)
    }

    /// The mode of a number that [`Mode`] was cast to.
    pub(super) fn from_u8(number: u8) -> Mode {
        Mode::ALL.into_iter().find(|mode| *mode as u8 == number).unwrap_or(Mode::Acting)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an operator asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// The checks decide.
    #[default]
    Auto = 0,
    /// Stand in, whatever the checks say.
    Act = 1,
    /// Forward, whatever the checks say. A failed forward is still answered here.
    Forward = 2,
}

/// The limits of the machine. Durations are wall time.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Failed rounds of checks in a row that start acting.
    pub fall: u32,
    /// Good rounds of checks in a row that end it.
    pub rise: u32,
    /// A relapse within this time after a recovery doubles `rise`, to 8 times at most.
    pub flap_window: Duration,
    /// The passive window.
    pub window: Duration,
    /// The part of requests within the window that has to fail, 0 to 1.
    pub failure_ratio: f64,
    /// Requests within the window below which the passive check says nothing.
    pub min_requests: u64,
}

/// Something that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A round of active checks: did any server pass?
    Checked {
        /// At least one server passed.
        well: bool,
    },
    /// Real requests since the last observation of this kind.
    Traffic {
        /// Answers that count.
        good: u64,
        /// Failures by the same test as the checks'.
        failed: u64,
    },
    /// Entries that could be sent now.
    Sendable(u64),
    /// An operator's word.
    Ordered(Order),
}

/// A change of mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The mode left.
    pub from: Mode,
    /// The mode entered.
    pub to: Mode,
    /// Why, for people, journal and metrics.
    pub cause: Cause,
}

/// Why a mode changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The gateway started.
    Start,
    /// Active checks failed `fall` times in a row.
    Checks,
    /// Too many real requests failed.
    Passive,
    /// An operator said so.
    Operator,
    /// Checks succeed again.
    Recovery,
    /// The queue is empty.
    Drained,
}

impl Cause {
    /// The label value and the word in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Start => "start",
            Cause::Checks => "checks",
            Cause::Passive => "passive",
            Cause::Operator => "operator",
            Cause::Recovery => "recovery",
            Cause::Drained => "drained",
        }
    }
}

/// The machine. Times are durations since an arbitrary start.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    mode: Mode,
    order: Order,
    failed_rounds: u32,
    good_rounds: u32,
    rise_factor: u32,
    recovered_at: Option<Duration>,
    window: Window,
    /// After a passive trip a green health page proves nothing: real requests have to succeed too.
    needs_proof: bool,
    proven: bool,
    sendable: u64,
}

impl Machine {
    /// A machine that begins in `mode`, which must be [`Mode::Forwarding`] or [`Mode::Acting`].
    pub fn new(limits: Limits, mode: Mode) -> Self {
        let window = Window::new(limits.window);
        Self {
            limits,
            mode,
            order: Order::Auto,
            failed_rounds: 0,
            good_rounds: 0,
            rise_factor: 1,
            recovered_at: None,
            window,
            needs_proof: false,
            proven: false,
            sendable: 0,
        }
    }

    /// The mode now.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What an operator asked for.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Whether a real request has to succeed before the upstream is believed.
    pub fn wants_proof(&self) -> bool {
        self.mode == Mode::Recovering && self.needs_proof && !self.proven
    }

    /// Good rounds in a row that end an outage now: `rise`, doubled by each relapse.
    pub fn rise(&self) -> u32 {
        self.limits.rise.saturating_mul(self.rise_factor)
    }

    /// Takes in one observation; answers with the change of mode that it causes, if any.
    pub fn observe(&mut self, now: Duration, observation: Observation) -> Option<Change> {
        match observation {
            Observation::Checked { well: true } => {
                self.failed_rounds = 0;
                self.good_rounds = self.good_rounds.saturating_add(1);
            }
            Observation::Checked { well: false } => {
                self.good_rounds = 0;
                self.failed_rounds = self.failed_rounds.saturating_add(1);
            }
            Observation::Traffic { good, failed } => {
                self.window.add(now, good, failed);
                if self.mode == Mode::Recovering {
                    self.proven |= good > 0 && failed == 0;
                }
            }
            Observation::Sendable(count) => self.sendable = count,
            Observation::Ordered(order) => self.order = order,
        }
        let (to, cause) = self.next(now, observation)?;
        Some(self.enter(now, to, cause))
    }

    /// The mode that follows, and why; `None` to stay.
    fn next(&self, now: Duration, observation: Observation) -> Option<(Mode, Cause)> {
        let serving = if self.sendable > 0 { Mode::Draining } else { Mode::Forwarding };
        match (self.order, self.mode) {
            (Order::Act, Mode::Acting) => None,
            (Order::Act, _) => Some((Mode::Acting, Cause::Operator)),
            (Order::Forward, Mode::Acting | Mode::Recovering) => Some((serving, Cause::Operator)),
            (Order::Forward, Mode::Draining) if self.sendable == 0 => Some((Mode::Forwarding, Cause::Drained)),
            (Order::Forward, _) => None,
            (Order::Auto, Mode::Forwarding | Mode::Draining) => {
                if self.failed_rounds >= self.limits.fall {
                    Some((Mode::Acting, Cause::Checks))
                } else if self.tripped(now) {
                    Some((Mode::Acting, Cause::Passive))
                } else if self.mode == Mode::Draining && self.sendable == 0 {
                    Some((Mode::Forwarding, Cause::Drained))
                } else {
                    None
                }
            }
            (Order::Auto, Mode::Acting) => match observation {
                Observation::Checked { well: true } if self.good_rounds >= self.rise() && !self.needs_proof => {
                    Some((serving, Cause::Recovery))
                }
                Observation::Checked { well: true } => Some((Mode::Recovering, Cause::Recovery)),
                _ => None,
            },
            (Order::Auto, Mode::Recovering) => {
                if self.failed_rounds > 0 {
                    Some((Mode::Acting, Cause::Checks))
                } else if matches!(observation, Observation::Traffic { failed, .. } if failed > 0) {
                    Some((Mode::Acting, Cause::Passive))
                } else if self.good_rounds >= self.rise() && (!self.needs_proof || self.proven) {
                    Some((serving, Cause::Recovery))
                } else {
                    None
                }
            }
        }
    }

    /// Whether real requests fail often enough to act without waiting for the checks.
    fn tripped(&self, now: Duration) -> bool {
        let (good, failed) = self.window.sums(now);
        let total = good + failed;
        failed > 0 && total >= self.limits.min_requests && failed as f64 >= self.limits.failure_ratio * total as f64
    }

    fn enter(&mut self, now: Duration, to: Mode, cause: Cause) -> Change {
        let from = std::mem::replace(&mut self.mode, to);
        match to {
            Mode::Acting => self.start_acting(now, from, cause),
            Mode::Recovering => self.proven = false,
            Mode::Forwarding | Mode::Draining if from.stands_in() => {
                self.recovered_at = Some(now);
                self.failed_rounds = 0;
                self.needs_proof = false;
                self.window.clear();
            }
            Mode::Forwarding | Mode::Draining => {}
        }
        Change { from, to, cause }
    }

    fn start_acting(&mut self, now: Duration, from: Mode, cause: Cause) {
        self.good_rounds = 0;
        self.window.clear();
        if cause == Cause::Passive {
            self.needs_proof = true;
        }
        if from.stands_in() || cause == Cause::Operator {
            return;
        }
        let relapse = self
            .recovered_at
            .is_some_and(|at| now.saturating_sub(at) < self.limits.flap_window);
        self.rise_factor = if relapse { (self.rise_factor * 2).min(8) } else { 1 };
    }
}
