//! What pilots and merchants are told: an outbox. A call is an event before it is made, and leaves the city when it is
//! done, so a crash neither forgets a call nor makes one up.
//!
//! Pilots who can be reached in no way (no URL, no phone) are owed no calls: their apps ask, and wait for news.

pub mod allow;
mod due;
mod settle;

use std::{num::NonZeroU64, sync::Arc};

use imbl::{OrdMap, OrdSet};
use megamind_domain::{EntityKey, Time};
use serde::{Deserialize, Serialize};

pub(crate) use due::add_due;
pub(crate) use settle::{not_allowed, set_merchant, settle};

use crate::{
    id::{KeptName, LocalId},
    order::OrderKey,
    pilot::PilotKey,
};

/// The key of a call. Later calls have greater keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallKey(pub NonZeroU64);

impl From<CallKey> for EntityKey {
    fn from(key: CallKey) -> Self {
        Self(key.0.get())
    }
}

/// The key of a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MerchantKey(pub NonZeroU64);

impl From<MerchantKey> for EntityKey {
    fn from(key: MerchantKey) -> Self {
        Self(key.0.get())
    }
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A pilot's app, or phone.
    Pilot(PilotKey),
    /// A merchant's service, by the merchant's id.
    Merchant(Box<str>),
}

/// What a pilot is to do about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Carry it.
    Assign,
    /// Look at it again: something about it is new.
    Change,
    /// Leave it.
    Cancel,
}

impl Action {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Change => "change",
            Self::Cancel => "cancel",
        }
    }
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `/assign`, to a pilot.
    Assign(Action),
    /// `/pushdeliveryinfo`, to a merchant.
    DeliveryInfo,
    /// `/pushgeneralinfo`, to a merchant.
    GeneralInfo,
}

impl Kind {
    /// The path behind the target's URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Assign(_) => "/assign",
            Self::DeliveryInfo => "/pushdeliveryinfo",
            Self::GeneralInfo => "/pushgeneralinfo",
        }
    }
}

/// How a target is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A POST to its URL.
    #[default]
    Http,
    /// A short message to the pilot's phone.
    Sms,
}

/// One call that is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    #[serde(skip, default = "no_key")]
    pub(crate) key: CallKey,
    /// The same at every attempt, so that a receiver recognizes a repetition.
    pub id: LocalId,
    /// Who is called.
    #[serde(rename = "to")]
    pub target: Target,
    /// What is called.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// About which order.
    #[serde(rename = "o")]
    pub order: OrderKey,
    /// When it was decided.
    pub at: Time,
    /// How.
    #[serde(rename = "c", default)]
    pub channel: Channel,
    /// The body: JSON, as it was at that moment.
    #[serde(rename = "b")]
    pub payload: Box<str>,
    /// Why it waits for the operator, where it does.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Box<str>>,
}

/// The row does not repeat its key; the reader sets it.
fn no_key() -> CallKey {
    CallKey(NonZeroU64::MAX)
}

impl Call {
    /// The key.
    pub fn key(&self) -> CallKey {
        self.key
    }
}

/// A merchant whose service was registered while running (`megamind merchant set`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    #[serde(skip, default = "no_merchant_key")]
    pub(crate) key: MerchantKey,
    /// The id.
    pub id: KeptName,
    /// Where its service listens.
    pub callback_url: Box<str>,
    /// The file with the secrets that sign what it is told. The secrets themselves are not kept here.
    pub secret_file: Box<str>,
}

fn no_merchant_key() -> MerchantKey {
    MerchantKey(NonZeroU64::MAX)
}

impl Merchant {
    /// The key.
    pub fn key(&self) -> MerchantKey {
        self.key
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The target took it.
    Done,
    /// It goes by SMS now.
    BySms {
        /// Why.
        why: Box<str>,
    },
    /// It waits for the operator.
    Parked {
        /// Why.
        why: Box<str>,
    },
    /// The operator has it made again.
    Retried,
    /// It is never made.
    Discarded {
        /// Who says so.
        who: Box<str>,
        /// Why.
        why: Box<str>,
    },
}

/// The outbox: every call that is owed, and every merchant that was registered here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    calls: OrdMap<CallKey, Arc<Call>>,
    due: OrdSet<CallKey>,
    due_by_sms: OrdSet<CallKey>,
    merchants: OrdMap<MerchantKey, Arc<Merchant>>,
    merchant_names: OrdMap<crate::id::IdKey, MerchantKey>,
}

