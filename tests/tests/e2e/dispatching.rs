//! Who carries what while the cloud is away: plans, offers, silence, other planners and travel times.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use megamind_tests::city::order;
use megamind_tests::{City, Request, wait};
use serde_json::{Value, json};

/// A city without a cloud, whose `[dispatch]` is this.
fn acting(dispatch: &str) -> City {
    City::with(&format!("[dispatch]\n{dispatch}")).start_without_cloud()
}

fn pilot(city: &City, minion: &str, lat: f64, lng: f64) {
    let body = json!({"minionId": minion, "lat": lat, "lng": lng, "status": "available"});
    city.post("/updatemaster/ind/generalinfo", &body).expect(200);
}

fn tracked(city: &City, id: &str) -> Value {
    city.track(id).expect(200).json()
}

/// Waits until a pilot has the order.
fn await_pilot(city: &City, id: &str, minion: &str) -> Value {
    wait::until(&format!("{minion} has {id}"), || {
        let told = tracked(city, id);
        (told["minionId"] == minion).then_some(told)
    })
}

fn statuses(told: &Value) -> Vec<&str> {
    let history = told["history"].as_array().expect("a history");
    history.iter().filter_map(|step| step["status"].as_str()).collect()
}

fn admin(city: &City, path: &str) -> Value {
    let answer = city.gateway.ask(&Request::get(path)).expect("the administration answers");
    answer.expect(200).json()
}

#[test]
fn an_order_goes_to_a_pilot_and_both_are_on_the_map() {
    let city = acting("");
    pilot(&city, "P1", 12.97, 77.59);
    let id = city.place("first");
    let told = await_pilot(&city, &id, "P1");
    assert_eq!(told["status"], "assigned");
    assert!(told["eta"].is_string(), "{told}");
    let orders = admin(&city, "/admin/orders?status=open");
    assert_eq!(orders["orders"][0]["minionId"], "P1", "{orders}");
    let pilots = admin(&city, "/admin/pilots?limit=1");
    assert_eq!(pilots["pilots"][0]["orders"], 1, "{pilots}");
    let map = admin(&city, "/admin/map.geojson");
    let kinds: Vec<_> = map["features"]
        .as_array()
        .expect("features")
        .iter()
        .map(|f| &f["properties"]["kind"])
        .collect();
    assert!(kinds.contains(&&json!("pilot")) && kinds.contains(&&json!("order")), "{map}");
    city.gateway
        .ask(&Request::get("/admin/orders?status=lost"))
        .expect("an answer")
        .expect(400);
    city.gateway
        .ask(&Request::get("/admin/pilots?cursor=x"))
        .expect("an answer")
        .expect(400);
}

#[test]
fn lists_are_read_page_by_page() {
    let city = acting("auto = false");
    let ids: Vec<String> = (0..5).map(|n| city.place(&format!("page-{n}"))).collect();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin(&city, &format!("/admin/orders?limit=2&cursor={cursor}"));
        seen.extend(
            page["orders"]
                .as_array()
                .expect("orders")
                .iter()
                .map(|order| order["orderId"].clone()),
        );
        match page["cursor"].as_u64() {
            Some(next) => cursor = next.to_string(),
            None => break,
        }
    }
    assert_eq!(seen, ids);
}

#[test]
fn nobody_is_told_before_it_is_needed() {
    let city = acting("");
    pilot(&city, "P1", 12.97, 77.59);
    let mut later = order("later");
    later["readyAt"] = json!("2099-01-01T00:00:00Z");
    let later = city.id_of(&city.post("/placeOrder", &later).expect(201));
    let now = city.place("now");
    await_pilot(&city, &now, "P1");
    wait::until("the later one is planned", || {
        let map = admin(&city, "/admin/map.geojson");
        let features = map["features"].as_array().cloned().unwrap_or_default();
        let planned = |f: &Value| f["properties"]["kind"] == "plan" && f["properties"]["orders"][0] == *later;
        features.iter().any(planned).then_some(())
    });
    assert_eq!(tracked(&city, &later)["status"], "placed");
}

#[test]
fn an_offer_without_an_answer_goes_to_somebody_else() {
    let city = acting("offer_timeout = '1s'");
    pilot(&city, "near", 12.9716, 77.5946);
    pilot(&city, "far", 12.99, 77.61);
    let id = city.place("offered");
    await_pilot(&city, &id, "near");
    let told = await_pilot(&city, &id, "far");
    assert_eq!(statuses(&told), ["placed", "assigned", "lapsed", "assigned"]);
    city.deliver(&id, "near", "accepted").expect_problem(409, "not_assigned");
    city.deliver(&id, "far", "accepted").expect(200);
    let score = city.send(&Request::get("/score?minionId=near")).expect(200).json();
    assert!(score["parts"]["acceptance"].as_u64() < Some(100), "{score}");
}

