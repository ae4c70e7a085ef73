//! The three forms of a request, and the shapes of the answers, while acting.

use megamind_tests::city::{order, pilot};
use megamind_tests::{City, Request};
use serde_json::json;

#[test]
fn json_forms_and_queries_mean_the_same() {
    let mut city = City::with("").start_without_cloud();
    let json = city.post("/placeOrder", &order("by JSON")).expect(201);
    let form = city
        .send(&Request::form(
            "/placeOrder",
            "merchantId=M1&clientRef=by+form&pickup[lat]=12.9716&pickup[lng]=77.5946\
             &dropoff[lat]=12.9352&dropoff%5Blng%5D=77.6245&items[0][name]=dosa&codAmount=149.50&currency=INR",
        ))
        .expect(201);
    let query = city
        .send(&Request::new(
            "POST",
            "/placeOrder?merchantId=M1&clientRef=by+query&pickup[lat]=12.9716&pickup[lng]=77.5946\
             &dropoff[lat]=12.9352&dropoff[lng]=77.6245",
        ))
        .expect(201);
    for answer in [json, form, query] {
        assert_eq!(answer.json()["status"], "placed", "{answer}");
        let id = city.id_of(&answer);
        assert_eq!(city.status_of(&id), "placed");
    }
    // Each goes to Oblivion as it came; those of different orders side by side.
    city.regain_cloud();
    let mut forms: Vec<_> = city
        .cloud
        .log()
        .iter()
        .map(|effect| (effect.text("contentType").to_owned(), effect.body().is_empty()))
        .collect();
    forms.sort();
    let sent = [("", true), ("application/json", false), ("application/x-www-form-urlencoded", false)];
    assert_eq!(forms, sent.map(|(kind, empty)| (kind.to_owned(), empty)));
}

#[test]
fn fields_that_nobody_knows_are_kept_and_replayed_unchanged() {
    let mut city = City::with("").start_without_cloud();
    let mut body = order("with extras");
    body["loyaltyCard"] = json!({"number": "0042", "tiers": [1, 2.50, null]});
    city.post("/placeOrder", &body).expect(201);
    city.regain_cloud();
    let placed = city.cloud.effects_of("with extras");
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].body(), body.to_string());
}

#[test]
fn a_pilot_is_assigned_and_found_again_everywhere() {
    let mut city = City::with("").start_without_cloud();
    let registration = json!({
        "minionId": "P1", "name": "Asha", "phone": "+919812345678", "vehicle": "bike", "capacity": 2,
        "lat": 12.97, "lng": 77.59, "status": "available",
    });
    city.post("/ind/setminiongeneralinfo", &registration).expect(200).expect_local();
    let placed = city.post("/placeOrder", &order("assigned")).expect(201);
    assert_eq!(placed.json()["minionId"], "P1", "{placed}");
    let id = city.id_of(&placed);
    assert_eq!(city.status_of(&id), "assigned");
    let info = city.send(&Request::get("/ind/getminiongeneralinfo?minionId=P1")).expect(200);
    assert_eq!(info.json()["name"], "Asha", "{info}");
    let carried = city.send(&Request::get("/ind/getminiondeliveryinfo?minionId=P1")).expect(200);
    assert!(carried.text().contains(&id), "{carried}");
    let score = city.send(&Request::get("/score?minionId=P1")).expect(200).expect_local();
    let score = score.json()["score"].as_f64().expect("a score");
    assert!((0.0..=100.0).contains(&score), "{score}");

    // The assignment is handed over as the gateway's own decision, after the order.
    city.regain_cloud();
    let upstream = city.cloud.effects_of("\"assigned\"")[0].text("orderId").to_owned();
    let known = city.cloud.order(&upstream).expect("known");
    assert_eq!((&known["status"], &known["minionId"]), (&json!("assigned"), &json!("P1")));
}

#[test]
fn a_rejected_order_goes_to_somebody_else() {
    let city = City::with("").start_without_cloud();
    for name in ["P1", "P2"] {
        city.post("/updatemaster/ind/generalinfo", &pilot(name)).expect(200);
    }
    let placed = city.post("/placeOrder", &order("rejected")).expect(201);
    let (id, first) = (city.id_of(&placed), placed.json()["minionId"].clone());
    let first = first.as_str().expect("a pilot").to_owned();
    city.deliver(&id, &first, "rejected").expect(200);
    let now = city.track(&id).expect(200).json();
    let second = if first == "P1" { "P2" } else { "P1" };
    assert_eq!(now["minionId"], second, "{now}");
}

