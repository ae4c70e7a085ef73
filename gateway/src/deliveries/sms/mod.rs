//! Pilots by SMS: what comes is proved, carried like any request, and answered; what pilots without data are owed goes
//! out. Messages have a journal of their own, a file beside the city's.

mod act;
mod care;
mod channel;
mod db;
mod dispatch;
mod hear;
mod metrics;
mod pages;
mod undo;
mod worker;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use jiff::tz::Offset;
use megamind_conf::Config;
use megamind_gateway::{Builder, Vault};
use megamind_handlers::Deliveries;
use megamind_sms::{
    grammar::Templates,
    identity::{Country, Enrolment},
    modem::Fleet,
};
use tokio::sync::Notify;

use self::{care::SimView, db::Db, metrics::Metrics};

/// A channel as the pages show it.
#[derive(Clone, Debug)]
struct ChannelView {
    name: String,
    /// Whether its heartbeats come.
    there: bool,
    /// Whether it is given messages.
    usable: bool,
    load: usize,
    trouble: Option<String>,
}

/// How long messages are worth sending, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Expiry {
    answer: i64,
    message: i64,
}

impl Expiry {
    fn of(config: &Config) -> Self {
        let hour = Duration::from_hours(1);
        let (answer, message) = config
            .sms
            .as_ref()
            .map_or((hour, hour * 4), |sms| (sms.answer_expires, sms.message_expires));
        Self { answer: answer.as_millis() as i64, message: message.as_millis() as i64 }
    }
}

/// What the worker and the pages share.
struct Shared {
    db: Db,
    city: String,
    country: Option<Country>,
    enrolled: Mutex<BTreeMap<String, Enrolment>>,
    expiry: Expiry,
    /// The city's distance from UTC.
    offset: Option<Offset>,
    /// A place in the city, degrees north and east.
    reference: Option<(f64, f64)>,
    /// Enrolments that the key does not open.
    unreadable: usize,
    channels: Mutex<Vec<ChannelView>>,
    sims: Mutex<BTreeMap<String, SimView>>,
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

    fn channels(&self) -> Vec<ChannelView> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_channels(&self, channels: Vec<ChannelView>) {
        *self.channels.lock().unwrap_or_else(PoisonError::into_inner) = channels;
    }

    fn sims(&self) -> BTreeMap<String, SimView> {
        self.sims.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sim(&self, name: &str, change: impl FnOnce(&mut SimView)) {
        let mut sims = self.sims.lock().unwrap_or_else(PoisonError::into_inner);
        change(sims.entry(name.to_owned()).or_default());
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

/// `+05:30`, which the configuration has checked.
fn offset(text: &str) -> Option<Offset> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let seconds = (hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?) * 60;
    Offset::from_seconds(if text.starts_with('-') { -seconds } else { seconds }).ok()
}

/// The file of the messages: `megamind.db` has `megamind.sms.db` beside it.
fn file(config: &Config) -> PathBuf {
    config.store.path.with_extension("sms.db")
}

/// Under which name the file of the messages is in a copy of the journal.
const COPIED_AS: &str = "sms";

/// Puts the messages of a copy that was brought back in their place. Tells where, and how many of them waited: none of
/// those is sent.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn bring_back(config: &Config, attached: &[(String, Vec<u8>)]) -> anyhow::Result<Option<(PathBuf, usize)>> {
    let Some((_, image)) = attached.iter().find(|(name, _)| name == COPIED_AS) else {
        return Ok(None);
    };
    let path = file(config);
    let held = db::bring_back(&path, image, now()).with_context(|| path.display().to_string())?;
    Ok(Some((path, held)))
}

/// The texts of the file that is named, or the program's own.
fn templates(config: &Config) -> anyhow::Result<Templates> {
    let Some(path) = config.sms.as_ref().and_then(|sms| sms.templates.as_ref()) else {
        return Ok(Templates::built_in());
    };
    let named = || format!("sms.templates: {}", path.display());
    let text = std::fs::read_to_string(path).with_context(named)?;
    Templates::parse(&text).with_context(named)
}

/// Adds the task and the pages to a gateway that has modems.
///
/// # Errors
/// The file of the messages or of the texts cannot be used.
pub(crate) fn add_to(builder: Builder<Deliveries>, config: &Config) -> anyhow::Result<Builder<Deliveries>> {
    if config.sms.is_none() && config.modems.is_empty() {
        return Ok(builder);
    }
    let path = file(config);
    let vault = Vault::of(config).map_err(anyhow::Error::msg)?;
    let db = Db::open(&path, vault).with_context(|| path.display().to_string())?;
    let enrolled = db.enrolments().with_context(|| path.display().to_string())?;
    if enrolled.unreadable > 0 {
        tracing::error!(
            enrolments = enrolled.unreadable,
            "enrolments were sealed with another key: these pilots cannot write until they are enrolled again"
        );
    }
    let country = config.sms.as_ref().and_then(|sms| Country::of(&sms.country));
    let shared = Arc::new(Shared {
        db,
        city: config.city.as_str().to_owned(),
        country,
        expiry: Expiry::of(config),
        offset: config.sms.as_ref().and_then(|sms| offset(sms.utc_offset.as_deref()?)),
        reference: config.sms.as_ref().and_then(|sms| {
            let (lat, lng) = sms.reference.as_deref()?.split_once(',')?;
            Some((lat.trim().parse().ok()?, lng.trim().parse().ok()?))
        }),
        unreadable: enrolled.unreadable,
        channels: Mutex::default(),
        sims: Mutex::default(),
        enrolled: Mutex::new(enrolled.known.into_iter().map(|one| (one.pilot.clone(), one)).collect()),
        fleet: Mutex::new(None),
        templates: templates(config)?,
        metrics: Metrics::new()?,
        wake: Notify::new(),
    });
    let (work, shown, copied) = (shared.clone(), shared.clone(), shared.clone());
    Ok(builder
        .status("modems", move |_| pages::modems(&shown))
        .copied(COPIED_AS, move || copied.db.image())
        .task("sms", move |handle| worker::supervised(handle, work.clone()))
        .pages("admin/sms", move |handle, asked| {
            std::future::ready(pages::answer(&handle, &asked, &shared))
        }))
}