#[test]
fn whoever_says_no_is_passed_over() {
    let city = acting("");
    pilot(&city, "near", 12.9716, 77.5946);
    pilot(&city, "far", 12.99, 77.61);
    let id = city.place("refused");
    await_pilot(&city, &id, "near");
    city.deliver(&id, "near", "rejected").expect(200);
    await_pilot(&city, &id, "far");
    city.deliver(&id, "far", "rejected").expect(200);
    // Nobody else is left, and both have just said no.
    assert_eq!(tracked(&city, &id)["status"], "placed");
    let ranked = city.send(&Request::get(format!("/score?orderId={id}"))).expect(200).json();
    let candidates = ranked["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.len(), 2, "{ranked}");
    for candidate in candidates {
        assert_eq!(candidate["reasons"], json!(["turned_down"]), "{ranked}");
        assert_eq!((&candidate["feasible"], &candidate["score"]), (&json!(false), &json!(0)));
        assert!(candidate["planVersion"].is_u64());
    }
}

#[test]
fn a_silent_pilot_loses_what_is_not_picked_up_and_keeps_what_is() {
    let city = acting("silent_after = '2s'");
    pilot(&city, "quiet", 12.9716, 77.5946);
    let (held, carried) = (city.place("held"), city.place("carried"));
    for id in [&held, &carried] {
        await_pilot(&city, id, "quiet");
        city.deliver(id, "quiet", "accepted").expect(200);
    }
    city.deliver(&carried, "quiet", "picked_up").expect(200);
    let told = wait::until("the order goes back", || {
        let told = tracked(&city, &held);
        (told["status"] == "placed").then_some(told)
    });
    assert_eq!(statuses(&told), ["placed", "assigned", "accepted", "lapsed"]);
    pilot(&city, "other", 12.98, 77.60);
    await_pilot(&city, &held, "other");
    wait::until("the parcel is flagged", || {
        let orders = admin(&city, "/admin/orders?status=picked_up");
        let order = &orders["orders"][0];
        assert_eq!((&order["orderId"], &order["minionId"]), (&json!(carried), &json!("quiet")));
        (order["flags"] == json!(["pilot_silent"])).then_some(())
    });
}

#[test]
fn without_auto_nothing_is_given_out_unasked() {
    let city = acting("auto = false\noffer_timeout = '1s'");
    pilot(&city, "P1", 12.97, 77.59);
    let (first, second) = (city.place("one"), city.place("two"));
    assert_eq!(tracked(&city, &first)["status"], "placed");
    let named = city.post("/ind/assigntominion", &json!({"orderId": first})).expect(200).json();
    assert_eq!((&named["minionId"], &named["status"]), (&json!("P1"), &json!("assigned")), "{named}");
    let all = city.post("/bulk/assigntominions", &json!({})).expect(200).json();
    assert_eq!(all["results"][0]["orderId"], *second, "{all}");
    assert_eq!(all["results"][0]["minionId"], "P1", "{all}");
}

#[test]
fn an_order_of_the_cloud_is_taken_over_when_nothing_is_heard_of_it() {
    let mut city = City::with("[dispatch]\nadopt_after = '1s'")
        .cloud_flags(&["--no-dispatch"])
        .start();
    pilot(&city, "P1", 12.97, 77.59);
    let id = city.place("theirs");
    assert!(id.starts_with("OB-"), "{id}");
    city.lose_cloud();
    let own = city.place("ours");
    await_pilot(&city, &own, "P1");
    let told = await_pilot(&city, &id, "P1");
    assert_eq!(told["status"], "assigned");
}

#[test]
fn places_at_the_ends_of_the_earth_are_planned() {
    let city = acting("");
    pilot(&city, "north", 90.0, 0.0);
    pilot(&city, "east", 0.0, 179.999);
    let place = |client_ref: &str, from: (f64, f64), to: (f64, f64)| {
        let mut body = order(client_ref);
        body["pickup"] = json!({"lat": from.0, "lng": from.1});
        body["dropoff"] = json!({"lat": to.0, "lng": to.1});
        city.id_of(&city.post("/placeOrder", &body).expect(201))
    };
    let over_the_line = place("line", (0.0, -179.999), (0.001, 179.999));
    let at_the_pole = place("pole", (90.0, 135.0), (89.9999, -90.0));
    await_pilot(&city, &over_the_line, "east");
    await_pilot(&city, &at_the_pole, "north");
}

/// A service on this machine: hands over the head and body of each request, and answers with what it is given.
struct Service {
    address: SocketAddr,
    requests: Receiver<(String, String)>,
    answers: Sender<String>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (told, requests) = channel();
        let (answers, given) = channel::<String>();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serve(stream, &told, &given).is_none() {
                    return;
                }
            }
        });
        Self { address, requests, answers }
    }

    fn next(&self) -> (String, String) {
        self.requests.recv_timeout(wait::PATIENCE).expect("a request")
    }
}

