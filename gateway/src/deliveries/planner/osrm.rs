//! Travel times by road, from a routing engine. One table serves until a place turns up that is not in it; it lies where
//! whatever needs a travel time finds it.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use megamind_conf::Config;
use megamind_handlers::{
    dispatch::osrm,
    planning::{Cell, RoadTable, Roads, View},
};
use ureq::Agent;

use super::Shared;

/// How long an engine that failed is left alone.
const REST: Duration = Duration::from_secs(15);
/// A table is asked for again after so long: streets fill up and empty.
const FRESH: Duration = Duration::from_mins(10);
/// The longest answer that is read.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// A routing engine.
pub(super) struct Osrm {
    base: String,
    profile: String,
    most: usize,
    agent: Agent,
    asked: Option<Instant>,
    rests_until: Option<Instant>,
}

impl Osrm {
    /// The engine of a configuration, where it has one.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let dispatch = &config.dispatch;
        let base = dispatch.osrm_url.as_deref()?.trim_end_matches('/').to_owned();
        Some(Self {
            base,
            profile: dispatch.osrm_profile.clone(),
            most: dispatch.osrm_places,
            agent: super::agent(dispatch.osrm_timeout),
            asked: None,
            rests_until: None,
        })
    }

    /// Sees to it that `roads` has a table for the places of a view; asks the engine where the last one does not do.
    pub(super) fn refresh(&mut self, view: &View, roads: &Roads, shared: &Shared) {
        let mut cells: Vec<Cell> = Vec::new();
        let mut centres: Vec<(f64, f64)> = Vec::new();
        let mut seen = HashSet::new();
        for &place in &view.places {
            let cell = Cell::of(place);
            if cells.len() < self.most && seen.insert(cell) {
                cells.push(cell);
                centres.push(place);
            }
        }
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        let fresh = self.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        let known = || roads.table().is_some_and(|table| cells.iter().all(|&cell| table.knows(cell)));
        if rests || cells.len() < 2 || (fresh && known()) {
            return;
        }
        let asked = self.ask(&centres).and_then(|seconds| {
            RoadTable::new(cells, seconds).ok_or_else(|| "the table does not have a row for each place".to_owned())
        });
        match asked {
            Ok(table) => {
                roads.put(Arc::new(table));
                self.asked = Some(Instant::now());
            }
            Err(why) => {
                self.rests_until = Some(Instant::now() + REST);
                shared.fallbacks.with_label_values(&["osrm"]).inc();
                tracing::warn!(%why, "the routing engine gave no table; travel times are estimated meanwhile");
            }
        }
    }

    fn ask(&self, places: &[(f64, f64)]) -> Result<Vec<Option<u32>>, String> {
        let url = format!("{}{}", self.base, osrm::target(&self.profile, places));
        let answer = self.agent.get(&url).call();
        let mut answer = answer.map_err(|error| error.to_string())?;
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| error.to_string())?;
        osrm::durations(&body, places.len()).map_err(|bad| bad.to_string())
    }
}
