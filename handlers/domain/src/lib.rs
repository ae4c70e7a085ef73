//! What the gateway and the journal know of a business, and nothing more.
//!
//! The machinery (proxy, modes, journal, drain) is generic over one [`Domain`]. A domain is *pure*: it
//! does no IO and reads neither a clock nor randomness. The journal's single writer hands it everything
//! through [`Ctx`], so a run over the same input can be repeated to the byte.
//!
//! The life of a write: [`Domain::parse`] on a proxy thread, [`Domain::decide`] and [`Domain::evolve`] on the
//! writer, [`Domain::render`] before the commit, the commit, and only then the answer.

mod ctx;
mod wire;

pub use ctx::{Ctx, IdSource, Stance, Time};
pub use wire::{Exchange, Observed, Rejection, Request, Response};

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;

/// A business that the gateway can stand in for.
///
/// Ten methods, no more: one is added only when two unlike domains need it.
pub trait Domain: Sized + Send + Sync + 'static {
    /// Everything that is known now. Cloned once a commit, so a clone has to be cheap (persistent maps).
    type City: Clone + Default + Send + Sync + 'static;
    /// What somebody wants: a write, a query, or an observation.
    type Command: Send + Sync + 'static;
    /// What has been decided. Serialized into the journal: a version change needs a golden file.
    type Event: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The answer to a command, before it is put into the client's dialect.
    type Answer: Send + 'static;

    /// The paths this domain answers, asked once at start.
    fn routes(&self) -> Vec<RouteSpec>;

    /// Reads a request. Needs no city, so it runs on the proxy's threads.
    ///
    /// # Errors
    /// A 4xx [`Rejection`] that names the field at fault.
    fn parse(&self, endpoint: Endpoint, request: &Request) -> Result<Parsed<Self::Command>, Rejection>;

    /// Decides a command against a city without changing it. A query decides no events.
    ///
    /// # Errors
    /// A [`Rejection`] if the command is not possible now; it changes nothing.
    fn decide(
        &self,
        city: &Self::City,
        command: &Self::Command,
        ctx: &mut Ctx<'_>,
    ) -> Result<Decision<Self>, Rejection>;

    /// Applies a decided event. Uses the event alone: replaying the journal gives the same city.
    fn evolve(&self, city: &mut Self::City, event: &Self::Event);

    /// The entities that a command names (those known to `city`) or that an event changes.
    fn touches(&self, city: &Self::City, what: Touching<'_, Self>) -> Touches;

    /// Puts an answer or a refusal into the dialect of the client.
    fn render(
        &self,
        city: &Self::City,
        endpoint: Option<Endpoint>,
        outcome: Result<&Self::Answer, &Rejection>,
    ) -> Response;

    /// Headers for the replay of the request that created the entity with the local id `created`:
    /// what became of it since.
    fn annotate(&self, city: &Self::City, created: &str) -> Vec<(&'static str, String)>;

    /// What an exchange with the upstream tells about the city.
    fn observe(&self, city: &Self::City, exchange: &Exchange<Self::Command>) -> Observed<Self::Command>;

    /// The row of one entity, or `None` where the city has none under this key.
    fn encode(&self, city: &Self::City, key: EntityKey) -> Option<Vec<u8>>;

    /// Puts a row back into the city. Rows arrive in ascending order of their keys.
    ///
    /// # Errors
    /// What is wrong with the row, for the log.
    fn decode(&self, city: &mut Self::City, key: EntityKey, row: &[u8]) -> Result<(), String>;
}

/// The key of an entity: dense, given by the domain in the order of first appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct EntityKey(pub u64);

/// Which of its endpoints a domain means; a number of the domain's own choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(pub u16);

/// One path and what is done with it.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// The exact path, with its base path; a trailing slash is the same route.
    pub path: String,
    /// The name used in metrics and logs.
    pub name: &'static str,
    /// Handed back to [`Domain::parse`].
    pub endpoint: Endpoint,
    /// Who answers while the upstream is well.
    pub policy: Policy,
    /// Whether its requests create something that the upstream gives an id of its own.
    pub creates: bool,
    /// Whether a request is a write. The path decides, not the method: old clients cancel by GET.
    pub access: Access,
}

/// Who answers a handled route while the upstream is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The upstream; the handlers while it is down.
    Act,
    /// The handlers, in every mode.
    Local,
}

