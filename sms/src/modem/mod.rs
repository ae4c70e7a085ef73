//! Driving modems: a state machine for one modem, the boxes that all share, and the threads
//! around them.
//!
//! [`Driver`] talks to one modem, [`Outbox`] decides what goes out by which SIM, [`Inbox`] puts
//! parts together. None of them does IO or reads a clock. [`Fleet`] runs them: a supervised thread
//! for each modem, one [`Journal`] for all.
//!
//! ```no_run
//! use megamind_sms::modem::{
//!     Config, Durable, Fleet, FleetConfig, FleetEvent, Inbound, Journal, JournalError, Modem, ModemId,
//!     Outbound, Outgoing, Priority, port::SerialOpener,
//! };
//!
//! struct Database;
//!
//! impl Journal for Database {
//!     fn inbound(&mut self, records: &[Inbound]) -> Result<Durable, JournalError> {
//!         // Commit and wait for the disk here.
//!         Ok(Durable::after_commit())
//!     }
//!
//!     fn outbound(&mut self, records: &[Outbound]) -> Result<Durable, JournalError> {
//!         Ok(Durable::after_commit())
//!     }
//! }
//!
//! let modem = Modem {
//!     id: ModemId::new("north"),
//!     opener: Box::new(SerialOpener { path: "/dev/serial/by-id/usb-Modem-if00".into(), baud: 115_200 }),
//!     config: Config::default(),
//! };
//! let fleet = Fleet::start(vec![modem], FleetConfig::default(), Box::new(Database), |event| {
//!     if let FleetEvent::Received(message) = event {
//!         println!("{}: {}", message.from, message.text);
//!     }
//! })?;
//! fleet.send(Outgoing {
//!     to: "+919876543210".parse()?,
//!     text: "#17 OK".to_owned(),
//!     priority: Priority::Assignment,
//!     report: true,
//!     modem: None,
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use fleet::{Fleet, FleetConfig, FleetEvent, Modem, ModemStatus, Past, SendError};
pub use inbox::{Inbox, InboxConfig, Received};
pub use journal::{Change, Content, Durable, Inbound, Journal, JournalError, ModemId, Outbound};
pub use ladder::Rung;
pub use outbox::{
    Held, Job, MessageId, Outbox, OutboxConfig, OutboxCounters, OutboxError, Outgoing, Priority, Replay, Restored,
    SendOutcome, Spent, UnknownPolicy,
};
