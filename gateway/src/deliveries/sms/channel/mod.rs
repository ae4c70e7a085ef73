//! The ways that a message can take. A new one is a type that implements [`Channel`], and a line in [`all`] that makes
//! it from its section of the configuration.

mod http;
mod modem;
mod pattern;
mod smtp;

use std::sync::Arc;

use async_trait::async_trait;
use megamind_conf::Config;
use megamind_sms::modem::Fleet;

use super::db::Db;

/// A message, ready to go out.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Its number in the file.
    pub(super) row: i64,
    /// The same at every attempt, and never that of another message.
    pub(super) id: String,
    /// E.164.
    pub(super) number: String,
    pub(super) text: String,
    /// Under which a provider or regulator knows the text; empty where there is none.
    pub(super) template_id: String,
    /// Whether it is about an assignment.
    pub(super) assignment: bool,
    /// Whether a delivery report is wanted.
    pub(super) report: bool,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// The channel has it in a durable queue of its own, and tells the file what becomes of it.
    Queued,
    /// It is out.
    Sent,
    /// It certainly is not, and the channel is to blame.
    NotSent(String),
    /// It certainly is not, and the channel wants no such message.
    Refused(String),
    /// It may be out, or not.
    Unknown(String),
}

/// A way for messages to go out.
#[async_trait]
pub(super) trait Channel: Send + Sync {
    /// Its name in logs, metrics and the list of messages.
    fn name(&self) -> &str;

    /// Messages that it has at once, at most.
    fn most(&self) -> usize;

    /// Messages that wait in a durable queue of its own, which tells the file what becomes of them; `None` where it has
    /// no such queue, and a message is with it only while [`Channel::send`] runs.
    fn queued(&self) -> Option<usize> {
        None
    }

    /// Whether it takes this message now: a budget. Asked often; does no IO.
    fn takes(&self, _message: &Message) -> bool {
        true
    }

    /// A heartbeat: whether it works.
    ///
    /// # Errors
    /// Why it does not.
    async fn beat(&self) -> Result<(), String>;

    /// Sends a message. One whose outcome was unknown may come again, under the same id.
    async fn send(&self, message: &Message) -> Sending;
}

/// All that the configuration names, in the order of priority.
///
/// # Errors
/// One of them cannot be made: its key, and why.
pub(super) fn all(config: &Config, fleet: &Arc<Fleet>, db: &Db) -> anyhow::Result<Vec<Arc<dyn Channel>>> {
    let mut all: Vec<Arc<dyn Channel>> = Vec::new();
    for modem in &config.modems {
        all.push(Arc::new(modem::ModemChannel::new(&modem.name, fleet, db)));
    }
    let sms = config.sms.iter();
    for settings in sms.clone().flat_map(|sms| &sms.http) {
        all.push(Arc::new(http::HttpChannel::new(settings)?));
    }
    for settings in sms.flat_map(|sms| &sms.smtp) {
        all.push(Arc::new(smtp::SmtpChannel::new(settings)?));
    }
    Ok(all)
}
