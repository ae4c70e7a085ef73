//! Pilots by SMS: the PDUs, the AT dialogue, a driver that never hangs, and what the messages mean.
//!
//! * [`pdu`] encodes and decodes SMS-SUBMIT, SMS-DELIVER and SMS-STATUS-REPORT;
//! * [`at`] takes apart what a modem says;
//! * [`modem`] drives modems: initialisation, sending, receiving, recovery;
//! * [`channel`] chooses among several ways for a message to go out;
//! * [`balance`] reads what a prepaid SIM says about itself;
//! * [`grammar`] is what pilots write and read;
//! * [`identity`] is who they are: codes, sequence numbers, lock-out.
//!
//! Everything but the port is sans-IO: bytes and a clock go in, bytes and decisions come out.

pub mod at;
pub mod balance;
pub mod channel;
#[cfg(feature = "cli")]
pub mod cli;
pub mod grammar;
pub mod identity;
pub mod modem;
pub mod pdu;
