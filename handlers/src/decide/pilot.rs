//! What pilots say of themselves, and what is set about them.

use megamind_domain::{Decision, EntityKey, Rejection, Replay};

use super::{Decided, Desk, draft::Draft};
use crate::{
    Fix, calls,
    command::{Answer, Command, Items, Many, PilotAnswer, PilotReport},
    dialect::{Field, own},
    event::{Event, PilotChanged, V},
    pilot::{Availability, PilotKey, is_newer},
    settings::Decides,
};

impl Desk<'_> {
    pub(super) fn report_pilots(&self, many: &Many<PilotReport>) -> Decision<crate::Deliveries> {
        let mut draft = Draft::new(self.city, self.now);
        let items: Vec<_> = (many.items.iter())
            .map(|item| match item {
                Ok(report) => Ok(self.note_pilot(&mut draft, report)),
                Err(refused) => Err(refused.clone()),
            })
            .collect();
        let (events, city) = draft.finish();
        let mut then = Vec::new();
        for pilot in turned_available(&events) {
            then.extend(self.next_for(&city, pilot, 0));
        }
        Decision {
            replay: how_to_tell(&events, items.as_slice()),
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
            _ => Ok(Many { items, bulk: many.bulk }),
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

/// Positions alone are overwritten by the next ones; anything else is told in order.
fn how_to_tell(events: &[Event], items: &[Result<PilotAnswer, Rejection>]) -> Replay {
    let in_order = events.iter().any(|event| match event {
        Event::PilotChanged(event) => event.availability.is_some() || !event.profile.is_empty(),
        _ => false,
    });
    match items {
        _ if events.is_empty() => Replay::Nothing,
        [Ok(answer)] if !in_order => Replay::Newest { slot: EntityKey::from(answer.pilot) },
        _ => Replay::AsSent,
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
