//! What an exchange with the upstream tells.
//!
//! The upstream said yes to what the request asks for, so that is taken; and where the answer can be read, it tells
//! ids and statuses. An answer of an unknown shape tells nothing more, and does no harm.

use std::sync::Arc;

use megamind_domain::{Exchange, Observed, Parsed};

use crate::{
    City, Deliveries,
    command::{Command, DeliveryReport, Many, PilotQuery, Watched, WatchedOrder},
    dialect::{
        Field,
        node::Node,
        parse::{details, pilot_report},
        read::Reader,
        request,
    },
    endpoints::Route,
    id::{LocalId, Name},
    order::{Details, Status},
};

/// Reads an exchange.
pub(crate) fn observe(domain: &Deliveries, _city: &City, exchange: &Exchange<Command>) -> Observed<Command> {
    let watcher = Watcher { domain };
    if !(200..300).contains(&exchange.status) {
        return Observed::nothing();
    }
    let Some(route) = Route::of(exchange.endpoint) else {
        return Observed::nothing();
    };
    let content = request::json(&exchange.body).ok();
    let answer = content.as_ref().and_then(|node| watcher.unwrap(node));
    if let Some(local) = &exchange.created {
        return watcher.replayed(local, answer, exchange.named.as_deref());
    }
    let Some(parsed) = &exchange.parsed else {
        return Observed::nothing();
    };
    let mut observed = watcher.watched(route, parsed, answer, exchange.named.as_deref());
    if exchange.settles
        && let Some(Command::Watched(watched)) = &mut observed.command
        && let Watched::Order(seen) = &mut **watched
    {
        seen.settles = true;
    }
    observed
}

/// The status of each item of a bulk answer, where it is a number; `None` for an answer of another form.
pub(crate) fn statuses(domain: &Deliveries, node: &Node<'_>) -> Option<Vec<Option<u16>>> {
    let watcher = Watcher { domain };
    watcher.statuses(watcher.unwrap(node)?)
}

/// The results in a bulk answer; `None` for an answer of another form.
pub(crate) fn results<'n>(domain: &Deliveries, node: &'n Node<'n>) -> Option<&'n [Node<'n>]> {
    let watcher = Watcher { domain };
    match watcher.unwrap(node)?.get(domain.wire(Field::Results))? {
        Node::List(items) => Some(items),
        _ => None,
    }
}

struct Watcher<'w> {
    domain: &'w Deliveries,
}

