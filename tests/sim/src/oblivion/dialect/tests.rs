use std::collections::BTreeMap;

use super::*;
use crate::oblivion::endpoint::Read;

#[test]
fn every_endpoint_has_one_path_in_each_dialect() {
    for dialect in [Dialect::Default, Dialect::Enveloped] {
        for endpoint in Endpoint::ALL {
            let table = dialect.table();
            let wire = lookup(table.paths, endpoint.path(), Direction::ToWire);
            let path = format!("{}{wire}", table.base_path);
            assert_eq!(dialect.endpoint(&path), Some(*endpoint), "{path}");
            assert_eq!(dialect.endpoint(&format!("{path}/")), Some(*endpoint), "{path}/");
        }
    }
    assert_eq!(Dialect::Enveloped.endpoint("/placeOrder"), None);
    assert_eq!(Dialect::Enveloped.endpoint("/api/v2/placeOrder"), None);
    assert_eq!(
        Dialect::Enveloped.endpoint("/api/v2/orders/track"),
        Some(Endpoint::Read(Read::TrackOrder))
    );
}

#[test]
fn names_words_and_times_go_both_ways() {
    let wire = json!({
        "order_id": "OB-1", "status": "collected", "eta": "2023-11-14 22:13:20",
        "x": [{"rider_id": "m", "latitude": 1}],
    });
    let canonical = json!({
        "orderId": "OB-1", "status": "picked_up", "eta": "2023-11-14T22:13:20Z",
        "x": [{"minionId": "m", "lat": 1}],
    });
    assert_eq!(Dialect::Enveloped.translate(wire.clone(), Direction::FromWire), canonical);
    assert_eq!(Dialect::Enveloped.translate(canonical, Direction::ToWire), wire);
}

#[test]
fn an_envelope_is_around_every_answer() {
    let created = Dialect::Enveloped.render(Some(Write::PlaceOrder), json!({"orderId": "OB-1"}));
    assert_eq!(created.status, StatusCode::OK);
    assert_eq!(created.body, r#"{"data":{"order_id":"OB-1"},"success":true}"#);
    let refused = Dialect::Enveloped.render_refusal(&Refusal::Conflict("no".into()));
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.body, r#"{"error_code":"conflict","message":"no","success":false}"#);
}

/// The gateway is told this dialect by a file; both have to say the same.
#[test]
fn the_shipped_configuration_is_this_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conf/dialect-enveloped.toml");
    let config = megamind_conf::load(file.as_ref()).expect("a good configuration");
    let told = config.dialect;
    let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(canonical, wire)| ((*canonical).to_owned(), (*wire).to_owned()))
            .collect()
    };
    let text = |(canonical, wire): (&&str, &dyn ToString)| ((*canonical).to_owned(), wire.to_string());
    assert_eq!(told.base_path, ENVELOPED.base_path);
    assert_eq!(told.created_status, ENVELOPED.created.as_u16());
    assert_eq!(told.time_format.to_string(), CIVIL);
    let fields: BTreeMap<_, _> = told.fields.iter().map(|(name, wire)| text((name, wire))).collect();
    assert_eq!(fields, owned(ENVELOPED.fields));
    let statuses: BTreeMap<_, _> = told.statuses.iter().map(|(word, wire)| text((word, wire))).collect();
    assert_eq!(statuses, owned(ENVELOPED.statuses));
    let paths: BTreeMap<_, _> = told
        .paths
        .iter()
        .map(|(path, wire)| ((*path).to_owned(), wire.as_str().to_owned()))
        .collect();
    assert_eq!(paths, owned(ENVELOPED.paths));
    let envelope = told.envelope.expect("an envelope");
    assert_eq!(envelope.data, "data");
    let error = envelope.error.expect("an envelope of errors");
    assert_eq!((error.message.as_str(), error.code.as_deref()), ("message", Some("error_code")));
}
