//! The city as a short message tells it: orders in brief under short numbers, and the requests that a message stands
//! for. What happens then is the same as for any other request.

use megamind_domain::{Request, Time};

use crate::{
    City, Deliveries, Position,
    dialect::{Field, Word, own},
    endpoints::Route,
    id::{LocalId, Name},
    order::{Order, OrderKey, Part, Status},
    pilot::{Availability, Pilot, PilotKey},
};

/// An order in brief, as its pilot needs it now.
#[derive(Clone, Debug, PartialEq)]
pub struct Brief {
    /// A number within the city that a hand can type: the order's key.
    pub number: u64,
    /// The id.
    pub id: Box<str>,
    /// Whether the id is a number on the wire.
    pub numeric: bool,
    /// Where it is on its way.
    pub status: Status,
    /// Where it goes next: to the pickup, or when it has been fetched, to the door.
    pub position: Option<Position>,
    /// The address there.
    pub address: Option<Box<str>>,
    /// The phone number of whom to ask for there.
    pub phone: Option<Box<str>>,
    /// Cash to collect at the door.
    pub cash: Option<Box<str>>,
    /// When it should be at the door.
    pub by: Option<Time>,
}

/// What a pilot reports of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// It was picked up.
    PickedUp,
    /// It was handed over.
    Delivered {
        /// The customer's proof code.
        pin: Option<&'a str>,
        /// Cash that was taken.
        cash: Option<&'a str>,
    },
    /// It could not be handed over.
    Failed {
        /// Why.
        reason: &'a str,
    },
    /// The pilot does not take it.
    Rejected,
}

impl City {
    /// An order by its short number, or by an id.
    pub fn order_called(&self, city: &str, text: &str) -> Option<&Order> {
        let number = text.parse().ok().and_then(|number| self.order(OrderKey(number)));
        let integer = || self.find_local(LocalId::integer(text.parse().ok()?));
        number
            .or_else(|| self.find_order(&Name::order(city, text, false)))
            .or_else(integer)
    }

    /// An order in brief.
    pub fn brief(&self, city: &str, order: &Order) -> Brief {
        let fetched = order.status().is_picked_up();
        let (position, address, contact) = if fetched {
            (order.dropoff(), Part::DropoffAddress, Part::DropoffContact)
        } else {
            (order.pickup(), Part::PickupAddress, Part::PickupContact)
        };
        let (id, numeric) = own::order_name(city, order);
        Brief {
            id: id.into(),
            numeric,
            number: order.key().0.get(),
            status: order.status(),
            position,
            address: order.text.get(address).map(Box::from),
            phone: order.text.get(contact).and_then(phone),
            cash: order.cod_amount.map(|amount| amount.to_string().into()),
            by: order.eta,
        }
    }

    /// A pilot by id.
    pub fn pilot_called(&self, id: &str) -> Option<&Pilot> {
        self.find_pilot(&Name::foreign(id, false))
    }

    /// What a pilot carries, in brief, oldest first.
    pub fn briefs(&self, city: &str, pilot: PilotKey) -> Vec<Brief> {
        let orders = self.carried_by(pilot).filter_map(|order| self.order(order));
        orders.map(|order| self.brief(city, order)).collect()
    }
}

/// The phone number in a contact: a text, or the member `phone` of an object.
fn phone(contact: &str) -> Option<Box<str>> {
    let contact: serde_json::Value = serde_json::from_str(contact).ok()?;
    let text = contact.as_str().or_else(|| contact.get("phone")?.as_str())?;
    let number: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    (number.len() >= 3).then(|| number.into())
}

impl Deliveries {
    /// The request that a pilot's report of an order (its id, and whether that is a number) stands for. `request_id` makes a repetition of it recognizable.
    pub fn report(&self, order: (&str, bool), pilot: &Pilot, what: Report<'_>, at: Time, request_id: &str) -> Request {
        let settings = &self.settings;
        own::post(&settings.dialect, Route::DeliveryInfo, |object| {
            object.name(Field::OrderId, order.0, order.1);
            object.kept_name(Field::MinionId, pilot.id());
            object.word(
                Field::Status,
                match what {
                    Report::PickedUp => Word::PickedUp,
                    Report::Delivered { .. } => Word::Delivered,
                    Report::Failed { .. } => Word::Failed,
                    Report::Rejected => Word::Rejected,
                },
            );
            object.time(Field::At, at);
            match what {
                Report::Delivered { pin, cash } => {
                    if let Some(pin) = pin {
                        object.raw(Field::Proof, &serde_json::json!({ "pin": pin }).to_string());
                    }
                    object.optional_text(Field::CodCollected, cash);
                }
                Report::Failed { reason } => object.text(Field::Reason, reason),
                Report::PickedUp | Report::Rejected => {}
            }
            object.text(Field::RequestId, request_id);
        })
    }

    /// The request that a pilot's word of place or availability stands for.
    pub fn whereabouts(
        &self,
        pilot: &Pilot,
        position: Option<Position>,
        availability: Option<Availability>,
        at: Time,
        request_id: &str,
    ) -> Request {
        own::post(&self.settings.dialect, Route::GeneralInfo, |object| {
            object.kept_name(Field::MinionId, pilot.id());
            if let Some(position) = position {
                object.position(position);
            }
            if let Some(availability) = availability {
                object.word(Field::Status, availability);
            }
            object.time(Field::At, at);
            object.text(Field::RequestId, request_id);
        })
    }

    /// The request for where an order is.
    pub fn track(&self, order: &str) -> Request {
        let dialect = &self.settings.dialect;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair(dialect.field(Field::OrderId), order)
            .finish();
        Request {
            method: "GET".into(),
            path: dialect.path(Route::TrackOrder.path()).into(),
            query: Some(query.into()),
            ..Request::default()
        }
    }
}
