//! Learning what there is from the endpoints of the upstream that list it (`shadow.bootstrap`).
//!
//! What is listed is taken as the answers to reads would be: it overrides no write that overlapped or followed the
//! question, and nothing that waits in the queue.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use megamind_domain::{Domain, Endpoint, Exchange, Request};
use megamind_store::Span;
use tokio::time::{Instant, sleep};

use crate::{
    core::{Core, wall_clock},
    modes::Mode,
    outbound::{self, Ask},
    tasks::Listed,
    upstream::{Exchanger, decoded},
};

/// The longest list that is read: 16 MiB.
const COLLECT: usize = 16 << 20;

/// How often the mode is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Lists are long, so they are asked for less often than single orders: every so many times `shadow.refresh`.
const REFRESHES: u32 = 10;

/// Things handed over in one go; then there is a pause, so that what is watched meanwhile finds room.
const PORTION: usize = 500;

/// The pause between two portions.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks whenever the gateway begins to forward, and again after a while of forwarding.
pub(crate) async fn bootstrap<D: Domain>(core: Arc<Core<D>>, exchanger: Arc<Exchanger>, listed: Listed<D>) {
    if core.config.shadow.bootstrap.is_empty() {
        return std::future::pending().await;
    }
    let again = core.config.shadow.refresh.saturating_mul(REFRESHES);
    let mut asked: Option<Instant> = None;
    loop {
        sleep(LOOK).await;
        if core.modes.current() != Mode::Forwarding {
            // What happened during an outage without us is asked for after it.
            asked = None;
            continue;
        }
        let is_due = asked.is_none_or(|asked| !again.is_zero() && asked.elapsed() >= again);
        if is_due {
            asked = Some(Instant::now());
            ask_all(&core, &exchanger, &listed).await;
        }
    }
}

async fn ask_all<D: Domain>(core: &Arc<Core<D>>, exchanger: &Exchanger, listed: &Listed<D>) {
    for path in &core.config.shadow.bootstrap {
        let started = core.store.tick();
        let Some(body) = ask(core, exchanger, path.as_str()).await else {
            continue;
        };
        let things = core.guarded(|| listed(&core.domain, &body)).unwrap_or_default();
        tracing::info!(path = path.as_str(), things = things.len(), "the upstream listed what there is");
        let finished = core.store.tick();
        for portion in things.chunks(PORTION) {
            for thing in portion {
                take(core, thing, Span { started, finished });
            }
            sleep(PAUSE).await;
        }
    }
}

async fn ask<D: Domain>(core: &Core<D>, exchanger: &Exchanger, path: &str) -> Option<Bytes> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let request = Request {
        method: "GET".into(),
        path: path.into(),
        query: query.map(Into::into),
        ..Request::default()
    };
    let secret = core.credential_of(&[""]).await;
    let (head, body) = match outbound::ask(core, exchanger, Ask::read(&request, secret.as_ref(), COLLECT)).await {
        Ok(answer) => answer,
        Err(failure) => {
            core.note_failure(&failure);
            return None;
        }
    };
    core.modes.good();
    let plain = body.and_then(|body| decoded(&head.headers, &body));
    if plain.is_none() || !head.status.is_success() {
        let status = head.status.as_u16();
        tracing::warn!(path, status, "shadow.bootstrap: this path does not list anything that can be read");
        return None;
    }
    plain
}

fn take<D: Domain>(core: &Core<D>, thing: &(Endpoint, Request, Bytes), span: Span) {
    let (endpoint, request, body) = thing;
    let exchange = Exchange {
        endpoint: *endpoint,
        parsed: core.parsed(*endpoint, request),
        request: Arc::new(request.clone()),
        status: 200,
        content_type: Some("application/json".into()),
        body: body.clone(),
        at: wall_clock(),
        created: None,
        named: None,
        settles: false,
    };
    // Dropped under pressure; the store counts it.
    let _ = core.store.observe_read(exchange, span);
}
