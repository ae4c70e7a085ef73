//! Travel times by road, from a routing engine. One table serves until a place turns up that is not in it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use megamind_conf::Config;
use megamind_handlers::{
    dispatch::{PlaceId, Seconds, TravelTime, Vehicle, osrm},
    planning::View,
};
use ureq::Agent;

use super::Shared;

/// Places in one cell of about 100 m count as one: a pilot who moves on a little needs no new table.
const CELLS_PER_DEGREE: f64 = 1_000.0;
/// How long an engine that failed is left alone.
const REST: Duration = Duration::from_secs(15);
/// A table is asked for again after so long: streets fill up and empty.
const FRESH: Duration = Duration::from_mins(10);
/// The longest answer that is read.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

type Cell = (i32, i32);

/// A routing engine, and its last answer.
pub(super) struct Osrm {
    base: String,
    profile: String,
    most: usize,
    agent: Agent,
    cells: HashMap<Cell, usize>,
    /// Seconds between cells, row by row, by the numbers in `cells`.
    seconds: Vec<Option<u32>>,
    asked: Option<Instant>,
    rests_until: Option<Instant>,
}

/// Travel times between the places of one view: by road where they are known, estimated elsewhere.
pub(super) struct Roads<'o> {
    view: &'o View,
    /// The table's number of each place.
    numbers: Vec<Option<usize>>,
    seconds: &'o [Option<u32>],
    width: usize,
}

impl TravelTime for Roads<'_> {
    fn seconds(&self, vehicle: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
        let number = |place: PlaceId| self.numbers.get(place.0 as usize).copied().flatten();
        // Within a cell the table says nothing.
        let known = number(from).zip(number(to)).filter(|(from, to)| from != to);
        let known = known.and_then(|(from, to)| *self.seconds.get(from * self.width + to)?);
        known.map_or_else(|| self.view.seconds(vehicle, from, to), Seconds::from)
    }
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
            cells: HashMap::new(),
            seconds: Vec::new(),
            asked: None,
            rests_until: None,
        })
    }

    /// Travel times for a view; asks the engine where the last table does not do.
    pub(super) fn table<'o>(&'o mut self, view: &'o View, shared: &Shared) -> Roads<'o> {
        let mut wanted: Vec<Cell> = Vec::new();
        let mut centres: Vec<(f64, f64)> = Vec::new();
        let mut seen = HashSet::new();
        for &place in &view.places {
            if wanted.len() < self.most && seen.insert(cell(place)) {
                wanted.push(cell(place));
                centres.push(place);
            }
        }
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        let fresh = self.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        let known = fresh && wanted.iter().all(|cell| self.cells.contains_key(cell));
        if !known && !rests && wanted.len() > 1 {
            match self.ask(&centres) {
                Ok(seconds) => {
                    self.cells = wanted.into_iter().zip(0..).collect();
                    self.seconds = seconds;
                    self.asked = Some(Instant::now());
                }
                Err(why) => {
                    self.rests_until = Some(Instant::now() + REST);
                    shared.fallbacks.with_label_values(&["osrm"]).inc();
                    tracing::warn!(%why, "the routing engine gave no table; travel times are estimated meanwhile");
                }
            }
        }
        Roads {
            numbers: view.places.iter().map(|&place| self.cells.get(&cell(place)).copied()).collect(),
            width: self.cells.len(),
            seconds: &self.seconds,
            view,
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

fn cell((lat, lng): (f64, f64)) -> Cell {
    // Degrees are within the earth: these fit.
    ((lat * CELLS_PER_DEGREE).floor() as i32, (lng * CELLS_PER_DEGREE).floor() as i32)
}
