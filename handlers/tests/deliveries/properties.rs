//! What holds whatever happens: no sequence of commands leads to an impossible city, and no bytes to a panic.

use std::collections::{BTreeMap, BTreeSet};

use megamind_domain::{Domain, EntityKey, Request, Stance};
use megamind_handlers::{
    City, Event,
    order::{Happening, Oddities, OrderKey, Status},
    pilot::{Pilot, PilotKey},
};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{World, get, order, post};

const STATUSES: [&str; 8] = [
    "assigned",
    "accepted",
    "rejected",
    "arrived_at_pickup",
    "picked_up",
    "arrived_at_dropoff",
    "delivered",
    "failed",
];

/// Something that somebody does. Orders and pilots are named by small numbers, so that stories meet.
#[derive(Clone, Debug)]
enum Act {
    Place,
    Report {
        order: u8,
        pilot: u8,
        status: usize,
    },
    ReportMany(Vec<(u8, u8, usize)>),
    Cancel(u8),
    Move {
        order: u8,
    },
    Assign {
        order: u8,
        pilot: Option<u8>,
    },
    AssignAll,
    Pilot {
        pilot: u8,
        available: bool,
        capacity: u16,
    },
    Watch {
        order: u8,
        pilot: Option<u8>,
        status: usize,
        read: bool,
    },
    Alias {
        order: u8,
        upstream: u8,
    },
    Tick,
    Stance(bool),
    Wait(u32),
}

fn act() -> impl Strategy<Value = Act> {
    let order = || 0..12_u8;
    let pilot = || 0..4_u8;
    let status = || 0..STATUSES.len();
    prop_oneof![
        4 => Just(Act::Place),
        8 => (order(), pilot(), status()).prop_map(|(order, pilot, status)| Act::Report { order, pilot, status }),
        1 => prop::collection::vec((order(), pilot(), status()), 0..6).prop_map(Act::ReportMany),
        2 => order().prop_map(Act::Cancel),
        1 => order().prop_map(|order| Act::Move { order }),
        3 => (order(), prop::option::of(pilot())).prop_map(|(order, pilot)| Act::Assign { order, pilot }),
        1 => Just(Act::AssignAll),
        4 => (pilot(), any::<bool>(), 0..3_u16).prop_map(|(pilot, available, capacity)| Act::Pilot { pilot, available, capacity }),
        3 => (order(), prop::option::of(pilot()), status(), any::<bool>())
            .prop_map(|(order, pilot, status, read)| Act::Watch { order, pilot, status, read }),
        1 => (order(), order()).prop_map(|(order, upstream)| Act::Alias { order, upstream }),
        1 => Just(Act::Tick),
        1 => any::<bool>().prop_map(Act::Stance),
        1 => (0..600_000_u32).prop_map(Act::Wait),
    ]
}

/// A world in which orders have small numbers: those placed here, and the rest the upstream's.
struct Story {
    world: World,
    placed: Vec<String>,
}

impl Story {
    fn order(&self, number: u8) -> String {
        (self.placed.get(usize::from(number)))
            .cloned()
            .unwrap_or_else(|| format!("OB-{number}"))
    }

    fn tell(&mut self, act: &Act) {
        let delivery = |story: &Self, order: u8, pilot: u8, status: usize| json!({"orderId": story.order(order), "minionId": format!("P{pilot}"), "status": STATUSES[status]});
        match act {
            Act::Place => {
                if let (201, answer) = self.world.post("/placeOrder", &order()) {
                    let id = answer["orderId"].as_str().expect("an id");
                    self.placed.push(id.to_owned());
                }
            }
            Act::Report { order, pilot, status } => {
                let body = delivery(self, *order, *pilot, *status);
                let (code, answer) = self.world.post("/updatemaster/ind/deliveryInfo", &body);
                let is_fact = *status >= 3;
                assert!(code == 200 || (!is_fact && code == 409), "{body}: {answer}");
            }
            Act::ReportMany(items) => {
                let items: Vec<_> = (items.iter())
                    .map(|(order, pilot, status)| delivery(self, *order, *pilot, *status))
                    .collect();
                let body = json!({ "deliveries": items });
                let (code, answer) = self.world.post("/updatemaster/bulk/deliveryInfo", &body);
                assert_eq!(code, 200);
                assert_eq!(answer["results"].as_array().map(Vec::len), Some(items.len()));
            }
            Act::Cancel(order) => {
                self.world.post("/cancelOrder", &json!({"orderId": self.order(*order)}));
            }
            Act::Move { order } => {
                let to = json!({"lat": 12.9, "lng": 77.5});
                let body = json!({"orderId": self.order(*order), "dropoff": to});
                self.world.post("/updateOrder", &body);
            }
            Act::Assign { order, pilot } => {
                let pilot = pilot.map(|pilot| format!("P{pilot}"));
                let body = json!({"orderId": self.order(*order), "minionId": pilot});
                self.world.post("/ind/assigntominion", &body);
            }
            Act::AssignAll => {
                self.world.post("/bulk/assigntominions", &json!({}));
            }
            Act::Pilot { pilot, available, capacity } => {
                let body = json!({
                    "minionId": format!("P{pilot}"),
                    "lat": 12.97 + f64::from(*pilot) / 100.0,
                    "lng": 77.59,
                    "capacity": capacity,
                    "status": if *available { "available" } else { "busy" },
                });
                self.world.post("/ind/setminiongeneralinfo", &body);
            }
            Act::Watch { order, pilot, status, read } => {
                let id = self.order(*order);
                let pilot = pilot.map(|pilot| format!("P{pilot}"));
                let answer = json!({"orderId": id, "minionId": pilot, "status": STATUSES[*status]});
                let path = if *read { "/trackOrder" } else { "/updateOrder" };
                self.world.watch(path, &json!({"orderId": id}), 200, &answer);
            }
            Act::Alias { order, upstream } => {
                let id = self.order(*order);
                self.world.replayed(&id, &json!({"orderId": format!("OB-{upstream}")}));
            }
            Act::Tick => {
                let tick = megamind_handlers::Command::DispatchDue;
                self.world.decide(&tick).expect("a tick is never refused");
            }
            Act::Stance(acting) => {
                self.world.stance = if *acting { Stance::Acting } else { Stance::Standby };
            }
            Act::Wait(millis) => self.world.now.0 += i64::from(*millis),
        }
    }
}

