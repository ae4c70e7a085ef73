//! A client's own bulk request, item by item: what the upstream said about each, and what is left to send of it.

use std::sync::Arc;

use megamind_domain::{Domain, Exchange, Request};
use megamind_store::{Entry, Left};

use super::{
    replay,
    verdict::{About, Kind, Verdict, judge},
};
use crate::core::Core;

/// What the upstream refused for good of a request that it took.
pub(super) struct Refused<D: Domain> {
    /// In words for the operator.
    pub(super) reason: String,
    /// The refused items by themselves, where the request can be taken apart.
    pub(super) left: Option<Left<D>>,
}

/// The items that the upstream refused for good though it took the request; `None` where there are none.
///
/// Items that were refused here too are left out: whoever sent them knows. So is what yields to the upstream.
pub(super) fn refused<D: Domain>(core: &Core<D>, entry: &Entry, exchange: &Exchange<D::Command>) -> Option<Refused<D>> {
    let parsed = exchange.parsed.as_ref()?;
    let readable = readable(core, &parsed.command)?;
    let said = statuses(core, &exchange.body, readable.len()).filter(|said| said.len() == readable.len())?;
    let places: Vec<u32> = match &entry.left {
        Some(left) => left.to_vec(),
        None => (0..).take(readable.len()).collect(),
    };
    let here = statuses(core, &entry.answer, readable.len()).unwrap_or_default();
    let is_refused_here = |place: u32| here.get(place as usize).is_some_and(|status| *status >= 400);
    let kind = if parsed.fact { Kind::Fact } else { Kind::Decision };
    let about = About { kind, unnamed: false, unsettled: false, in_form: true };
    let refused: Vec<(u32, u16)> = places
        .iter()
        .zip(said)
        .zip(readable)
        .filter(|((place, status), readable)| {
            let verdict = judge(*status, about, core.config.drain.on_conflict);
            let is_good = matches!(verdict, Verdict::Acknowledged | Verdict::Yielded(_));
            *readable && !is_refused_here(**place) && !is_good
        })
        .map(|((place, status), _)| (*place, status))
        .collect();
    if refused.is_empty() {
        return None;
    }
    let words: Vec<String> = refused
        .iter()
        .map(|(place, status)| format!("item {} with {status}", place + 1))
        .collect();
    Some(Refused {
        reason: format!("the upstream took the request and refused {}", words.join(", ")),
        left: left(core, entry, &exchange.request, &places, &refused),
    })
}

/// The refused ones of the items that were sent.
fn left<D: Domain>(
    core: &Core<D>,
    entry: &Entry,
    sent: &Arc<Request>,
    places: &[u32],
    refused: &[(u32, u16)],
) -> Option<Left<D>> {
    let refused: Box<[u32]> = refused.iter().map(|(place, _)| *place).collect();
    let keep: Vec<bool> = places.iter().map(|place| refused.contains(place)).collect();
    let part = core.guarded(|| core.handback.part(&core.domain, entry.endpoint, sent, &keep));
    let parsed = core.parsed(entry.endpoint, &part.ok()??)?;
    Some(Left { places: refused, parsed })
}

/// An entry with the items alone that are left of it.
pub(super) fn in_part<D: Domain>(core: &Core<D>, entry: Entry) -> Entry {
    let Some(left) = &entry.left else {
        return entry;
    };
    let whole = replay::request(&entry);
    let part = core.parsed(entry.endpoint, &whole).and_then(|parsed| {
        let mut keep = vec![false; readable(core, &parsed.command)?.len()];
        for place in left {
            *keep.get_mut(*place as usize)? = true;
        }
        let part = core.guarded(|| core.handback.part(&core.domain, entry.endpoint, &whole, &keep));
        part.ok()?
    });
    let Some(Request { query, body, .. }) = part else {
        return entry;
    };
    Entry { query, body, ..entry }
}

/// Which items of a bulk request could be read; `None` for any other request.
fn readable<D: Domain>(core: &Core<D>, command: &D::Command) -> Option<Vec<bool>> {
    let published = core.store.published();
    let items = core.guarded(|| core.handback.fenced_items(&core.domain, &published.city, command, &|_| true));
    items.ok()?
}

fn statuses<D: Domain>(core: &Core<D>, body: &[u8], members: usize) -> Option<Vec<u16>> {
    let said = core.guarded(|| core.handback.results(&core.domain, body, members)).ok()??;
    Some(said.into_iter().map(|said| said.status).collect())
}
