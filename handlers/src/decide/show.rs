//! Telling of pilots.

use std::num::NonZeroU64;

use megamind_domain::{Rejection, UNCHANGED};

use super::Desk;
use crate::{
    command::{Page, PilotQuery},
    dialect::{Field, render_call::plan_version},
    pilot::{Pilot, PilotKey},
};

/// Pilots in one answer where nobody says how many.
const PAGE: u32 = 100;
/// Pilots in one answer, at most.
const MAX_PAGE: u32 = 1_000;

impl Desk<'_> {
    pub(super) fn show(&self, query: &PilotQuery) -> Result<Page, Rejection> {
        if let Some(name) = &query.one {
            let pilot = self.city.find_pilot(name);
            let pilot = pilot.ok_or_else(|| self.no_such_pilot())?;
            return Ok(Page { pilots: vec![pilot.key()], bulk: false, next: None });
        }
        let limit = query.limit.unwrap_or(PAGE).min(MAX_PAGE) as usize;
        let matches = |pilot: &&Pilot| {
            query
                .availability
                .is_none_or(|availability| pilot.availability() == availability)
        };
        if let Some(names) = &query.pilots {
            let found = names.iter().filter_map(|name| self.city.find_pilot(name));
            let pilots = found.filter(matches).take(limit).map(Pilot::key).collect();
            return Ok(whole(pilots));
        }
        if let Some(near) = query.near {
            let distance = |pilot: &Pilot| Some((pilot.fix()?.position.metres_to(near), pilot.key()));
            let mut pilots: Vec<_> = (self.city.pilots()).filter(matches).filter_map(distance).collect();
            pilots.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            return Ok(whole(pilots.into_iter().take(limit).map(|(_, key)| key).collect()));
        }
        let first = query.after.map_or(NonZeroU64::MIN, |after| after.0.saturating_add(1));
        let mut pilots: Vec<PilotKey> = (self.city.pilots_from(PilotKey(first)))
            .filter(matches)
            .take(limit + 1)
            .map(Pilot::key)
            .collect();
        let more = pilots.len() > limit;
        pilots.truncate(limit);
        Ok(Page { next: pilots.last().copied().filter(|_| more), pilots, bulk: true })
    }

    /// The same, where what the pilot carries is of another version than the one that somebody has.
    pub(super) fn show_new(&self, query: &PilotQuery) -> Result<Page, Rejection> {
        let page = self.show(query)?;
        if let (Some(since), [pilot]) = (query.since, page.pilots.as_slice())
            && plan_version(self.city, &self.domain.settings, *pilot) == since
        {
            return Err(Rejection::new(304, UNCHANGED, "Nothing new yet."));
        }
        Ok(page)
    }

    /// While the upstream serves, what passes is watched: whom nobody has seen is not there.
    fn no_such_pilot(&self) -> Rejection {
        if self.acting() {
            return self.pilot_not_found();
        }
        Rejection::new(404, "minion_not_found", "There is no pilot with this id.").at(self.domain.wire(Field::MinionId))
    }
}

fn whole(pilots: Vec<PilotKey>) -> Page {
    Page { pilots, bulk: true, next: None }
}
