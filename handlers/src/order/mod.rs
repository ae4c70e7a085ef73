//! An order: what is to be carried where, and how far it got.

mod details;
mod history;
pub(crate) mod row;
mod status;
mod text;

use std::num::NonZeroU64;

use megamind_domain::{EntityKey, Time};
use smallvec::SmallVec;

pub use details::{Currency, Details, Stop};
pub use history::{Happening, Oddities, Step};
pub use status::{Fact, Status};
pub(crate) use text::{Part, Text};

use crate::{
    Money, Position,
    id::{IdKey, KeptName, LocalId},
    pilot::PilotKey,
    planning::vehicle_bits,
};

/// The key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct OrderKey(pub NonZeroU64);

impl From<OrderKey> for EntityKey {
    fn from(key: OrderKey) -> Self {
        Self(key.0.get())
    }
}

/// One order. There may be millions: what is rarely read is packed into one text.
// Each says one thing, and none follows from another.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub(crate) key: OrderKey,
    pub(crate) local: Option<LocalId>,
    pub(crate) placed_at: Time,
    /// When it was heard that it has ended; meaningless before.
    pub(crate) ended_at: Time,
    pub(crate) status: Status,
    pub(crate) pilot: Option<PilotKey>,
    /// Whether the pilot was chosen here.
    pub(crate) assigned_here: bool,
    /// Whether the upstream may have taken it too when it was placed here.
    pub(crate) in_doubt: bool,
    pub(crate) upstream_is_number: bool,
    pub(crate) merchant_is_number: bool,
    pub(crate) pickup: Option<Position>,
    pub(crate) dropoff: Option<Position>,
    pub(crate) ready_at: Option<Time>,
    pub(crate) eta: Option<Time>,
    pub(crate) promised_at: Option<Time>,
    /// In percent of an ordinary one's; 0 where nobody said.
    pub(crate) priority: u16,
    /// What may carry it: a bit for each vehicle; 0 where nobody said.
    pub(crate) vehicles: u16,
    pub(crate) cod_amount: Option<Money>,
    pub(crate) cod_collected: Option<Money>,
    pub(crate) currency: Option<Currency>,
    /// Pilots who said no.
    pub(crate) excluded: SmallVec<[PilotKey; 2]>,
    pub(crate) history: Vec<Step>,
    pub(crate) text: Text,
}

impl Order {
    /// An order of which nothing is known yet.
    pub(crate) fn unknown(key: OrderKey, at: Time) -> Self {
        Self {
            key,
            local: None,
            placed_at: at,
            ended_at: at,
            status: Status::Unknown,
            pilot: None,
            assigned_here: false,
            in_doubt: false,
            upstream_is_number: false,
            merchant_is_number: false,
            pickup: None,
            dropoff: None,
            ready_at: None,
            eta: None,
            promised_at: None,
            priority: 0,
            vehicles: 0,
            cod_amount: None,
            cod_collected: None,
            currency: None,
            excluded: SmallVec::new(),
            history: Vec::new(),
            text: Text::default(),
        }
    }

    /// The key.
    pub fn key(&self) -> OrderKey {
        self.key
    }

    /// When it was first heard of.
    pub fn placed_at(&self) -> Time {
        self.placed_at
    }

    /// When it was heard that it has ended, if it has.
    pub fn ended_at(&self) -> Option<Time> {
        self.status.is_final().then_some(self.ended_at)
    }

    /// The id given here.
    pub fn local(&self) -> Option<LocalId> {
        self.local
    }

    /// The id that the upstream gave.
    pub fn upstream(&self) -> Option<&str> {
        self.text.get(Part::Upstream)
    }

    /// Where it is on its way.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Who carries it, or carried it last.
    pub fn pilot(&self) -> Option<PilotKey> {
        self.pilot
    }

    /// Who is busy with it now.
    pub fn carrier(&self) -> Option<PilotKey> {
        self.pilot.filter(|_| self.status.is_carried())
    }

    /// Where it is fetched.
    pub fn pickup(&self) -> Option<Position> {
        self.pickup
    }

    /// Where it goes.
    pub fn dropoff(&self) -> Option<Position> {
        self.dropoff
    }

    /// Pilots who said no.
    pub fn excluded(&self) -> &[PilotKey] {
        &self.excluded
    }

    /// What happened, by arrival.
    pub fn history(&self) -> &[Step] {
        &self.history
    }

    /// The merchant's id.
    pub fn merchant(&self) -> Option<&str> {
        self.text.get(Part::Merchant)
    }

    /// Whether it waits for a pilot from here: it was placed here, the upstream has not heard of it, and nobody
    /// carries it.
    pub fn waits(&self) -> bool {
        self.status == Status::Placed && self.is_ours()
    }

