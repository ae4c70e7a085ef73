//! An order as a row of the journal's entity table.

use std::borrow::Cow;

use megamind_domain::Time;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Currency, Order, OrderKey, Part, Status, Step, Text};
use crate::{Money, Position, id::LocalId, pilot::PilotKey};

/// What is written. Short names: there are millions.
// Each says one thing, and none follows from another.
#[allow(clippy::struct_excessive_bools)]
#[derive(Serialize, Deserialize)]
pub(crate) struct Row<'a> {
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    local: Option<LocalId>,
    #[serde(rename = "at")]
    placed_at: Time,
    #[serde(rename = "s")]
    status: Status,
    /// Rows of older releases do not have it.
    #[serde(rename = "end", default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Time>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pilot: Option<PilotKey>,
    #[serde(rename = "ah", default, skip_serializing_if = "is_false")]
    assigned_here: bool,
    #[serde(rename = "d", default, skip_serializing_if = "is_false")]
    in_doubt: bool,
    #[serde(rename = "un", default, skip_serializing_if = "is_false")]
    upstream_is_number: bool,
    #[serde(rename = "mn", default, skip_serializing_if = "is_false")]
    merchant_is_number: bool,
    #[serde(rename = "from", default, skip_serializing_if = "Option::is_none")]
    pickup: Option<Position>,
    #[serde(rename = "to", default, skip_serializing_if = "Option::is_none")]
    dropoff: Option<Position>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    ready_at: Option<Time>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    eta: Option<Time>,
    #[serde(rename = "by", default, skip_serializing_if = "Option::is_none")]
    promised_at: Option<Time>,
    #[serde(rename = "pr", default, skip_serializing_if = "is_zero")]
    priority: u16,
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    vehicles: u16,
    #[serde(rename = "cod", default, skip_serializing_if = "Option::is_none")]
    cod_amount: Option<Money>,
    #[serde(rename = "got", default, skip_serializing_if = "Option::is_none")]
    cod_collected: Option<Money>,
    #[serde(rename = "cur", default, skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    #[serde(rename = "x", default, skip_serializing_if = "SmallVec::is_empty")]
    excluded: SmallVec<[PilotKey; 2]>,
    #[serde(rename = "h", default)]
    history: Cow<'a, [Step]>,
    /// The texts in the order of [`PARTS`].
    #[serde(rename = "w", borrow)]
    words: [Cow<'a, str>; 8],
    #[serde(rename = "f", borrow, default, skip_serializing_if = "str::is_empty")]
    former: Cow<'a, str>,
}

const PARTS: [Part; 8] = [
    Part::Merchant,
    Part::Upstream,
    Part::ClientRef,
    Part::PickupAddress,
    Part::PickupContact,
    Part::DropoffAddress,
    Part::DropoffContact,
    Part::Items,
];

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &u16) -> bool {
    *value == 0
}

impl<'a> From<&'a Order> for Row<'a> {
    fn from(order: &'a Order) -> Self {
        Self {
            local: order.local,
            placed_at: order.placed_at,
            status: order.status,
            ended_at: order.ended_at(),
            pilot: order.pilot,
            assigned_here: order.assigned_here,
            in_doubt: order.in_doubt,
            upstream_is_number: order.upstream_is_number,
            merchant_is_number: order.merchant_is_number,
            pickup: order.pickup,
            dropoff: order.dropoff,
            ready_at: order.ready_at,
            eta: order.eta,
            promised_at: order.promised_at,
            priority: order.priority,
            vehicles: order.vehicles,
            cod_amount: order.cod_amount,
            cod_collected: order.cod_collected,
            currency: order.currency,
            excluded: order.excluded.clone(),
            history: Cow::Borrowed(&order.history),
            former: Cow::Borrowed(order.text.get(Part::Former).unwrap_or_default()),
            words: PARTS.map(|part| Cow::Borrowed(order.text.get(part).unwrap_or_default())),
        }
    }
}

impl Row<'_> {
    /// The order under its key.
    pub(crate) fn into_order(self, key: OrderKey) -> Order {
        let mut text = Text::default();
        let mut parts: SmallVec<[(Part, &str); 9]> = SmallVec::new();
        parts.push((Part::Former, &self.former));
        parts.extend(PARTS.into_iter().zip(self.words.iter().map(|word| &**word)));
        text.set(&parts);
        let last = self.history.last().map_or(self.placed_at, |step| step.at.max(self.placed_at));
        let ended_at = self.ended_at.unwrap_or(last);
        Order {
            key,
            local: self.local,
            placed_at: self.placed_at,
            status: self.status,
            ended_at,
            pilot: self.pilot,
            assigned_here: self.assigned_here,
            in_doubt: self.in_doubt,
            upstream_is_number: self.upstream_is_number,
            merchant_is_number: self.merchant_is_number,
            pickup: self.pickup,
            dropoff: self.dropoff,
            ready_at: self.ready_at,
            eta: self.eta,
            promised_at: self.promised_at,
            priority: self.priority,
            vehicles: self.vehicles,
            cod_amount: self.cod_amount,
            cod_collected: self.cod_collected,
            currency: self.currency,
            excluded: self.excluded,
            history: self.history.into_owned(),
            text,
        }
    }
}