/// What can be asked of a city, from its orders and pilots alone and from its indexes.
#[derive(Debug, PartialEq)]
struct Facts {
    rows: BTreeMap<u64, Vec<u8>>,
    loads: BTreeMap<PilotKey, Vec<OrderKey>>,
    waiting: Vec<OrderKey>,
    free_pilots: usize,
    open: u32,
    by_status: [u64; Status::ALL.len()],
}

fn facts(world: &World, city: &City) -> Facts {
    let keys = city.orders().map(|order| EntityKey::from(order.key()));
    let keys = keys.chain(city.pilots().map(|pilot| EntityKey::from(pilot.key())));
    let keys = keys.chain([megamind_handlers::city::COUNTER]);
    Facts {
        rows: keys.filter_map(|key| Some((key.0, world.domain.encode(city, key)?))).collect(),
        loads: (city.pilots())
            .map(|pilot| (pilot.key(), city.carried_by(pilot.key()).collect()))
            .collect(),
        waiting: city.waiting().map(megamind_handlers::order::Order::key).collect(),
        free_pilots: city.free_pilots(),
        open: city.open_orders("M7"),
        by_status: city.orders_by_status(),
    }
}

/// The indexes say what the orders and pilots say.
fn check_indexes(city: &City) {
    let mut carried = BTreeSet::new();
    for pilot in city.pilots() {
        for order in city.carried_by(pilot.key()) {
            assert!(carried.insert(order), "{order:?} is carried twice");
            let carrier = city.order(order).and_then(megamind_handlers::order::Order::carrier);
            assert_eq!(carrier, Some(pilot.key()));
        }
        assert_eq!(pilot.load(), city.carried_by(pilot.key()).count());
    }
    for order in city.orders() {
        assert_eq!(order.carrier().is_some(), carried.contains(&order.key()), "{order:?}");
        if order.status() == Status::Placed {
            assert_eq!(order.pilot(), None, "{order:?}");
        }
        let last = order.history().last().map(|step| step.what);
        let began = order.status() != Status::Unknown;
        assert!(!began || last.is_some(), "{order:?}");
    }
    let waiting = city.orders().filter(|order| order.waits()).count();
    assert_eq!(waiting, city.waiting_count());
    let open = city
        .orders()
        .filter(|order| order.merchant() == Some("M7") && !order.status().is_final());
    assert_eq!(open.count() as u32, city.open_orders("M7"));
}

