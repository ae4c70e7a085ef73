//! What the upstream said about each item of a client's own bulk request.

use megamind_domain::{Domain, Exchange};

use super::verdict::{About, Kind, Verdict, judge};
use crate::core::Core;

/// The items that the upstream refused for good though it took the request, in words for the operator; `None` where
/// there are none.
///
/// Items that nobody could read are left out: whoever sent them was told so here. So is what yields to the upstream.
pub(super) fn refused<D: Domain>(core: &Core<D>, exchange: &Exchange<D::Command>) -> Option<String> {
    let parsed = exchange.parsed.as_ref()?;
    let (handback, domain) = (&core.handback, &core.domain);
    let published = core.store.published();
    let said = core.guarded(|| {
        let readable = handback.fenced_items(domain, &published.city, &parsed.command, &|_| true)?;
        let said = handback.results(domain, &exchange.body, readable.len())?;
        (said.len() == readable.len()).then(|| said.into_iter().zip(readable).collect::<Vec<_>>())
    });
    let kind = if parsed.fact { Kind::Fact } else { Kind::Decision };
    let about = About { kind, unnamed: false, unsettled: false, in_form: true };
    let refused: Vec<String> = (1..)
        .zip(said.ok().flatten()?)
        .filter(|(_, (said, readable))| {
            let verdict = judge(said.status, about, core.config.drain.on_conflict);
            *readable && !matches!(verdict, Verdict::Acknowledged | Verdict::Yielded(_))
        })
        .map(|(place, (said, _))| format!("item {place} with {}", said.status))
        .collect();
    (!refused.is_empty()).then(|| format!("the upstream took the request and refused {}", refused.join(", ")))
}
