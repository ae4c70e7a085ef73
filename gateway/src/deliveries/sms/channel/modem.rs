//! A modem as a channel. Its messages wait in the outbox that all modems share, with their own journal; as long as
//! nothing of one went out they can be taken back from there.

use std::sync::Arc;

use async_trait::async_trait;
use megamind_sms::modem::{Fleet, ModemId, Outgoing, Priority, SendError, State};

use super::{Channel, Message, Sending};
use crate::deliveries::sms::db::Db;

/// Messages that wait for one modem at most; more would only be taken back when it dies.
const MOST: usize = 50;

pub(super) struct ModemChannel {
    id: ModemId,
    fleet: Arc<Fleet>,
    db: Db,
}

impl ModemChannel {
    pub(super) fn new(name: &str, fleet: &Arc<Fleet>, db: &Db) -> Self {
        Self { id: ModemId::new(name), fleet: fleet.clone(), db: db.clone() }
    }
}

fn priority(message: &Message) -> Priority {
    if message.assignment { Priority::Assignment } else { Priority::Normal }
}

#[async_trait]
impl Channel for ModemChannel {
    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn most(&self) -> usize {
        MOST
    }

    fn queued(&self) -> Option<usize> {
        Some(self.fleet.load(&self.id))
    }

    fn takes(&self, message: &Message) -> bool {
        self.fleet.may_send(&self.id, priority(message))
    }

    async fn beat(&self) -> Result<(), String> {
        match self.fleet.status().get(&self.id) {
            None => Err("it has not started".to_owned()),
            Some(status) => match status.state {
                State::Ready => Ok(()),
                State::Closed => Err("there is no port".to_owned()),
                State::Starting => Err("it starts".to_owned()),
                State::SimLocked => Err("its SIM is locked or missing".to_owned()),
                State::NoNetwork => Err("it has no network".to_owned()),
                State::Recovering => Err("it does not answer".to_owned()),
            },
        }
    }

    async fn send(&self, message: &Message) -> Sending {
        let Ok(to) = message.number.parse() else {
            return Sending::Refused("not a number".to_owned());
        };
        let outgoing = Outgoing {
            to,
            text: message.text.clone(),
            priority: priority(message),
            report: message.report,
            modem: Some(self.id.clone()),
        };
        match self.db.hand_over(message.row, || self.fleet.send(outgoing)) {
            Ok(_) => Sending::Queued,
            Err(SendError::Outbox(error)) => Sending::Refused(error.to_string()),
            Err(SendError::Journal(error)) => Sending::NotSent(error.to_string()),
        }
    }
}
