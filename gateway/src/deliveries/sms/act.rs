//! What a proved message does: the same as the HTTP request that it stands for.

use jiff::tz::Offset;
use megamind_domain::{Request as HttpRequest, Time};
use megamind_handlers::{
    Position,
    order::Status,
    pilot::{Availability, Pilot},
    short::{Brief, Report},
};
use megamind_sms::{
    grammar::{Command, Kind, OrderLine, Request, State, Stop, Trouble, confirmed, order, refused, said},
    identity::Enrolment,
};

use super::{undo::Undo, worker::Worker};

/// Answers to one question at most.
const MOST: usize = 20;

/// What was done.
pub(super) struct Done {
    pub(super) outcome: &'static str,
    pub(super) reply: Option<String>,
    pub(super) undo: Option<String>,
    /// Whether the gateway decided it, and not the cloud.
    local: bool,
}

impl Done {
    pub(super) fn said(reply: String) -> Self {
        Self { outcome: "done", reply: Some(reply), undo: None, local: true }
    }

    pub(super) fn refused(outcome: &'static str, seq: u32, trouble: Trouble) -> Self {
        Self { outcome, reply: Some(refused(seq, trouble)), undo: None, local: true }
    }
}

/// An order as a message has it. Times are told only where the city's clock is known.
pub(super) fn line(brief: &Brief, offset: Option<Offset>) -> OrderLine {
    let what = match brief.status {
        Status::Delivered => "DELIVERED",
        Status::Failed => "FAILED",
        Status::Cancelled => "CANCELLED",
        status if status.is_picked_up() => "DROP",
        _ => "PICK",
    };
    OrderLine {
        number: brief.number,
        what: what.to_owned(),
        stop: Stop {
            degrees: brief.position.map(|position| (position.lat(), position.lng())),
            address: brief.address.as_deref().map(str::to_owned),
            phone: brief.phone.as_deref().map(str::to_owned),
        },
        cash: brief.cash.as_deref().map(str::to_owned),
        by: offset.zip(brief.by).and_then(|(offset, by)| {
            let by = offset.to_datetime(jiff::Timestamp::from_millisecond(by.0).ok()?);
            Some(format!("{:02}{:02}", by.hour(), by.minute()))
        }),
    }
}

impl Worker {
    /// Does what a message asks; `None` where it is to be tried again.
    pub(super) async fn act(&self, who: &mut Enrolment, request: &Request, at: i64) -> Option<Done> {
        let seq = request.seq;
        Some(match &request.command {
            Command::Next => self.next(who, seq),
            Command::More => match who.more.pop_front() {
                Some(text) => Done::said(said(seq, &text, who.ucs2)),
                None => Done::refused("end", seq, Trouble::End),
            },
            Command::Help => {
                Done::said(said(seq, &self.shared.templates.plain(Kind::Help, &who.language, who.ucs2), who.ucs2))
            }
            Command::Track(id) => self.track(who, seq, id).await,
            Command::PickedUp(id) => self.report(who, request, id, Report::PickedUp, at).await?,
            Command::Delivered { order, pin, amount } => {
                let report = Report::Delivered { pin: pin.as_deref(), cash: amount.as_deref() };
                self.report(who, request, order, report, at).await?
            }
            Command::Failed { order, reason } => {
                self.report(who, request, order, Report::Failed { reason }, at).await?
            }
            Command::Rejected(id) => self.report(who, request, id, Report::Rejected, at).await?,
            Command::Here(place) => {
                let near = self.handle.published().city.pilot_called(&who.pilot).and_then(Pilot::fix);
                let near = near.map(|fix| (fix.position.lat(), fix.position.lng()));
                let near = self.shared.reference.or(near);
                let position = place.degrees(near).and_then(|(lat, lng)| Position::from_degrees(lat, lng));
                match position {
                    None => Done::refused("malformed", seq, Trouble::Form),
                    Some(_) => self.whereabouts(who, request, position, None, at).await?,
                }
            }
            Command::State(state) => {
                let before = self.handle.published().city.pilot_called(&who.pilot).map(Pilot::availability);
                let done = self.whereabouts(who, request, None, Some(availability(*state)), at).await?;
                let undo = before.filter(|_| done.outcome == "done").map(Undo::Availability);
                Done { undo: undo.and_then(Undo::write), ..done }
            }
            Command::Undo(other) => self.undo(who, request, *other, at).await?,
        })
    }

    fn next(&self, who: &mut Enrolment, seq: u32) -> Done {
        let published = self.handle.published();
        let pilot = published.city.pilot_called(&who.pilot);
        let briefs = pilot
            .map(|pilot| published.city.briefs(&self.shared.city, pilot.key()))
            .unwrap_or_default();
        let of = briefs.len().min(MOST);
        let lines: Vec<OrderLine> = briefs.iter().take(MOST).map(|brief| line(brief, self.shared.offset)).collect();
        who.more = (lines.iter().enumerate().skip(1))
            .map(|(at, line)| {
                let whole = order(seq, at + 1, of, line, who.ucs2);
                whole.split_once(" OK ").map_or(whole.clone(), |(_, rest)| rest.to_owned())
            })
            .collect();
        Done::said(match lines.first() {
            Some(first) => order(seq, 1, of, first, who.ucs2),
            None => format!("#{seq} OK 0/0"),
        })
    }

