//! What has to survive a crash, and the proof that it does.

use super::outbox::{MessageId, Outgoing};
use crate::pdu::{Deliver, Reference, Status, StatusReport};
use std::{fmt, sync::Arc};

/// The name of a modem in logs, metrics and records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModemId(Arc<str>);

impl ModemId {
    /// A modem of this name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The proof that records are on stable storage. Nothing is deleted from a modem, acknowledged to
/// the network or handed to it without one.
#[derive(Debug)]
#[must_use = "what is durable can now be acknowledged"]
pub struct Durable(());

impl Durable {
    /// For implementations of [`Journal`] alone: call it when the commit has returned.
    pub const fn after_commit() -> Self {
        Self(())
    }
}

/// The journal could not take records. They stay where they are and come again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("journal: {0}")]
pub struct JournalError(pub String);

/// Where messages go before they are acknowledged. One journal serves all modems; its calls block
/// until the records are durable.
pub trait Journal: Send {
    /// Messages and reports that modems have. They may repeat after a crash.
    fn inbound(&mut self, records: &[Inbound]) -> Result<Durable, JournalError>;

    /// What happened to messages that go out.
    fn outbound(&mut self, records: &[Outbound]) -> Result<Durable, JournalError>;
}

/// One PDU that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// By which modem.
    pub modem: ModemId,
    /// As it came, in hexadecimal.
    pub pdu: String,
    /// What it is.
    pub content: Content,
}

/// What a PDU that came is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A message, or a part of one.
    Message(Deliver),
    /// A delivery report.
    Report(StatusReport),
    /// Nothing that can be read. It is kept for an operator and never looked at again.
    Poison {
        /// Why not.
        error: String,
    },
}

/// What happened to a message that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Which message.
    pub id: MessageId,
    /// What.
    pub change: Change,
}

/// The life of a message that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Accepted. All that is needed to send it after a crash.
    Queued {
        /// The message.
        message: Outgoing,
        /// The reference that its parts share.
        reference: Reference,
        /// TP-MR of the first part.
        message_reference: u8,
    },
    /// About to be handed to a modem. Without a later record the outcome is unknown.
    Trying {
        /// Which modem.
        modem: ModemId,
        /// Which part, from zero.
        part: usize,
        /// How many attempts there were before.
        attempts: u32,
    },
    /// The network has one part.
    Sent {
        /// Which modem.
        modem: ModemId,
        /// Which part, from zero.
        part: usize,
        /// The reference under which a report will come.
        reference: u8,
    },
    /// The outcome is unknown, and the part is taken as sent.
    Assumed {
        /// Which modem.
        modem: ModemId,
        /// Which part, from zero.
        part: usize,
    },
    /// The modem did not say whether the part went out.
    Unknown {
        /// Which modem.
        modem: ModemId,
        /// Which part, from zero.
        part: usize,
    },
    /// One attempt failed; others follow.
    Failed {
        /// Which modem.
        modem: ModemId,
        /// Why.
        error: String,
    },
    /// Taken back: nothing of it went out, and another channel has it now.
    Withdrawn,
    /// No attempt follows.
    Dead {
        /// Why.
        error: String,
    },
    /// A delivery report came.
    Reported {
        /// Which part, from zero.
        part: usize,
        /// The outcome.
        status: Status,
    },
}
