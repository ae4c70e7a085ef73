//! What somebody wants, and what comes back.

use std::sync::Arc;

use megamind_domain::{Rejection, Request, Time};

use crate::{
    Money, Position,
    calls::{CallKey, Outcome},
    id::{KeptName, LocalId, Name},
    order::{Details, Fact, OrderKey, Status},
    pilot::{Availability, PilotKey, Profile},
    planning::Planned,
};

/// What somebody wants: a write, a query, an observation, or something of our own.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take a new order.
    PlaceOrder(Arc<Details>),
    /// Tell where an order is.
    TrackOrder(Name),
    /// Change an order.
    UpdateOrder {
        /// Which.
        order: Name,
        /// What is new.
        details: Arc<Details>,
    },
    /// Call an order off.
    CancelOrder {
        /// Which.
        order: Name,
        /// Why.
        reason: Option<Box<str>>,
    },
    /// A pilot's score.
    ScorePilot(Name),
    /// Who could carry an order, best first.
    RankPilots(Name),
    /// Pilots tell of themselves.
    ReportPilots(Many<PilotReport>),
    /// Pilots tell of their orders.
    ReportDeliveries(Many<DeliveryReport>),
    /// Register or change pilots.
    SetPilots(Many<PilotReport>),
    /// Give an order to a pilot.
    Assign(Assignment),
    /// Give orders to pilots; `None`, every order that waits.
    AssignMany(Option<Many<Assignment>>),
    /// Give out every order that waits, by a plan that was made beforehand ([`crate::Deliveries::plan_ahead`]).
    AssignAll(Vec<Planned>),
    /// Tell of pilots.
    ShowPilots(PilotQuery),
    /// Tell what pilots carry.
    ShowDeliveries(PilotQuery),
    /// Give an order to somebody at once, if it is urgent and clear to whom.
    AssignNow(OrderKey),
    /// Carry out a plan.
    FollowPlan(Vec<Planned>),
    /// Give an order to whom a plan gave it, if nothing has changed that.
    AssignPlanned(Box<Planned>),
    /// Take back what lapsed and give out what waits, as time passes.
    DispatchDue,
    /// A pilot takes back what was said last of an order, before the upstream has heard of it.
    TakeBack {
        /// Which order.
        order: OrderKey,
        /// Who said it.
        pilot: PilotKey,
        /// The status that it brought.
        from: Status,
        /// The status before it.
        to: Status,
    },
    /// Let go of orders that ended long ago.
    Retire(Vec<OrderKey>),
    /// Take an order back that somebody asks about again.
    Recall {
        /// Its key.
        order: OrderKey,
        /// Its row, as it was written when it left.
        row: Box<str>,
    },
    /// What the upstream was seen to say.
    Watched(Box<Watched>),
    /// What became of calls to pilots and merchants.
    SettleCalls(Vec<(CallKey, Outcome)>),
    /// Register a merchant's service, or change it.
    SetMerchant {
        /// The merchant's id.
        id: KeptName,
        /// Where the service listens.
        callback_url: Box<str>,
        /// The file with the secrets that sign what it is told.
        secret_file: Box<str>,
    },
    /// An order placed here will never be told to the upstream: an operator said so.
    Disown {
        /// Our id.
        local: LocalId,
        /// Why, in the operator's words.
        why: Box<str>,
    },
    /// The upstream gave its own id to an order placed here.
    Alias {
        /// Our id.
        local: LocalId,
        /// The upstream's.
        upstream: Name,
    },
}

/// One item, or a list of them, each of which may be refused by itself.
#[derive(Clone, Debug)]
pub struct Many<T> {
    /// The items, as far as they could be read.
    pub items: Vec<Result<T, Rejection>>,
    /// Whether they came as a list, and are answered as one.
    pub bulk: bool,
    /// The request that they came in, where only some of them may have to be told in order.
    pub request: Option<Arc<Request>>,
}

impl<T> Many<T> {
    /// One item.
    pub fn one(item: T) -> Self {
        Self { items: vec![Ok(item)], bulk: false, request: None }
    }

    /// The items that could be read.
    pub fn read(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }
}

/// What a pilot, or somebody about a pilot, says.
#[derive(Clone, Debug)]
pub struct PilotReport {
    /// Who.
    pub pilot: Name,
    /// Where.
    pub position: Option<Position>,
    /// Whether the pilot takes orders.
    pub availability: Option<Availability>,
    /// When, as the pilot's clock says.
    pub at: Option<Time>,
    /// What rarely changes.
    pub profile: Profile,
    /// What else was said, which is told to the upstream and means nothing here.
    pub fields: Fields,
    /// Of an item of a list: all of it, as JSON.
    pub told: Option<Box<str>>,
}

/// Which fields a report of a pilot has, apart from those that name the pilot or are told in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// A hash of their names, 0 where they are not known.
    pub hash: u32,
    /// Whether there are others than a position.
    pub unknown: bool,
}

/// What a pilot says about an order.
#[derive(Clone, Debug)]
pub struct DeliveryReport {
    /// Which order.
    pub order: Name,
    /// Who.
    pub pilot: Name,
    /// What.
    pub news: News,
    /// When, as the pilot's clock says.
    pub at: Option<Time>,
    /// Where.
    pub position: Option<Position>,
    /// A proof in the app's own form (JSON).
    pub proof: Option<Box<str>>,
    /// Cash that was taken.
    pub cod_collected: Option<Money>,
}

