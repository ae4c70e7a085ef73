//! From a request to a command.

use std::{sync::Arc, time::Duration};

use megamind_domain::{Parsed, Patience, Rejection, Request};

use super::{Dialect, Field, Word, node::Node, read::Reader, request};
use crate::{
    Position, coalesce,
    command::{Assignment, Command, DeliveryReport, Many, News, PilotQuery, PilotReport},
    endpoints::Route,
    id::{KeptName, Name, Naming},
    order::{Details, Fact},
    pilot::{Availability, PilotKey, Profile},
};

/// Items of a bulk request at most.
const MAX_ITEMS: usize = 5_000;

/// Reads a request.
pub(crate) fn parse(
    dialect: &Dialect,
    naming: Naming<'_>,
    route: Route,
    request: &Request,
) -> Result<Parsed<Command>, Rejection> {
    let content = request::content(request)?;
    let reader = Reader::new(&content, dialect);
    let command = command(naming, route, request, &reader)?;
    let subject = subject(&command);
    Ok(Parsed {
        patience: patience(&command, &reader)?,
        natural: natural(&command, &reader, request)?,
        subject: subject.map(|name| name.text().into()),
        fact: is_fact(&command),
        command,
    })
}

fn command(naming: Naming<'_>, route: Route, request: &Request, reader: &Reader<'_>) -> Result<Command, Rejection> {
    Ok(match route {
        Route::PlaceOrder => Command::PlaceOrder(Arc::new(placed(reader)?)),
        Route::TrackOrder => Command::TrackOrder(reader.required_order(naming)?),
        Route::UpdateOrder => {
            Command::UpdateOrder { order: reader.required_order(naming)?, details: Arc::new(details(reader)?) }
        }
        Route::CancelOrder | Route::CancelOrderll => {
            Command::CancelOrder { order: reader.required_order(naming)?, reason: reader.text(Field::Reason)? }
        }
        Route::Score => match reader.name(Field::MinionId)? {
            Some(pilot) => Command::ScorePilot(pilot),
            None => Command::RankPilots(reader.required_order(naming)?),
        },
        Route::GeneralInfo => Command::ReportPilots(Many::one(pilot_report(reader)?)),
        Route::GeneralInfos => Command::ReportPilots(Many {
            request: Some(Arc::new(request.clone())),
            ..many(reader, Field::Minions, told_report)?
        }),
        Route::DeliveryInfo => Command::ReportDeliveries(Many::one(delivery_report(naming, reader)?)),
        Route::DeliveryInfos => {
            Command::ReportDeliveries(many(reader, Field::Deliveries, |item| delivery_report(naming, item))?)
        }
        Route::Assign => Command::Assign(assignment(naming, reader)?),
        Route::AssignMany => Command::AssignMany(assignments(naming, reader)?),
        Route::GetPilot => Command::ShowPilots(one_pilot(reader)?),
        Route::GetPilots => Command::ShowPilots(pilot_query(reader)?),
        Route::GetDelivery => {
            let since: Option<u64> = reader.parsed(Field::Since, "the version of an earlier answer")?;
            // Who does not wait is answered whatever is known already.
            let since = wait(reader)?.and(since);
            Command::ShowDeliveries(PilotQuery { since, ..one_pilot(reader)? })
        }
        Route::GetDeliveries => Command::ShowDeliveries(pilot_query(reader)?),
        Route::SetPilot => Command::SetPilots(Many::one(pilot_report(reader)?)),
        Route::SetPilots => Command::SetPilots(many(reader, Field::Minions, pilot_report)?),
    })
}

