//! What the operator may turn.

use super::model::Seconds;

/// The longest bundle: orders carried at once from pickup to door.
pub const MAX_BUNDLE: usize = 4;

/// The deepest plan: bundles one after another for one pilot.
pub const MAX_DEPTH: usize = 3;

/// Who chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The planner of this module.
    #[default]
    Plan,
    /// Each order to the nearest idle pilot, in the sequence in which they were placed. A
    /// yardstick, and a policy that anybody can follow by hand.
    Nearest,
}

/// How the planner plans. Every budget counts iterations, never time, so that the same input
/// gives the same plan on any machine. Values beyond reason are brought back into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who chooses.
    pub policy: Policy,
    /// Whether all of a plan is told at once, because somebody asked for it: nobody is then given more than it carries
    /// at once.
    pub tell_all: bool,
    /// Seconds until the next planning: what must start before then is committed now.
    pub interval: Seconds,
    /// Seconds spent at a pickup, half before the order is in hand and half after.
    pub pickup_service: Seconds,
    /// Seconds spent at a door, half before the hand-over and half after.
    pub dropoff_service: Seconds,
    /// Orders in one bundle at most, 1 to [`MAX_BUNDLE`].
    pub bundle_orders: usize,
    /// Pickup places of one bundle at most: with 1, pilots never call at a second merchant
    /// while they carry something.
    pub bundle_places: usize,
    /// Bundles planned ahead for one pilot at most, 1 to [`MAX_DEPTH`].
    pub depth: usize,
    /// Pilots tried for one order: those soonest at its pickup.
    pub neighbours: usize,
    /// Pilots tried for one whole plan when plans are dealt anew.
    pub deal_neighbours: usize,
    /// Rounds of reinsertion and dealing at most.
    pub rounds: usize,
    /// Passes of remove-and-reinsert in one round at most.
    pub passes: usize,
    /// Routes tried for insertion in one planning at most: a bound for the worst day.
    pub insertions: u64,
    /// Orders that fit nowhere for which another one is moved out of the way, at most.
    pub squeezes: usize,
    /// Where an order has no promised time, it is late this long after it was placed.
    pub target: Seconds,
    /// What a second after the target costs on top, in percent of a normal second.
    pub lateness_percent: i64,
    /// What a second after a promised time costs on top, in percent of a normal second.
    pub promise_percent: i64,
    /// What it costs to leave a pilot a second further from where orders come from, in percent
    /// of a second of waiting. Without this, plans are good for the orders known and bad for
    /// the next ones.
    pub remoteness_percent: i64,
    /// A pickup further away than this is just far.
    pub remoteness_cap: Seconds,
    /// Where a pilot stands counts for less and less over so much before its shift ends.
    pub remoteness_fade: Seconds,
    /// Positions older than this count for less.
    pub stale_after: Seconds,
    /// How much earlier a pilot reachable by SMS alone is told.
    pub sms_lead: Seconds,
    /// How long an offer stands before it expires, by data.
    pub offer_ttl: Seconds,
    /// How long an offer stands before it expires, by SMS.
    pub sms_offer_ttl: Seconds,
}

impl Default for Settings {
    /// A city planned every 15 s. The weights were tuned on instances of the public Meal
    /// Delivery Routing Problem; `megamind-bench mdrp` shows what they give.
    fn default() -> Self {
        Self {
            policy: Policy::Plan,
            tell_all: false,
            interval: 15,
            pickup_service: 240,
            dropoff_service: 240,
            bundle_orders: 4,
            bundle_places: 2,
            depth: 3,
            neighbours: 40,
            deal_neighbours: 24,
            rounds: 2,
            passes: 3,
            insertions: 2_000_000,
            squeezes: 16,
            target: 40 * 60,
            lateness_percent: 10,
            promise_percent: 100,
            remoteness_percent: 16,
            remoteness_cap: 35 * 60,
            remoteness_fade: 30 * 60,
            stale_after: 120,
            sms_lead: 60,
            offer_ttl: 60,
            sms_offer_ttl: 300,
        }
    }
}

impl Settings {
    /// The settings with every value in the range that it can have, so that no arithmetic on
    /// them overflows.
    pub(super) fn bounded(mut self) -> Self {
        const DAY: Seconds = 86_400;
        for duration in [
            &mut self.interval,
            &mut self.pickup_service,
            &mut self.dropoff_service,
            &mut self.target,
            &mut self.remoteness_cap,
            &mut self.remoteness_fade,
            &mut self.stale_after,
            &mut self.sms_lead,
            &mut self.offer_ttl,
            &mut self.sms_offer_ttl,
        ] {
            *duration = (*duration).clamp(0, DAY);
        }
        for percent in [&mut self.lateness_percent, &mut self.promise_percent, &mut self.remoteness_percent] {
            *percent = (*percent).clamp(0, 10_000);
        }
        self.bundle_orders = self.bundle_orders.clamp(1, MAX_BUNDLE);
        self.bundle_places = self.bundle_places.clamp(1, MAX_BUNDLE);
        self.depth = self.depth.clamp(1, MAX_DEPTH);
        self.neighbours = self.neighbours.max(1);
        self
    }
}
