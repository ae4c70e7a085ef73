//! One dispatcher at a time, whose planning nobody has to wait for.

use std::net::TcpListener;

use megamind_tests::city::{order, pilot};
use megamind_tests::{City, wait};
use serde_json::{Value, json};

fn tracked(city: &City, id: &str) -> Value {
    city.track(id).expect(200).json()
}

fn await_pilot(city: &City, id: &str, minion: &str) {
    wait::until(&format!("{minion} has {id}"), || (tracked(city, id)["minionId"] == minion).then_some(()));
}

#[test]
fn what_the_cloud_may_have_taken_is_left_to_it_unless_somebody_asks() {
    let mut city = City::with("").cloud_flags(&["--no-dispatch"]).start();
    city.post("/updatemaster/ind/generalinfo", &pilot("P1")).expect(200);
    city.cloud.fault(&json!({"kind": "lose_reply", "paths": ["/placeOrder"]}));
    let answer = city.post("/placeOrder", &order("doubtful")).expect(201).expect_local();
    let doubtful = city.id_of(&answer);
    city.lose_cloud();
    // Given out after the other one was there to be given out too.
    let clear = city.place("clear");
    await_pilot(&city, &clear, "P1");
    let told = tracked(&city, &doubtful);
    assert_eq!((&told["status"], told.get("minionId")), (&json!("placed"), None), "{told}");
    city.post("/ind/assigntominion", &json!({"orderId": doubtful})).expect(200);
    assert_eq!(tracked(&city, &doubtful)["minionId"], "P1");
}

#[test]
fn while_the_cloud_serves_an_assignment_is_made_by_whoever_asks() {
    let city = City::with("").cloud_flags(&["--no-dispatch"]).start();
    city.post("/updatemaster/ind/generalinfo", &pilot("P1")).expect(200);
    let ids: Vec<String> = (0..3).map(|number| city.place(&format!("asked-{number}"))).collect();
    let best = city.post("/ind/assigntominion", &json!({"orderId": ids[0]})).expect(200);
    assert_eq!(best.json()["minionId"], "P1");
    let named = json!({"assignments": [{"orderId": ids[1], "minionId": "P1"}]});
    let named = city.post("/bulk/assigntominions", &named).expect(200).json();
    assert_eq!(named["results"][0]["minionId"], "P1", "{named}");
    let all = city.post("/bulk/assigntominions", &json!({})).expect(200).json();
    assert_eq!(all["results"].as_array().map(Vec::len), Some(1), "{all}");
    assert_eq!(
        (&all["results"][0]["orderId"], &all["results"][0]["minionId"]),
        (&json!(ids[2]), &json!("P1"))
    );
    // The cloud is told of each.
    city.gateway.await_drained();
    for id in &ids {
        assert_eq!(tracked(&city, id)["minionId"], "P1");
    }
}

#[test]
fn nobody_waits_for_a_planner_that_does_not_answer() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let config =
        format!("[dispatch]\nplanner = 'external'\nexternal_url = 'http://{address}/'\nexternal_timeout = '60s'");
    let city = City::with(&config).start_without_cloud();
    city.post("/updatemaster/ind/generalinfo", &pilot("P1")).expect(200);
    let first = city.place("first");
    let (_asked, _) = silent.accept().expect("the planner is asked");
    // It is being asked all the while: these are answered, and an order that is given out meanwhile stays so.
    for number in 0..20 {
        let id = city.place(&number.to_string());
        assert_eq!(tracked(&city, &id)["status"], "placed");
    }
    city.post("/ind/assigntominion", &json!({"orderId": first, "minionId": "P1"}))
        .expect(200);
    let told = tracked(&city, &first);
    assert_eq!(told["status"], "assigned", "{told}");
    city.post("/cancelOrder", &json!({"orderId": first})).expect(200);
}

