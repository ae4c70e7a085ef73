//! Deliveries: what a city does while the cloud is away, as a pure core.
//!
//! | module | holds |
//! | --- | --- |
//! | [`order`], [`pilot`], [`id`] | what there is |
//! | [`city`] | everything that is known now, and the indexes that follow from it |
//! | [`calls`] | what pilots and merchants are told |
//! | [`command`], `decide` | what somebody wants, and what comes of it |
//! | [`event`], `evolve` | what was decided, and what that changes |
//! | [`dialect`], `endpoints` | how it is said over HTTP |
//! | [`short`] | how a short message tells it |
//! | [`import`] | what the city should know beforehand |
//! | [`retire`] | which orders leave the memory |
//! | `observe` | what an exchange with the upstream tells |
//! | [`dispatch`], [`planning`], `nearest` | who carries what |
//! | [`split`] | a bulk request of which only some items can be sent on |
//! | [`handback`] | what goes back to the upstream together, and how it has an order afterwards |
//! | `coalesce` | reports of pilots that wait are merged |
//! | `entity`, `touch` | rows of the journal, and which of them something concerns |
//!
//! Nothing here does IO, reads a clock or has randomness: see [`Domain`].

pub mod calls;
pub mod city;
mod coalesce;
pub mod command;
mod decide;
pub mod dialect;
pub mod dispatch;
mod endpoints;
mod entity;
pub mod event;
mod evolve;
mod gaps;
mod geo;
mod grid;
pub mod handback;
pub mod id;
pub mod import;
mod money;
mod observe;
pub mod order;
pub mod pilot;
pub mod planning;
pub mod retire;
pub mod settings;
pub mod short;
pub mod split;
mod text;
mod touch;

use megamind_domain::{
    Ctx, Decision, Domain, Endpoint, EntityKey, Exchange, Observed, Parsed, Rejection, Request, Response, RouteSpec,
    Time, Touches, Touching,
};

pub use city::City;
pub use command::{Answer, Command};
pub use event::Event;
pub use geo::{Fix, Position};
pub use money::{Money, NotMoney};
pub use settings::Settings;

use endpoints::Route;
use id::LocalId;

/// The deliveries of one city.
pub struct Deliveries {
    settings: Settings,
}

impl Deliveries {
    /// The deliveries of a city with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What it was told at start.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a command is one whose decision takes long: a plan for the whole city.
    pub fn takes_long(command: &Command) -> bool {
        matches!(command, Command::AssignMany(None))
    }

    /// The command with that plan made, over a city that may be older than the one that it is decided against: what no
    /// longer holds is left out then.
    pub fn plan_ahead(&self, city: &City, command: &Command, now: Time) -> Option<Command> {
        let plan = || Command::AssignAll(decide::plan_all(city, &self.settings, now));
        Self::takes_long(command).then(plan)
    }

    /// A member's name on the wire.
    fn wire(&self, field: dialect::Field) -> &str {
        self.settings.dialect.field(field)
    }
}

impl Domain for Deliveries {
    type City = City;
    type Command = Command;
    type Event = Event;
    type Answer = Answer;

    fn routes(&self) -> Vec<RouteSpec> {
        endpoints::table(&self.settings.dialect)
    }

    fn parse(&self, endpoint: Endpoint, request: &Request) -> Result<Parsed<Command>, Rejection> {
        let route =
            Route::of(endpoint).ok_or_else(|| Rejection::new(404, "not_found", "There is nothing at this path."))?;
        dialect::parse::parse(&self.settings.dialect, self.settings.naming(), route, request)
    }

    fn decide(&self, city: &City, command: &Command, ctx: &mut Ctx<'_>) -> Result<Decision<Self>, Rejection> {
        decide::decide(self, city, command, ctx)
    }

    fn evolve(&self, city: &mut City, event: &Event) {
        evolve::evolve(city, event);
    }

    fn touches(&self, city: &City, what: Touching<'_, Self>) -> Touches {
        match what {
            Touching::Event(event) => touch::changed(event),
            Touching::Command(command) => touch::named(city, command),
        }
    }

    fn render(&self, city: &City, _endpoint: Option<Endpoint>, outcome: Result<&Answer, &Rejection>) -> Response {
        dialect::render::render(city, &self.settings, outcome)
    }

    fn annotate(&self, city: &City, created: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![("X-MegaMind-Local-Id", created.to_owned())];
        let order = LocalId::parse(self.settings.naming(), created).and_then(|id| city.find_local(id));
        let Some(order) = order else { return headers };
        let status = self.settings.dialect.word(order.status().into());
        headers.push(("X-MegaMind-Status", status.to_owned()));
        let pilot = order.pilot().and_then(|pilot| city.pilot(pilot));
        headers.extend(pilot.map(|pilot| ("X-MegaMind-Minion", pilot.id().text().into_owned())));
        headers
    }

    fn observe(&self, city: &City, exchange: &Exchange<Command>) -> Observed<Command> {
        observe::observe(self, city, exchange)
    }

    fn encode(&self, city: &City, key: EntityKey) -> Option<Vec<u8>> {
        entity::encode(city, key)
    }

    fn decode(&self, city: &mut City, key: EntityKey, row: &[u8]) -> Result<(), String> {
        entity::decode(city, key, row)
    }
}
