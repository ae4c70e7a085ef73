//! What becomes of calls, and which merchants are called.

use megamind_domain::{Decision, Rejection, Replay, Time};

use super::{CallKey, MerchantKey, Outcome};
use crate::{
    City, Deliveries,
    command::Answer,
    event::{CallSettled, Event, MerchantSet, V},
    id::KeptName,
};

/// What became of some calls. Those that are settled already are left out: an outcome said twice is said once.
pub(crate) fn settle(city: &City, now: Time, settled: &[(CallKey, Outcome)]) -> Decision<Deliveries> {
    let mut events: Vec<Event> = Vec::with_capacity(settled.len());
    for (key, outcome) in settled {
        let Some(call) = city.call(*key) else { continue };
        let stands = match outcome {
            Outcome::Parked { .. } | Outcome::BySms { .. } => call.parked.is_none(),
            Outcome::Retried => call.parked.is_some(),
            Outcome::Done | Outcome::Discarded { .. } => true,
        };
        if stands {
            events.push(Event::CallSettled(CallSettled { v: V, call: *key, at: now, outcome: outcome.clone() }));
        }
    }
    Decision { events, replay: Replay::Nothing, ..Decision::answer(Answer::Done) }
}

/// Registers a merchant's service, or changes it.
pub(crate) fn set_merchant(
    domain: &Deliveries,
    city: &City,
    now: Time,
    id: &KeptName,
    callback_url: &str,
    secret_file: &str,
) -> Result<Decision<Deliveries>, Rejection> {
    let allowed = domain.settings.calls.allow.url(callback_url).is_some();
    if !allowed {
        return Err(not_allowed("callbackUrl"));
    }
    let key = city
        .merchant(&id.text())
        .map_or_else(|| MerchantKey(city.next_key(0)), super::Merchant::key);
    let event = MerchantSet {
        v: V,
        merchant: key,
        id: id.clone(),
        callback_url: callback_url.into(),
        secret_file: secret_file.into(),
        at: now,
    };
    let events = vec![Event::MerchantSet(event)];
    Ok(Decision { events, replay: Replay::Nothing, ..Decision::answer(Answer::Done) })
}

/// The refusal of a URL that may not be called.
pub(crate) fn not_allowed(field: &str) -> Rejection {
    let detail = "The URL is not one that may be called (callbacks.allow).";
    Rejection::new(403, "callback_not_allowed", detail).at(field)
}
