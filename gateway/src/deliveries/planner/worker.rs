//! One planning, on a thread that may block.

use std::sync::Arc;

use megamind_conf::Config;
use megamind_domain::Time;
use megamind_handlers::{
    City, Deliveries,
    dispatch::{Plan, Planner, Visit},
    order::OrderKey,
    pilot::PilotKey,
    planning::{self, Planned, Scope, View, order_key, pilot_key},
};

use super::{Shared, external::External, osrm::Osrm};

/// The plan as it was made last: what is told now, and what would be next.
#[derive(Debug, Default)]
pub(super) struct Latest {
    /// Counts plannings.
    pub(super) version: u64,
    /// Each pilot's orders, in the sequence of their doors, and whether the pilot is told now.
    pub(super) routes: Vec<(PilotKey, Vec<OrderKey>, bool)>,
}

/// Plans, and remembers its tentative plans.
pub(super) struct Worker {
    deliveries: Arc<Deliveries>,
    planner: Planner,
    external: Option<External>,
    osrm: Option<Osrm>,
}

impl Worker {
    pub(super) fn new(config: &Config, deliveries: &Arc<Deliveries>) -> Self {
        Self {
            planner: Planner::new(planning::settings(deliveries.settings())),
            external: External::of(config),
            osrm: Osrm::of(config),
            deliveries: deliveries.clone(),
        }
    }

    /// Plans a city.
    pub(super) fn plan(&mut self, city: &City, now: Time, since: Time, shared: &Shared) -> (Vec<Planned>, Latest) {
        let scope = Scope { acting_since: Some(since), joins: self.external.is_none() };
        let settings = self.deliveries.settings();
        let mut view = View::of(city, settings, now, scope);
        if let Some(osrm) = &mut self.osrm {
            osrm.refresh(&view, &settings.roads, shared);
            view.take_roads(settings.roads.table());
        }
        let plan = ask(&mut self.planner, self.external.as_ref(), &view, shared);
        (planning::commitments(&plan, since), latest(&plan))
    }
}

/// The plan of the external service where there is one and its answer is possible; else ours.
fn ask(planner: &mut Planner, external: Option<&External>, view: &View, shared: &Shared) -> Plan {
    if let Some(external) = external {
        let told = external.ask(view).and_then(|answer| {
            let adopted = planner.adopt(&view.snapshot, view, &answer);
            adopted.map_err(|refusal| refusal.to_string())
        });
        match told {
            Ok(plan) => return plan,
            Err(why) => {
                shared.fallbacks.with_label_values(&["external"]).inc();
                tracing::warn!(%why, "the external planner's answer is not followed; the city is planned here");
            }
        }
    }
    planner.plan(&view.snapshot, view)
}

fn latest(plan: &Plan) -> Latest {
    let orders = |visits: &[Visit]| visits.iter().filter_map(|visit| order_key(visit.order)).collect();
    let told = plan.commitments.iter().map(|told| (told.pilot, orders(&told.visits), true));
    let later = plan.tentative.iter().map(|later| (later.pilot, orders(&later.visits), false));
    let routes = told
        .chain(later)
        .filter_map(|(pilot, orders, told)| Some((pilot_key(pilot)?, orders, told)));
    Latest { version: plan.version, routes: routes.collect() }
}
