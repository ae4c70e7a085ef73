//! `/admin/sms`: the modems, the messages, and who may write.

use megamind_gateway::{Asked, Handle, PageAnswer, PageError};
use megamind_handlers::Deliveries;
use megamind_sms::{
    grammar::Kind,
    identity::{CARD, Enrolment, Secret, hand_code, normalised},
    pdu::{Frame, Tpdu},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, db::Out, now};

/// Answers `GET /admin/sms`, `GET /admin/sms/log`, and `POST /admin/sms/send`, `/enrol`, `/card`.
pub(super) fn answer(handle: &Handle<Deliveries>, asked: &Asked, shared: &Shared) -> PageAnswer {
    let rest: Vec<&str> = asked.rest.iter().map(String::as_str).collect();
    match (asked.post, rest.as_slice()) {
        (false, []) => status(shared),
        (false, ["log"]) => log(shared, asked),
        (true, ["send"]) => send(shared, asked),
        (true, ["enrol"]) => enrol(handle, shared, asked),
        (true, ["card"]) => card(shared, asked),
        _ => Err(PageError::not_found()),
    }
}

fn unreadable(error: impl std::fmt::Display) -> PageError {
    PageError::new(500, "unreadable", error.to_string())
}

/// The modems, as `/admin/status` tells them too.
pub(super) fn modems(shared: &Shared) -> Value {
    let status = shared.fleet().map(|fleet| fleet.status()).unwrap_or_default();
    let sims = shared.sims();
    status
        .iter()
        .map(|(modem, status)| {
            let sim = sims.get(modem.as_str()).cloned().unwrap_or_default();
            let (balance, told_at) = sim.balance.unzip();
            json!({
                "modem": modem.as_str(),
                "state": format!("{:?}", status.state).to_lowercase(),
                "resting": status.resting,
                "signalDbm": sim.signal,
                "balance": balance.and_then(|one| one.hundredths).map(|hundredths| hundredths as f64 / 100.0),
                "validUntil": balance.and_then(|one| one.valid_until).map(|date| date.to_string()),
                "balanceAt": told_at.map(time),
                "probeArrived": sim.probe.map(|(arrived, _)| arrived),
                "probedAt": sim.probe.map(|(_, at)| time(at)),
                "usedToday": status.used_today,
                "dailyBudget": status.daily_budget,
                "received": status.counters.received,
                "sent": status.counters.sent,
                "refused": status.counters.refused,
                "unknown": status.counters.unknown,
                "poison": status.counters.poison,
                "resets": status.counters.restarts,
                "panics": status.panics,
            })
        })
        .collect()
}

fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| String::new(), |at| at.to_string())
}

fn status(shared: &Shared) -> PageAnswer {
    let channels: Vec<Value> = (shared.channels().iter())
        .map(|channel| {
            json!({
                "channel": channel.name,
                "there": channel.there,
                "usable": channel.usable,
                "load": channel.load,
                "trouble": channel.trouble,
            })
        })
        .collect();
    Ok(json!({
        "modems": modems(shared),
        "channels": channels,
        "waiting": shared.db.waiting().map_err(unreadable)?,
        "enrolled": shared.enrolled().len(),
        "unreadable": shared.unreadable,
    }))
}

