//! The operator's pages about calls, merchants and pilots.

use std::{num::NonZeroU64, sync::Arc};

use megamind_domain::{Domain, Request};
use megamind_gateway::{Asked, Handle, PageAnswer, PageError};
use megamind_handlers::{
    City, Command, Deliveries, Settings,
    calls::{Call, CallKey, Channel, Kind, Outcome, Target},
    dialect::openapi,
    id::KeptName,
};
use megamind_store::{Outcome as Decided, SubmitError};
use serde_json::{Value, json};

use super::worker::{Shared, Tried};

/// Calls in one answer, where no limit is asked for.
const PAGE: usize = 100;

/// Calls in one answer at most.
const MAX_PAGE: usize = 1000;

/// `GET /admin/calls?state=due|parked&after=ID&limit=N`, `GET /admin/calls/ID`, `POST /admin/calls/ID/retry|discard`.
pub(super) async fn calls(handle: Handle<Deliveries>, asked: Asked, shared: Arc<Shared>) -> PageAnswer {
    let rest: Vec<&str> = asked.rest.iter().map(String::as_str).collect();
    match (asked.post, rest.as_slice()) {
        (false, []) => list(&handle, &asked, &shared),
        (false, [id]) => {
            let published = handle.published();
            let call = find(&published.city, id)?;
            Ok(told(&handle, &published.city, call, &shared, true))
        }
        (true, [id, action @ ("retry" | "discard")]) => act(&handle, id, action, &asked, &shared).await,
        (_, [] | [_] | [_, "retry" | "discard"]) => {
            Err(PageError::new(405, "method_not_allowed", "GET tells, POST settles."))
        }
        _ => Err(PageError::not_found()),
    }
}

fn find<'c>(city: &'c City, id: &str) -> Result<&'c Call, PageError> {
    let key: NonZeroU64 = id.parse().map_err(|_| PageError::not_found())?;
    city.call(CallKey(key)).ok_or_else(PageError::not_found)
}

fn list(handle: &Handle<Deliveries>, asked: &Asked, shared: &Shared) -> PageAnswer {
    let number = |name: &str| {
        let text = asked.query(name).filter(|text| !text.is_empty());
        let number = text.map(str::parse::<u64>).transpose();
        number.map_err(|_| PageError::new(400, "bad_query", format!("{name}: allowed is a number.")))
    };
    let after = number("after")?.unwrap_or(0);
    let limit = number("limit")?.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE));
    let parked = match asked.query("state") {
        None | Some("") => None,
        Some("due") => Some(false),
        Some("parked") => Some(true),
        Some(_) => return Err(PageError::new(400, "bad_query", "state: allowed is due or parked.")),
    };
    let published = handle.published();
    let city = &published.city;
    let found = city
        .calls()
        .filter(|call| call.key().0.get() > after && parked.is_none_or(|parked| parked == call.parked.is_some()));
    let calls: Vec<_> = found.take(limit).map(|call| told(handle, city, call, shared, false)).collect();
    Ok(json!({"calls": calls, "count": city.calls_count(), "parked": city.calls_parked()}))
}

fn told(handle: &Handle<Deliveries>, city: &City, call: &Call, shared: &Shared, whole: bool) -> Value {
    let tried: Option<Tried> = shared.tries().get(&call.key()).cloned();
    let (kind, target) = match &call.target {
        Target::Pilot(pilot) => ("pilot", city.pilot(*pilot).map(|pilot| pilot.id().text().into_owned())),
        Target::Merchant(id) => ("merchant", Some(id.to_string())),
    };
    let error = call
        .parked
        .as_deref()
        .map(str::to_owned)
        .or(tried.as_ref().map(|tried| tried.last_error.clone()));
    let mut value = json!({
        "id": call.key().0,
        "webhookId": format!("msg_{}", call.id),
        "target": {"kind": kind, "id": target},
        "path": call.kind.path(),
        "orderId": city.order(call.order).and_then(|order| {
            let own = order.local().map(|id| id.name(handle.config().city.as_str()));
            own.or_else(|| order.upstream().map(str::to_owned))
        }),
        "at": rfc3339(call.at),
        "channel": match call.channel { Channel::Http => "http", Channel::Sms => "sms" },
        "state": if call.parked.is_some() { "parked" } else { "due" },
        "attempts": tried.map_or(0, |tried| tried.attempts),
        "lastError": error,
    });
    if let Kind::Assign(action) = call.kind {
        value["action"] = action.word().into();
    }
    if whole {
        value["body"] = serde_json::from_str(&call.payload).unwrap_or(Value::Null);
    }
    value
}

