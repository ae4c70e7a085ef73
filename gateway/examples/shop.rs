//! Somebody else's Pingora server with the failover proxy and a domain of its own: a shop that takes orders, also while
//! its cloud is gone. `cargo run -p megamind-gateway --no-default-features --example shop -- shop.toml`, then
//! `curl localhost:8080/order -d '{"item":"tea","count":2}'` and `curl localhost:8080/orders`.

use imbl::OrdMap;
use megamind_domain::{
    Access, Ctx, Decision, Domain, Endpoint, EntityKey, Exchange, Observed, Parsed, Policy, Rejection, Replay, Request,
    Response, Role, RouteSpec, Touch, Touches, Touching,
};
use megamind_gateway::{Builder, Listeners};
use pingora::server::Server;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

struct Shop;

const ORDER: Endpoint = Endpoint(0);
const ORDERS: Endpoint = Endpoint(1);

/// What a client asks for.
#[derive(Clone, Serialize, Deserialize)]
struct Item {
    item: String,
    count: u32,
}

/// An item under the id that this city or the cloud gave it.
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    #[serde(flatten)]
    item: Item,
}

enum Command {
    Place(Item),
    List,
    Seen(Order),
}

#[derive(Serialize, Deserialize)]
struct Placed {
    key: u64,
    order: Order,
}

impl Domain for Shop {
    type City = OrdMap<u64, Order>;
    type Command = Command;
    type Event = Placed;
    type Answer = (u16, Value);

    fn routes(&self) -> Vec<RouteSpec> {
        [("/order", "order", ORDER, Access::Write), ("/orders", "orders", ORDERS, Access::Read)]
            .map(|(path, name, endpoint, access)| RouteSpec {
                path: path.into(),
                name,
                endpoint,
                policy: Policy::Act,
                creates: endpoint == ORDER,
                access,
            })
            .into()
    }

    fn parse(&self, endpoint: Endpoint, request: &Request) -> Result<Parsed<Command>, Rejection> {
        let command = match endpoint {
            ORDERS => Command::List,
            _ => serde_json::from_slice(&request.body)
                .map(Command::Place)
                .map_err(|error| Rejection::new(400, "bad_order", error.to_string()))?,
        };
        Ok(Parsed { command, subject: None, natural: None, fact: false, patience: None })
    }

    fn decide(&self, city: &Self::City, command: &Command, ctx: &mut Ctx<'_>) -> Result<Decision<Self>, Rejection> {
        let key = city.get_max().map_or(1, |(key, _)| key + 1);
        let (order, created) = match command {
            Command::List => return Ok(Decision::answer((200, json!(city.values().collect::<Vec<_>>())))),
            Command::Seen(order) => (order.clone(), None),
            Command::Place(item) => {
                let id = format!("shop-{}", ulid::Ulid::from(ctx.next_id()));
                (Order { id: id.clone(), item: item.clone() }, Some(id.into()))
            }
        };
        let mut decision = Decision::answer((201, json!({"id": order.id})));
        decision.replay = if created.is_some() { Replay::AsSent } else { Replay::Nothing };
        decision.created = created;
        decision.events = vec![Placed { key, order }];
        Ok(decision)
    }

    fn evolve(&self, city: &mut Self::City, event: &Placed) {
        city.insert(event.key, event.order.clone());
    }

    fn touches(&self, _: &Self::City, what: Touching<'_, Self>) -> Touches {
        match what {
            Touching::Event(event) => Touches::from_iter([Touch { key: EntityKey(event.key), role: Role::Subject }]),
            Touching::Command(_) => Touches::new(),
        }
    }

    fn render(&self, _: &Self::City, _: Option<Endpoint>, said: Result<&(u16, Value), &Rejection>) -> Response {
        let (status, body) = match said {
            Ok((status, body)) => (*status, body.clone()),
            Err(no) => (no.status, json!({"status": no.status, "code": no.code, "detail": no.detail})),
        };
        let kind = if said.is_ok() { "application/json" } else { "application/problem+json" };
        let retry_after = said.err().and_then(|no| no.retry_after);
        Response { status, content_type: kind.into(), retry_after, body: body.to_string().into() }
    }

    fn annotate(&self, _: &Self::City, created: &str) -> Vec<(&'static str, String)> {
        vec![("X-MegaMind-Local-Id", created.into())]
    }

    fn observe(&self, _: &Self::City, exchange: &Exchange<Command>) -> Observed<Command> {
        let answer: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        let (Some(id), Some(Command::Place(item))) =
            (answer["id"].as_str(), exchange.parsed.as_ref().map(|parsed| &parsed.command))
        else {
            return Observed::nothing();
        };
        let order = Order { id: id.into(), item: item.clone() };
        Observed {
            command: exchange.created.is_none().then_some(Command::Seen(order)),
            upstream_id: Some(id.into()),
        }
    }

    fn encode(&self, city: &Self::City, key: EntityKey) -> Option<Vec<u8>> {
        serde_json::to_vec(city.get(&key.0)?).ok()
    }

    fn decode(&self, city: &mut Self::City, key: EntityKey, row: &[u8]) -> Result<(), String> {
        let order = serde_json::from_slice(row).map_err(|error| error.to_string())?;
        city.insert(key.0, order);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or("shop.toml".into());
    let config = megamind_conf::load(path.as_ref()).map_err(|mistakes| format!("{mistakes:#?}"))?;
    let listeners = Listeners::reserve(&config)?;
    let gateway = Builder::new(Shop, config).open()?;
    let mut server = Server::new(None)?;
    server.bootstrap();
    let (plain, admin) = (listeners.plain[0].address, listeners.admin.address);
    gateway.add_to(&mut server, listeners)?;
    println!("listening on {plain}\nadmin on {admin}");
    server.run_forever();
}