/// What a pilot can say about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It was given to the pilot; another gateway or the upstream says so.
    Assigned,
    /// Yes.
    Accepted,
    /// No.
    Rejected,
    /// Something happened.
    Fact(Fact),
}

/// Who is to carry what.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Which order.
    pub order: Name,
    /// Who; the best who can, where nobody is named.
    pub pilot: Option<Name>,
}

/// Which pilots somebody asks about.
#[derive(Clone, Debug, Default)]
pub struct PilotQuery {
    /// One pilot, who must be known.
    pub one: Option<Name>,
    /// These pilots.
    pub pilots: Option<Vec<Name>>,
    /// Pilots of this availability.
    pub availability: Option<Availability>,
    /// Nearest to here first.
    pub near: Option<Position>,
    /// So many at most.
    pub limit: Option<u32>,
    /// Those after this one.
    pub after: Option<PilotKey>,
    /// Only what is newer than this version of what the pilot carries.
    pub since: Option<u64>,
}

/// What the upstream was seen to say.
#[derive(Clone, Debug)]
pub enum Watched {
    /// About an order.
    Order(Box<WatchedOrder>),
    /// It took what pilots say of themselves.
    Pilots(Vec<PilotReport>),
    /// It took what pilots say of their orders.
    Deliveries(Vec<DeliveryReport>),
    /// It cancelled an order, whatever it answered about it.
    Cancelled(Name),
}

/// What the upstream was seen to say about an order.
#[derive(Clone, Debug)]
pub struct WatchedOrder {
    /// Which.
    pub order: Name,
    /// What the merchant had said.
    pub details: Arc<Details>,
    /// Where it is.
    pub status: Option<Status>,
    /// Who carries it.
    pub pilot: Option<Name>,
    /// Where it is now.
    pub position: Option<Position>,
    /// When it should be there.
    pub eta: Option<Time>,
    /// Whether it is the answer to a read, which never takes an order out of a final status.
    pub read: bool,
    /// Whether the upstream has seen all that was queued about it: its decisions count, and facts stay.
    pub settles: bool,
}

/// The answer to a command, before it is rendered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An order as it is then.
    Order {
        /// Which.
        key: OrderKey,
        /// The id under which it was asked for.
        asked: Option<Name>,
        /// Whether the answer is to a new order.
        new: bool,
        /// When it was asked, where orders are given out here: then it can be told when it may be at the door.
        dispatched_at: Option<Time>,
    },
    /// What became of pilots' reports of themselves.
    Pilots(Items<PilotAnswer>),
    /// What became of pilots' reports of their orders.
    Deliveries(Items<DeliveryAnswer>),
    /// What became of assignments.
    Assignments(Items<AssignmentAnswer>),
    /// Pilots' general information.
    PilotInfos(Page),
    /// What pilots carry.
    PilotDeliveries(Page),
    /// A pilot's score.
    Score(PilotKey, Score),
    /// Who could carry an order.
    Candidates {
        /// Which.
        key: OrderKey,
        /// The id under which it was asked for.
        asked: Name,
        /// Best first.
        ranked: Vec<Candidate>,
    },
    /// Nothing to say: nobody asked.
    Done,
}

/// What became of one item, or of a list of them.
#[derive(Clone, Debug)]
pub struct Items<T> {
    /// In the order of the request.
    pub items: Vec<Result<T, Rejection>>,
    /// Whether they are answered as a list.
    pub bulk: bool,
}

/// What became of a pilot's report.
#[derive(Clone, Copy, Debug)]
pub struct PilotAnswer {
    /// Who.
    pub pilot: PilotKey,
    /// Whether the pilot was known before.
    pub known: bool,
}

/// What became of a delivery report.
#[derive(Clone, Debug)]
pub struct DeliveryAnswer {
    /// Which order.
    pub order: OrderKey,
    /// The id under which it was named.
    pub asked: Name,
    /// Whether order and pilot were known before.
    pub known: bool,
}

/// What became of an assignment.
#[derive(Clone, Debug)]
pub struct AssignmentAnswer {
    /// Which order.
    pub order: OrderKey,
    /// The id under which it was named.
    pub asked: Option<Name>,
    /// To whom it was to go; anybody, where `None`.
    pub pilot: Option<PilotKey>,
}

/// A part of a list of pilots.
#[derive(Clone, Debug)]
pub struct Page {
    /// Who.
    pub pilots: Vec<PilotKey>,
    /// Whether a list was asked for.
    pub bulk: bool,
    /// Where the next page starts.
    pub next: Option<PilotKey>,
}

/// A pilot's score and its parts, each 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// The whole.
    pub total: u8,
    /// Offers accepted.
    pub acceptance: u8,
    /// Orders handed over.
    pub completion: u8,
    /// In time.
    pub punctuality: u8,
    /// How new the position is.
    pub freshness: u8,
}

/// Somebody who could carry an order.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Who.
    pub pilot: PilotKey,
    /// 0 to 100.
    pub score: u8,
    /// Why not, or why less.
    pub reasons: Vec<&'static str>,
    /// Whether the order could go there.
    pub feasible: bool,
    /// At the pickup, where it could go there.
    pub eta_pickup: Option<Time>,
    /// At the door.
    pub eta_dropoff: Option<Time>,
    /// What the order adds to the waiting of all customers, in weighted seconds.
    pub added_seconds: Option<i64>,
}
