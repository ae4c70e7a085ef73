//! Bad input: refused by name, and nothing changes.

use megamind_domain::{Request, Response};
use serde_json::{Value, json};

use crate::support::{World, body_of, get, order, post};

/// Sends a request that must be refused without a trace.
fn refused(request: &Request) -> Response {
    let mut world = World::acting();
    let answer = world.serve(request);
    assert!(world.events.is_empty(), "{request:?} left {:?}", world.events);
    answer
}

#[track_caller]
fn check(path: &str, body: &Value, code: &str, field: &str) {
    let answer = refused(&post(path, body));
    let told = body_of(&answer);
    assert_eq!(
        (answer.status, told["code"].as_str(), told["field"].as_str()),
        (400, Some(code), Some(field)),
        "{path} {body}: {told}"
    );
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!(told["status"], 400);
    assert_eq!(told["title"], "Bad Request");
}

fn order_with(path: &[&str], value: Value) -> Value {
    let mut body = order();
    let mut at = &mut body;
    for step in path {
        at = &mut at[step];
    }
    *at = value;
    body
}

#[test]
fn a_new_order_names_the_field_at_fault() {
    let place = |path: &[&str], value: Value, code: &str, field: &str| {
        check("/placeOrder", &order_with(path, value), code, field);
    };
    place(&["merchantId"], json!(null), "missing_field", "merchantId");
    place(&["merchantId"], json!("  "), "missing_field", "merchantId");
    place(&["merchantId"], json!(["M7"]), "wrong_type", "merchantId");
    place(&["merchantId"], json!("M".repeat(129)), "invalid_field", "merchantId");
    place(&["merchantId"], json!("M\u{7}"), "invalid_field", "merchantId");
    place(&["pickup"], json!(null), "missing_field", "pickup");
    place(&["pickup"], json!("here"), "wrong_type", "pickup");
    place(&["pickup"], json!({}), "missing_field", "pickup.lat");
    place(&["pickup", "lat"], json!(90.5), "bad_position", "pickup.lat");
    place(&["pickup", "lat"], json!("NaN"), "bad_position", "pickup.lat");
    place(&["pickup", "lat"], json!("north"), "wrong_type", "pickup.lat");
    place(&["pickup", "lng"], json!(null), "missing_field", "pickup.lng");
    place(&["dropoff", "lng"], json!(-181), "bad_position", "dropoff.lng");
    place(&["dropoff", "lng"], json!(true), "wrong_type", "dropoff.lng");
    place(&["dropoff", "address"], json!({}), "wrong_type", "dropoff.address");
    place(&["dropoff", "address"], json!("a".repeat(2049)), "invalid_field", "dropoff.address");
    place(&["codAmount"], json!("-1"), "wrong_type", "codAmount");
    place(&["codAmount"], json!("1.00001"), "wrong_type", "codAmount");
    place(&["codAmount"], json!({}), "wrong_type", "codAmount");
    place(&["currency"], json!("RUPEE"), "wrong_type", "currency");
    place(&["readyAt"], json!("soon"), "wrong_type", "readyAt");
}

#[test]
fn reports_name_the_field_at_fault() {
    let delivery = "/updatemaster/ind/deliveryInfo";
    check(delivery, &json!({}), "missing_field", "orderId");
    check(delivery, &json!({"orderId": "O"}), "missing_field", "minionId");
    check(delivery, &json!({"orderId": "O", "minionId": "P"}), "missing_field", "status");
    check(
        delivery,
        &json!({"orderId": "O", "minionId": "P", "status": "eaten"}),
        "wrong_type",
        "status",
    );
    check(
        delivery,
        &json!({"orderId": "O", "minionId": "P", "status": "delivered", "lat": 1}),
        "missing_field",
        "lng",
    );
    check(
        delivery,
        &json!({"orderId": "O", "minionId": "P", "status": "delivered", "at": "noon"}),
        "wrong_type",
        "at",
    );
    check(
        delivery,
        &json!({"orderId": "O", "minionId": "P", "status": "delivered", "codCollected": "much"}),
        "wrong_type",
        "codCollected",
    );
    let general = "/updatemaster/ind/generalinfo";
    check(general, &json!({"lat": 1, "lng": 1}), "missing_field", "minionId");
    check(general, &json!({"minionId": "P", "status": "asleep"}), "wrong_type", "status");
    check("/updatemaster/bulk/deliveryInfo", &json!({}), "missing_field", "deliveries");
    check("/updatemaster/bulk/deliveryInfo", &json!({"deliveries": 3}), "wrong_type", "deliveries");
    let set = "/ind/setminiongeneralinfo";
    check(set, &json!({"minionId": "P", "phone": "0800"}), "wrong_type", "phone");
    check(set, &json!({"minionId": "P", "capacity": -1}), "wrong_type", "capacity");
    check(set, &json!({"minionId": "P", "callbackUrl": "ftp://x"}), "wrong_type", "callbackUrl");
}

