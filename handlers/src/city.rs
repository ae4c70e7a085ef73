//! Everything that is known of the city now.
//!
//! Orders and pilots are the truth; everything else here is an index that follows from them, kept up by
//! [`City::edit_order`] and [`City::edit_pilot`] alone. Who carries what is written in one place, the order: an order
//! with two carriers cannot be expressed.

use std::{num::NonZeroU64, sync::Arc};

use imbl::{OrdMap, OrdSet};
use megamind_domain::{EntityKey, Time};

use crate::{
    Position,
    calls::Outbox,
    grid::{self, Grid},
    id::{IdKey, KeptName, Name},
    order::{Order, OrderKey, Status},
    pilot::{Pilot, PilotKey},
};

/// The key under which the counter of keys is kept.
pub const COUNTER: EntityKey = EntityKey(0);

/// A city. Cloned once a commit, so everything in it is persistent.
#[derive(Clone, Debug, Default)]
pub struct City {
    last_key: u64,
    orders: OrdMap<OrderKey, Arc<Order>>,
    pilots: OrdMap<PilotKey, Arc<Pilot>>,
    order_names: OrdMap<IdKey, OrderKey>,
    pilot_names: OrdMap<IdKey, PilotKey>,
    /// Open orders by merchant.
    merchants: OrdMap<IdKey, u32>,
    /// Orders that wait for a pilot from here.
    waiting: OrdSet<OrderKey>,
    /// Orders of the upstream's that might be taken over.
    adoptable: OrdSet<OrderKey>,
    /// Who is busy with what.
    loads: OrdSet<(PilotKey, OrderKey)>,
    grid: Grid,
    /// What pilots and merchants are still to be told.
    pub(crate) outbox: Outbox,
    orders_by_status: [u64; Status::ALL.len()],
    /// Counts what may matter to a plan: changes of orders, and of pilots but for their positions.
    changes: u64,
}