/// What one event may do: no order leaves its end but by a delivery, none goes back after the pickup by a report, and
/// nobody gets more than fits without a word about it.
fn check_step(before: &City, after: &City, event: &Event, stance: Stance) {
    for old in before.orders() {
        let Some(new) = after.order(old.key()) else {
            assert!(matches!(event, Event::OrderJoined(_)), "{event:?} lost {old:?}");
            continue;
        };
        if old.status().is_final() {
            assert!(
                new.status() == old.status() || new.status().progress() > old.status().progress(),
                "{event:?} on {old:?}"
            );
        }
        if old.status().is_picked_up() && !matches!(event, Event::OrderSeen(_)) {
            assert!(new.status().is_picked_up(), "{event:?} on {old:?}");
        }
        assert!(new.history().len() >= old.history().len());
    }
    for pilot in after.pilots() {
        let (was, is) = (before.pilot(pilot.key()).map_or(0, Pilot::load), pilot.load());
        if is <= was || is <= usize::from(pilot.capacity()) {
            continue;
        }
        let odd = match event {
            Event::OrderAssigned(event) => {
                assert!(!event.here || stance == Stance::Standby, "we gave {event:?}");
                event.odd
            }
            Event::OrderAccepted(event) => event.odd,
            Event::OrderProgressed(event) => event.odd,
            Event::OrderSeen(event) => event.odd,
            Event::OrderJoined(_) => Oddities::OVER_CAPACITY,
            other => panic!("{other:?} gave an order"),
        };
        assert!(odd.contains(Oddities::OVER_CAPACITY), "{event:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_story_leads_to_an_impossible_city(acts in prop::collection::vec(act(), 1..60)) {
        let mut story = Story { world: World::acting(), placed: Vec::new() };
        let mut replayed = City::default();
        let mut told = 0;
        for act in &acts {
            let stance = story.world.stance;
            story.tell(act);
            for event in &story.world.events[told..] {
                let before = replayed.clone();
                story.world.domain.evolve(&mut replayed, event);
                check_step(&before, &replayed, event, stance);
                check_indexes(&replayed);
            }
            told = story.world.events.len();
        }
        let expect = facts(&story.world, &story.world.city);
        // The same events give the same city, also after they have been written down.
        prop_assert_eq!(&facts(&story.world, &replayed), &expect);
        let mut read = City::default();
        for event in &story.world.events {
            let line = serde_json::to_string(event).expect("JSON");
            let event: Event = serde_json::from_str(&line).expect("an event");
            story.world.domain.evolve(&mut read, &event);
        }
        prop_assert_eq!(&facts(&story.world, &read), &expect);
        // And so do the rows.
        let mut opened = City::default();
        for (key, row) in &expect.rows {
            story.world.domain.decode(&mut opened, EntityKey(*key), row).expect("a row");
        }
        prop_assert_eq!(&facts(&story.world, &opened), &expect);
        check_indexes(&opened);
    }

    #[test]
    fn no_bytes_make_it_panic(
        body in prop::collection::vec(any::<u8>(), 0..300),
        query in "[ -~]{0,60}",
        json in any::<bool>(),
        route in 0..18_usize,
    ) {
        let mut world = World::acting();
        let path = world.domain.routes()[route].path.clone();
        let request = Request {
            content_type: json.then(|| "application/json".into()),
            query: Some(query.into()),
            body: body.into(),
            ..get(&path, "")
        };
        let answer = world.serve(&request);
        prop_assert!(answer.status >= 200);
    }

    #[test]
    fn no_values_make_it_panic(
        route in 0..18_usize,
        members in prop::collection::btree_map(member(), value(), 0..12),
    ) {
        let mut world = World::acting();
        let path = world.domain.routes()[route].path.clone();
        let body = serde_json::Value::Object(members.into_iter().collect());
        let answer = world.serve(&post(&path, &body));
        prop_assert!(answer.status >= 200);
        let content: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        prop_assert!(content.is_object());
    }

    #[test]
    fn the_nearest_is_the_nearest(
        pilots in prop::collection::vec((-0.5..0.5_f64, -0.5..0.5_f64), 1..200),
        at in (-0.5..0.5_f64, -0.5..0.5_f64),
        north in prop::sample::select(vec![0.0, 12.97, 59.9, -33.9, 89.0]),
    ) {
        let mut world = World::acting();
        let place = |(lat, lng): (f64, f64)| (north + lat, 77.59 + lng);
        for (number, pilot) in pilots.iter().enumerate() {
            let (lat, lng) = place(*pilot);
            world.pilot(&format!("P{number}"), lat, lng, 1);
        }
        let (lat, lng) = place(at);
        let to = megamind_handlers::Position::from_degrees(lat, lng).expect("on earth");
        let least = (world.city.pilots())
            .filter_map(|pilot| Some((pilot.fix()?.position.metres_to(to), pilot.key())))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let found = world.city.nearest(to, |_| true).map(|(pilot, metres)| (metres, pilot));
        prop_assert_eq!(found, least);
        let ranked = world.city.ranked(to, 3);
        prop_assert_eq!(ranked.first().map(|(pilot, metres)| (*metres, *pilot)), least);
        prop_assert_eq!(ranked.len(), pilots.len().min(3));
    }
}

fn member() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "orderId",
        "minionId",
        "merchantId",
        "pickup",
        "dropoff",
        "lat",
        "lng",
        "status",
        "at",
        "items",
        "codAmount",
        "currency",
        "clientRef",
        "minions",
        "deliveries",
        "assignments",
        "near",
        "limit",
        "cursor",
        "minionIds",
        "capacity",
        "phone",
        "readyAt",
        "requestId",
        "codCollected",
        "proof",
        "reason",
    ])
    .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        (-90.0..90.0_f64).prop_map(|value| json!(value)),
        prop::sample::select(STATUSES.to_vec()).prop_map(|value| json!(value)),
        "\\PC{0,12}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map(member(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

#[test]
fn what_was_reached_is_written_down() {
    let mut world = World::acting();
    let id = world.place();
    let order = world.city.orders().next().expect("an order");
    assert_eq!(order.history()[0].what, Happening::Reached(Status::Placed));
    assert_eq!(order.local().expect("ours").name("blr"), id);
}