    /// Whether only this city knows it: it was placed here, and was never sent.
    pub fn is_ours(&self) -> bool {
        self.local.is_some() && self.upstream().is_none() && !self.in_doubt
    }

    /// Whether it is the upstream's to dispatch, might be taken over, and could be: nobody has picked it up, and both
    /// ends of its way are known.
    pub(crate) fn is_adoptable(&self) -> bool {
        !self.is_ours()
            && (Status::Placed..=Status::ArrivedAtPickup).contains(&self.status)
            && self.pickup.is_some()
            && self.dropoff.is_some()
    }

    /// When it was last heard of.
    pub fn heard_at(&self) -> Time {
        self.history.last().map_or(self.placed_at, |step| step.at)
    }

    /// When it should be at the door.
    pub fn eta(&self) -> Option<Time> {
        self.eta
    }

    /// When it can be fetched.
    pub fn ready_at(&self) -> Option<Time> {
        self.ready_at
    }

    /// By when it was promised at the door.
    pub fn promised_at(&self) -> Option<Time> {
        self.promised_at
    }

    /// Whether its pilot was chosen here.
    pub fn assigned_here(&self) -> bool {
        self.assigned_here
    }

    /// Since when a pilot chosen here has owed an answer, where one does.
    pub fn offered_at(&self) -> Option<Time> {
        let offered = self.status == Status::Assigned && self.assigned_here;
        let is_offer = |step: &&Step| step.what == Happening::Reached(Status::Assigned);
        offered
            .then(|| self.history.iter().rfind(is_offer).map(|step| step.at))
            .flatten()
    }

    /// Since when its pilot has been silent with the parcel, where that was noted and nothing was heard since.
    pub fn silent_since(&self) -> Option<Time> {
        let last = self.history.last()?;
        (self.carrier().is_some() && last.odd.contains(Oddities::SILENT)).then_some(last.at)
    }

    /// The merchant in whose count of open orders it stands.
    pub(crate) fn open_for(&self) -> Option<IdKey> {
        (!self.status.is_final()).then(|| self.merchant().map(IdKey::of_name)).flatten()
    }

    /// The ids by which it is found.
    pub(crate) fn names(&self) -> impl Iterator<Item = IdKey> {
        let local = self.local.into_iter().chain(self.former()).map(IdKey::of_local);
        let upstream = self.upstream().map(IdKey::of_name);
        local.chain(upstream)
    }

    /// Ids of orders placed here that turned out to be this one.
    pub(crate) fn former(&self) -> impl Iterator<Item = LocalId> {
        let ids = self.text.get(Part::Former).into_iter().flat_map(|ids| ids.split(' '));
        ids.filter_map(|id| u128::from_str_radix(id, 16).ok()).map(LocalId)
    }

    /// Takes what is given, and leaves the rest as it is.
    pub(crate) fn take(&mut self, details: &Details) {
        let merchant = details.merchant.as_ref().map(KeptName::text);
        let mut parts: SmallVec<[(Part, &str); 8]> = SmallVec::new();
        if let (Some(text), Some(merchant)) = (&merchant, &details.merchant) {
            parts.push((Part::Merchant, text));
            self.merchant_is_number = merchant.is_numeric();
        }
        for (stop, position, address, contact) in [
            (&details.pickup, &mut self.pickup, Part::PickupAddress, Part::PickupContact),
            (&details.dropoff, &mut self.dropoff, Part::DropoffAddress, Part::DropoffContact),
        ] {
            let Some(stop) = stop else { continue };
            *position = stop.position.or(*position);
            parts.extend(stop.address.as_deref().map(|text| (address, text)));
            parts.extend(stop.contact.as_deref().map(|text| (contact, text)));
        }
        parts.extend(details.items.as_deref().map(|text| (Part::Items, text)));
        parts.extend(details.client_ref.as_deref().map(|text| (Part::ClientRef, text)));
        self.text.set(&parts);
        self.ready_at = details.ready_at.or(self.ready_at);
        self.promised_at = details.promised_at.or(self.promised_at);
        self.priority = details.priority.unwrap_or(self.priority);
        if !details.vehicles.is_empty() {
            self.vehicles = vehicle_bits(&details.vehicles);
        }
        self.cod_amount = details.cod_amount.or(self.cod_amount);
        self.currency = details.currency.or(self.currency);
    }

    /// Gives it the upstream's id.
    pub(crate) fn set_upstream(&mut self, id: &KeptName) {
        self.upstream_is_number = id.is_numeric();
        self.text.set(&[(Part::Upstream, &id.text())]);
    }
}
