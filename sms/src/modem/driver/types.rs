//! What goes into the driver and what comes out of it.

use crate::{
    at::Registration,
    modem::{Durable, Inbound, Rung, outbox::SendOutcome},
};

/// What happens to the driver.
#[derive(Debug)]
pub enum Input {
    /// The port is open.
    Opened,
    /// The port cannot be opened: it is not there, or somebody else has it.
    OpenFailed(String),
    /// The modem has said something.
    Bytes(Vec<u8>),
    /// The port is gone: EIO, end of file.
    Gone(String),
    /// Time has passed. To be called several times a second.
    Tick,
    /// A part to send, while [`Driver::can_send`](super::Driver::can_send).
    Send {
        /// The PDU in hexadecimal.
        pdu: String,
        /// Its length without the service centre's address.
        length: usize,
    },
    /// A USSD request such as `*100#`.
    Ussd(String),
    /// Another PIN. Each value is tried once.
    Pin(String),
    /// The records of [`Output::Journal`] are durable.
    Durable(u64, Durable),
    /// They are not.
    NotDurable(u64),
}

/// What the driver wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Open the port.
    Open,
    /// Close the port.
    Close,
    /// Write to the port.
    Write(Vec<u8>),
    /// Switch the modem's power off and on, if there is a way.
    CyclePower,
    /// Make the records durable and answer with the number.
    Journal(u64, Vec<Inbound>),
    /// What became of [`Input::Send`].
    Sent(SendOutcome),
    /// Something worth telling.
    Event(DriverEvent),
}

/// Where the driver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// There is no port.
    Closed,
    /// The modem is being initialised.
    Starting,
    /// The SIM is locked or missing.
    SimLocked,
    /// Everything works, but there is no network.
    NoNetwork,
    /// Everything works.
    Ready,
    /// The modem does not answer.
    Recovering,
}

/// What a modem says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Identity {
    pub manufacturer: String,
    pub model: String,
    pub revision: String,
    /// IMEI.
    pub serial: String,
}

/// How full the storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Storage {
    pub used: u16,
    pub total: u16,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// The SIM wants a PIN that is not configured, or the configured one was wrong.
    Pin,
    /// The SIM wants its PUK.
    Puk,
    /// There is no SIM.
    NoSim,
    /// No network for too long.
    NoNetwork,
    /// The storage is nearly full.
    StorageHigh(Storage),
}

/// What the driver tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverEvent {
    /// The state has changed.
    State(State),
    /// Who the modem is.
    Identified(Identity),
    /// The registration has changed.
    Registration(Registration),
    /// Signal strength in dBm.
    Signal(i16),
    /// The modem's clock, set by the network.
    Time(jiff::Timestamp),
    /// The answer to a USSD request; `None` when the network gave no text.
    Ussd(Option<String>),
    /// A USSD request failed.
    UssdFailed(String),
    /// The modem does not answer; this is tried.
    Recovering(Rung),
    /// The port is gone, or cannot be opened.
    PortLost(String),
    /// See [`Alarm`].
    Alarm(Alarm),
}

/// Numbers for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Counters {
    pub opened: u64,
    pub lost: u64,
    pub silences: u64,
    pub restarts: u64,
    pub received: u64,
    pub poison: u64,
    pub sent: u64,
    pub refused: u64,
    pub unknown: u64,
    pub strays: u64,
}
