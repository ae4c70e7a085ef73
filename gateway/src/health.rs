//! Active checks: one task a server, and names resolved beside them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use megamind_domain::{Domain, Time};
use pingora::{Result, http::RequestHeader};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use crate::{
    core::Core,
    modes::Observation,
    outbound::{self, Ask},
    upstream::{Call, Exchanger, Reason, Subject},
};

/// A health page longer than this is not read to its end.
const COLLECT: usize = 16 * 1024;

/// How often names are resolved anew.
const RESOLVE: Duration = Duration::from_secs(30);

/// Checks all servers every `health.interval` and tells the modes whether any is well.
pub(crate) async fn check_servers<D: Domain>(core: Arc<Core<D>>, exchanger: Arc<Exchanger>) {
    let settings = &core.config.health;
    let mut tick = interval_at(Instant::now() + settings.interval, settings.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        core.servers.sweep_idle();
        let well = check_all(&core, &exchanger).await;
        core.modes.observe(Observation::Checked { well });
        if core.modes.wants_proof() && well {
            probe(&core, &exchanger).await;
        }
    }
}

/// One round over all servers, side by side.
pub(crate) async fn check_all<D: Domain>(core: &Arc<Core<D>>, exchanger: &Arc<Exchanger>) -> bool {
    let rounds: Vec<_> = (0..core.servers.iter().count())
        .map(|index| {
            let (core, exchanger) = (core.clone(), exchanger.clone());
            tokio::spawn(async move { check_one(&core, &exchanger, index).await })
        })
        .collect();
    let mut any = false;
    for round in rounds {
        any |= round.await.unwrap_or(false);
    }
    any
}

async fn check_one<D: Domain>(core: &Core<D>, exchanger: &Exchanger, index: usize) -> bool {
    let Some(server) = core.servers.get(index) else {
        return false;
    };
    let verdict = ask(core, exchanger, index).await;
    let well = verdict.is_ok();
    core.metrics.upstream_up.with_label_values(&[&server.name]).set(i64::from(well));
    if server.set_healthy(well) {
        match verdict {
            Ok(()) => tracing::info!(server = server.name, "server is well again"),
            Err(reason) => tracing::warn!(server = server.name, %reason, "server is not well"),
        }
    }
    well
}

/// Asks for the health page, always on a new connection: that a server still accepts is a part of the check.
async fn ask<D: Domain>(core: &Core<D>, exchanger: &Exchanger, index: usize) -> Result<(), Reason> {
    let server = core.servers.get(index).ok_or(Reason::NoAddress)?;
    let peers = server.peers().ok_or(Reason::NoAddress)?;
    let head = check_head(core.config.health.path.as_str(), &server.authority).map_err(|_| Reason::Malformed)?;
    let call = Call {
        head,
        body: Bytes::new(),
        deadline: core.config.health.timeout,
        patience: Duration::ZERO,
        collect: COLLECT,
        repeatable: false,
        subject: Subject::Check,
    };
    exchanger
        .exchange_alone(index, &peers, call)
        .await
        .map(|answer| {
            // The checks come often enough to compare the clocks by.
            if let Some(time) = date(&answer.head().headers) {
                core.store.time().told(time);
            }
        })
        .map_err(|failure| failure.reason)
}

/// The `Date` header (RFC 9110, 6.6.1), in the form that servers send today.
fn date(headers: &http::HeaderMap) -> Option<Time> {
    let text = headers.get(http::header::DATE)?.to_str().ok()?;
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Time(zoned.timestamp().as_millisecond()))
}

fn check_head(path: &str, authority: &str) -> Result<RequestHeader> {
    let mut head = RequestHeader::build("GET", path.as_bytes(), Some(4))?;
    head.insert_header("Host", authority)?;
    head.insert_header("User-Agent", concat!("megamind/", env!("CARGO_PKG_VERSION")))?;
    // Closed after the answer, so that no pool holds it.
    head.insert_header("Connection", "close")?;
    Ok(head)
}

/// After a passive trip a green page proves nothing: a read that failed then is asked again. Without one, writes have
/// failed, and their replays are the proof; without any of those either, there is nothing but the page to believe.
async fn probe<D: Domain>(core: &Core<D>, exchanger: &Exchanger) {
    let Some(request) = core.probe.load_full() else {
        if core.store.published().sendable == 0 {
            core.modes.good();
        }
        return;
    };
    match outbound::ask(core, exchanger, Ask::read(&request, None, COLLECT)).await {
        Ok(_) => core.modes.good(),
        Err(failure) => core.note_failure(&failure),
    }
}

/// Resolves names every half minute.
pub(crate) async fn resolve_names<D: Domain>(core: Arc<Core<D>>) {
    let mut tick = interval(RESOLVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        core.servers.resolve().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        let mut headers = http::HeaderMap::new();
        assert_eq!(date(&headers), None);
        for (text, expect) in [("Sun, 06 Nov 1994 08:49:37 GMT", Some(Time(784_111_777_000))), ("yesterday", None)] {
            headers.insert(http::header::DATE, http::HeaderValue::from_static(text));
            assert_eq!(date(&headers), expect);
        }
    }
}
