//! The city as a picture: `GeoJSON` (RFC 7946) of pilots, orders, plans and tracks.

use megamind_gateway::{Asked, Handle, PageAnswer, PageError};
use megamind_handlers::{City, Deliveries, Position, Settings, order::Order, pilot::Pilot};
use serde_json::{Value, json};

use super::{
    Shared,
    pages::{order_name, pilot_name, word_of},
    worker::Latest,
};

/// Pilots, and orders, that are drawn at most.
const MOST: usize = 5_000;

/// `GET /admin/map.geojson`: each feature's `kind` says what it is: `pilot`, `order`, `plan` or `track`.
pub(super) fn map(handle: &Handle<Deliveries>, asked: &Asked, shared: &Shared) -> PageAnswer {
    if asked.post {
        return Err(PageError::new(405, "method_not_allowed", "GET tells; nothing else works here."));
    }
    if !asked.rest.is_empty() {
        return Err(PageError::not_found());
    }
    let published = handle.published();
    let (city, settings) = (&published.city, handle.domain().settings());
    let latest = shared.latest.load();
    let mut features = Vec::new();
    for pilot in city.pilots().filter(|pilot| pilot.fix().is_some()).take(MOST) {
        features.extend(drawn_pilot(pilot));
        let track = shared.tracks.of(pilot.key());
        if track.len() > 1 {
            features.push(line(&track, &json!({"kind": "track", "minionId": pilot.id().text()})));
        }
    }
    let carried = city.carried().filter_map(|(_, order)| city.order(order));
    let waiting = city.waiting().chain(city.adoptable().filter(|order| order.carrier().is_none()));
    for order in waiting.chain(carried).take(MOST) {
        features.extend(drawn_order(city, settings, order));
    }
    features.extend(plans(city, settings, &latest));
    Ok(json!({"type": "FeatureCollection", "planVersion": latest.version, "features": features}))
}

fn drawn_pilot(pilot: &Pilot) -> Option<Value> {
    let fix = pilot.fix()?;
    Some(json!({
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": coordinates(fix.position)},
        "properties": {
            "kind": "pilot",
            "minionId": pilot.id().text(),
            "name": pilot.profile().name,
            "status": serde_json::to_value(pilot.availability()).unwrap_or_default(),
            "orders": pilot.load(),
            "at": super::rfc3339(fix.at),
        },
    }))
}

/// From door to door; a point where only one of them is known.
fn drawn_order(city: &City, settings: &Settings, order: &Order) -> Option<Value> {
    let ends: Vec<Position> = order.pickup().into_iter().chain(order.dropoff()).collect();
    let properties = json!({
        "kind": "order",
        "orderId": order_name(settings, order),
        "status": word_of(order.status()),
        "minionId": pilot_name(city, order.carrier()),
        "eta": order.eta().map(super::rfc3339),
        "pilotSilent": order.silent_since().is_some(),
    });
    match ends.as_slice() {
        [] => None,
        [only] => Some(json!({
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": coordinates(*only)},
            "properties": properties,
        })),
        _ => Some(line(&ends, &properties)),
    }
}

/// Each pilot's way along what is planned: all pickups of a bundle, then its doors.
fn plans(city: &City, settings: &Settings, latest: &Latest) -> Vec<Value> {
    let mut drawn = Vec::new();
    for (pilot, orders, told) in latest.routes.iter().take(MOST) {
        let orders: Vec<&Order> = orders.iter().filter_map(|order| city.order(*order)).collect();
        let start = city.pilot(*pilot).and_then(|pilot| Some(pilot.fix()?.position));
        let pickups = orders.iter().filter_map(|order| order.pickup());
        let doors = orders.iter().filter_map(|order| order.dropoff());
        let mut way: Vec<Position> = start.into_iter().chain(pickups).chain(doors).collect();
        way.dedup();
        if way.len() > 1 {
            let names: Vec<_> = orders.iter().map(|order| order_name(settings, order)).collect();
            let minion = pilot_name(city, Some(*pilot));
            drawn.push(line(&way, &json!({"kind": "plan", "minionId": minion, "orders": names, "told": told})));
        }
    }
    drawn
}

fn line(way: &[Position], properties: &Value) -> Value {
    let way: Vec<_> = way.iter().copied().map(coordinates).collect();
    json!({
        "type": "Feature",
        "geometry": {"type": "LineString", "coordinates": way},
        "properties": properties,
    })
}

/// Longitude first, as RFC 7946, section 3.1.1, has it.
fn coordinates(position: Position) -> [f64; 2] {
    [position.lng(), position.lat()]
}