/// Whether a command may decide events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Answered from the published city.
    Read,
    /// Decided and journaled by the writer.
    Write,
}

/// A request that could be read.
#[derive(Clone, Debug)]
pub struct Parsed<C> {
    /// What it asks for.
    pub command: C,
    /// Who speaks (a merchant's or pilot's id); a part of the scope of an idempotency key.
    pub subject: Option<Box<str>>,
    /// What makes a repetition of this request recognizable without a key of the client's: for deliveries
    /// (merchantId, clientRef, content) or (minionId, requestId). Keys are derived from a hash of it.
    pub natural: Option<Vec<u8>>,
    /// Physical facts are taken whatever the stand-in limits say.
    pub fact: bool,
    /// For a query that may wait until there is something new.
    pub patience: Option<Patience<C>>,
}

/// How a query waits: while the domain refuses it with the code [`UNCHANGED`], it is asked again whenever one of the
/// entities that it names has changed.
#[derive(Clone, Debug)]
pub struct Patience<C> {
    /// How long it waits at most.
    pub limit: Duration,
    /// What is asked when nothing new has come by then.
    pub at_last: C,
}

/// The code of the refusal that means: nothing new yet.
pub const UNCHANGED: &str = "unchanged";

/// What was decided.
#[derive(Debug)]
pub struct Decision<D: Domain> {
    /// What happened, in order. Empty for a query or a repetition without effect.
    pub events: Vec<D::Event>,
    /// The answer to whoever asked.
    pub answer: D::Answer,
    /// The local id of what this decision created, if the upstream will know it by another id.
    pub created: Option<Box<str>>,
    /// How the upstream learns of it.
    pub replay: Replay,
    /// Commands that follow at once, each a record of its own in the same commit (an assignment after an order).
    /// A rejection of one is counted and changes nothing.
    pub then: Vec<D::Command>,
    /// Entities that turned out to be one.
    pub joined: Vec<Joined>,
}

/// Two entities that turned out to be one: what is queued about the one that is gone is about the other from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The key that stays.
    pub kept: EntityKey,
    /// The key that leads nowhere any more.
    pub gone: EntityKey,
}

impl<D: Domain> Decision<D> {
    /// An answer that changes nothing.
    pub fn answer(answer: D::Answer) -> Self {
        Self {
            events: Vec::new(),
            answer,
            created: None,
            replay: Replay::Nothing,
            then: Vec::new(),
            joined: Vec::new(),
        }
    }
}

/// How the upstream learns of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The client's own request is replayed.
    AsSent,
    /// The client's own request, but only the newest of its slot: an older one that waits is dropped, or merged with it.
    /// For values that are overwritten anyway, such as positions. Neither fences nor waits in order.
    Newest {
        /// Whose value it is.
        slot: EntityKey,
        /// A number that it has in common with the values that it replaces whole, because they have the same fields and
        /// are older. 0 for one that replaces none: it is merged with what waits.
        fields: u32,
    },
    /// Several such values, which came in one request; each is told by a request of its own.
    Each {
        /// The values.
        values: Vec<Value>,
        /// What else the request said, which is told in order.
        rest: Option<Request>,
    },
    /// Nothing to tell, because the upstream said it: what waits in these slots is out of date.
    Known {
        /// Whose values.
        slots: Vec<EntityKey>,
    },
    /// A request of the gateway's own making.
    Own(Request),
    /// Nothing to tell.
    Nothing,
}

/// One value of a slot; see [`Replay::Newest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Whose value it is.
    pub slot: EntityKey,
    /// See [`Replay::Newest`].
    pub fields: u32,
    /// The request that tells it.
    pub request: Request,
}

/// What [`Domain::touches`] is asked about.
pub enum Touching<'a, D: Domain> {
    /// Something that somebody wants.
    Command(&'a D::Command),
    /// Something that was decided; the city is the one *after* it.
    Event(&'a D::Event),
}

/// The entities that something touches, without repetitions.
pub type Touches = SmallVec<[Touch; 2]>;

/// One touched entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Which entity.
    pub key: EntityKey,
    /// In what role.
    pub role: Role,
}

/// The role of an entity in a command or event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What it is about (an order): a parked entry holds back what follows about the same subject.
    Subject,
    /// Who is involved (a pilot): entries of one actor go in order, but a parked one holds nothing back.
    Actor,
    /// Only the row is written (counters of the city itself): no order, no fence.
    Row,
}
