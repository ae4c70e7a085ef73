//! What goes into an outbox and what comes out of it.

use crate::{
    at::CmsError,
    modem::{Change, ModemId, Outbound},
    pdu::{Address, Frame, Reference, alphabet::Language, compose::TooLong, validity::Relative},
};
use std::{collections::BTreeMap, time::Duration};

/// The number of a message in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// A part of the daily budget is kept for these.
    Assignment,
    /// Everything else.
    #[default]
    Normal,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub to: Address,
    /// What to say.
    pub text: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether a delivery report is wanted.
    pub report: bool,
    /// By which modem only, such as the one that was written to; `None` for any.
    pub modem: Option<ModemId>,
}

/// What to do with a part whose outcome a modem did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownPolicy {
    /// Send it again, under the same reference and with the request to refuse duplicates.
    #[default]
    Resend,
    /// Take it as sent: rather lost than twice.
    AssumeSent,
}

/// Settings of the [`Outbox`](super::Outbox).
#[derive(Debug, Clone)]
pub struct OutboxConfig {
    /// At most so many messages wait.
    pub capacity: usize,
    /// At most so many parts a message.
    pub max_parts: u8,
    /// Attempts until a message is dead.
    pub max_attempts: u32,
    /// Wait after the first failure; it doubles…
    pub retry_min: Duration,
    /// …up to this.
    pub retry_max: Duration,
    /// What unknown outcomes mean.
    pub unknown: UnknownPolicy,
    /// How long the service centre tries.
    pub validity: Option<Relative>,
    /// National tables that recipients are known to have.
    pub languages: Vec<Language>,
    /// Parts a minute and modem.
    pub per_minute: f64,
    /// Parts that may go at once after a pause.
    pub burst: f64,
    /// Parts a day and SIM; plans and regulators have limits.
    pub daily_budget: u32,
    /// Share of the budget that only assignments use, in percent.
    pub reserved_percent: u32,
    /// How long a SIM rests that the network refuses.
    pub rest: Duration,
    /// A SIM rests too when no report has come for so long though one was due.
    pub silent_after: Duration,
    /// Reports waited for, a SIM.
    pub awaited: usize,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_parts: 8,
            max_attempts: 8,
            retry_min: Duration::from_secs(5),
            retry_max: Duration::from_mins(10),
            unknown: UnknownPolicy::Resend,
            validity: Some(Relative(Relative::at_least(Duration::from_hours(24)).0)),
            languages: Vec::new(),
            per_minute: 20.0,
            burst: 5.0,
            daily_budget: 90,
            reserved_percent: 30,
            rest: Duration::from_mins(30),
            silent_after: Duration::from_hours(6),
            awaited: 256,
        }
    }
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// Too many wait already.
    #[error("{0} messages wait already")]
    Full(usize),
    /// Too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// One part, handed out to a modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Of which message.
    pub id: MessageId,
    /// Which part, from zero.
    pub part: usize,
    /// What the modem is given.
    pub frame: Frame,
    /// Attempts before this one.
    pub attempts: u32,
}

/// What a modem said about a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The network has it.
    Sent {
        /// The reference under which a report will come.
        reference: u8,
    },
    /// The network or the modem refuses.
    Refused(Option<CmsError>),
    /// It was never handed over.
    NotSent(String),
    /// It was handed over and nothing was heard.
    Unknown,
}

/// Numbers for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct OutboxCounters {
    pub queued: u64,
    pub parts_sent: u64,
    pub completed: u64,
    pub failed_attempts: u64,
    pub unknown: u64,
    pub resent: u64,
    pub dead: u64,
    pub delivered: u64,
    pub undelivered: u64,
}

impl Job {
    /// The record of the attempt.
    pub fn trying(&self, modem: &ModemId) -> Outbound {
        Outbound {
            id: self.id,
            change: Change::Trying { modem: modem.clone(), part: self.part, attempts: self.attempts },
        }
    }
}

/// A message as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its number.
    pub id: MessageId,
    /// The message.
    pub message: Outgoing,
    /// The reference that its parts share.
    pub reference: Reference,
    /// TP-MR of the first part.
    pub message_reference: u8,
    /// How many parts were sent, and by whom.
    pub sent: Option<(ModemId, usize)>,
    /// An attempt was recorded and its outcome was not.
    pub doubtful: bool,
}

/// What a SIM has used of its budget. Days are its own: one begins when the one before is over and something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// How long ago the day began.
    pub began: Duration,
    /// Parts since then.
    pub parts: u32,
    /// Those of assignments among them.
    pub assignments: u32,
    /// Parts of assignments that the day before needed.
    pub before: u32,
}

/// A message of which nothing has gone out, and nothing may have: it can still go by another channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub id: MessageId,
    /// The modem it waits for.
    pub modem: ModemId,
    /// How urgent it is.
    pub priority: Priority,
    /// Attempts that the modem or its network refused.
    pub refused: u32,
}

/// What the journal knows of messages that go out: the ones that are not finished, and the number
/// that the next one gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replay {
    /// Not finished, oldest first. Some of them may have all parts sent; the outbox finds those.
    pub messages: Vec<Restored>,
    /// Beyond all numbers that were ever given.
    pub next_id: u64,
}

impl Replay {
    /// Folds the records of a journal, in their order.
    pub fn of(records: impl IntoIterator<Item = Outbound>) -> Self {
        let mut open: BTreeMap<MessageId, Restored> = BTreeMap::new();
        let mut next_id = 0;
        for Outbound { id, change } in records {
            next_id = next_id.max(id.0 + 1);
            if let Change::Queued { message, reference, message_reference } = change {
                let restored = Restored { id, message, reference, message_reference, sent: None, doubtful: false };
                open.insert(id, restored);
            } else if matches!(change, Change::Dead { .. } | Change::Withdrawn) {
                open.remove(&id);
            } else if let Some(restored) = open.get_mut(&id) {
                restored.apply(change);
            }
        }
        Self { messages: open.into_values().collect(), next_id }
    }
}

impl Replay {
    /// What waits for a modem that is no longer there may go by any.
    pub(crate) fn known_to(mut self, known: impl Fn(&ModemId) -> bool) -> Self {
        for restored in &mut self.messages {
            restored.message.modem.take_if(|modem| !known(modem));
            restored.sent.take_if(|(modem, _)| !known(modem));
        }
        self
    }
}

impl Restored {
    fn apply(&mut self, change: Change) {
        match change {
            // A message that starts again by another modem starts with its first part.
            Change::Trying { part: 0, .. } => {
                self.sent = None;
                self.doubtful = true;
            }
            Change::Trying { .. } | Change::Unknown { .. } => self.doubtful = true,
            Change::Sent { modem, part, .. } | Change::Assumed { modem, part } => {
                self.sent = Some((modem, part + 1));
                self.doubtful = false;
            }
            Change::Failed { .. } => self.doubtful = false,
            Change::Queued { .. } | Change::Withdrawn | Change::Dead { .. } | Change::Reported { .. } => {}
        }
    }
}
