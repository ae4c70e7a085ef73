//! Unsolicited result codes: what a modem says without being asked.

use super::fields::fields;

/// The network registration of `+CREG` (3GPP TS 27.007 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Registration {
    /// Not registered and not looking for a network.
    #[default]
    Idle,
    /// In the own network.
    Home,
    /// Looking for a network.
    Searching,
    /// The network refuses the SIM.
    Denied,
    /// In another network.
    Roaming,
    /// Out of coverage, or a state of newer releases.
    Unknown,
}

impl Registration {
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Idle,
            // 6 and 7 are registrations for SMS only.
            1 | 6 => Self::Home,
            2 => Self::Searching,
            3 => Self::Denied,
            5 | 7 => Self::Roaming,
            _ => Self::Unknown,
        }
    }

    /// Whether messages can be sent.
    pub const fn is_registered(self) -> bool {
        matches!(self, Self::Home | Self::Roaming)
    }
}

/// One unsolicited code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Urc {
    /// `+CMTI`: a message has been stored.
    MessageStored {
        /// The memory, which need not be the selected one.
        memory: String,
        /// Its index there.
        index: u16,
    },
    /// `+CDSI`: a delivery report has been stored.
    ReportStored {
        /// The memory.
        memory: String,
        /// Its index there.
        index: u16,
    },
    /// `+CMT`: a message, not stored. In hexadecimal.
    Message(String),
    /// `+CDS`: a delivery report, not stored. In hexadecimal.
    Report(String),
    /// `+CREG`.
    Registration(Registration),
    /// `+CUSD`.
    Ussd {
        /// 0 done, 1 the network waits for an answer, 2 ended by the network, 4 not supported.
        status: u8,
        /// The text as it came, perhaps in hexadecimal.
        text: Option<String>,
        /// The data coding scheme of a cell broadcast (3GPP TS 23.038 §5).
        coding: Option<u8>,
    },
    /// `+CPIN`: the SIM's state has changed.
    Sim(String),
    /// The modem has just started: all settings are gone.
    Booted,
    /// Nothing that matters here, such as `RING`.
    Other(String),
}

/// The two codes that continue on the next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Message,
    Report,
}

impl Head {
    pub(super) fn of(line: &str) -> Option<Self> {
        if line.starts_with("+CMT:") {
            Some(Self::Message)
        } else if line.starts_with("+CDS:") {
            Some(Self::Report)
        } else {
            None
        }
    }

    pub(super) fn with(self, pdu: String) -> Urc {
        match self {
            Self::Message => Urc::Message(pdu),
            Self::Report => Urc::Report(pdu),
        }
    }
}

/// What a modem prints when it starts.
const BOOT: [&str; 5] = ["RDY", "^SYSSTART", "+PBREADY", "^STARTUP", "*MTRDY"];

/// Codes without a meaning for SMS.
const NOISE: [&str; 8] = ["RING", "^", "*", "+CLIP:", "+CRING:", "+CTZV:", "+CIEV:", "Call Ready"];

impl Urc {
    /// Reads a line of its own; `None` when it is no unsolicited code.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let stored = |prefix| {
            let mut fields = fields(line, prefix)?;
            let memory = fields.next()?.to_owned();
            Some((memory, fields.number()?))
        };
        if let Some((memory, index)) = stored("+CMTI:") {
            return Some(Self::MessageStored { memory, index });
        }
        if let Some((memory, index)) = stored("+CDSI:") {
            return Some(Self::ReportStored { memory, index });
        }
        if let Some(mut fields) = fields(line, "+CREG:") {
            return Some(Self::Registration(Registration::from_code(fields.number()?)));
        }
        if let Some(mut fields) = fields(line, "+CUSD:") {
            return Some(Self::Ussd {
                status: fields.number()?,
                text: fields.next().map(str::to_owned),
                coding: fields.number(),
            });
        }
        if let Some(state) = line.strip_prefix("+CPIN:") {
            return Some(Self::Sim(state.trim().to_owned()));
        }
        if BOOT.contains(&line) {
            return Some(Self::Booted);
        }
        NOISE
            .iter()
            .any(|noise| line.starts_with(noise))
            .then(|| Self::Other(line.to_owned()))
    }
}