#[test]
fn questions_name_the_field_at_fault() {
    let ask = |path: &str, query: &str, field: &str| {
        let answer = refused(&get(path, query));
        let told = body_of(&answer);
        assert_eq!((answer.status, told["field"].as_str()), (400, Some(field)), "{told}");
    };
    ask("/trackOrder", "", "orderId");
    ask("/trackOrder", "orderId=", "orderId");
    ask("/cancelOrder", "reason=x", "orderId");
    ask("/score", "", "orderId");
    ask("/ind/getminiongeneralinfo", "", "minionId");
    ask("/bulk/getminionsgeneralinfo", "limit=many", "limit");
    ask("/bulk/getminionsgeneralinfo", "near=here", "near");
    ask("/bulk/getminionsgeneralinfo", "cursor=x", "cursor");
    ask("/bulk/getminionsgeneralinfo", "status=lazy", "status");
}

#[test]
fn items_of_a_list_are_named_with_their_place() {
    let mut world = World::acting();
    let body = json!({"minions": [{"minionId": "P1"}, {"minionId": "P2", "lat": "x", "lng": 0}, 7]});
    let (status, answer) = world.post("/updatemaster/bulk/generalinfo", &body);
    assert_eq!(status, 200);
    let details: Vec<_> = (answer["results"].as_array().expect("results").iter())
        .map(|item| item["detail"].as_str())
        .collect();
    assert_eq!(
        details,
        [
            None,
            Some("minions.1.lat must be a number of degrees."),
            Some("minions.2.minionId is missing."),
        ]
    );
}

#[test]
fn bodies_that_cannot_be_read() {
    let send = |content_type: Option<&str>, body: &[u8]| {
        let answer = refused(&Request {
            content_type: content_type.map(Into::into),
            body: body.to_vec().into(),
            ..post("/placeOrder", &Value::Null)
        });
        let told = body_of(&answer);
        (answer.status, told["code"].as_str().map(str::to_owned), told)
    };
    let json = Some("application/json");
    let (status, code, told) = send(json, br#"{"merchantId": "M7", }"#);
    assert_eq!((status, code.as_deref()), (400, Some("malformed_json")));
    assert_eq!(told["detail"], "The body is not JSON: trailing comma at line 1 column 22.");
    let code = |content_type, body: &[u8]| {
        let (status, code, _) = send(content_type, body);
        (status, code.unwrap_or_default())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(code(json, b"{\"a\": \"\xff\"}"), is(400, "invalid_utf8"));
    assert_eq!(code(json, b"[]"), is(400, "wrong_type"));
    assert_eq!(code(json, b"{\"merchantId\": \"M"), is(400, "malformed_json"));
    assert_eq!(code(json, "[".repeat(9_999).as_bytes()), is(400, "too_deep"));
    assert_eq!(code(Some("text/html"), b"<html>"), is(415, "unsupported_media_type"));
    assert_eq!(code(Some("multipart/form-data; boundary=x"), b"--x"), is(415, "unsupported_media_type"));
    assert_eq!(code(None, b"merchantId=%ff"), is(400, "invalid_utf8"));
    assert_eq!(code(None, b""), is(400, "missing_field"));
    assert_eq!(code(json, b""), is(400, "missing_field"));
    let gzip = refused(&Request { content_encoding: Some("gzip".into()), ..post("/placeOrder", &order()) });
    assert_eq!(gzip.status, 415);
}

#[test]
fn too_many_items_are_refused_as_a_whole() {
    let items: Vec<Value> = (0..5_001).map(|number| json!({ "minionId": number })).collect();
    check(
        "/updatemaster/bulk/generalinfo",
        &json!({ "minions": items }),
        "too_many_items",
        "minions",
    );
}