fn many<T>(
    reader: &Reader<'_>,
    field: Field,
    read: impl Fn(&Reader<'_>) -> Result<T, Rejection>,
) -> Result<Many<T>, Rejection> {
    let items = reader.items(field)?.ok_or_else(|| reader.missing(field))?;
    let items: Vec<_> = items.take(MAX_ITEMS + 1).map(|item| read(&item)).collect();
    if items.len() > MAX_ITEMS {
        let path = reader.path(field);
        return Err(Rejection::new(400, "too_many_items", format!("{path} has more than {MAX_ITEMS} items.")).at(path));
    }
    Ok(Many { items, bulk: true, request: None })
}

/// What a new order must say.
fn placed(reader: &Reader<'_>) -> Result<Details, Rejection> {
    let merchant = reader.required_name(Field::MerchantId)?;
    let pickup = reader.required_stop(Field::Pickup)?;
    let dropoff = reader.required_stop(Field::Dropoff)?;
    Ok(Details {
        merchant: Some(KeptName::from(&merchant)),
        pickup: Some(pickup),
        dropoff: Some(dropoff),
        ..goods(reader)?
    })
}

/// What may be said about an order.
pub(crate) fn details(reader: &Reader<'_>) -> Result<Details, Rejection> {
    let merchant = reader.name(Field::MerchantId)?;
    Ok(Details {
        merchant: merchant.as_ref().map(KeptName::from),
        pickup: reader.stop(Field::Pickup)?,
        dropoff: reader.stop(Field::Dropoff)?,
        ..goods(reader)?
    })
}

fn goods(reader: &Reader<'_>) -> Result<Details, Rejection> {
    Ok(Details {
        ready_at: reader.time(Field::ReadyAt)?,
        promised_at: hint(reader.time(Field::PromisedAt)),
        priority: priority(reader),
        vehicles: vehicles(reader),
        items: reader.json(Field::Items),
        cod_amount: reader
            .parsed(Field::CodAmount, "a decimal number that is not negative, with at most four decimals")?,
        currency: reader.parsed(Field::Currency, "an ISO 4217 code of three letters")?,
        client_ref: reader.name(Field::ClientRef)?.map(|name| name.text().into()),
        ..Details::default()
    })
}

/// What dispatch may use and needs not: said in another form than ours, it says nothing, because clients that are older
/// than these names may have others by them.
fn hint<T>(read: Result<Option<T>, Rejection>) -> Option<T> {
    read.unwrap_or_default()
}

/// In percent of an ordinary order's.
fn priority(reader: &Reader<'_>) -> Option<u16> {
    let percent: u16 = hint(reader.parsed(Field::Priority, "a number"))?;
    (1..=1_000).contains(&percent).then_some(percent)
}

/// What may carry it, in the words of pilots' vehicles.
fn vehicles(reader: &Reader<'_>) -> Vec<Box<str>> {
    const MOST: usize = 16;
    let names = hint(reader.names(Field::Vehicles)).unwrap_or_default();
    names.iter().take(MOST).map(|name| name.text().into()).collect()
}

pub(crate) fn pilot_report(reader: &Reader<'_>) -> Result<PilotReport, Rejection> {
    Ok(PilotReport {
        pilot: reader.required_name(Field::MinionId)?,
        position: reader.position()?,
        availability: availability(reader)?,
        at: reader.time(Field::At)?,
        profile: Profile {
            name: reader.text(Field::Name)?,
            phone: phone(reader)?,
            callback_url: callback_url(reader)?,
            vehicle: reader.text(Field::Vehicle)?,
            capacity: reader.parsed(Field::Capacity, "a whole number from 0 to 65535")?,
            shift_end: hint(reader.time(Field::ShiftEnd)),
            cash_limit: hint(reader.parsed(Field::CashLimit, "an amount")),
        },
        fields: coalesce::fields(reader),
        told: None,
    })
}

/// One that came with others, and may have to be told by itself.
fn told_report(reader: &Reader<'_>) -> Result<PilotReport, Rejection> {
    let report = pilot_report(reader)?;
    Ok(PilotReport { told: coalesce::told(reader).map(Into::into), ..report })
}

fn availability(reader: &Reader<'_>) -> Result<Option<Availability>, Rejection> {
    let Some(text) = reader.text(Field::Status)? else {
        return Ok(None);
    };
    match reader.dialect.read_word(&text) {
        Some(Word::Available) => Ok(Some(Availability::Available)),
        Some(Word::Busy) => Ok(Some(Availability::Busy)),
        Some(Word::Offline) => Ok(Some(Availability::Offline)),
        _ => Err(words(reader, &[Word::Available, Word::Busy, Word::Offline])),
    }
}

fn words(reader: &Reader<'_>, allowed: &[Word]) -> Rejection {
    let allowed: Vec<&str> = (allowed.iter()).map(|word| reader.dialect.word(*word)).collect();
    reader.wrong(Field::Status, &format!("one of {}", allowed.join(", ")))
}

/// A phone number, E.164: `+` and up to 15 digits.
fn phone(reader: &Reader<'_>) -> Result<Option<Box<str>>, Rejection> {
    let Some(text) = reader.text(Field::Phone)? else {
        return Ok(None);
    };
    let digits = text.strip_prefix('+').unwrap_or_default();
    let is_e164 = (4..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if is_e164 {
        Ok(Some(text))
    } else {
        Err(reader.wrong(Field::Phone, "a phone number in the form of E.164, such as +918022223333"))
    }
}

fn callback_url(reader: &Reader<'_>) -> Result<Option<Box<str>>, Rejection> {
    let Some(text) = reader.text(Field::CallbackUrl)? else {
        return Ok(None);
    };
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |rest: &str| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace());
    if rest.is_some_and(plain) {
        Ok(Some(text))
    } else {
        Err(reader.wrong(Field::CallbackUrl, "a URL of http or https"))
    }
}

fn delivery_report(naming: Naming<'_>, reader: &Reader<'_>) -> Result<DeliveryReport, Rejection> {
    Ok(DeliveryReport {
        order: reader.required_order(naming)?,
        pilot: reader.required_name(Field::MinionId)?,
        news: news(reader)?,
        at: reader.time(Field::At)?,
        position: reader.position()?,
        proof: reader.json(Field::Proof),
        cod_collected: reader
            .parsed(Field::CodCollected, "a decimal number that is not negative, with at most four decimals")?,
    })
}

fn news(reader: &Reader<'_>) -> Result<News, Rejection> {
    let text = reader.text(Field::Status)?;
    let text = text.ok_or_else(|| reader.missing(Field::Status))?;
    Ok(match reader.dialect.read_word(&text) {
        Some(Word::Assigned) => News::Assigned,
        Some(Word::Accepted) => News::Accepted,
        Some(Word::Rejected) => News::Rejected,
        Some(Word::ArrivedAtPickup) => News::Fact(Fact::ArrivedAtPickup),
        Some(Word::PickedUp) => News::Fact(Fact::PickedUp),
        Some(Word::ArrivedAtDropoff) => News::Fact(Fact::ArrivedAtDropoff),
        Some(Word::Delivered) => News::Fact(Fact::Delivered),
        Some(Word::Failed) => News::Fact(Fact::Failed),
        _ => {
            return Err(words(
                reader,
                &[
                    Word::Accepted,
                    Word::Rejected,
                    Word::ArrivedAtPickup,
                    Word::PickedUp,
                    Word::ArrivedAtDropoff,
                    Word::Delivered,
                    Word::Failed,
                ],
            ));
        }
    })
}

fn assignment(naming: Naming<'_>, reader: &Reader<'_>) -> Result<Assignment, Rejection> {
    Ok(Assignment { order: reader.required_order(naming)?, pilot: reader.name(Field::MinionId)? })
}

fn assignments(naming: Naming<'_>, reader: &Reader<'_>) -> Result<Option<Many<Assignment>>, Rejection> {
    if reader.get(Field::Assignments).is_none() {
        return Ok(None);
    }
    let many = many(reader, Field::Assignments, |item| assignment(naming, item))?;
    Ok((!many.items.is_empty()).then_some(many))
}

fn one_pilot(reader: &Reader<'_>) -> Result<PilotQuery, Rejection> {
    Ok(PilotQuery { one: Some(reader.required_name(Field::MinionId)?), ..PilotQuery::default() })
}

/// How long the question for something newer waits.
fn patience(command: &Command, reader: &Reader<'_>) -> Result<Option<Patience<Command>>, Rejection> {
    let Command::ShowDeliveries(query @ PilotQuery { since: Some(_), .. }) = command else {
        return Ok(None);
    };
    let at_last = Command::ShowDeliveries(PilotQuery { since: None, ..query.clone() });
    Ok(wait(reader)?.map(|limit| Patience { limit, at_last }))
}

/// A duration as `25s`, `500ms`, or a number of seconds.
fn wait(reader: &Reader<'_>) -> Result<Option<Duration>, Rejection> {
    let Some(text) = reader.text(Field::Wait)? else {
        return Ok(None);
    };
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: Option<u64> = digits.parse().ok();
    let duration = number.and_then(|number| match unit {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        _ => None,
    });
    duration
        .map(Some)
        .ok_or_else(|| reader.wrong(Field::Wait, "a duration such as 25s"))
}

fn pilot_query(reader: &Reader<'_>) -> Result<PilotQuery, Rejection> {
    let after: Option<std::num::NonZeroU64> = reader.parsed(Field::Cursor, "the cursor of an earlier answer")?;
    Ok(PilotQuery {
        one: None,
        pilots: reader.names(Field::MinionIds)?,
        availability: availability(reader)?,
        near: near(reader)?,
        limit: reader.parsed(Field::Limit, "a whole number")?,
        after: after.map(PilotKey),
        since: None,
    })
}

/// `{lat, lng}`, or `lat,lng` as text.
fn near(reader: &Reader<'_>) -> Result<Option<Position>, Rejection> {
    let Some(Node::Text(text)) = reader.get(Field::Near) else {
        return match reader.object(Field::Near)? {
            Some(near) => near.position(),
            None => Ok(None),
        };
    };
    if text.is_empty() {
        return Ok(None);
    }
    let position = text
        .split_once(',')
        .and_then(|(lat, lng)| Position::from_degrees(lat.trim().parse().ok()?, lng.trim().parse().ok()?));
    position
        .map(Some)
        .ok_or_else(|| reader.wrong(Field::Near, "a position, such as 12.9716,77.5946"))
}

/// Who speaks.
fn subject(command: &Command) -> Option<Name> {
    match command {
        Command::PlaceOrder(details) | Command::UpdateOrder { details, .. } => details
            .merchant
            .as_ref()
            .map(|merchant| Name::foreign(merchant.text().as_ref(), merchant.is_numeric())),
        Command::ReportPilots(many) | Command::SetPilots(many) if !many.bulk => {
            many.read().next().map(|report| report.pilot.clone())
        }
        Command::ReportDeliveries(many) if !many.bulk => many.read().next().map(|report| report.pilot.clone()),
        Command::ScorePilot(pilot) => Some(pilot.clone()),
        Command::ShowPilots(query) | Command::ShowDeliveries(query) => query.one.clone(),
        _ => None,
    }
}

/// What makes a repetition recognizable: (merchantId, clientRef, content), or (minionId, requestId).
fn natural(command: &Command, reader: &Reader<'_>, request: &Request) -> Result<Option<Vec<u8>>, Rejection> {
    let parts = |kind: u8, parts: &[&[u8]]| {
        let mut bytes = vec![kind];
        for part in parts {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(*part);
        }
        bytes
    };
    if let Command::PlaceOrder(details) = command {
        let (Some(merchant), Some(client_ref)) = (&details.merchant, &details.client_ref) else {
            return Ok(None);
        };
        return Ok(Some(parts(
            b'o',
            &[
                merchant.text().as_bytes(),
                client_ref.as_bytes(),
                request.query.as_deref().unwrap_or_default().as_bytes(),
                &request.body,
            ],
        )));
    }
    let Some(request_id) = reader.name(Field::RequestId)? else {
        return Ok(None);
    };
    let pilot = match command {
        Command::ReportPilots(many) => many.read().next().map(|report| &report.pilot),
        Command::ReportDeliveries(many) => many.read().next().map(|report| &report.pilot),
        _ => None,
    };
    Ok(pilot.map(|pilot| parts(b'p', &[pilot.text().as_bytes(), request_id.text().as_bytes()])))
}

/// Whether it is told as a fact, and taken whatever the stand-in limits say.
fn is_fact(command: &Command) -> bool {
    match command {
        Command::ReportPilots(_) => true,
        Command::ReportDeliveries(many) => many.read().any(|report| matches!(report.news, News::Fact(_))),
        _ => false,
    }
}
