//! `+CME ERROR` (3GPP TS 27.007 §9.2) and `+CMS ERROR` (TS 27.005 §3.2.5, whose values below 128
//! are the causes of TS 24.011 annex E and below 256 the TP-FCS of TS 23.040 §9.2.3.22).

use std::fmt;

/// The code of a `+CME ERROR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CmeError(pub u16);

/// The code of a `+CMS ERROR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CmsError(pub u16);

/// "unknown" in the table of `+CME ERROR`.
const CME_UNKNOWN: u16 = 100;
/// "unknown error" in the table of `+CMS ERROR`.
const CMS_UNKNOWN: u16 = 500;
/// Outside of the standard, but common: "please wait, processing", while the SIM is being read.
const PLEASE_WAIT: u16 = 515;

impl CmeError {
    /// Reads a number, or the words that a modem gives after `AT+CMEE=2`.
    pub(super) fn parse(text: &str) -> Self {
        Self(code(text, CME).unwrap_or(CME_UNKNOWN))
    }

    /// The SIM is being read: the same command may work in a few seconds.
    pub const fn is_busy(self) -> bool {
        matches!(self.0, 14 | PLEASE_WAIT)
    }

    /// There is no SIM, or it does not answer.
    pub const fn is_sim_missing(self) -> bool {
        matches!(self.0, 10 | 13 | 15)
    }

    /// The standard's words.
    pub fn description(self) -> &'static str {
        description(self.0, CME)
    }
}

impl CmsError {
    /// Reads a number, or the words that a modem gives after `AT+CMEE=2`.
    pub(super) fn parse(text: &str) -> Self {
        Self(code(text, CMS).unwrap_or(CMS_UNKNOWN))
    }

    /// The SIM is being read: the same command may work in a few seconds.
    pub const fn is_busy(self) -> bool {
        matches!(self.0, 314 | PLEASE_WAIT)
    }

    /// The network refuses this SIM for now, whatever the message: the SIM had better rest.
    pub const fn is_sim_refused(self) -> bool {
        matches!(self.0, 8 | 10 | 38 | 42 | 50)
    }

    /// No attempt with the same message can succeed: the number, the message or the modem's
    /// settings are wrong.
    pub const fn is_permanent(self) -> bool {
        matches!(
            self.0,
            1 | 21 | 28..=30 | 69 | 81 | 95..=99 | 111 | 128..=191 | 193 | 195..=199 | 302..=305
        )
    }

    /// The standard's words.
    pub fn description(self) -> &'static str {
        description(self.0, CMS)
    }
}

impl fmt::Display for CmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+CME ERROR {} ({})", self.0, self.description())
    }
}

impl fmt::Display for CmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+CMS ERROR {} ({})", self.0, self.description())
    }
}

type Table = &'static [(u16, &'static str)];

fn code(text: &str, table: Table) -> Option<u16> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        table
            .iter()
            .find(|(_, words)| words.eq_ignore_ascii_case(text))
            .map(|(code, _)| *code)
    })
}

fn description(code: u16, table: Table) -> &'static str {
    table
        .iter()
        .find(|(known, _)| *known == code)
        .map_or("not in the standard", |(_, words)| words)
}

