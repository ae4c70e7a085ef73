//! Answers to lists that the upstream may have taken already.

use megamind_domain::{Rejection, Replay};

use super::Decided;
use crate::{
    Deliveries,
    command::{Answer, Items},
};

type Decision = megamind_domain::Decision<Deliveries>;

/// What may have been applied is not denied: a refused item of a list is of unknown outcome, and the list is told to the
/// upstream again, which knows.
///
/// # Errors
/// The refusal of the first item, where all are refused: then nothing of the list is decided here.
pub(super) fn undenied(mut decision: Decision) -> Decided {
    let refused = match &mut decision.answer {
        Answer::Deliveries(list) => undeny(list)?,
        Answer::Pilots(list) => undeny(list)?,
        _ => false,
    };
    if refused {
        decision.replay = Replay::AsSent;
    }
    Ok(decision)
}

/// Whether there was anything to be undone.
fn undeny<T>(list: &mut Items<T>) -> Result<bool, Rejection> {
    if !list.bulk {
        return Ok(false);
    }
    if let Some(Err(first)) = list.items.first()
        && list.items.iter().all(Result::is_err)
    {
        return Err(first.clone());
    }
    let mut refused = false;
    for rejection in list.items.iter_mut().filter_map(|item| item.as_mut().err()) {
        let detail = format!("It may have taken effect; it cannot be decided here ({}).", rejection.code);
        *rejection = Rejection::new(504, "outcome_unknown", detail);
        refused = true;
    }
    Ok(refused)
}
