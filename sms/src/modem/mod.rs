//! Driving modems: a state machine for one modem, the boxes that all share, and the threads
//! around them.

mod config;
mod driver;
mod exchange;
mod fleet;
mod inbox;
mod journal;
mod ladder;
mod outbox;
pub mod port;

pub use config::Config;
pub use driver::{Alarm, Counters, Driver, DriverEvent, Identity, Input, Output, State, Storage};
pub use fleet::{Fleet, FleetConfig, FleetEvent, Modem, ModemStatus, SendError};
pub use inbox::{Inbox, InboxConfig, Received};
pub use journal::{Change, Content, Durable, Inbound, Journal, JournalError, ModemId, Outbound};
pub use ladder::Rung;
pub use outbox::{
    Job, MessageId, Outbox, OutboxConfig, OutboxCounters, OutboxError, Outgoing, Priority, Replay, Restored,
    SendOutcome, UnknownPolicy,
};