impl Outbox {
    fn put(&mut self, call: Call) {
        let (key, due) = (call.key, call.parked.is_none());
        let set = |set: &mut OrdSet<CallKey>, within| {
            if within {
                set.insert(key);
            } else {
                set.remove(&key);
            }
        };
        set(&mut self.due, due);
        set(&mut self.due_by_sms, due && call.channel == Channel::Sms);
        self.calls.insert(key, Arc::new(call));
    }

    fn remove(&mut self, key: CallKey) {
        self.calls.remove(&key);
        self.due.remove(&key);
        self.due_by_sms.remove(&key);
    }
}

impl crate::City {
    /// A call that is owed.
    pub fn call(&self, key: CallKey) -> Option<&Call> {
        self.outbox.calls.get(&key).map(|call| &**call)
    }

    /// All calls that are owed, parked ones too, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.outbox.calls.values().map(|call| &**call)
    }

    /// How many calls are owed, parked ones too.
    pub fn calls_count(&self) -> usize {
        self.outbox.calls.len()
    }

    /// How many of them wait for the operator.
    pub fn calls_parked(&self) -> usize {
        self.outbox.calls.len().saturating_sub(self.outbox.due.len())
    }

    /// The calls that are to be made, from a key on, oldest first.
    pub fn calls_due_from(&self, key: CallKey) -> impl Iterator<Item = &Call> {
        self.outbox.due.range(key..).filter_map(|&key| self.call(key))
    }

    /// The calls that are to be made, oldest first.
    pub fn calls_due(&self) -> impl Iterator<Item = &Call> {
        self.calls_due_from(CallKey(NonZeroU64::MIN))
    }

    /// Those of them that go by SMS, oldest first.
    pub fn calls_due_by_sms(&self) -> impl Iterator<Item = &Call> {
        self.outbox.due_by_sms.iter().filter_map(|&key| self.call(key))
    }

    /// A merchant that was registered while running.
    pub fn merchant(&self, id: &str) -> Option<&Merchant> {
        let key = self.outbox.merchant_names.get(&crate::id::IdKey::of_name(id))?;
        let merchant = self.outbox.merchants.get(key)?;
        (merchant.id.text() == id).then_some(&**merchant)
    }

    /// All merchants that were registered while running.
    pub fn merchants(&self) -> impl Iterator<Item = &Merchant> {
        self.outbox.merchants.values().map(|merchant| &**merchant)
    }

    pub(crate) fn merchant_by_key(&self, key: MerchantKey) -> Option<&Merchant> {
        self.outbox.merchants.get(&key).map(|merchant| &**merchant)
    }

    pub(crate) fn put_call(&mut self, call: Call) {
        self.take_key(call.key.0.get());
        self.outbox.put(call);
    }

    pub(crate) fn put_merchant(&mut self, merchant: Merchant) {
        self.take_key(merchant.key.0.get());
        self.outbox.merchant_names.insert(merchant.id.key(), merchant.key);
        self.outbox.merchants.insert(merchant.key, Arc::new(merchant));
    }

    pub(crate) fn settle_call(&mut self, key: CallKey, outcome: &Outcome) {
        let Some(call) = self.call(key) else { return };
        let parked = match outcome {
            Outcome::Done | Outcome::Discarded { .. } => return self.outbox.remove(key),
            Outcome::Parked { why } => Some(why.clone()),
            Outcome::BySms { .. } | Outcome::Retried => None,
        };
        let by_sms = matches!(outcome, Outcome::BySms { .. });
        let channel = if by_sms { Channel::Sms } else { call.channel };
        self.outbox.put(Call { channel, parked, ..call.clone() });
    }
}