#[test]
fn the_nearest_who_can_gets_it_where_that_is_the_policy() {
    let config = "[dispatch]\nplanner = 'nearest'\ninterval = '1s'\noffer_timeout = '1s'";
    let city = City::with(config).start_without_cloud();
    let early = city.place("early");
    assert_eq!(tracked(&city, &early)["status"], "placed");
    let mut small = pilot("small");
    small["cashLimit"] = "100".into();
    city.post("/ind/setminiongeneralinfo", &small).expect(200);
    let mut far = pilot("far");
    far["lat"] = 12.99.into();
    city.post("/ind/setminiongeneralinfo", &far).expect(200);
    // Too much cash for the near one.
    await_pilot(&city, &early, "far");
    city.deliver(&early, "far", "accepted").expect(200);
    let mut cashless = order("cashless");
    cashless.as_object_mut().expect("an object").remove("codAmount");
    let answer = city.post("/placeOrder", &cashless).expect(201);
    assert_eq!(answer.json()["minionId"], "small");
    // No answer: it goes to the next nearest.
    await_pilot(&city, &city.id_of(&answer), "far");
}

#[test]
fn how_fast_pilots_are_is_configured() {
    let eta = |speed: &str| {
        let config = format!("[dispatch]\ndropoff_service = '0s'\n[dispatch.speeds]\nwalk = {speed}");
        let city = City::with(&config).start_without_cloud();
        let mut walker = pilot("P1");
        walker["vehicle"] = "walk".into();
        city.post("/ind/setminiongeneralinfo", &walker).expect(200);
        let placed = city.post("/placeOrder", &order("on foot")).expect(201).json();
        placed["eta"].as_str().expect("an eta").to_owned()
    };
    // Five kilometres as the crow flies: hours, or minutes. Text of this form sorts by time.
    let (slow, fast) = (eta("0.5"), eta("20"));
    assert!(slow > fast, "{slow} {fast}");
}

/// RFC 7946, as far as what is drawn here needs it.
fn check_geojson(map: &Value) {
    assert_eq!(map["type"], "FeatureCollection", "{map}");
    let position = |value: &Value| {
        let numbers: Vec<f64> = value.as_array().expect("a position").iter().filter_map(Value::as_f64).collect();
        let [lng, lat] = numbers[..] else { panic!("not a position: {value}") };
        assert!(lng.abs() <= 180.0 && lat.abs() <= 90.0, "{value}");
        lng
    };
    let line = |value: &Value| {
        let points: Vec<f64> = value.as_array().expect("positions").iter().map(position).collect();
        assert!(points.len() >= 2, "too short: {value}");
        assert!(
            points.windows(2).all(|pair| (pair[0] - pair[1]).abs() <= 180.0),
            "crosses the antimeridian: {value}"
        );
    };
    for feature in map["features"].as_array().expect("features") {
        assert_eq!(feature["type"], "Feature");
        assert!(feature["properties"]["kind"].is_string(), "{feature}");
        let coordinates = &feature["geometry"]["coordinates"];
        match feature["geometry"]["type"].as_str() {
            Some("Point") => _ = position(coordinates),
            Some("LineString") => line(coordinates),
            Some("MultiLineString") => coordinates.as_array().expect("lines").iter().for_each(line),
            other => panic!("{other:?} is drawn nowhere: {feature}"),
        }
    }
}

#[test]
fn the_map_shows_pilots_orders_plans_and_tracks() {
    let city = City::with("[dispatch]\ninterval = '1s'").start_without_cloud();
    let mut here = pilot("P1");
    (here["lat"], here["lng"]) = (json!(-16.5), json!(179.99));
    city.post("/ind/setminiongeneralinfo", &here).expect(200);
    let mut over = order("over the line");
    over["pickup"] = json!({"lat": -16.5, "lng": 179.995});
    over["dropoff"] = json!({"lat": -16.5, "lng": -179.99});
    city.post("/placeOrder", &over).expect(201);
    over["clientRef"] = "later".into();
    over["readyAt"] = "2099-01-01T00:00:00Z".into();
    city.post("/placeOrder", &over).expect(201);
    let mut step = 0;
    wait::until("everything is drawn", || {
        step += 1;
        here["lng"] = (179.99 - f64::from(step) * 1e-4).into();
        city.post("/updatemaster/ind/generalinfo", &here).expect(200);
        let map = megamind_tests::Request::get("/admin/map.geojson");
        let map = city.gateway.ask(&map).expect("the administration answers").expect(200).json();
        check_geojson(&map);
        let features = map["features"].as_array().cloned().unwrap_or_default();
        let kinds = ["pilot", "order", "plan", "track"];
        let drawn = |kind: &&str| features.iter().any(|feature| feature["properties"]["kind"] == **kind);
        kinds.iter().all(drawn).then_some(())
    });
}
