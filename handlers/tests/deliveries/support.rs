//! One city, played by hand: requests go in as text, and every decision is carried out as the journal's writer would.

use megamind_domain::{
    Access, Ctx, Decision, Domain, Endpoint, Exchange, IdSource, Parsed, Rejection, Replay, Request, Response, Role,
    Stance, Time, Touching,
};
use megamind_handlers::{
    City, Command, Deliveries, Event, Settings,
    calls::allow::{AllowList, Allowed},
    dialect::{Dialect, Envelope, ErrorEnvelope, Table, TimeFormat},
    settings::Calls,
};
use serde_json::{Value, json};

/// 2026-01-31T04:00:00Z.
pub(crate) const START: Time = Time(1_769_832_000_000);

/// A city with a clock.
pub(crate) struct World {
    pub(crate) domain: Deliveries,
    pub(crate) city: City,
    pub(crate) now: Time,
    pub(crate) stance: Stance,
    /// Whether the upstream may have applied what is asked for.
    pub(crate) in_doubt: bool,
    /// How the upstream would learn of what was decided, oldest first.
    pub(crate) replays: Vec<Replay>,
    pub(crate) events: Vec<Event>,
    ids: IdSource,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            domain: Deliveries::new(settings),
            city: City::default(),
            now: START,
            stance: Stance::Acting,
            in_doubt: false,
            replays: Vec::new(),
            events: Vec::new(),
            ids: IdSource::new(0, 7),
        }
    }

    pub(crate) fn acting() -> Self {
        Self::new(Settings::new("blr"))
    }

    /// The endpoint and access of a path.
    pub(crate) fn endpoint(&self, path: &str) -> (Endpoint, Access) {
        let routes = self.domain.routes();
        let route = routes.iter().find(|route| route.path == path);
        let route = route.unwrap_or_else(|| panic!("no route {path}"));
        (route.endpoint, route.access)
    }

    pub(crate) fn parse(&self, request: &Request) -> Result<Parsed<Command>, Rejection> {
        self.domain.parse(self.endpoint(&request.path).0, request)
    }

    /// Decides a command and everything that follows from it.
    pub(crate) fn decide(&mut self, command: &Command) -> Result<Decision<Deliveries>, Rejection> {
        let mut ctx = Ctx::new(self.now, self.stance, &mut self.ids);
        ctx.in_doubt = self.in_doubt;
        let mut decision = self.domain.decide(&self.city, command, &mut ctx)?;
        for event in &decision.events {
            self.domain.evolve(&mut self.city, event);
            self.check_touches(event);
            self.events.push(event.clone());
        }
        self.replays.push(decision.replay.clone());
        for command in std::mem::take(&mut decision.then) {
            // A refusal of what follows changes nothing.
            let _ = self.decide(&command);
        }
        Ok(decision)
    }

    /// Whatever an event touches has a row, unless it was taken out.
    fn check_touches(&self, event: &Event) {
        for touch in self.domain.touches(&self.city, Touching::Event(event)) {
            let row = self.domain.encode(&self.city, touch.key);
            let joined = matches!(event, Event::OrderJoined(_)) && touch.role == Role::Subject;
            let settled = matches!(event, Event::CallSettled(_) | Event::OrderRetired(_));
            assert!(row.is_some() || joined || settled, "{event:?} touches {touch:?}");
        }
    }

    /// Sends a request and gives the answer.
    pub(crate) fn serve(&mut self, request: &Request) -> Response {
        let endpoint = self.endpoint(&request.path).0;
        let outcome = self.parse(request).and_then(|parsed| self.decide(&parsed.command));
        let outcome = outcome.as_ref().map(|decision| &decision.answer);
        self.domain.render(&self.city, Some(endpoint), outcome)
    }

    /// Posts JSON and gives status and body of the answer.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.serve(&post(path, body));
        (response.status, body_of(&response))
    }

    /// Asks with a query and gives status and body of the answer.
    pub(crate) fn get(&mut self, path: &str, query: &str) -> (u16, Value) {
        let response = self.serve(&get(path, query));
        (response.status, body_of(&response))
    }

    /// Lets the world see an exchange with the upstream.
    pub(crate) fn watch(&mut self, path: &str, body: &Value, status: u16, answer: &Value) {
        self.observe(path, body, status, answer, false);
    }

    /// Lets the world see how the upstream has an order after the drain.
    pub(crate) fn settle(&mut self, id: &str, answer: &Value) {
        self.observe("/trackOrder", &json!({"orderId": id}), 200, answer, true);
    }

    fn observe(&mut self, path: &str, body: &Value, status: u16, answer: &Value, settles: bool) {
        let request = post(path, body);
        let exchange = Exchange {
            endpoint: self.endpoint(path).0,
            parsed: self.parse(&request).ok().map(Into::into),
            request: request.into(),
            status,
            content_type: Some("application/json".into()),
            body: answer.to_string().into(),
            at: self.now,
            created: None,
            named: None,
            settles,
        };
        if let Some(command) = self.domain.observe(&self.city, &exchange).command {
            self.decide(&command).expect("what was seen is never refused");
        }
    }

    /// Lets the world see the answer to the replay of what it created.
    pub(crate) fn replayed(&mut self, created: &str, answer: &Value) -> Option<Box<str>> {
        let exchange = Exchange {
            endpoint: self.endpoint(&self.domain.routes()[0].path).0,
            parsed: None,
            request: Request::default().into(),
            status: 201,
            content_type: Some("application/json".into()),
            body: answer.to_string().into(),
            at: self.now,
            created: Some(created.into()),
            named: None,
            settles: false,
        };
        let observed = self.domain.observe(&self.city, &exchange);
        if let Some(command) = observed.command {
            self.decide(&command).expect("what was seen is never refused");
        }
        observed.upstream_id
    }

    /// A pilot who is available at a place.
    pub(crate) fn pilot(&mut self, id: &str, lat: f64, lng: f64, capacity: u16) {
        let body = json!({"minionId": id, "lat": lat, "lng": lng, "status": "available", "capacity": capacity});
        let (status, answer) = self.post("/ind/setminiongeneralinfo", &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// Places an order and gives its id.
    pub(crate) fn place(&mut self) -> String {
        let (status, answer) = self.post("/placeOrder", &order());
        assert_eq!(status, 201, "{answer}");
        answer["orderId"].as_str().expect("an id").to_owned()
    }

    /// A pilot reports about an order.
    pub(crate) fn report(&mut self, order: &str, pilot: &str, status: &str) -> (u16, Value) {
        let body = json!({"orderId": order, "minionId": pilot, "status": status});
        self.post("/updatemaster/ind/deliveryInfo", &body)
    }

    pub(crate) fn track(&mut self, order: &str) -> Value {
        let (status, answer) = self.get("/trackOrder", &format!("orderId={order}"));
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

pub(crate) fn post(path: &str, body: &Value) -> Request {
    Request {
        method: "POST".into(),
        path: path.into(),
        content_type: Some("application/json".into()),
        body: body.to_string().into(),
        ..Request::default()
    }
}

pub(crate) fn get(path: &str, query: &str) -> Request {
    Request { method: "GET".into(), path: path.into(), query: Some(query.into()), ..Request::default() }
}

pub(crate) fn body_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

/// A new order as a merchant sends it.
pub(crate) fn order() -> Value {
    json!({
        "merchantId": "M7",
        "pickup": {"lat": 12.9716, "lng": 77.5946, "address": "12 MG Road"},
        "dropoff": {"lat": 12.9352, "lng": 77.6245},
        "codAmount": "349.50",
        "currency": "INR",
        "clientRef": "A-1",
    })
}

/// Settings under which pilots and merchants may be called.
pub(crate) fn calling() -> Settings {
    let allow = AllowList::new(vec![Allowed::Below("example.com".into())]);
    Settings { calls: Calls { allow, sms: true, ..Calls::default() }, ..Settings::new("blr") }
}

/// A dialect in which nearly everything differs.
pub(crate) fn enveloped() -> Dialect {
    let map = |pairs: &[(&str, &str)]| {
        (pairs.iter())
            .map(|(canonical, wire)| ((*canonical).to_owned(), (*wire).to_owned()))
            .collect()
    };
    let object = |value: Value| match value {
        Value::Object(map) => map,
        _ => unreachable!("an object literal"),
    };
    Dialect::new(Table {
        base_path: "/api/v2".into(),
        created_status: 200,
        time_format: TimeFormat::Unix,
        paths: map(&[
            ("/placeOrder", "/orders/create"),
            ("/trackOrder", "/orders/track"),
            ("/updatemaster/ind/deliveryInfo", "/deliveries/update"),
            ("/updatemaster/ind/generalinfo", "/minions/update"),
        ]),
        fields: map(&[
            ("orderId", "order_id"),
            ("merchantId", "merchant_id"),
            ("minionId", "minion_id"),
            ("lat", "latitude"),
            ("lng", "longitude"),
        ]),
        statuses: map(&[
            ("placed", "PLACED"),
            ("assigned", "ASSIGNED"),
            ("picked_up", "COLLECTED"),
            ("available", "FREE"),
        ]),
        envelope: Some(Envelope {
            data: "data".into(),
            fields: object(json!({"success": true})),
            error: Some(ErrorEnvelope {
                message: "error.message".into(),
                code: Some("error.code".into()),
                fields: object(json!({"success": false})),
            }),
        }),
    })
}
