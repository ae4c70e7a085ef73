//! A pilot: who carries orders.

use std::{num::NonZeroU64, sync::Arc};

use megamind_domain::{EntityKey, Time};
use serde::{Deserialize, Serialize};

use crate::{Fix, Money, id::KeptName};

/// Orders at a time for a pilot whose capacity nobody said.
///
/// A part of what a city means, not a setting: the indexes must follow from the rows alone.
pub const DEFAULT_CAPACITY: u16 = 3;

/// The key of a pilot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PilotKey(pub NonZeroU64);

impl From<PilotKey> for EntityKey {
    fn from(key: PilotKey) -> Self {
        Self(key.0.get())
    }
}

/// Whether a pilot takes orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Nobody said so far.
    #[default]
    Unknown,
    /// Takes orders.
    Available,
    /// Takes none now.
    Busy,
    /// Not at work.
    Offline,
}

/// One pilot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pilot {
    #[serde(skip, default = "no_key")]
    pub(crate) key: PilotKey,
    #[serde(with = "shared")]
    pub(crate) id: Arc<KeptName>,
    /// Shared, because positions change often and this does not.
    #[serde(with = "shared")]
    pub(crate) profile: Arc<Profile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<Fix>,
    pub(crate) availability: Availability,
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard_at: Option<Time>,
    #[serde(default)]
    pub(crate) tally: Tally,
    /// How many orders the pilot is busy with: counted by the city, never written.
    #[serde(skip)]
    pub(crate) load: u32,
}

/// The row does not repeat its key; the reader sets it.
fn no_key() -> PilotKey {
    PilotKey(NonZeroU64::MAX)
}

impl Pilot {
    /// A pilot of whom only the id is known.
    pub(crate) fn unknown(key: PilotKey, id: KeptName) -> Self {
        Self {
            key,
            id: Arc::new(id),
            profile: Arc::default(),
            fix: None,
            availability: Availability::Unknown,
            heard_at: None,
            tally: Tally::default(),
            load: 0,
        }
    }

    /// The key.
    pub fn key(&self) -> PilotKey {
        self.key
    }

    /// The id.
    pub fn id(&self) -> &KeptName {
        &self.id
    }

    /// What changes rarely.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The last position.
    pub fn fix(&self) -> Option<Fix> {
        self.fix
    }

    /// Whether the pilot takes orders.
    pub fn availability(&self) -> Availability {
        self.availability
    }

    /// When it was last heard of.
    pub fn heard_at(&self) -> Option<Time> {
        self.heard_at
    }

    /// How many orders the pilot is busy with.
    pub fn load(&self) -> usize {
        self.load as usize
    }

    /// How many more orders the pilot can take.
    pub fn room(&self) -> usize {
        usize::from(self.capacity()).saturating_sub(self.load())
    }

    /// Orders at a time.
    pub fn capacity(&self) -> u16 {
        self.profile.capacity.unwrap_or(DEFAULT_CAPACITY)
    }

    /// What the pilot did so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

/// What rarely changes about a pilot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// The phone number, E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Box<str>>,
    /// Where the pilot's app listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<Box<str>>,
    /// What the pilot rides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<Box<str>>,
    /// Orders at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    /// Nothing is picked up after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift_end: Option<Time>,
    /// The most cash that it may have to collect on all that it carries, in the orders' own currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cash_limit: Option<Money>,
}

impl Profile {
    /// Takes what is given, and leaves the rest.
    pub(crate) fn take(&mut self, new: &Self) {
        fn set<T: Clone>(old: &mut Option<T>, new: Option<&T>) {
            if let Some(new) = new {
                *old = Some(new.clone());
            }
        }
        set(&mut self.name, new.name.as_ref());
        set(&mut self.phone, new.phone.as_ref());
        set(&mut self.callback_url, new.callback_url.as_ref());
        set(&mut self.vehicle, new.vehicle.as_ref());
        set(&mut self.capacity, new.capacity.as_ref());
        set(&mut self.shift_end, new.shift_end.as_ref());
        set(&mut self.cash_limit, new.cash_limit.as_ref());
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// What a pilot did so far, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Orders offered or given.
    pub offered: u32,
    /// Orders accepted.
    pub accepted: u32,
    /// Orders turned down.
    pub rejected: u32,
    /// Offers that lapsed without an answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub lapsed: u32,
    /// Orders handed over.
    pub delivered: u32,
    /// Orders that could not be handed over.
    pub failed: u32,
    /// Orders handed over later than estimated.
    pub late: u32,
}

/// Where the pilot was, and that the position is the newest.
pub(crate) fn is_newer(fix: Option<Fix>, at: Time) -> bool {
    fix.is_none_or(|old| old.at <= at)
}

mod shared {
    //! serde for a value behind an [`Arc`], without serde's `rc` feature.
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize(value, serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}
