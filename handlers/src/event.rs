//! What has been decided: the journal's events, as JSON with a type and a version.
//!
//! A released form is read for ever: `tests/golden/events-v1.jsonl` holds a line of each. Change one by adding a
//! variant (or a field with a default), never by changing what is there.

use std::sync::Arc;

use megamind_domain::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    Fix, Money,
    calls::{Call, CallKey, MerchantKey, Outcome},
    dispatch::Reason,
    id::{KeptName, LocalId},
    order::{Details, Fact, Oddities, OrderKey, Status},
    pilot::{Availability, PilotKey, Profile},
};

/// Something that has been decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// An order was taken here.
    OrderPlaced(Box<OrderPlaced>),
    /// Something was learned about an order from elsewhere; it may be new here.
    OrderSeen(Box<OrderSeen>),
    /// An order was given to a pilot.
    OrderAssigned(OrderAssigned),
    /// A pilot said yes.
    OrderAccepted(OrderAnswered),
    /// A pilot said no.
    OrderRejected(OrderAnswered),
    /// A pilot did not answer, or fell silent.
    OrderLapsed(OrderLapsed),
    /// Something happened at the doors.
    OrderProgressed(OrderProgressed),
    /// A merchant changed an order.
    OrderUpdated(Box<OrderUpdated>),
    /// An order was called off.
    OrderCancelled(OrderCancelled),
    /// The upstream gave its own id to an order placed here.
    OrderAliased(OrderAliased),
    /// Two orders turned out to be one.
    OrderJoined(OrderJoined),
    /// An order that had ended leaves the memory; its row stays on disk.
    OrderRetired(OrderRetired),
    /// It comes back.
    OrderRecalled(OrderRecalled),
    /// A pilot appeared.
    PilotSeen(PilotSeen),
    /// Something about a pilot changed.
    PilotChanged(Box<PilotChanged>),
    /// A pilot or a merchant is owed a call.
    CallDue(Box<CallDue>),
    /// What became of a call.
    CallSettled(CallSettled),
    /// A merchant's service was registered or changed.
    MerchantSet(MerchantSet),
}

/// The version of an event's form, checked when it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct V<const N: u8>;

impl<const N: u8> Serialize for V<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(N)
    }
}

impl<'de, const N: u8> Deserialize<'de> for V<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            version if version == N => Ok(Self),
            other => Err(serde::de::Error::custom(format!(
                "version {other} of an event that is known in version {N}"
            ))),
        }
    }
}

/// Details that are shared with what they came from.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Details;

    pub(super) fn says_nothing(details: &Arc<Details>) -> bool {
        details.is_empty()
    }

    pub(super) fn serialize<S: Serializer>(details: &Arc<Details>, serializer: S) -> Result<S::Ok, S::Error> {
        Details::serialize(details, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Details>, D::Error> {
        Details::deserialize(deserializer).map(Arc::new)
    }
}

/// An order was taken here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The form's version.
    pub v: V<1>,
    /// Its key.
    pub order: OrderKey,
    /// Its id.
    pub id: LocalId,
    /// When.
    pub at: Time,
    /// What the merchant said.
    #[serde(with = "shared")]
    pub details: Arc<Details>,
    /// Whether the upstream may have taken it too: it was sent there, and no answer came.
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_doubt: bool,
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Something was learned about an order from elsewhere; what is not there stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderSeen {
    /// The form's version.
    pub v: V<1>,
    /// Its key.
    pub order: OrderKey,
    /// When it was heard of.
    pub at: Time,
    /// Its id in our own form, of an order that this journal does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalId>,
    /// The upstream's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<KeptName>,
    /// What the merchant said.
    #[serde(default, with = "shared", skip_serializing_if = "shared::says_nothing")]
    pub details: Arc<Details>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot: Option<PilotKey>,
    /// When it should be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Time>,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Oddities::is_none")]
    pub odd: Oddities,
}

/// An order was given to a pilot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAssigned {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// To whom.
    pub pilot: PilotKey,
    /// When.
    pub at: Time,
    /// Whether it was chosen here, not by the upstream.
    pub here: bool,
    /// When it should be at the door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Time>,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Oddities::is_none")]
    pub odd: Oddities,
    /// Why this pilot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<Why>>,
}