impl City {
    /// The key that the next entity gets, and the ones after it.
    pub(crate) fn next_key(&self, ahead: u64) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(self.last_key.saturating_add(ahead))
    }

    /// The counter of keys.
    pub(crate) fn last_key(&self) -> u64 {
        self.last_key
    }

    /// Keys up to this one are taken.
    pub(crate) fn take_key(&mut self, key: u64) {
        self.last_key = self.last_key.max(key);
    }

    /// The order under a key.
    pub fn order(&self, key: OrderKey) -> Option<&Order> {
        self.orders.get(&key).map(|order| &**order)
    }

    /// The pilot under a key.
    pub fn pilot(&self, key: PilotKey) -> Option<&Pilot> {
        self.pilots.get(&key).map(|pilot| &**pilot)
    }

    /// The order with this id, its own or the upstream's.
    pub fn find_order(&self, name: &Name) -> Option<&Order> {
        let order = self.order(*self.order_names.get(&name.key())?)?;
        let is_it = name.local().is_some() || order.upstream() == Some(name.text());
        is_it.then_some(order)
    }

    /// The order that was placed here with this id.
    pub(crate) fn find_local(&self, id: crate::id::LocalId) -> Option<&Order> {
        self.order(*self.order_names.get(&IdKey::of_local(id))?)
    }

    /// The pilot with this id.
    pub fn find_pilot(&self, name: &Name) -> Option<&Pilot> {
        let pilot = self.pilot(*self.pilot_names.get(&name.key())?)?;
        (pilot.id.text() == name.text()).then_some(pilot)
    }

    /// All orders, oldest first.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values().map(|order| &**order)
    }

    /// All pilots, in the order of their first appearance, from a key on.
    pub fn pilots_from(&self, key: PilotKey) -> impl Iterator<Item = &Pilot> {
        self.pilots.range(key..).map(|(_, pilot)| &**pilot)
    }

    /// All pilots, in the order of their first appearance.
    pub fn pilots(&self) -> impl Iterator<Item = &Pilot> {
        self.pilots.values().map(|pilot| &**pilot)
    }

    /// The orders that a pilot is busy with, oldest first.
    pub fn carried_by(&self, pilot: PilotKey) -> impl Iterator<Item = OrderKey> {
        let first = OrderKey(NonZeroU64::MIN);
        let last = OrderKey(NonZeroU64::MAX);
        self.loads.range((pilot, first)..=(pilot, last)).map(|&(_, order)| order)
    }

    /// The orders that wait for a pilot from here, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Order> {
        self.waiting.iter().filter_map(|&key| self.order(key))
    }

    /// Open orders of the upstream's that nobody has picked up, oldest first.
    pub fn adoptable(&self) -> impl Iterator<Item = &Order> {
        self.adoptable.iter().filter_map(|&key| self.order(key))
    }

    /// How many of them there are.
    pub fn adoptable_count(&self) -> usize {
        self.adoptable.len()
    }

    /// All orders from a key on, oldest first.
    pub fn orders_from(&self, key: OrderKey) -> impl Iterator<Item = &Order> {
        self.orders.range(key..).map(|(_, order)| &**order)
    }

    /// Every order that somebody is busy with, by pilot.
    pub fn carried(&self) -> impl Iterator<Item = (PilotKey, OrderKey)> {
        self.loads.iter().copied()
    }

    /// How many orders wait for a pilot from here.
    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// How many pilots could take an order.
    pub fn free_pilots(&self) -> usize {
        self.grid.len()
    }

    /// The nearest pilot with room whom `allows` takes, and the distance in metres.
    pub fn nearest(&self, to: Position, allows: impl Fn(PilotKey) -> bool) -> Option<(PilotKey, f64)> {
        self.grid.nearest(to, allows)
    }

    /// The nearest pilots with room and the distances in metres, nearest first.
    pub fn ranked(&self, to: Position, count: usize) -> Vec<(PilotKey, f64)> {
        self.grid.ranked(to, count)
    }

    /// How many open orders a merchant has.
    pub fn open_orders(&self, merchant: &str) -> u32 {
        self.merchants.get(&IdKey::of_name(merchant)).copied().unwrap_or(0)
    }

    /// A number that is another one whenever something but a position has changed. It starts anew with every start.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Notes that something has changed that may matter to a plan.
    pub(crate) fn note_change(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// How many orders have each status, in the order of [`Status::ALL`].
    pub fn orders_by_status(&self) -> [u64; Status::ALL.len()] {
        self.orders_by_status
    }

    /// Changes an order, one that is not there yet starting as unknown, and everything that follows from it.
    pub(crate) fn edit_order(&mut self, key: OrderKey, at: Time, edit: impl FnOnce(&mut Order)) {
        if !self.orders.contains_key(&key) {
            self.put_order(Order::unknown(key, at));
        }
        let Some(slot) = self.orders.get_mut(&key) else {
            return;
        };
        self.changes = self.changes.wrapping_add(1);
        let before = Derived::of(slot);
        let order = Arc::make_mut(slot);
        let names_before: smallvec::SmallVec<[IdKey; 2]> = order.names().collect();
        edit(order);
        let after = Derived::of(order);
        if after.status.is_final() && after.status != before.status {
            order.ended_at = at;
        }
        for name in order.names().filter(|name| !names_before.contains(name)) {
            self.order_names.insert(name, key);
        }
        self.derive(key, &before, &after);
    }

    /// Puts an order in as it is.
    pub(crate) fn put_order(&mut self, order: Order) {
        let key = order.key;
        self.note_change();
        self.take_key(key.0.get());
        for name in order.names() {
            self.order_names.insert(name, key);
        }
        let after = Derived::of(&order);
        self.orders.insert(key, Arc::new(order));
        self.orders_by_status[after.status as usize] += 1;
        self.derive(key, &Derived::nothing(after.status), &after);
    }

    /// Takes an order out. Its ids stay, and lead to `heir`.
    pub(crate) fn remove_order(&mut self, key: OrderKey, heir: OrderKey) {
        let Some(order) = self.orders.remove(&key) else {
            return;
        };
        self.note_change();
        for name in order.names() {
            self.order_names.insert(name, heir);
        }
        let before = Derived::of(&order);
        self.derive(key, &before, &Derived::nothing(before.status));
        self.orders_by_status[before.status as usize] -= 1;
    }

    /// Takes an order out, and its ids with it.
    pub(crate) fn retire_order(&mut self, key: OrderKey) {
        let Some(order) = self.orders.get(&key).cloned() else {
            return;
        };
        self.remove_order(key, key);
        for name in order.names() {
            self.order_names.remove(&name);
        }
    }

    /// Whether any id of an order leads to another one.
    pub(crate) fn has_names_of(&self, order: &Order) -> bool {
        order.names().any(|name| self.order_names.contains_key(&name))
    }

    fn derive(&mut self, key: OrderKey, before: &Derived, after: &Derived) {
        for (set, before, after) in [
            (&mut self.waiting, before.waits, after.waits),
            (&mut self.adoptable, before.adoptable, after.adoptable),
        ] {
            match (before, after) {
                (false, true) => set.insert(key),
                (true, false) => set.remove(&key),
                _ => None,
            };
        }
        if before.status != after.status {
            self.orders_by_status[before.status as usize] -= 1;
            self.orders_by_status[after.status as usize] += 1;
        }
        if before.open_for != after.open_for {
            self.count_open(before.open_for, |count| count.saturating_sub(1));
            self.count_open(after.open_for, |count| count.saturating_add(1));
        }
        if before.carrier != after.carrier {
            if let Some(pilot) = before.carrier {
                self.loads.remove(&(pilot, key));
                self.edit_pilot(pilot, |pilot| pilot.load = pilot.load.saturating_sub(1));
            }
            if let Some(pilot) = after.carrier {
                self.loads.insert((pilot, key));
                self.edit_pilot(pilot, |pilot| pilot.load = pilot.load.saturating_add(1));
            }
        }
    }

    fn count_open(&mut self, merchant: Option<IdKey>, change: impl Fn(u32) -> u32) {
        let Some(merchant) = merchant else { return };
        match change(self.merchants.get(&merchant).copied().unwrap_or(0)) {
            0 => self.merchants.remove(&merchant),
            count => self.merchants.insert(merchant, count),
        };
    }

    /// Changes a pilot, one that is not there yet staying away, and everything that follows from it.
    pub(crate) fn edit_pilot(&mut self, key: PilotKey, edit: impl FnOnce(&mut Pilot)) {
        let Some(slot) = self.pilots.get_mut(&key) else {
            return;
        };
        let before = grid::place(slot);
        let pilot = Arc::make_mut(slot);
        edit(pilot);
        let after = grid::place(pilot);
        self.grid.change(key, before, after);
    }

    /// Puts a pilot in as it is, with the orders that name it.
    pub(crate) fn put_pilot(&mut self, mut pilot: Pilot) {
        let key = pilot.key;
        self.take_key(key.0.get());
        pilot.load = self.carried_by(key).count() as u32;
        self.pilot_names.insert(pilot.id.key(), key);
        self.grid.change(key, None, grid::place(&pilot));
        self.pilots.insert(key, Arc::new(pilot));
    }

    /// Puts a new pilot in under an id.
    pub(crate) fn new_pilot(&mut self, key: PilotKey, id: KeptName) {
        if !self.pilots.contains_key(&key) {
            self.put_pilot(Pilot::unknown(key, id));
        }
    }
}

/// What the indexes say about one order.
struct Derived {
    status: Status,
    waits: bool,
    adoptable: bool,
    open_for: Option<IdKey>,
    carrier: Option<PilotKey>,
}

impl Derived {
    fn of(order: &Order) -> Self {
        Self {
            status: order.status,
            waits: order.waits(),
            adoptable: order.is_adoptable(),
            open_for: order.open_for(),
            carrier: order.carrier(),
        }
    }

    /// An order that is not there.
    fn nothing(status: Status) -> Self {
        Self { status, waits: false, adoptable: false, open_for: None, carrier: None }
    }
}