impl Watcher<'_> {
    /// The answer within its envelope.
    fn unwrap<'n>(&self, node: &'n Node<'n>) -> Option<&'n Node<'n>> {
        match self.domain.settings.dialect.envelope_data() {
            Some(data) => node.get(data),
            None => Some(node),
        }
    }

    fn reader<'n>(&'n self, node: &'n Node<'n>) -> Reader<'n> {
        Reader::new(node, &self.domain.settings.dialect)
    }

    /// The id of an order in an answer; one of another kind of value is none.
    fn order_in(&self, answer: Option<&Node<'_>>) -> Option<Name> {
        let node = answer?;
        self.reader(node).order(self.domain.settings.naming()).ok().flatten()
    }

    /// The upstream's id for what was placed: the one that it was found under, else the one in the answer.
    fn name(&self, answer: Option<&Node<'_>>, found: Option<&str>) -> Option<Name> {
        let found = found.map(|id| Name::order(self.domain.settings.naming(), id, false));
        found.or_else(|| self.order_in(answer))
    }

    /// The answer to the replay of what was placed here, or the name under which it was found.
    fn replayed(&self, local: &str, answer: Option<&Node<'_>>, named: Option<&str>) -> Observed<Command> {
        let Some(id) = self.name(answer, named).filter(|id| id.local().is_none()) else {
            return Observed::nothing();
        };
        let local = LocalId::parse(self.domain.settings.naming(), local);
        Observed {
            upstream_id: Some(id.text().into()),
            command: local.map(|local| Command::Alias { local, upstream: id }),
        }
    }

    fn watched(
        &self,
        route: Route,
        parsed: &Arc<Parsed<Command>>,
        answer: Option<&Node<'_>>,
        named: Option<&str>,
    ) -> Observed<Command> {
        let watched = match &parsed.command {
            Command::PlaceOrder(placed) => {
                let Some(id) = self.name(answer, named) else {
                    return Observed::nothing();
                };
                let status = Some(Status::Placed);
                let mut order = self.about(id.clone(), placed.clone(), answer);
                order.status = order.status.or(status);
                return Observed {
                    upstream_id: Some(id.text().into()),
                    command: Some(command(Watched::Order(Box::new(order)))),
                };
            }
            Command::TrackOrder(order) => {
                let mut order = self.about(order.clone(), Details::nothing(), answer);
                order.read = true;
                // A read whose answer says nothing tells nothing.
                if order.status.is_none() && order.pilot.is_none() {
                    return Observed::nothing();
                }
                Watched::Order(Box::new(order))
            }
            // A pilot in a list of the upstream's: no client's question about a pilot goes there.
            Command::ShowPilots(PilotQuery { one: Some(pilot), .. }) => {
                let report = answer.and_then(|node| pilot_report(&self.reader(node)).ok());
                Watched::Pilots(report.filter(|report| report.pilot == *pilot).into_iter().collect())
            }
            Command::UpdateOrder { order, details } => {
                Watched::Order(Box::new(self.about(order.clone(), details.clone(), answer)))
            }
            Command::CancelOrder { order, .. } => Watched::Cancelled(order.clone()),
            Command::ReportPilots(many) => Watched::Pilots(self.taken(many, answer, route == Route::GeneralInfos)),
            Command::ReportDeliveries(many) => {
                let reports: Vec<DeliveryReport> = self.taken(many, answer, route == Route::DeliveryInfos);
                Watched::Deliveries(reports)
            }
            _ => return Observed::nothing(),
        };
        Observed { command: unless_empty(watched), upstream_id: None }
    }

    /// What an answer says about an order that was asked for under `order`.
    fn about(&self, order: Name, said: Arc<Details>, answer: Option<&Node<'_>>) -> WatchedOrder {
        let mut seen = WatchedOrder {
            order,
            details: said,
            status: None,
            pilot: None,
            position: None,
            eta: None,
            read: false,
            settles: false,
        };
        let Some(node) = answer else { return seen };
        let reader = self.reader(node);
        let word = reader.text(Field::Status).ok().flatten();
        seen.status = word
            .and_then(|word| reader.dialect.read_word(&word))
            .and_then(crate::dialect::Word::status);
        seen.pilot = reader.name(Field::MinionId).ok().flatten();
        seen.eta = reader.time(Field::Eta).ok().flatten();
        if let Ok(Some(location)) = reader.object(Field::Location) {
            seen.position = location.position().ok().flatten();
        }
        // A cloud that answers with the whole order tells what a watcher who came late has missed.
        if seen.details.is_empty()
            && let Ok(details) = details(&reader)
        {
            seen.details = Arc::new(details);
        }
        seen
    }

    /// The items of a request that the upstream took: all, unless the answer tells them apart.
    fn taken<T: Clone>(&self, many: &Many<T>, answer: Option<&Node<'_>>, bulk: bool) -> Vec<T> {
        let statuses = answer
            .filter(|_| bulk)
            .and_then(|node| self.statuses(node))
            .filter(|statuses| statuses.len() == many.items.len());
        let refused = |index: usize| {
            statuses
                .as_ref()
                .is_some_and(|statuses| statuses[index].is_some_and(|status| status >= 300))
        };
        (many.items.iter().enumerate())
            .filter(|(index, _)| !refused(*index))
            .filter_map(|(_, item)| item.as_ref().ok().cloned())
            .collect()
    }

    /// The status of each item of a bulk answer, where it is a number.
    fn statuses(&self, node: &Node<'_>) -> Option<Vec<Option<u16>>> {
        let reader = self.reader(node);
        let items = reader.items(Field::Results).ok()??;
        let statuses = items.map(|item| item.parsed(Field::Status, "a number").ok().flatten());
        Some(statuses.collect())
    }
}

fn command(watched: Watched) -> Command {
    Command::Watched(Box::new(watched))
}

/// A list without items tells nothing.
fn unless_empty(what: Watched) -> Option<Command> {
    let empty = match &what {
        Watched::Pilots(reports) => reports.is_empty(),
        Watched::Deliveries(reports) => reports.is_empty(),
        Watched::Order(_) | Watched::Cancelled(_) => false,
    };
    (!empty).then(|| command(what))
}