/// One exchange; `None` when the test is over.
fn serve(stream: TcpStream, told: &Sender<(String, String)>, given: &Receiver<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    told.send((first, String::from_utf8(body).ok()?)).ok()?;
    let answer = given.recv().ok()?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    // Whoever does not wait any more need not be told.
    let _ = reader.get_mut().write_all((head + &answer).as_bytes());
    Some(())
}

fn external(service: &Service, timeout: &str) -> City {
    let url = format!("http://{}/plan", service.address);
    acting(&format!("planner = 'external'\nexternal_url = '{url}'\nexternal_timeout = '{timeout}'"))
}

#[test]
fn a_service_decides_and_is_done_without_when_it_is_late() {
    let service = Service::start();
    let city = external(&service, "1s");
    pilot(&city, "near", 12.9716, 77.5946);
    pilot(&city, "far", 12.99, 77.61);
    let id = city.place("elsewhere");
    let (_, asked) = service.next();
    let asked: Value = serde_json::from_str(&asked).expect("JSON");
    let far = asked["pilots"]
        .as_array()
        .expect("pilots")
        .iter()
        .find(|pilot| pilot["position"]["lat"] == 12.99);
    let (far, number) = (&far.expect("the far pilot")["id"], &asked["orders"][0]["id"]);
    let plan = json!({"plans": [{"pilot": far, "bundles": [[number]]}]});
    service.answers.send(plan.to_string()).expect("the service lives");
    await_pilot(&city, &id, "far");
    // No answer within the deadline: the city is planned here.
    let next = city.place("late");
    service.next();
    await_pilot(&city, &next, "near");
    let fallbacks = city.gateway.metric("megamind_planner_fallbacks_total", r#"source="external""#);
    assert!(fallbacks.is_some_and(|count| count >= 1.0), "{fallbacks:?}");
    assert!(
        city.gateway
            .metric("megamind_assignment_seconds_count", "")
            .is_some_and(|count| count >= 2.0)
    );
}

#[test]
fn an_order_that_was_taken_while_it_was_planned_is_left_out() {
    let service = Service::start();
    let city = external(&service, "20s");
    pilot(&city, "P1", 12.9716, 77.5946);
    pilot(&city, "P2", 12.99, 77.61);
    let id = city.place("contested");
    let (_, asked) = service.next();
    let asked: Value = serde_json::from_str(&asked).expect("JSON");
    let near = asked["pilots"]
        .as_array()
        .expect("pilots")
        .iter()
        .find(|pilot| pilot["position"]["lat"] == 12.9716);
    let plan = json!({"plans": [{"pilot": near.expect("P1")["id"], "bundles": [[asked["orders"][0]["id"]]]}]});
    let named = json!({"orderId": id, "minionId": "P2"});
    city.post("/ind/assigntominion", &named).expect(200);
    service.answers.send(plan.to_string()).expect("the service lives");
    // Something to plan: when it is asked for, the earlier plan has been decided.
    let after = city.place("after");
    service.next();
    service
        .answers
        .send(json!({"plans": []}).to_string())
        .expect("the service lives");
    let told = tracked(&city, &id);
    assert_eq!(told["minionId"], "P2");
    assert_eq!(statuses(&told), ["placed", "assigned"]);
    assert_eq!(tracked(&city, &after)["status"], "placed");
}

#[test]
fn travel_times_by_road_decide_who_is_near() {
    let service = Service::start();
    let city = acting(&format!("osrm_url = 'http://{}'\nosrm_timeout = '5s'", service.address));
    // Across the river, with a bridge far away.
    pilot(&city, "across", 12.972, 77.595);
    pilot(&city, "behind", 12.985, 77.60);
    let id = city.place("by road");
    let (line, _) = service.next();
    let places = line
        .split_once("/driving/")
        .and_then(|(_, rest)| rest.split_once('?'))
        .expect("a table")
        .0;
    let places: Vec<&str> = places.split(';').collect();
    let across = |place: &str| place == "77.595000,12.972000";
    let row = |from: &&str| {
        let leg = |to: &&str| if across(from) == across(to) { 60.0 } else { 3_000.0 };
        places.iter().map(leg).collect::<Vec<f64>>()
    };
    let durations: Vec<Vec<f64>> = places.iter().map(row).collect();
    assert!(places.iter().any(|place| across(place)), "{places:?}");
    service
        .answers
        .send(json!({"code": "Ok", "durations": durations}).to_string())
        .expect("the service lives");
    await_pilot(&city, &id, "behind");
}
