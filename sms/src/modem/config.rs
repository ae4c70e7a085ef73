//! The settings of one modem. Every wait and every number that the driver uses is here.

use std::time::Duration;

/// How one modem is to be driven. The defaults suit real hardware.
#[derive(Debug, Clone)]
pub struct Config {
    /// The PIN, if the SIM asks for one. Each value is tried once.
    pub pin: Option<String>,
    /// The memory that messages are stored in: `SM` (SIM) or `ME` (modem).
    pub memory: String,
    /// Messages come at once (`+CMT`) and are acknowledged with `AT+CNMA`, instead of being stored
    /// and read. Faster, but only for modems that wait for the acknowledgement.
    pub direct: bool,
    /// USSD requests go as packed septets in hexadecimal, as Huawei modems want them.
    pub ussd_packed: bool,

    /// For commands that the modem answers by itself.
    pub command_deadline: Duration,
    /// For commands that read the SIM or the whole memory.
    pub slow_deadline: Duration,
    /// From the text of a message to its `+CMGS`. Networks take up to a minute.
    pub send_deadline: Duration,
    /// After giving up on `+CMGS`: how long a late answer is still waited for.
    pub send_grace: Duration,
    /// How long the SIM may be busy, and the modem silent, after it has started.
    pub ready_deadline: Duration,
    /// Between two attempts while the SIM is busy.
    pub busy_retry: Duration,
    /// Between two looks at a SIM that is locked or missing.
    pub locked_retry: Duration,
    /// Without registration for so long: an alarm, and automatic network selection once more.
    pub registration_deadline: Duration,

    /// A modem that has said nothing for so long is asked whether it lives.
    pub idle_ping: Duration,
    /// Between two listings of the memory: `+CMTI` gets lost.
    pub poll: Duration,
    /// Between two looks at signal, registration and storage.
    pub status: Duration,
    /// Used share of the storage, in percent, from which on it is emptied at once.
    pub storage_watermark: u8,

    /// How long bytes are ignored after an escape, so that late answers do not count.
    pub drain: Duration,
    /// How long a restarted modem takes until it answers.
    pub boot: Duration,
    /// A port that has appeared more recently than this is not restarted.
    pub settle: Duration,
    /// At most so many restarts…
    pub max_restarts: usize,
    /// …in so long.
    pub restart_window: Duration,
    /// First wait before the port is opened again; it doubles…
    pub reopen_min: Duration,
    /// …up to this.
    pub reopen_max: Duration,
    /// After so long without trouble the waits start from the beginning.
    pub healthy: Duration,
}

impl Default for Config {
    fn default() -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_mins(1);
        Self {
            pin: None,
            memory: "SM".to_owned(),
            direct: false,
            ussd_packed: false,
            command_deadline: 5 * SECOND,
            slow_deadline: 20 * SECOND,
            send_deadline: MINUTE,
            send_grace: 5 * SECOND,
            ready_deadline: 90 * SECOND,
            busy_retry: 2 * SECOND,
            locked_retry: MINUTE,
            registration_deadline: 5 * MINUTE,
            idle_ping: 30 * SECOND,
            poll: 30 * SECOND,
            status: MINUTE,
            storage_watermark: 80,
            drain: SECOND,
            boot: 15 * SECOND,
            settle: 30 * SECOND,
            max_restarts: 3,
            restart_window: 60 * MINUTE,
            reopen_min: SECOND,
            reopen_max: MINUTE,
            healthy: MINUTE,
        }
    }
}
