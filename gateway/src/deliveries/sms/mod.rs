//! Pilots by SMS: what comes is proved, carried like any request, and answered; what pilots without data are owed goes
//! out. Messages have a journal of their own, a file beside the city's.

mod act;
mod db;
mod hear;
mod metrics;
mod pages;
mod worker;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use megamind_conf::Config;
use megamind_gateway::Builder;
use megamind_handlers::Deliveries;
use megamind_sms::{
    grammar::Templates,
    identity::{Country, Enrolment},
    modem::Fleet,
};
use tokio::sync::Notify;

use self::{db::Db, metrics::Metrics};

/// What the worker and the pages share.
struct Shared {
    db: Db,
    city: String,
    country: Option<Country>,
    enrolled: Mutex<BTreeMap<String, Enrolment>>,
    fleet: Mutex<Option<Arc<Fleet>>>,
    templates: Templates,
    metrics: Metrics,
    wake: Notify,
}

impl Shared {
    fn enrolled(&self) -> MutexGuard<'_, BTreeMap<String, Enrolment>> {
        self.enrolled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fleet(&self) -> Option<Arc<Fleet>> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_fleet(&self, fleet: Option<Arc<Fleet>>) {
        *self.fleet.lock().unwrap_or_else(PoisonError::into_inner) = fleet;
    }
}

/// Milliseconds of 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// The file of the messages: `megamind.db` has `megamind.sms.db` beside it.
fn file(config: &Config) -> PathBuf {
    config.store.path.with_extension("sms.db")
}

/// Adds the task and the pages to a gateway that has modems.
///
/// # Errors
/// The file of the messages cannot be opened, or a PIN not be read.
pub(crate) fn add_to(builder: Builder<Deliveries>, config: &Config) -> anyhow::Result<Builder<Deliveries>> {
    if config.sms.is_none() && config.modems.is_empty() {
        return Ok(builder);
    }
    let path = file(config);
    let db = Db::open(&path).with_context(|| path.display().to_string())?;
    let enrolled = db.enrolments().with_context(|| path.display().to_string())?;
    let country = config.sms.as_ref().and_then(|sms| Country::of(&sms.country));
    let shared = Arc::new(Shared {
        db,
        city: config.city.as_str().to_owned(),
        country,
        enrolled: Mutex::new(enrolled.into_iter().map(|one| (one.pilot.clone(), one)).collect()),
        fleet: Mutex::new(None),
        templates: Templates::built_in(),
        metrics: Metrics::new()?,
        wake: Notify::new(),
    });
    let work = shared.clone();
    Ok(builder
        .task("sms", move |handle| worker::supervised(handle, work.clone()))
        .pages("admin/sms", move |handle, asked| {
            std::future::ready(pages::answer(&handle, &asked, &shared))
        }))
}
