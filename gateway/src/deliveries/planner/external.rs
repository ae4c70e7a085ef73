//! Somebody else's planner: the city goes there as JSON, and its answer is held to the same limits as our own plans.

use megamind_conf::{Config, Planner};
use megamind_handlers::{dispatch::external, planning::View};
use ureq::Agent;

/// The longest answer that is read.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// A service that plans.
pub(super) struct External {
    url: String,
    agent: Agent,
}

impl External {
    /// The service of a configuration, where it has one.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let dispatch = &config.dispatch;
        let url = dispatch
            .external_url
            .clone()
            .filter(|_| dispatch.planner == Planner::External)?;
        Some(Self { url, agent: super::agent(dispatch.external_timeout) })
    }

    /// Its answer for this city, within the deadline.
    pub(super) fn ask(&self, view: &View) -> Result<external::Answer, String> {
        let city = external::City::new(&view.snapshot, &view.places);
        let body = serde_json::to_vec(&city).map_err(|error| error.to_string())?;
        let answer = self.agent.post(&self.url).content_type("application/json").send(&body);
        let mut answer = answer.map_err(|error| error.to_string())?;
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map_err(|error| format!("its answer is not of the expected form: {error}"))
    }
}
