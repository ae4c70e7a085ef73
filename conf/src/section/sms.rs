//! The SMS channel: `[sms]`, `[[modem]]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::read::field::{optional, or, required};
use crate::read::form::{path, plain, word};
use crate::read::number::{count, duration, ratio};
use crate::read::{section, words};
use crate::value::duration::{DAY, HOUR, MINUTE};
use crate::value::{Ratio, is_label};

words! {
    /// Which of several working channels takes a message.
    pub enum Scheduler {
        /// The first in the file.
        Priority = "priority",
        /// Each in turn.
        RoundRobin = "round_robin",
        /// The one with the fewest messages waiting.
        LeastBusy = "least_busy",
        /// Any.
        Random = "random",
    }
}

section! {
    /// Pilots without data, by text message.
    pub struct Sms {
        /// The country whose national numbers are understood (ISO 3166-1, two letters).
        pub country: String = required(
            plain("two capital letters such as \"IN\"", |text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())),
            "IN".to_owned(),
        ),
        /// Which of several working channels takes a message.
        pub scheduler: Scheduler = or(word(), Scheduler::Priority),
        /// Messages that one SIM sends a day at most.
        pub daily_budget: u32 = or(count(0..=1_000_000), 90),
        /// Messages that one SIM sends a minute at most; a quarter of them may go at once.
        pub per_minute: u32 = or(count(1..=100_000), 20),
        /// The share of the budget that is kept for assignments.
        pub assignment_share: Ratio = or(ratio(), Ratio::THIRTY_PERCENT),
        /// A SIM without a delivery report for this long is rested.
        pub silent_after: Duration = or(duration(MINUTE..=DAY * 7), HOUR * 6),
    }
}

section! {
    /// A GSM modem on a serial port. Each needs a `name` of its own.
    pub struct Modem {
        /// Its name in logs, metrics and commands.
        pub name: String = required(plain("a name", is_label), "sim1".to_owned()),
        /// The port, best by its id, which a re-plugged modem keeps.
        pub device: PathBuf = required(path(), PathBuf::from("/dev/serial/by-id/usb-modem")),
        /// The port's speed, in bits a second.
        pub baud: u32 = or(count(300..=4_000_000), 115_200),
        /// A file with the SIM's PIN.
        pub pin_file: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/sim1.pin")),
    }
}
