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
    let mut parts = parts(way);
    let geometry = if parts.len() == 1 {
        json!({"type": "LineString", "coordinates": parts.remove(0)})
    } else {
        json!({"type": "MultiLineString", "coordinates": parts})
    };
    json!({"type": "Feature", "geometry": geometry, "properties": properties})
}

/// A way in parts, none of which crosses the antimeridian: RFC 7946, section 3.1.9.
fn parts(way: &[Position]) -> Vec<Vec<[f64; 2]>> {
    let mut parts = vec![Vec::new()];
    let mut before: Option<[f64; 2]> = None;
    for point in way.iter().copied().map(coordinates) {
        if let Some([lng, lat]) = before
            && (point[0] - lng).abs() > 180.0
        {
            let edge = 180.0_f64.copysign(lng);
            // Where the line meets it, on a map on which the second point lies beyond it.
            let beyond = point[0] + 2.0 * edge;
            let (to_edge, span) = (edge - lng, beyond - lng);
            let share = if span.abs() > f64::EPSILON { to_edge / span } else { 0.0 };
            let at = lat + share * (point[1] - lat);
            push(&mut parts, [edge, at]);
            parts.push(vec![[-edge, at]]);
        }
        push(&mut parts, point);
        before = Some(point);
    }
    // A line has two points at least.
    parts.retain(|part| part.len() > 1);
    parts
}

fn push(parts: &mut [Vec<[f64; 2]>], point: [f64; 2]) {
    if let Some(part) = parts.last_mut() {
        part.push(point);
    }
}

/// Longitude first, as RFC 7946, section 3.1.1, has it.
fn coordinates(position: Position) -> [f64; 2] {
    [position.lng(), position.lat()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(way: &[(f64, f64)]) -> Value {
        let at = |&(lat, lng): &(f64, f64)| Position::from_degrees(lat, lng).expect("on earth");
        let way: Vec<_> = way.iter().map(at).collect();
        line(&way, &json!({}))["geometry"].clone()
    }

    #[test]
    fn a_line_is_longitude_first() {
        let expected = json!({"type": "LineString", "coordinates": [[77.5, 12.9], [77.6, 12.8], [77.6, 12.8]]});
        assert_eq!(drawn(&[(12.9, 77.5), (12.8, 77.6), (12.8, 77.6)]), expected);
    }

    #[test]
    fn a_line_is_cut_at_the_antimeridian() {
        let there = drawn(&[(0.0, 179.0), (2.0, -179.0), (2.0, -178.0)]);
        let parts = json!([[[179.0, 0.0], [180.0, 1.0]], [[-180.0, 1.0], [-179.0, 2.0], [-178.0, 2.0]]]);
        assert_eq!(there, json!({"type": "MultiLineString", "coordinates": parts}));
        let back = drawn(&[(2.0, -179.0), (0.0, 179.0)]);
        let parts = json!([[[-179.0, 2.0], [-180.0, 1.0]], [[180.0, 1.0], [179.0, 0.0]]]);
        assert_eq!(back, json!({"type": "MultiLineString", "coordinates": parts}));
        let both_edges = drawn(&[(1.0, 180.0), (1.0, -180.0)]);
        assert_eq!(both_edges["coordinates"].as_array().map(Vec::len), Some(2));
    }
}
