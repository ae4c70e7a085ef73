//! From an answer to a response.

use std::borrow::Cow;

use megamind_domain::{Rejection, Response, Time};

use super::{
    Field,
    json::{self, Object},
    problem, render_order, render_pilot,
};
use crate::{
    City,
    command::{Answer, Items},
    order::Order,
    planning::estimate,
    settings::Settings,
};

/// What an answer is rendered from.
#[derive(Clone, Copy)]
pub(super) struct Scene<'s> {
    pub(super) city: &'s City,
    pub(super) settings: &'s Settings,
    /// Whether items of a list are rendered, whose `status` is a number.
    pub(super) bulk: bool,
}

/// Renders an answer or a refusal.
pub(crate) fn render(city: &City, settings: &Settings, outcome: Result<&Answer, &Rejection>) -> Response {
    let scene = Scene { city, settings, bulk: false };
    let answer = match outcome {
        Err(rejection) => return problem::render(&settings.dialect, rejection),
        Ok(answer) => answer,
    };
    let mut data = Vec::with_capacity(256);
    let filled = scene.fill(answer, &mut data);
    if let Err(rejection) = filled {
        return problem::render(&settings.dialect, &rejection);
    }
    let good = good(&settings.dialect, data);
    match answer {
        Answer::Order { new: true, .. } => Response { status: settings.dialect.created_status, ..good },
        _ => good,
    }
}

/// A good answer with this content.
pub(crate) fn good(dialect: &super::Dialect, data: Vec<u8>) -> Response {
    Response {
        status: 200,
        content_type: Cow::Borrowed("application/json"),
        retry_after: None,
        body: wrap(dialect, data).into(),
    }
}

/// A refused item of a list.
pub(crate) fn refused_item(object: &mut Object<'_>, refused: &Rejection) {
    object.integer(Field::Status, refused.status.into());
    object.text(Field::Code, refused.code);
    object.text(Field::Detail, &refused.detail);
}

/// Puts the envelope around an answer.
fn wrap(dialect: &super::Dialect, data: Vec<u8>) -> Vec<u8> {
    let Some(envelope) = &dialect.envelope else {
        return data;
    };
    let mut body = Vec::with_capacity(data.len() + 64);
    json::object(&mut body, dialect, |object| {
        for (name, value) in &envelope.fields {
            object.fixed(name, value);
        }
        object.fixed_raw(&envelope.data, &data);
    });
    body
}

impl Scene<'_> {
    /// When an order should be at the door: as its pilot was told, or, where it waits for one from here, as it would be
    /// if it found one now.
    fn eta(self, order: &Order, now: Option<Time>) -> Option<Time> {
        let now = now.filter(|_| order.waits());
        let told = order.eta().filter(|_| !order.status().is_final());
        told.or_else(|| estimate(self.city, self.settings, now?, order))
    }

    fn fill(self, answer: &Answer, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let dialect = &self.settings.dialect;
        match answer {
            Answer::Order { key, asked, new, dispatched_at } => {
                let order = self.city.order(*key).ok_or_else(gone)?;
                let eta = self.eta(order, *dispatched_at);
                json::object(out, dialect, |object| {
                    if *new {
                        render_order::placed(self, object, order, eta);
                    } else {
                        render_order::tracked(self, object, order, eta, asked.as_ref());
                    }
                });
            }
            Answer::Pilots(answer) => {
                self.items(out, answer, |scene, object, item| {
                    render_pilot::reported(scene, object, *item);
                })?;
            }
            Answer::Deliveries(answer) => {
                self.items(out, answer, render_order::reported)?;
            }
            Answer::Assignments(answer) => {
                let answer = render_order::assignments(self, answer);
                self.items(out, &answer, render_order::assigned)?;
            }
            Answer::PilotInfos(page) => render_pilot::infos(self, out, page)?,
            Answer::PilotDeliveries(page) => render_pilot::deliveries(self, out, page)?,
            Answer::Score(pilot, score) => render_pilot::score(self, out, *pilot, *score)?,
            Answer::Candidates { key, asked, ranked } => {
                let order = self.city.order(*key).ok_or_else(gone)?;
                json::object(out, dialect, |object| {
                    render_order::candidates(self, object, order, asked, ranked);
                });
            }
            Answer::Done => json::object(out, dialect, |_| {}),
        }
        Ok(())
    }

    /// One item as an object, a list as `{results:[…]}`.
    fn items<T>(
        self,
        out: &mut Vec<u8>,
        answer: &Items<T>,
        fill: impl Fn(Self, &mut Object<'_>, &T),
    ) -> Result<(), Rejection> {
        let dialect = &self.settings.dialect;
        let scene = Self { bulk: answer.bulk, ..self };
        if answer.bulk {
            json::object(out, dialect, |object| {
                object.list(Field::Results, &answer.items, |object, item| match item {
                    Ok(item) => {
                        object.integer(Field::Status, 200);
                        fill(scene, object, item);
                    }
                    Err(refused) => refused_item(object, refused),
                });
            });
            return Ok(());
        }
        match answer.items.first() {
            Some(Ok(item)) => {
                json::object(out, dialect, |object| fill(scene, object, item));
                Ok(())
            }
            Some(Err(refused)) => Err(refused.clone()),
            None => Err(gone()),
        }
    }
}

/// The entity was there when it was decided about.
pub(super) fn gone() -> Rejection {
    Rejection::new(500, "internal", "The answer is not available.")
}