fn log(shared: &Shared, asked: &Asked) -> PageAnswer {
    let limit = asked
        .query("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(50)
        .min(1000);
    let (out, heard) = shared.db.log(limit).map_err(unreadable)?;
    let out: Vec<Value> = out
        .iter()
        .map(|line| {
            json!({
                "id": line.id, "at": time(line.at), "to": line.number, "text": line.text, "state": line.state,
                "channel": line.channel, "error": line.error,
            })
        })
        .collect();
    let heard: Vec<Value> = heard
        .iter()
        .map(|(at, modem, pdu, outcome)| {
            let from = match Frame::from_hex(pdu).map(|frame| frame.tpdu) {
                Ok(Tpdu::Deliver(part)) => Some(part.originator.to_string()),
                _ => None,
            };
            json!({"at": time(*at), "modem": modem, "from": from, "outcome": outcome})
        })
        .collect();
    Ok(json!({"out": out, "in": heard}))
}

fn read<T: for<'a> Deserialize<'a>>(asked: &Asked) -> Result<T, PageError> {
    serde_json::from_slice(&asked.body).map_err(|error| PageError::new(400, "bad_body", error.to_string()))
}

#[derive(Deserialize)]
struct Send {
    to: String,
    text: String,
}

fn send(shared: &Shared, asked: &Asked) -> PageAnswer {
    let Send { to, text } = read(asked)?;
    let number = normalised(&to, shared.country)
        .ok_or_else(|| PageError::new(400, "bad_number", format!("to: {to} is no phone number.")))?;
    let parts = megamind_sms::pdu::compose::Composer { max_parts: 8, ..Default::default() }.split(&text);
    if text.is_empty() || parts.is_err() {
        return Err(PageError::new(400, "bad_text", "text: 1 to 8 messages long."));
    }
    let template = shared.templates.number_of(Kind::Notice, "en");
    let expires = now() + shared.expiry.message;
    let out = Out { number, text, template, assignment: false, report: true, modem: None, call: None, expires };
    let id = shared.db.queue(&out, now()).map_err(unreadable)?;
    let id = id.ok_or_else(|| PageError::new(503, "overloaded", "Too many messages wait already."))?;
    shared.wake.notify_one();
    Ok(json!({"id": id}))
}

#[derive(Deserialize)]
struct Enrol {
    pilot: String,
    #[serde(default)]
    number: Option<String>,
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    ucs2: bool,
}

/// Makes a new secret: codes of an older one are worth nothing from now on.
fn enrol(handle: &Handle<Deliveries>, shared: &Shared, asked: &Asked) -> PageAnswer {
    let Enrol { pilot, number, language, ucs2 } = read(asked)?;
    let published = handle.published();
    let known = published
        .city
        .pilot_called(&pilot)
        .ok_or_else(|| PageError::new(404, "minion_not_found", format!("There is no pilot {pilot}.")))?;
    let phone = known
        .profile()
        .phone
        .as_deref()
        .and_then(|phone| normalised(phone, shared.country));
    let phone =
        phone.ok_or_else(|| PageError::new(409, "no_phone", format!("The city knows no phone number of {pilot}.")))?;
    let mut numbers = vec![phone];
    if let Some(second) = number {
        let second = normalised(&second, shared.country)
            .ok_or_else(|| PageError::new(400, "bad_number", format!("number: {second} is no phone number.")))?;
        numbers.push(second);
    }
    let taken = shared
        .enrolled()
        .values()
        .any(|one| one.pilot != pilot && one.numbers.iter().any(|number| numbers.contains(number)));
    if taken {
        return Err(PageError::new(409, "number_taken", "Another pilot is enrolled with this number."));
    }
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(unreadable)?;
    let enrolment = Enrolment::new(&pilot, Secret::new(random), numbers, language.as_deref().unwrap_or("en"), ucs2);
    shared.db.enrol(&enrolment).map_err(unreadable)?;
    let told = json!({
        "pilot": pilot,
        "gateway": shared.city,
        "numbers": enrolment.numbers,
        "secret": enrolment.secret.base32(),
        "counter": enrolment.counter,
        "otpauth": enrolment.secret.otpauth(&shared.city, &pilot, enrolment.counter),
    });
    shared.enrolled().insert(pilot, enrolment);
    Ok(told)
}

#[derive(Deserialize)]
struct Card {
    pilot: String,
}

fn card(shared: &Shared, asked: &Asked) -> PageAnswer {
    let Card { pilot } = read(asked)?;
    let enrolled = shared.enrolled();
    let one = enrolled
        .get(&pilot)
        .ok_or_else(|| PageError::new(404, "not_enrolled", format!("{pilot} is not enrolled.")))?;
    let codes: Vec<String> = (one.counter..one.counter + CARD)
        .map(|counter| hand_code(&one.secret, counter))
        .collect();
    Ok(json!({"pilot": pilot, "first": one.counter, "codes": codes}))
}