#[test]
fn bulk_requests_answer_item_by_item() {
    let mut city = City::with("").start_without_cloud();
    let minions: Vec<_> = ["P1", "P2", "P3"].iter().map(|name| pilot(name)).collect();
    let answer = city
        .post("/updatemaster/bulk/generalinfo", &json!({"minions": minions}))
        .expect(200);
    assert_eq!(answer.json()["results"].as_array().map(Vec::len), Some(3), "{answer}");
    let id = city.place("in bulk");
    let deliveries = json!({"deliveries": [
        {"orderId": id, "minionId": "P1", "status": "picked_up"},
        {"orderId": id, "minionId": "P1", "status": "jumping"},
        {"orderId": id, "minionId": "P1", "status": "delivered"},
    ]});
    let answer = city.post("/updatemaster/bulk/deliveryInfo", &deliveries).expect(200);
    let body = answer.json();
    let results = body["results"].as_array().expect("results");
    let statuses: Vec<_> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(400), &json!(200)], "{answer}");
    assert_eq!(city.status_of(&id), "delivered");
    city.cloud.start();
    wait_for_status(&city, "in bulk", "delivered");
}

fn wait_for_status(city: &City, client_ref: &str, status: &str) {
    let quoted = format!("\"{client_ref}\"");
    megamind_tests::wait::until("Oblivion knows", || {
        let placed = city.cloud.effects_of(&quoted);
        let order = city.cloud.order(placed.first()?.text("orderId"))?;
        (order["status"] == status).then_some(())
    });
}

#[test]
fn a_repeated_request_gets_the_first_answer() {
    let mut city = City::with("").start_without_cloud();
    let keyed = |body| city.dialect.post("/placeOrder", body).header("Idempotency-Key", "k-1");
    let (same, other) = (keyed(&order("keyed")), keyed(&order("something else")));
    let first = city.send(&same).expect(201);
    let again = city.send(&same).expect(201);
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again}");
    city.send(&other).expect_problem(422, "idempotency_key_reused");
    // Without a key, merchant, reference and content say the same.
    let first = city.post("/placeOrder", &order("natural")).expect(201);
    let again = city.post("/placeOrder", &order("natural")).expect(201);
    assert_eq!(city.id_of(&first), city.id_of(&again));
    city.regain_cloud();
    assert_eq!(city.cloud.effects_of("\"keyed\"").len(), 1);
    assert_eq!(city.cloud.effects_of("\"keyed\"")[0].key(), Some("k-1"));
    assert_eq!(city.cloud.effects_of("\"natural\"").len(), 1);
}

#[test]
fn the_limits_of_a_stand_in_hold_while_acting_only() {
    let mut city = City::with("acting.max_cod_amount = '100'\nacting.max_open_orders_per_merchant = 1").start();
    city.post("/placeOrder", &order("forwarded")).expect(201).expect_forwarded();
    city.lose_cloud();
    city.post("/placeOrder", &order("too dear"))
        .expect_problem(503, "beyond_stand_in");
    let mut cheap = order("cheap");
    cheap["merchantId"] = "M2".into();
    cheap["codAmount"] = "99.99".into();
    city.post("/placeOrder", &cheap).expect(201);
    cheap["clientRef"] = "one too many".into();
    city.post("/placeOrder", &cheap).expect_problem(503, "beyond_stand_in");
    city.regain_cloud();
    assert!(city.cloud.effects_of("too dear").is_empty());
    assert!(city.cloud.effects_of("one too many").is_empty());
}

#[test]
fn a_picked_up_order_is_neither_cancelled_nor_changed() {
    let city = City::with("").start_without_cloud();
    let id = city.place("on its way");
    city.deliver(&id, "P1", "picked_up").expect(200);
    let answer = city.post("/cancelOrder", &json!({"orderId": id})).expect(409);
    answer.expect_local();
    assert_eq!(city.status_of(&id), "picked_up");
    // Cancelling twice is cancelling.
    let id = city.place("not wanted");
    for path in ["/cancelOrder", "/cancelOrderll"] {
        city.post(path, &json!({"orderId": id})).expect(200);
    }
    assert_eq!(city.status_of(&id), "cancelled");
}
