//! When acting starts, what was last heard of the pilots may be old: those whose apps can be called are asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use megamind_domain::{Domain, Request, Stance};
use megamind_gateway::Handle;
use megamind_handlers::{
    Command, Deliveries,
    calls::{Target, allow::CallUrl},
    command::Many,
    pilot::{Availability, PilotKey},
};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::worker::Shared;

/// How often the mode is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Pilots who are being asked at once.
const AT_ONCE: usize = 64;

/// Asks the pilots whenever acting starts.
pub(super) async fn run(handle: Handle<Deliveries>, shared: Arc<Shared>) {
    let mut asked_for = None;
    loop {
        // An outage may end and another begin between two looks.
        let acting_since = handle.acting_since();
        if acting_since.is_some() && acting_since != asked_for {
            ask_all(&handle, &shared).await;
            asked_for = acting_since;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Asks every pilot who can be called, as many a second as the configuration allows, until acting ends.
async fn ask_all(handle: &Handle<Deliveries>, shared: &Arc<Shared>) {
    let rate = handle.config().callbacks.refresh_rate;
    if rate == 0 {
        return;
    }
    let pause = Duration::from_secs(1) / rate;
    let pilots: Vec<PilotKey> = {
        let published = handle.published();
        let reachable = published
            .city
            .pilots()
            .filter(|pilot| pilot.profile().callback_url.is_some() && pilot.availability() != Availability::Offline);
        reachable.map(megamind_handlers::pilot::Pilot::key).collect()
    };
    let (began, asked) = (Instant::now(), pilots.len());
    let mut asking = JoinSet::new();
    for pilot in pilots {
        if handle.stance() != Stance::Acting {
            break;
        }
        while asking.len() >= AT_ONCE {
            asking.join_next().await;
        }
        asking.spawn(ask(handle.clone(), shared.clone(), pilot));
        sleep(pause).await;
    }
    while asking.join_next().await.is_some() {}
    if asked > 0 {
        tracing::info!(asked, seconds = began.elapsed().as_secs(), "pilots were asked for what is new");
    }
}

/// Asks one pilot where it is, and how far its orders are.
async fn ask(handle: Handle<Deliveries>, shared: Arc<Shared>, pilot: PilotKey) {
    let target = Target::Pilot(pilot);
    let (url, id, orders) = {
        let published = handle.published();
        let city = &published.city;
        let Some(known) = city.pilot(pilot) else { return };
        let Ok((url, _)) = shared.book.find(city, &target, shared.client.allow()) else { return };
        let orders: Vec<String> = city
            .carried_by(pilot)
            .filter_map(|order| city.order(order))
            .filter_map(|order| {
                let own = order.local().map(|id| id.name(handle.config().city.as_str()));
                own.or_else(|| order.upstream().map(str::to_owned))
            })
            .collect();
        (url, known.id().clone(), orders)
    };
    let asker = Asker { handle, shared, url, pilot: id.text().into_owned() };
    asker
        .ask("/getgeneralinfo", "updatemaster/ind/generalinfo", json!({"minionId": id}))
        .await;
    for order in orders {
        let question = json!({"minionId": id, "orderId": order});
        asker.ask("/getdeliveryinfo", "updatemaster/ind/deliveryInfo", question).await;
    }
}

struct Asker {
    handle: Handle<Deliveries>,
    shared: Arc<Shared>,
    url: CallUrl,
    pilot: String,
}

impl Asker {
    /// Asks, and takes the answer as if the pilot had sent it to the endpoint of its form.
    async fn ask(&self, path: &str, route: &str, question: serde_json::Value) {
        let body = Bytes::from(question.to_string());
        let answer = match self.shared.client.ask(&self.url, path, body).await {
            Ok(answer) => answer,
            Err(failure) => {
                self.shared.metrics.count("pilot", "failed");
                tracing::debug!(pilot = %self.pilot, %failure, path, "a pilot's app did not answer");
                return;
            }
        };
        self.shared.metrics.count("pilot", "done");
        if answer.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let Some(route) = self.handle.domain().routes().into_iter().find(|known| known.name == route) else {
            return;
        };
        let request = Request {
            method: "POST".into(),
            path: route.path.into(),
            content_type: Some("application/json".into()),
            body: answer,
            ..Request::default()
        };
        let parsed = match self.handle.domain().parse(route.endpoint, &request) {
            Ok(parsed) if is_about(&parsed.command, &self.pilot) => parsed,
            Ok(_) => {
                tracing::warn!(pilot = %self.pilot, path, "an app answered about somebody else; that is not taken");
                return;
            }
            Err(rejection) => {
                tracing::debug!(pilot = %self.pilot, path, why = %rejection.detail, "an answer cannot be read");
                return;
            }
        };
        if let Err(error) = self.handle.write(route.endpoint, Arc::new(parsed), Arc::new(request)).await {
            tracing::warn!(%error, "a pilot's answer was not taken");
        }
    }
}

/// Whether a report is about this pilot alone.
fn is_about(command: &Command, pilot: &str) -> bool {
    fn all<T>(many: &Many<T>, of: impl Fn(&T) -> bool) -> bool {
        many.items.iter().all(|item| item.as_ref().is_ok_and(&of))
    }
    match command {
        Command::ReportPilots(many) => all(many, |report| report.pilot.text() == pilot),
        Command::ReportDeliveries(many) => all(many, |report| report.pilot.text() == pilot),
        _ => false,
    }
}
