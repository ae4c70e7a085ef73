//! Serial GSM modems: the PDUs of SMS, the AT dialogue and a driver that never hangs.
//!
//! * [`pdu`] encodes and decodes SMS-SUBMIT, SMS-DELIVER and SMS-STATUS-REPORT;
//! * [`at`] takes apart what a modem says;
//! * [`modem`] drives modems: initialisation, sending, receiving, recovery.
//!
//! Everything but the port is sans-IO: bytes and a clock go in, bytes and decisions come out.

pub mod at;
#[cfg(feature = "cli")]
pub mod cli;
pub mod modem;
pub mod pdu;
