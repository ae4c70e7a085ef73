//! What a merchant says about an order.

use std::{
    str::FromStr,
    sync::{Arc, LazyLock},
};

use megamind_domain::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Money, Position, id::KeptName};

/// What is said about an order, or what changes about it. What is not said is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Whose order it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<KeptName>,
    /// Where it is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickup: Option<Stop>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropoff: Option<Stop>,
    /// When it can be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Time>,
    /// By when it was promised at the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised_at: Option<Time>,
    /// How much its waiting counts, in percent of an ordinary order's: 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// What may carry it, in the words of pilots' vehicles; anything, where nothing is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vehicles: Vec<Box<str>>,
    /// What it is: JSON of the merchant's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<str>>,
    /// Cash to collect at the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cod_amount: Option<Money>,
    /// The currency of the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The merchant's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<Box<str>>,
}

impl Details {
    /// Nothing is said. All who say nothing share it.
    pub fn nothing() -> Arc<Self> {
        static NOTHING: LazyLock<Arc<Details>> = LazyLock::new(Arc::default);
        NOTHING.clone()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether one of its ends is said to be elsewhere.
    pub fn moves(&self) -> bool {
        let moved = |stop: &Option<Stop>| stop.as_ref().is_some_and(|stop| stop.position.is_some());
        moved(&self.pickup) || moved(&self.dropoff)
    }

    /// Whether something is said that matters no more when the parcel is with the pilot; the canonical name of it.
    pub fn about_pickup(&self) -> Option<&'static str> {
        if self.pickup.is_some() {
            Some("pickup")
        } else if self.ready_at.is_some() {
            Some("readyAt")
        } else if self.items.is_some() {
            Some("items")
        } else {
            None
        }
    }
}

/// One end of the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stop {
    /// Where; always there in a new order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The address for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Box<str>>,
    /// Whom to ask for: JSON of the merchant's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Box<str>>,
}

/// An ISO 4217 code: three letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency([u8; 3]);

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_alphabetic) => {
                Ok(Self(letters.map(|letter| letter.to_ascii_uppercase())))
            }
            _ => Err("an ISO 4217 code of three letters, such as \"INR\""),
        }
    }
}

impl Currency {
    /// The three letters, in capitals.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parse(deserializer)
    }
}
