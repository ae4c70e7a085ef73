//! Somebody else's Pingora server with the failover proxy and a domain of its own: a shop that takes orders for items,
//! also while its cloud is gone.
//!
//! ```sh
//! cargo run -p megamind-gateway --no-default-features --example shop -- shop.toml
//! curl -i localhost:8080/order -d '{"item":"tea","count":2}' -H 'Content-Type: application/json'
//! curl -i 'localhost:8080/orders'
//! ```

use std::{error::Error, path::PathBuf, thread};

use imbl::OrdMap;
use megamind_domain::{
    Access, Ctx, Decision, Domain, Endpoint, EntityKey, Exchange, Observed, Parsed, Policy,
    Rejection, Replay, Request, Response, Role, RouteSpec, Touch, Touches, Touching,
};
use megamind_gateway::{Builder, Listeners};
use pingora::server::{
    Server,
    configuration::{Opt, ServerConf},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `POST /order` places one, `GET /orders` lists them.
struct Shop;

const ORDER: Endpoint = Endpoint(0);
const ORDERS: Endpoint = Endpoint(1);

/// What one order is.
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    item: String,
    count: u32,
}

enum Command {
    Place { item: String, count: u32 },
    List,
    Seen(Order),
}

/// What is decided: an order under a key.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Placed { key: u64, order: Order },
}

impl Domain for Shop {
    type City = OrdMap<u64, Order>;
    type Command = Command;
    type Event = Event;
    type Answer = (u16, Value);

    fn routes(&self) -> Vec<RouteSpec> {
        let route = |path: &str, name, endpoint, access| RouteSpec {
            path: path.into(),
            name,
            endpoint,
            policy: Policy::Act,
            access,
        };
        vec![
            route("/order", "order", ORDER, Access::Write),
            route("/orders", "orders", ORDERS, Access::Read),
        ]
    }

    fn parse(&self, endpoint: Endpoint, request: &Request) -> Result<Parsed<Command>, Rejection> {
        let command = if endpoint == ORDERS {
            Command::List
        } else {
            let body: Value = serde_json::from_slice(&request.body)
                .map_err(|error| Rejection::new(400, "malformed_json", error.to_string()))?;
            let item = body["item"]
                .as_str()
                .ok_or_else(|| Rejection::new(400, "missing_field", "item is a text").at("item"))?;
            let count = body["count"]
                .as_u64()
                .and_then(|count| u32::try_from(count).ok());
            let count = count.ok_or_else(|| {
                Rejection::new(400, "wrong_type", "count is a number from 0 to 4294967295")
                    .at("count")
            })?;
            Command::Place {
                item: item.into(),
                count,
            }
        };
        Ok(Parsed {
            command,
            subject: None,
            natural: None,
            fact: false,
        })
    }

    fn decide(
        &self,
        city: &Self::City,
        command: &Command,
        ctx: &mut Ctx<'_>,
    ) -> Result<Decision<Self>, Rejection> {
        let key = city.get_max().map_or(1, |(key, _)| key + 1);
        let order = match command {
            Command::List => {
                return Ok(Decision::answer((
                    200,
                    json!(city.values().collect::<Vec<_>>()),
                )));
            }
            Command::Seen(order) => order.clone(),
            Command::Place { item, count } => Order {
                id: format!("shop-{}", ulid::Ulid::from(ctx.next_id())),
                item: item.clone(),
                count: *count,
            },
        };
        let (answer, seen) = (
            (201, json!({"id": order.id})),
            matches!(command, Command::Seen(_)),
        );
        Ok(Decision {
            created: (!seen).then(|| order.id.as_str().into()),
            events: vec![Event::Placed { key, order }],
            replay: if seen {
                Replay::Nothing
            } else {
                Replay::AsSent
            },
            ..Decision::answer(answer)
        })
    }

    fn evolve(&self, city: &mut Self::City, event: &Event) {
        let Event::Placed { key, order } = event;
        city.insert(*key, order.clone());
    }

    fn touches(&self, _: &Self::City, what: Touching<'_, Self>) -> Touches {
        match what {
            Touching::Event(Event::Placed { key, .. }) => Touches::from_iter([Touch {
                key: EntityKey(*key),
                role: Role::Subject,
            }]),
            Touching::Command(_) => Touches::new(),
        }
    }

    fn render(
        &self,
        _: &Self::City,
        _: Option<Endpoint>,
        outcome: Result<&(u16, Value), &Rejection>,
    ) -> Response {
        let (status, body) = match outcome {
            Ok((status, body)) => (*status, body.clone()),
            Err(no) => (
                no.status,
                json!({"status": no.status, "code": no.code, "detail": no.detail, "field": no.field}),
            ),
        };
        let kind = if status < 400 {
            "application/json"
        } else {
            "application/problem+json"
        };
        let retry_after = outcome.err().and_then(|rejection| rejection.retry_after);
        Response {
            status,
            content_type: kind.into(),
            retry_after,
            body: body.to_string().into(),
        }
    }

    fn annotate(&self, _: &Self::City, created: &str) -> Vec<(&'static str, String)> {
        vec![("X-MegaMind-Local-Id", created.into())]
    }

    fn observe(&self, _: &Self::City, exchange: &Exchange<Command>) -> Observed<Command> {
        let answer: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        let (Some(id), Some(parsed)) = (answer["id"].as_str(), &exchange.parsed) else {
            return Observed::nothing();
        };
        let seen = match &parsed.command {
            Command::Place { item, count } if exchange.created.is_none() => Some(Order {
                id: id.into(),
                item: item.clone(),
                count: *count,
            }),
            _ => None,
        };
        Observed {
            command: seen.map(Command::Seen),
            upstream_id: Some(id.into()),
        }
    }

    fn encode(&self, city: &Self::City, key: EntityKey) -> Option<Vec<u8>> {
        serde_json::to_vec(city.get(&key.0)?).ok()
    }

    fn decode(&self, city: &mut Self::City, key: EntityKey, row: &[u8]) -> Result<(), String> {
        city.insert(
            key.0,
            serde_json::from_slice(row).map_err(|error| error.to_string())?,
        );
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(std::env::args().nth(1).unwrap_or("shop.toml".into()));
    let config = megamind_conf::load(&path).map_err(|mistakes| {
        mistakes
            .iter()
            .map(|mistake| format!("{mistake}\n"))
            .collect::<String>()
    })?;
    let listeners = Listeners::reserve(&config)?;
    let gateway = Builder::new(Shop, config).open()?;
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, ServerConf::default());
    server.bootstrap();
    gateway.add_to(&mut server, &listeners)?;
    let (public, admin) = (listeners.plain[0].address, listeners.admin.address);
    thread::spawn(move || println!("listening on {public}\nadmin on {admin}"));
    server.run_forever();
}
