//! What pilots say of themselves, and what is set about them.

use megamind_domain::{Decision, EntityKey, Rejection, Replay, Request, Value};

use super::{Decided, Desk, draft::Draft};
use crate::{
    Fix, calls,
    command::{Answer, Command, Items, Many, PilotAnswer, PilotReport},
    dialect::{Field, own},
    endpoints::Route,
    event::{Event, PilotChanged, V},
    pilot::{Availability, PilotKey, is_newer},
    settings::Decides,
};

impl Desk<'_> {
    pub(super) fn report_pilots(&self, many: &Many<PilotReport>) -> Decision<crate::Deliveries> {
        let mut draft = Draft::new(self.city, self.now);
        let mut told = Vec::new();
        let items: Vec<_> = (many.items.iter())
            .map(|item| {
                let before = draft.len();
                let answer = item.as_ref().map(|report| self.note_pilot(&mut draft, report));
                told.push(match (item, &answer) {
                    (Ok(report), Ok(answer)) => how_to_tell(report, answer, draft.since(before)),
                    _ => Tell::Nothing,
                });
                answer.map_err(Clone::clone)
            })
            .collect();
        let (events, city) = draft.finish();
        let mut then = Vec::new();
        for pilot in turned_available(&events) {
            then.extend(self.next_for(&city, pilot, 0));
        }
        Decision {
            replay: self.replay(many, &told),
            events,
            then: super::assign::bound(then),
            ..Decision::answer(Answer::Pilots(Items { items, bulk: many.bulk }))
        }
    }

    pub(super) fn set_pilots(&self, many: &Many<PilotReport>) -> Decided {
        self.within_limits(Decides::SetPilot)?;
        let many = &self.may_be_called(many)?;
        let mut decision = self.report_pilots(many);
        decision.replay = if decision.events.is_empty() {
            Replay::Nothing
        } else {
            let dialect = &self.domain.settings.dialect;
            Replay::Own(own::general_info(dialect, many, self.now))
        };
        Ok(decision)
    }

    /// Refuses URLs that may not be called: of a list the items by themselves.
    fn may_be_called(&self, many: &Many<PilotReport>) -> Result<Many<PilotReport>, Rejection> {
        let check = |item: &Result<PilotReport, Rejection>| {
            let report = item.clone()?;
            match &report.profile.callback_url {
                Some(url) if self.domain.settings.calls.allow.url(url).is_none() => {
                    Err(calls::not_allowed(self.domain.wire(Field::CallbackUrl)))
                }
                _ => Ok(report),
            }
        };
        let items: Vec<_> = many.items.iter().map(check).collect();
        match items.as_slice() {
            [Err(refused)] if !many.bulk => Err(refused.clone()),
            _ => Ok(Many { items, bulk: many.bulk, request: None }),
        }
    }

    /// Takes one report into the draft.
    pub(super) fn note_pilot(&self, draft: &mut Draft<'_>, report: &PilotReport) -> PilotAnswer {
        let (key, known) = draft.pilot(&report.pilot);
        let answer = PilotAnswer { pilot: key, known };
        let Some(pilot) = draft.city().pilot(key) else {
            // It was put there above.
            return answer;
        };
        let fix = report.position.map(|position| Fix { position, at: self.plausible(report.at) });
        let fix = fix.filter(|fix| is_newer(pilot.fix(), fix.at) && pilot.fix() != Some(*fix));
        let availability = report.availability.filter(|availability| *availability != pilot.availability());
        let mut said = report.profile.clone();
        // What a report says of itself is taken, but nobody is called whom the configuration does not allow.
        said.callback_url = said
            .callback_url
            .filter(|url| self.domain.settings.calls.allow.url(url).is_some());
        let mut merged = pilot.profile().clone();
        merged.take(&said);
        let profile = if merged == *pilot.profile() { crate::pilot::Profile::default() } else { said };
        if fix.is_some() || availability.is_some() || !profile.is_empty() {
            draft.push(Event::PilotChanged(Box::new(PilotChanged {
                v: V,
                pilot: key,
                at: self.now,
                fix,
                availability,
                profile,
            })));
        }
        answer
    }
}