    async fn track(&self, who: &Enrolment, seq: u32, id: &str) -> Done {
        let name = self
            .handle
            .published()
            .city
            .order_called(&self.shared.city, id)
            .map(|order| self.handle.published().city.brief(&self.shared.city, order).id);
        let asked = self.handle.domain().track(name.as_deref().unwrap_or(id));
        // The answer is watched; what the city knows then is told.
        let carried = self.carrier.carry(&asked, &[]).await;
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.handle.store().barrier()).await;
        let published = self.handle.published();
        match published.city.order_called(&self.shared.city, id) {
            Some(found) if carried.as_ref().is_ok_and(|carried| carried.status < 400) => {
                let line = line(&published.city.brief(&self.shared.city, found), self.shared.offset);
                Done::said(order(seq, 1, 1, &line, who.ucs2))
            }
            _ if carried.is_ok_and(|carried| carried.status < 500) => {
                Done::refused("unknown_order", seq, Trouble::Order)
            }
            _ => Done::refused("later", seq, Trouble::Later),
        }
    }

    async fn report(&self, who: &Enrolment, request: &Request, id: &str, what: Report<'_>, at: i64) -> Option<Done> {
        let (http, before) = {
            let published = self.handle.published();
            let pilot = published.city.pilot_called(&who.pilot);
            let found = published.city.order_called(&self.shared.city, id);
            let before = found.map(|order| (order.key(), order.status()));
            let brief = found.map(|order| published.city.brief(&self.shared.city, order));
            let numeric = id.bytes().all(|byte| byte.is_ascii_digit());
            let http = match (pilot, brief) {
                // A mistyped short number must not make up an order.
                (None, _) => None,
                (_, None) if numeric => None,
                (Some(pilot), brief) => {
                    let order = brief.as_ref().map_or((id, false), |brief| (&*brief.id, brief.numeric));
                    Some(
                        self.handle
                            .domain()
                            .report(order, pilot, what, Time(at), &request_id(request.seq)),
                    )
                }
            };
            (http, before)
        };
        let Some(http) = http else {
            return Some(Done::refused("unknown_order", request.seq, Trouble::Order));
        };
        let done = self.carry(request, &http).await?;
        let undo = before.filter(|_| done.local && done.outcome == "done");
        let undo = undo.and_then(|(order, before)| Undo::of_report(order, before, status_after(what)));
        Some(Done { undo: undo.and_then(Undo::write), ..done })
    }

    pub(super) async fn whereabouts(
        &self,
        who: &Enrolment,
        request: &Request,
        position: Option<Position>,
        availability: Option<Availability>,
        at: i64,
    ) -> Option<Done> {
        let http = {
            let published = self.handle.published();
            let pilot = published.city.pilot_called(&who.pilot);
            pilot.map(|pilot| {
                let id = request_id(request.seq);
                self.handle.domain().whereabouts(pilot, position, availability, Time(at), &id)
            })
        };
        match http {
            Some(http) => self.carry(request, &http).await,
            None => Some(Done::refused("refused", request.seq, Trouble::Refused)),
        }
    }

    /// Carries the request that a message stands for; `None` where its effect is not known, to be carried again.
    async fn carry(&self, request: &Request, http: &HttpRequest) -> Option<Done> {
        let seq = request.seq;
        let (status, local) = match self.carrier.carry(http, &[]).await {
            Ok(carried) => (carried.status, carried.local),
            Err(error) => {
                tracing::warn!(%error, "a message is carried again");
                return None;
            }
        };
        Some(match status {
            200..=299 => {
                let reply = (!request.command.is_silent()).then(|| confirmed(seq, &request.body));
                Done { outcome: "done", reply, undo: None, local }
            }
            404 => Done::refused("unknown_order", seq, Trouble::Order),
            409 => Done::refused("state", seq, Trouble::State),
            400..=499 => Done::refused("refused", seq, Trouble::Refused),
            // The same again under the same key has one effect.
            _ => return None,
        })
    }
}

/// The status of an order after a report.
fn status_after(what: Report<'_>) -> Status {
    match what {
        Report::PickedUp => Status::PickedUp,
        Report::Delivered { .. } => Status::Delivered,
        Report::Failed { .. } => Status::Failed,
        // Nobody has it then.
        Report::Rejected => Status::Placed,
    }
}

/// What an app that sends the same by HTTP writes as `requestId`, so that it takes effect once.
pub(super) fn request_id(seq: u32) -> String {
    format!("sms-{seq}")
}

fn availability(state: State) -> Availability {
    match state {
        State::Available => Availability::Available,
        State::Busy => Availability::Busy,
        State::Offline => Availability::Offline,
    }
}
