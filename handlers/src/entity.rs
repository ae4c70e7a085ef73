//! The rows of the journal's entity table: one for each order and pilot, and one for the counter of keys.

use std::num::NonZeroU64;

use megamind_domain::EntityKey;
use serde::{Deserialize, Serialize};

use crate::{
    City,
    calls::{Call, CallKey, Merchant, MerchantKey},
    city::COUNTER,
    order::{Order, OrderKey, row::Row},
    pilot::{Pilot, PilotKey},
};

/// A row as it is written. The first letter of the JSON says what it is.
#[derive(Serialize)]
enum Written<'a> {
    #[serde(rename = "o")]
    Order(Box<Row<'a>>),
    #[serde(rename = "p")]
    Pilot(&'a Pilot),
    #[serde(rename = "n")]
    Counter(u64),
    #[serde(rename = "c")]
    Call(&'a Call),
    #[serde(rename = "m")]
    Merchant(&'a Merchant),
}

#[derive(Deserialize)]
enum Read<'a> {
    #[serde(rename = "o", borrow)]
    Order(Box<Row<'a>>),
    #[serde(rename = "p")]
    Pilot(Pilot),
    #[serde(rename = "n")]
    Counter(u64),
    #[serde(rename = "c")]
    Call(Call),
    #[serde(rename = "m")]
    Merchant(Merchant),
}

/// The row of an entity.
pub(crate) fn encode(city: &City, key: EntityKey) -> Option<Vec<u8>> {
    let written = match NonZeroU64::new(key.0) {
        None => Written::Counter(city.last_key()),
        Some(key) => written(city, key)?,
    };
    // Every key is a text, so this does not fail.
    serde_json::to_vec(&written).ok()
}

fn written(city: &City, key: NonZeroU64) -> Option<Written<'_>> {
    let order = || {
        city.order(OrderKey(key))
            .map(|order| Written::Order(Box::new(Row::from(order))))
    };
    let pilot = || city.pilot(PilotKey(key)).map(Written::Pilot);
    let call = || city.call(CallKey(key)).map(Written::Call);
    let merchant = || city.merchant_by_key(MerchantKey(key)).map(Written::Merchant);
    order().or_else(pilot).or_else(call).or_else(merchant)
}

/// The order of a row.
pub(crate) fn read_order(key: OrderKey, row: &[u8]) -> Result<Order, String> {
    match serde_json::from_slice(row).map_err(|error| error.to_string())? {
        Read::Order(row) => Ok(row.into_order(key)),
        _ => Err("not an order's row".into()),
    }
}

/// Puts a row back.
pub(crate) fn decode(city: &mut City, key: EntityKey, row: &[u8]) -> Result<(), String> {
    let read: Read<'_> = serde_json::from_slice(row).map_err(|error| error.to_string())?;
    match (read, NonZeroU64::new(key.0)) {
        (Read::Counter(last), None) => city.take_key(last),
        (Read::Order(row), Some(key)) => {
            let order: Order = row.into_order(OrderKey(key));
            city.put_order(order);
        }
        (Read::Pilot(mut pilot), Some(key)) => {
            pilot.key = PilotKey(key);
            city.put_pilot(pilot);
        }
        (Read::Call(call), Some(key)) => city.put_call(Call { key: CallKey(key), ..call }),
        (Read::Merchant(merchant), Some(key)) => {
            city.put_merchant(Merchant { key: MerchantKey(key), ..merchant });
        }
        (Read::Counter(_), Some(_)) => return Err("the counter under an entity's key".into()),
        (_, None) => {
            return Err(format!("an entity under the counter's key, {}", COUNTER.0));
        }
    }
    Ok(())
}