/// Pilots who take orders from now on.
fn turned_available(events: &[Event]) -> impl Iterator<Item = PilotKey> {
    events.iter().filter_map(|event| match event {
        Event::PilotChanged(event) if event.availability == Some(Availability::Available) => Some(event.pilot),
        _ => None,
    })
}

/// Whether an event is a new position.
pub(super) fn is_fix(event: &Event) -> bool {
    matches!(event, Event::PilotChanged(event) if event.fix.is_some())
}

/// How the upstream hears of one report.
enum Tell {
    /// It says nothing new.
    Nothing,
    /// With everything else about the pilot, in order.
    InOrder,
    /// Merged with what comes before or after it.
    Merged(Value),
}

/// Positions, and what means nothing here, are overwritten by the next ones; anything else is told in order.
fn how_to_tell(report: &PilotReport, answer: &PilotAnswer, events: &[Event]) -> Tell {
    let in_order = events.iter().any(|event| match event {
        Event::PilotChanged(event) => event.availability.is_some() || !event.profile.is_empty(),
        _ => false,
    });
    if in_order {
        return Tell::InOrder;
    }
    if events.is_empty() && !report.fields.unknown {
        return Tell::Nothing;
    }
    // A position that is older than what is known replaces nothing.
    let is_stale = report.position.is_some() && !events.iter().any(is_fix);
    Tell::Merged(Value {
        slot: EntityKey::from(answer.pilot),
        fields: if is_stale { 0 } else { report.fields.hash },
        request: Request::default(),
    })
}

impl Desk<'_> {
    fn replay(&self, many: &Many<PilotReport>, told: &[Tell]) -> Replay {
        if let (false, [told]) = (many.bulk, told) {
            return match told {
                Tell::Nothing => Replay::Nothing,
                Tell::InOrder => Replay::AsSent,
                Tell::Merged(value) => Replay::Newest { slot: value.slot, fields: value.fields },
            };
        }
        let values: Option<Vec<Value>> = (many.items.iter().zip(told))
            .filter_map(|(item, told)| match told {
                Tell::Merged(value) => Some((item.as_ref().ok()?, value)),
                _ => None,
            })
            .map(|(report, value)| {
                let request = self.domain.telling(report.told.as_deref()?);
                Some(Value { request, ..value.clone() })
            })
            .collect();
        let in_order: Vec<bool> = told.iter().map(|told| matches!(told, Tell::InOrder)).collect();
        let ordered = in_order.contains(&true);
        let rest = || {
            self.domain
                .part(Route::GeneralInfos.endpoint(), many.request.as_ref()?, &in_order)
        };
        match values {
            Some(values) if values.is_empty() && !ordered => Replay::Nothing,
            Some(values) if !values.is_empty() && !ordered => Replay::Each { values, rest: None },
            Some(values) if !values.is_empty() => match rest() {
                Some(rest) => Replay::Each { values, rest: Some(rest) },
                None => Replay::AsSent,
            },
            _ => Replay::AsSent,
        }
    }
}

impl Desk<'_> {
    /// Waiting orders near a pilot, as many as there is room for (and `more`), to be given out anew.
    pub(super) fn next_for(&self, city: &crate::City, pilot: PilotKey, more: usize) -> Vec<Command> {
        if !self.decides_at_once() || city.waiting_count() == 0 {
            return Vec::new();
        }
        let Some(pilot) = city.pilot(pilot) else {
            return Vec::new();
        };
        let Some(fix) = pilot.fix().filter(|_| pilot.availability() == Availability::Available) else {
            return Vec::new();
        };
        let room = (pilot.room() + more).min(super::assign::MAX_THEN);
        let mut near: Vec<_> = city
            .waiting()
            .take(super::assign::LOOK_AT)
            .filter(|order| !order.excluded().contains(&pilot.key()))
            .filter_map(|order| Some((order.pickup()?.metres_to(fix.position), order.key())))
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.truncate(room);
        near.into_iter().map(|(_, order)| Command::AssignNow(order)).collect()
    }
}
