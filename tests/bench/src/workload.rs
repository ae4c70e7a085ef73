//! The requests that are measured with, and the city that they need.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use crate::client;
use crate::load::{self, Outcome, Plan, Source, Until};

/// Keep-alive connections of a measurement.
pub(crate) const CONNECTIONS: usize = 64;
/// Pilots in the measured city.
pub(crate) const PILOTS: usize = 5_000;
/// Pilots in one registration: well under the 64 KiB that a handled body may have.
const BATCH: usize = 250;
/// A body of about 300 bytes, each with a reference of its own.
const ORDER: &str = r#"{"merchantId":"m-{n}","clientRef":"bench-{n}","pickup":{"lat":12.9716,"lng":77.5946,"address":"12 Church Street"},"dropoff":{"lat":12.9352,"lng":77.6245,"address":"80 Feet Road"},"items":[{"name":"dosa","quantity":2}],"codAmount":"240.00","currency":"INR"}"#;

/// A path that the gateway has no handler for.
pub(crate) fn plain() -> Source {
    Source::rotating(["/plain/menu".to_owned()])
}

/// `/placeOrder`, every order another one.
pub(crate) fn place() -> Source {
    Source::counted("POST", "/placeOrder", ORDER)
}

/// The same of other merchants, so that none is taken for one of [`place`].
pub(crate) fn place_live() -> Source {
    Source::counted("POST", "/placeOrder", &ORDER.replace("m-{n}", "live-{n}"))
}

/// `/trackOrder` of these orders, in turn.
pub(crate) fn track(ids: impl IntoIterator<Item = String>) -> Source {
    Source::rotating(ids.into_iter().map(|id| format!("/trackOrder?orderId={id}")))
}

/// Ids as the measuring upstream gives them.
pub(crate) fn upstream_ids(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("OB-{number:09}"))
}

/// As fast as answers come, for so long.
pub(crate) fn full_speed(target: SocketAddr, source: &mut Source, time: Duration) -> anyhow::Result<Outcome> {
    load::run(Plan { target, connections: CONNECTIONS, source, until: Until::Elapsed(time), pace: None })
}

/// Registers the pilots of a city, spread over some kilometres.
pub(crate) fn register_pilots(gateway: SocketAddr) -> anyhow::Result<()> {
    for first in (0..PILOTS).step_by(BATCH) {
        let mut body = String::from(r#"{"minions":["#);
        for pilot in first..first + BATCH {
            let comma = if pilot == first { "" } else { "," };
            let lat = 12.90 + (pilot % 71) as f64 * 0.002;
            let lng = 77.50 + (pilot / 71) as f64 * 0.002;
            // Writing to a String cannot fail.
            let _ = write!(
                body,
                r#"{comma}{{"minionId":"p{pilot:05}","name":"Pilot {pilot}","phone":"+9198{pilot:08}","vehicle":"bike","capacity":3,"lat":{lat:.4},"lng":{lng:.4},"status":"available"}}"#
            );
        }
        body.push_str("]}");
        let (status, answer) = client::call(gateway, "POST", "/bulk/setminionsgeneralinfo", &body)?;
        ensure!(status == 200, "registering pilots was answered {status}: {answer}");
    }
    Ok(())
}

/// Places some orders one by one and takes the ids that they got.
pub(crate) fn place_some(gateway: SocketAddr, count: usize) -> anyhow::Result<Vec<String>> {
    let one = |number: usize| {
        let body = ORDER.replace("{n}", &format!("seed{number:05}"));
        let (status, answer) = client::call(gateway, "POST", "/placeOrder", &body)?;
        let id = serde_json::from_str::<Value>(&answer)
            .ok()
            .and_then(|answer| Some(answer["orderId"].as_str()?.to_owned()));
        match id {
            Some(id) if (200..300).contains(&status) => Ok(id),
            _ => anyhow::bail!("placing an order was answered {status}: {answer}"),
        }
    };
    (0..count).map(one).collect()
}
