//! What happened to an order, in the order in which it was heard of.

use megamind_domain::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IntoDeserializer};

use super::Status;
use crate::{pilot::PilotKey, text};

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    #[serde(rename = "s")]
    pub what: Happening,
    /// When, as the one who reported it says; when it was heard of, where that cannot be.
    #[serde(rename = "t")]
    pub at: Time,
    /// Who was involved.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub pilot: Option<PilotKey>,
    /// What is odd about it.
    #[serde(rename = "o", default, skip_serializing_if = "Oddities::is_none")]
    pub odd: Oddities,
}

/// What can happen to an order: it comes to a status, is turned down, or its offer lapses. Written as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A pilot said no.
    Rejected,
    /// A pilot did not answer, or was not heard of any more.
    Lapsed,
    /// It came to a status.
    Reached(Status),
}

const REJECTED: &str = "rejected";
const LAPSED: &str = "lapsed";

impl Serialize for Happening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rejected => serializer.serialize_str(REJECTED),
            Self::Lapsed => serializer.serialize_str(LAPSED),
            Self::Reached(status) => status.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Happening {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, |word| match word {
            REJECTED => Ok(Self::Rejected),
            LAPSED => Ok(Self::Lapsed),
            _ => Status::deserialize(word.into_deserializer()).map(Self::Reached),
        })
    }
}

/// What is odd about a report; it is taken all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Oddities(u8);

impl Oddities {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// It came from another pilot than the one who was to carry the order.
    pub const OTHER_PILOT: Self = Self(1);
    /// It came after something that lies ahead of it.
    pub const OUT_OF_ORDER: Self = Self(2);
    /// Its time is far from when it arrived.
    pub const CLOCK: Self = Self(4);
    /// The order was final already.
    pub const AFTER_END: Self = Self(8);
    /// The pilot carries more than the capacity says.
    pub const OVER_CAPACITY: Self = Self(16);
    /// The pilot has the parcel and has not been heard of for long.
    pub const SILENT: Self = Self(32);

    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These where `condition` holds.
    pub fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is odd.
    // serde hands a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }
}