const CME: Table = &[
    (0, "phone failure"),
    (1, "no connection to phone"),
    (2, "phone-adaptor link reserved"),
    (3, "operation not allowed"),
    (4, "operation not supported"),
    (5, "PH-SIM PIN required"),
    (6, "PH-FSIM PIN required"),
    (7, "PH-FSIM PUK required"),
    (10, "SIM not inserted"),
    (11, "SIM PIN required"),
    (12, "SIM PUK required"),
    (13, "SIM failure"),
    (14, "SIM busy"),
    (15, "SIM wrong"),
    (16, "incorrect password"),
    (17, "SIM PIN2 required"),
    (18, "SIM PUK2 required"),
    (20, "memory full"),
    (21, "invalid index"),
    (22, "not found"),
    (23, "memory failure"),
    (24, "text string too long"),
    (25, "invalid characters in text string"),
    (26, "dial string too long"),
    (27, "invalid characters in dial string"),
    (30, "no network service"),
    (31, "network timeout"),
    (32, "network not allowed - emergency calls only"),
    (40, "network personalization PIN required"),
    (41, "network personalization PUK required"),
    (42, "network subset personalization PIN required"),
    (43, "network subset personalization PUK required"),
    (44, "service provider personalization PIN required"),
    (45, "service provider personalization PUK required"),
    (46, "corporate personalization PIN required"),
    (47, "corporate personalization PUK required"),
    (48, "hidden key required"),
    (49, "EAP method not supported"),
    (50, "incorrect parameters"),
    (51, "command implemented but currently disabled"),
    (52, "command aborted by user"),
    (53, "not attached to network due to MT functionality restrictions"),
    (54, "modem not allowed - MT restricted to emergency calls only"),
    (55, "operation not allowed because of MT functionality restrictions"),
    (100, "unknown"),
    (PLEASE_WAIT, "please wait, processing"),
];

const CMS: Table = &[
    (1, "unassigned (unallocated) number"),
    (8, "operator determined barring"),
    (10, "call barred"),
    (21, "short message transfer rejected"),
    (22, "memory capacity exceeded"),
    (27, "destination out of order"),
    (28, "unidentified subscriber"),
    (29, "facility rejected"),
    (30, "unknown subscriber"),
    (38, "network out of order"),
    (41, "temporary failure"),
    (42, "congestion"),
    (47, "resources unavailable, unspecified"),
    (50, "requested facility not subscribed"),
    (69, "requested facility not implemented"),
    (81, "invalid short message transfer reference value"),
    (95, "invalid message, unspecified"),
    (96, "invalid mandatory information"),
    (97, "message type non-existent or not implemented"),
    (98, "message not compatible with short message protocol state"),
    (99, "information element non-existent or not implemented"),
    (111, "protocol error, unspecified"),
    (127, "interworking, unspecified"),
    (128, "telematic interworking not supported"),
    (129, "short message type 0 not supported"),
    (130, "cannot replace short message"),
    (143, "unspecified TP-PID error"),
    (144, "data coding scheme (alphabet) not supported"),
    (145, "message class not supported"),
    (159, "unspecified TP-DCS error"),
    (160, "command cannot be actioned"),
    (161, "command unsupported"),
    (175, "unspecified TP-command error"),
    (176, "TPDU not supported"),
    (192, "SC busy"),
    (193, "no SC subscription"),
    (194, "SC system failure"),
    (195, "invalid SME address"),
    (196, "destination SME barred"),
    (197, "SM rejected - duplicate SM"),
    (198, "TP-VPF not supported"),
    (199, "TP-VP not supported"),
    (208, "(U)SIM SMS storage full"),
    (209, "no SMS storage capability in (U)SIM"),
    (210, "error in MS"),
    (211, "memory capacity exceeded"),
    (212, "(U)SIM application toolkit busy"),
    (213, "(U)SIM data download error"),
    (255, "unspecified error cause"),
    (300, "ME failure"),
    (301, "SMS service of ME reserved"),
    (302, "operation not allowed"),
    (303, "operation not supported"),
    (304, "invalid PDU mode parameter"),
    (305, "invalid text mode parameter"),
    (310, "(U)SIM not inserted"),
    (311, "(U)SIM PIN required"),
    (312, "PH-(U)SIM PIN required"),
    (313, "(U)SIM failure"),
    (314, "(U)SIM busy"),
    (315, "(U)SIM wrong"),
    (316, "(U)SIM PUK required"),
    (317, "(U)SIM PIN2 required"),
    (318, "(U)SIM PUK2 required"),
    (320, "memory failure"),
    (321, "invalid memory index"),
    (322, "memory full"),
    (330, "SMSC address unknown"),
    (331, "no network service"),
    (332, "network timeout"),
    (340, "no +CNMA acknowledgement expected"),
    (CMS_UNKNOWN, "unknown error"),
    (PLEASE_WAIT, "please wait, processing"),
];
