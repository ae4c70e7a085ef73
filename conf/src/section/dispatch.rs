//! Who carries what: `[dispatch]`.

use std::time::Duration;

use crate::read::field::{optional, or, table};
use crate::read::form::{flag, plain, word};
use crate::read::number::{count, decimal, duration};
use crate::read::{Section, section, words};
use crate::value::duration::{DAY, HOUR, MINUTE, MS, SECOND, secs};
use crate::value::is_label;

words! {
    /// Who decides which pilot carries what.
    pub enum Planner {
        /// A plan over all pilots and orders.
        Plan = "plan",
        /// The nearest feasible pilot.
        Nearest = "nearest",
        /// A service of yours, with `plan` to fall back on.
        External = "external",
    }
}

section! {
    /// Who carries what, while the gateway acts.
    pub struct Dispatch {
        /// Whether orders are assigned without being asked to. Without it, `/ind/assigntominion` and
        /// `/bulk/assigntominions` assign, and offers do not lapse.
        pub auto: bool = or(flag(), true),
        /// How often the city is planned anew, besides at once when something changes. A pilot is told
        /// as late as that allows.
        pub interval: Duration = or(duration(secs(1)..=HOUR), secs(15)),
        /// Who decides: `plan` plans the whole city, `nearest` gives each order to the nearest pilot
        /// with room, `external` asks the service at `external_url`.
        pub planner: Planner = or(word(), Planner::Plan),
        /// How long an offer stands before the order goes to somebody else; five times as long for
        /// pilots whom only SMS reaches.
        pub offer_timeout: Duration = or(duration(SECOND..=HOUR), MINUTE),
        /// A position older than this counts for less.
        pub stale_after: Duration = or(duration(SECOND..=DAY), MINUTE * 5),
        /// A pilot who carries something and is not heard of for so long has fallen silent: what is not
        /// picked up goes to somebody else, what is is flagged. Twice as long where only SMS reaches.
        pub silent_after: Duration = or(duration(SECOND..=DAY), MINUTE * 15),
        /// An order that is Oblivion's is taken over after this long without a sign of life of its
        /// pilot, counted from the start of acting at the earliest.
        pub adopt_after: Duration = or(duration(SECOND..=DAY * 7), MINUTE * 30),
        /// Who turned an order down, or did not answer, is not asked again for so long, even where nobody
        /// else is left.
        pub ask_again_after: Duration = or(duration(Duration::ZERO..=DAY), MINUTE * 5),
        /// How much earlier pilots are told whom only SMS reaches.
        pub sms_lead: Duration = or(duration(Duration::ZERO..=HOUR), MINUTE),
        /// How far from `readyAt` orders usually are ready, either way: pilots are there so much earlier.
        pub ready_spread: Duration = or(duration(Duration::ZERO..=HOUR), Duration::ZERO),
        /// An order without a promised time is late so long after it was placed, and its waiting counts
        /// for more from then on.
        pub late_after: Duration = or(duration(MINUTE..=DAY), MINUTE * 40),
        /// Orders that a pilot fetches before handing over the first, at most.
        pub bundle_orders: usize = or(count(1..=4), 4),
        /// Places where a pilot fetches them, at most: with 1, nobody calls at a second merchant with
        /// somebody's order in the bag.
        pub bundle_pickups: usize = or(count(1..=4), 2),
        /// Time spent at a pickup, half of it before the order is in hand.
        pub pickup_service: Duration = or(duration(Duration::ZERO..=HOUR), MINUTE * 4),
        /// Time spent at a door, half of it before the order is handed over.
        pub dropoff_service: Duration = or(duration(Duration::ZERO..=HOUR), MINUTE * 4),
        /// Streets are so many times as long as straight lines.
        pub detour: f64 = or(decimal(1.0..=10.0), 1.3),
        /// Where the service of `planner = "external"` listens: it gets the city by POST, and answers
        /// `{"plans":[{"pilot":1,"bundles":[[2,3]]}]}`.
        pub external_url: Option<String> = optional(plain("a URL of http", is_http), "http://127.0.0.1:7000/plan".to_owned()),
        /// An answer later than this is not waited for: the city is planned here.
        pub external_timeout: Duration = or(duration(MS * 10..=MINUTE), secs(2)),
        /// A routing engine with the table service of OSRM, for travel times by road; without it, and
        /// whenever it fails, distances and speeds are estimated.
        pub osrm_url: Option<String> = optional(plain("a URL of http", is_http), "http://127.0.0.1:5000".to_owned()),
        /// The profile that the routing engine is asked for.
        pub osrm_profile: String = or(plain("a profile's name", is_label), "driving".to_owned()),
        /// A table later than this is not waited for.
        pub osrm_timeout: Duration = or(duration(MS * 10..=MINUTE), MS * 500),
        /// Places in one table at most; what is beyond is estimated.
        pub osrm_places: usize = or(count(2..=10_000), 100),
        /// How fast pilots are.
        pub speeds: Speeds = table(),
    }
    rules = Dispatch::rules;
}

section! {
    /// How fast pilots get through the city, lights and stairs included: metres a second, by what
    /// they ride.
    pub struct Speeds {
        /// On foot.
        pub walk: f64 = or(decimal(0.2..=60.0), 1.4),
        /// By bicycle, with or without a motor.
        pub bicycle: f64 = or(decimal(0.2..=60.0), 4.2),
        /// By motorbike or scooter.
        pub motorbike: f64 = or(decimal(0.2..=60.0), 6.1),
        /// By car, van or rickshaw.
        pub car: f64 = or(decimal(0.2..=60.0), 5.6),
        /// By anything else, or where nobody said. A routing engine's times are for these; who is slower
        /// takes longer by road too.
        pub other: f64 = or(decimal(0.2..=60.0), 5.6),
    }
}

impl Dispatch {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if self.planner == Planner::External && self.external_url.is_none() {
            let message = "found \"external\" without external_url, which says whom to ask; allowed without it is \"plan\" or \"nearest\"";
            section.refuse("planner", message);
        }
    }
}

fn is_http(text: &str) -> bool {
    is_label(text) && text.strip_prefix("http://").is_some_and(|rest| !rest.is_empty())
}
