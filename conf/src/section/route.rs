//! What becomes of other paths: `[[route]]`.

use std::time::Duration;

use crate::read::field::{optional, or, required};
use crate::read::form::{text, word};
use crate::read::list::list;
use crate::read::number::duration;
use crate::read::{Section, section, words};
use crate::value::PathPattern;
use crate::value::duration::{DAY, HOUR, SECOND};

words! {
    /// What becomes of a route's requests while Oblivion is down.
    pub enum Policy {
        /// 503 `upstream_down`.
        Forward = "forward",
        /// The handlers answer.
        Act = "act",
        /// The handlers answer, whether Oblivion is up or not.
        Local = "local",
        /// The last good answer.
        Cache = "cache",
        /// 202 with a ticket; the request is replayed later.
        Queue = "queue",
    }
}

section! {
    /// The policy of a path that is none of the endpoints, or another policy for one that is. The
    /// default for other paths is `forward`.
    pub struct Route {
        /// The path; `/base/*` is all below `/base`, and the longest match counts.
        pub path: PathPattern = required(text(), PathPattern::known("/catalogue/*")),
        /// What becomes of its requests while Oblivion is down.
        pub policy: Policy = required(word(), Policy::Forward),
        /// How old an answer may be that `cache` gives.
        pub stale_for: Option<Duration> = optional(duration(SECOND..=DAY * 365), HOUR),
        /// Paths whose writes drop the answers of `cache`.
        pub invalidated_by: Vec<PathPattern> = or(list(text()), Vec::new()),
    }
    rules = Route::rules;
}

impl Route {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if self.policy == Policy::Cache {
            return;
        }
        for key in ["stale_for", "invalidated_by"] {
            if section.has(key) {
                section.refuse(key, format!("found with policy = \"{}\", allowed only with \"cache\"", self.policy));
            }
        }
    }
}
