//! Where pilots have been lately, for the map. In memory alone: nothing depends on it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use megamind_domain::Time;
use megamind_handlers::{City, Position, pilot::PilotKey};

/// Positions of one pilot at most.
const POINTS: usize = 40;
/// Pilots with a track at most.
const PILOTS: usize = 20_000;
/// A pilot who has not moved for so many milliseconds has no track any more.
const OVER: u64 = 30 * 60 * 1000;

/// The last positions of every pilot.
#[derive(Default)]
pub(super) struct Tracks(Mutex<HashMap<PilotKey, VecDeque<(Time, Position)>>>);

impl Tracks {
    /// Notes where everybody is now.
    pub(super) fn sample(&self, city: &City, now: Time) {
        let mut tracks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for pilot in city.pilots().take(PILOTS) {
            let Some(fix) = pilot.fix().filter(|fix| now.millis_since(fix.at) < OVER) else {
                continue;
            };
            let track = tracks.entry(pilot.key()).or_default();
            if track.back().is_none_or(|&(_, last)| last != fix.position) {
                track.push_back((fix.at, fix.position));
            }
            if track.len() > POINTS {
                track.pop_front();
            }
        }
        tracks.retain(|_, track| track.back().is_some_and(|&(at, _)| now.millis_since(at) < OVER));
    }

    /// A pilot's positions, oldest first.
    pub(super) fn of(&self, pilot: PilotKey) -> Vec<Position> {
        let tracks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tracks
            .get(&pilot)
            .into_iter()
            .flatten()
            .map(|&(_, position)| position)
            .collect()
    }
}