/// Why an order went to the pilot that it went to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The plan that it is a part of: plannings are counted from the start of the gateway. 0 where it was decided
    /// without one.
    #[serde(default)]
    pub plan: u64,
    /// What speaks for and against the pilot.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// What the order adds to the waiting of all customers, its own included, in weighted seconds.
    #[serde(default)]
    pub added_seconds: i64,
    /// The next best pilot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up: Option<RunnerUp>,
}

/// Who would have been next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerUp {
    /// Who.
    pub pilot: PilotKey,
    /// What the order would have added there.
    pub added_seconds: i64,
}

/// A pilot did not answer, or was not heard of for too long. What was not picked up goes back and waits for
/// somebody else; what was stays there, and is flagged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLapsed {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// Whose.
    pub pilot: PilotKey,
    /// When it was noticed.
    pub at: Time,
    /// What was waited for in vain.
    pub missing: Missing,
}

/// What was waited for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// An answer to the offer.
    Answer,
    /// Any sign of life of a pilot who is on the way to the pickup.
    Life,
    /// Any sign of life of a pilot who has the parcel.
    LifeWithParcel,
}

/// A pilot answered an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAnswered {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// Who.
    pub pilot: PilotKey,
    /// When it was heard of.
    pub at: Time,
    /// When it was, as the pilot's clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<Time>,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Oddities::is_none")]
    pub odd: Oddities,
}

/// Something happened at the doors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderProgressed {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// What.
    pub fact: Fact,
    /// Who reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot: Option<PilotKey>,
    /// When it was heard of.
    pub at: Time,
    /// When it was, as the pilot's clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<Time>,
    /// Cash that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cod_collected: Option<Money>,
    /// A proof, in the pilot app's own form (JSON).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<str>>,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Oddities::is_none")]
    pub odd: Oddities,
}

/// A merchant changed an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderUpdated {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// When.
    pub at: Time,
    /// What is new.
    pub details: Details,
    /// When it should be at the door now, where that is another time than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Time>,
}

/// An order was called off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// When.
    pub at: Time,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

/// The upstream gave its own id to an order placed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAliased {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// The upstream's id.
    pub id: KeptName,
    /// When.
    pub at: Time,
}

/// Two orders turned out to be one. The one placed here stays; the one further along tells where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderJoined {
    /// The form's version.
    pub v: V<1>,
    /// The one that stays.
    pub order: OrderKey,
    /// The one that goes.
    pub other: OrderKey,
    /// The upstream's id.
    pub id: KeptName,
    /// When.
    pub at: Time,
}

/// An order that had ended leaves the memory; its row stays on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRetired {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// When.
    pub at: Time,
}

/// An order that had left comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecalled {
    /// The form's version.
    pub v: V<1>,
    /// Which order.
    pub order: OrderKey,
    /// When.
    pub at: Time,
    /// Its row, as it was written when it left (JSON).
    pub row: Box<str>,
}

/// A pilot appeared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PilotSeen {
    /// The form's version.
    pub v: V<1>,
    /// The key.
    pub pilot: PilotKey,
    /// The id.
    pub id: KeptName,
    /// When.
    pub at: Time,
}

/// Something about a pilot changed; what is not there stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PilotChanged {
    /// The form's version.
    pub v: V<1>,
    /// Who.
    pub pilot: PilotKey,
    /// When it was heard of.
    pub at: Time,
    /// Where the pilot is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// Whether the pilot takes orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// What rarely changes.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub profile: Profile,
}

/// A pilot or a merchant is owed a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDue {
    /// The form's version.
    pub v: V<1>,
    /// The key.
    pub call: CallKey,
    /// The call.
    pub owed: Call,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSettled {
    /// The form's version.
    pub v: V<1>,
    /// Which.
    pub call: CallKey,
    /// When.
    pub at: Time,
    /// What.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A merchant's service was registered or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantSet {
    /// The form's version.
    pub v: V<1>,
    /// The key.
    pub merchant: MerchantKey,
    /// The id.
    pub id: KeptName,
    /// Where the service listens.
    pub callback_url: Box<str>,
    /// The file with the secrets that sign what it is told.
    pub secret_file: Box<str>,
    /// When.
    pub at: Time,
}