async fn act(handle: &Handle<Deliveries>, id: &str, action: &str, asked: &Asked, shared: &Shared) -> PageAnswer {
    let (key, parked) = {
        let published = handle.published();
        let call = find(&published.city, id)?;
        (call.key(), call.parked.is_some())
    };
    let outcome = if action == "retry" {
        if !parked {
            return Err(PageError::new(409, "not_parked", "The call does not wait for an operator."));
        }
        Outcome::Retried
    } else {
        let said: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let word = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Outcome::Discarded { who: word("who").unwrap_or("operator").into(), why: word("why").unwrap_or("").into() }
    };
    super::settle(handle, vec![(key, outcome)]).await.map_err(unavailable)?;
    shared.look_again.notify_one();
    Ok(json!({"id": key.0, "done": action}))
}

/// `GET /admin/merchants`, and `POST` to register one: `{id, callbackUrl, secretFile}`.
pub(super) async fn merchants(handle: Handle<Deliveries>, asked: Asked) -> PageAnswer {
    if !asked.rest.is_empty() {
        return Err(PageError::not_found());
    }
    if asked.post {
        return set_merchant(&handle, &asked).await;
    }
    let configured = handle.config().merchants.iter().map(|merchant| {
        json!({"id": merchant.id, "callbackUrl": merchant.callback_url, "secretFile": merchant.secret_file, "configured": true})
    });
    let published = handle.published();
    let set = published.city.merchants().map(|merchant| {
        json!({"id": merchant.id, "callbackUrl": merchant.callback_url, "secretFile": merchant.secret_file, "configured": false})
    });
    Ok(json!({"merchants": configured.chain(set).collect::<Vec<_>>()}))
}

async fn set_merchant(handle: &Handle<Deliveries>, asked: &Asked) -> PageAnswer {
    let said: Value = serde_json::from_slice(&asked.body)
        .map_err(|error| PageError::new(400, "malformed_json", error.to_string()))?;
    let text = |name: &str| {
        let found = said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        found.ok_or_else(|| PageError::new(400, "missing_field", format!("{name}: a text is needed.")))
    };
    let (id, secret_file) = (text("id")?, text("secretFile")?);
    if handle.config().merchants.iter().any(|merchant| merchant.id == id) {
        let detail = format!("{id} is in the configuration, which goes before what is set here.");
        return Err(PageError::new(409, "configured", detail));
    }
    super::webhook::Secrets::default()
        .read(secret_file.as_ref())
        .map_err(|why| PageError::new(400, "bad_secret_file", why))?;
    let command = Command::SetMerchant {
        id: KeptName::Text(id.into()),
        callback_url: text("callbackUrl")?.into(),
        secret_file: secret_file.into(),
    };
    match handle.submit(command).await.map_err(unavailable)? {
        Decided::Rejected { rejection, .. } => Err(PageError::new(rejection.status, rejection.code, rejection.detail)),
        _ => Ok(json!({"id": id, "done": "set"})),
    }
}

/// `POST /admin/pilot`: registers or changes a pilot, in the form of `/ind/setminiongeneralinfo`.
pub(super) async fn pilot(handle: Handle<Deliveries>, asked: Asked) -> PageAnswer {
    if !asked.post || !asked.rest.is_empty() {
        return Err(PageError::new(405, "method_not_allowed", "POST sets a pilot."));
    }
    let route = handle
        .domain()
        .routes()
        .into_iter()
        .find(|route| route.name == "ind/setminiongeneralinfo");
    let route = route.ok_or_else(PageError::not_found)?;
    let request = Request {
        method: "POST".into(),
        path: route.path.into(),
        content_type: Some("application/json".into()),
        body: asked.body,
        ..Request::default()
    };
    let refused =
        |rejection: megamind_domain::Rejection| PageError::new(rejection.status, rejection.code, rejection.detail);
    // The command line speaks canonical names, whatever the cloud's dialect.
    let canonical = Deliveries::new(Settings::new(handle.config().city.as_str()));
    let parsed = canonical.parse(route.endpoint, &request).map_err(refused)?;
    match handle
        .write(route.endpoint, Arc::new(parsed), Arc::new(request))
        .await
        .map_err(unavailable)?
    {
        Decided::Rejected { rejection, .. } => Err(refused(rejection)),
        Decided::Decided { response, .. } | Decided::Repeated { response } => {
            Ok(serde_json::from_slice(&response.body).unwrap_or(Value::Null))
        }
        Decided::KeyReused => Err(PageError::new(409, "repeated", "The same was asked for before.")),
    }
}

/// `GET /openapi.json`: the public interface, in the names of the dialect.
pub(super) async fn interface(handle: Handle<Deliveries>, asked: Asked) -> PageAnswer {
    if asked.post || !asked.rest.is_empty() {
        return Err(PageError::not_found());
    }
    Ok(openapi::document(handle.domain().settings()))
}

fn unavailable(error: SubmitError) -> PageError {
    PageError::new(503, "journal_unavailable", error.to_string())
}

fn rfc3339(time: megamind_domain::Time) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}
