//! What real modems do wrong.

use std::{collections::BTreeMap, str::FromStr};

/// What brings a silent modem back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// An escape character.
    Escape,
    /// `ATZ`.
    Defaults,
    /// `AT+CFUN=1,1`.
    Restart,
    /// Closing the port and opening it again.
    Reopen,
    /// Nothing but [`super::Emulator::clear_faults`].
    Nothing,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The port stays open and nothing is answered.
    Silent(Cure),
    /// The next message is taken and nothing is said about it; silence follows until the cure.
    SilentAfterText {
        /// Whether the message goes out all the same.
        sent: bool,
        /// What ends the silence.
        cure: Cure,
    },
    /// The port vanishes when the next message has been taken, before anything is said.
    VanishAfterText {
        /// Whether the message goes out all the same.
        sent: bool,
    },
    /// `ATE0` is answered with `OK` and does nothing.
    KeepEcho,
    /// The SIM is busy for so many questions.
    BusySim(u32),
    /// Messages are stored and not announced.
    LoseAnnouncements,
    /// Messages are stored in, and announced for, a memory that was not asked for.
    StoreIn(String),
    /// Unsolicited codes lose the line ends around them.
    Glue,
    /// Noise in front of every answer.
    Garbage,
    /// The next so many messages are refused with this `+CMS ERROR`.
    Refuse {
        /// The code.
        code: u16,
        /// How many.
        times: u32,
    },
    /// Deleting is answered with an error, so many times.
    KeepMessages(u32),
    /// The port vanishes at every restart, and comes back.
    VanishAtRestart,
}

/// The faults in force.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each fault is on or off by itself")]
pub(super) struct Faults {
    pub(super) silence: Option<Cure>,
    pub(super) after_text: Option<AfterText>,
    pub(super) keep_echo: bool,
    pub(super) busy: u32,
    pub(super) lose: bool,
    pub(super) store_in: Option<String>,
    pub(super) glue: bool,
    pub(super) garbage: bool,
    pub(super) refuse: Option<(u16, u32)>,
    pub(super) keep_messages: u32,
    pub(super) vanish_at_restart: bool,
}

/// What happens instead of an answer to a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum AfterText {
    Silence { sent: bool, cure: Cure },
    Vanish { sent: bool },
}

impl Faults {
    pub(super) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::Silent(cure) => self.silence = Some(cure),
            Fault::SilentAfterText { sent, cure } => {
                self.after_text = Some(AfterText::Silence { sent, cure });
            }
            Fault::VanishAfterText { sent } => self.after_text = Some(AfterText::Vanish { sent }),
            Fault::KeepEcho => self.keep_echo = true,
            Fault::BusySim(times) => self.busy = times,
            Fault::LoseAnnouncements => self.lose = true,
            Fault::StoreIn(memory) => self.store_in = Some(memory),
            Fault::Glue => self.glue = true,
            Fault::Garbage => self.garbage = true,
            Fault::Refuse { code, times } => self.refuse = Some((code, times)),
            Fault::KeepMessages(times) => self.keep_messages = times,
            Fault::VanishAtRestart => self.vanish_at_restart = true,
        }
    }

    /// Whether the next message is refused, and how.
    pub(super) fn refusal(&mut self) -> Option<u16> {
        let (code, times) = self.refuse?;
        self.refuse = (times > 1).then(|| (code, times - 1));
        Some(code)
    }

    /// Counts a fault that happens a number of times; says whether it happens now.
    pub(super) fn once(times: &mut u32) -> bool {
        let happens = *times > 0;
        *times = times.saturating_sub(1);
        happens
    }
}

/// A text that names no fault.
#[derive(Debug, thiserror::Error)]
#[error("unknown fault {0:?}; there are {known}", known = FORMS.join(", "))]
pub struct UnknownFault(String);

const FORMS: [&str; 13] = [
    "silent CURE",
    "silent-after-text sent|lost CURE",
    "vanish-after-text sent|lost",
    "keep-echo",
    "busy-sim N",
    "lose-announcements",
    "store-in MEMORY",
    "glue",
    "garbage",
    "refuse CODE N",
    "keep-messages N",
    "vanish-at-restart",
    "(CURE is escape, defaults, restart, reopen or nothing)",
];

impl FromStr for Cure {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let cures = BTreeMap::from([
            ("escape", Self::Escape),
            ("defaults", Self::Defaults),
            ("restart", Self::Restart),
            ("reopen", Self::Reopen),
            ("nothing", Self::Nothing),
        ]);
        cures.get(text).copied().ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault(text.to_owned());
        let number = |text: &str| text.parse().map_err(|_| unknown());
        let sent = |text: &str| match text {
            "sent" => Ok(true),
            "lost" => Ok(false),
            _ => Err(unknown()),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["silent", cure] => Self::Silent(cure.parse()?),
            ["silent-after-text", fate, cure] => Self::SilentAfterText { sent: sent(fate)?, cure: cure.parse()? },
            ["vanish-after-text", fate] => Self::VanishAfterText { sent: sent(fate)? },
            ["keep-echo"] => Self::KeepEcho,
            ["busy-sim", times] => Self::BusySim(number(times)?),
            ["lose-announcements"] => Self::LoseAnnouncements,
            ["store-in", memory] => Self::StoreIn(memory.to_owned()),
            ["glue"] => Self::Glue,
            ["garbage"] => Self::Garbage,
            ["refuse", code, times] => {
                Self::Refuse { code: code.parse().map_err(|_| unknown())?, times: number(times)? }
            }
            ["keep-messages", times] => Self::KeepMessages(number(times)?),
            ["vanish-at-restart"] => Self::VanishAtRestart,
            _ => return Err(unknown()),
        })
    }
}
