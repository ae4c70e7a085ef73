//! Who carries what: `[dispatch]`.

use std::time::Duration;

use crate::read::field::{optional, or};
use crate::read::form::{flag, plain, word};
use crate::read::number::{count, duration};
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
    }
    rules = Dispatch::rules;
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
