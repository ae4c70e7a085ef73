//! What is decided about a command. Reads the city and changes nothing.

mod amend;
mod assign;
mod delivery;
mod draft;
mod in_doubt;
mod pilot;
mod place;
mod retire;
mod score;
mod show;
mod watch;

use megamind_domain::{Ctx, Decision, Rejection, Stance, Time};

pub(crate) use assign::plan_all;
pub(crate) use delivery::is_far_off;

use crate::{
    City, Deliveries, calls,
    command::{Answer, Command},
    id::Name,
    order::Order,
    planning::Planned,
    settings::{Decides, Planner},
};

/// A decision in the making.
pub(crate) struct Desk<'a> {
    pub(crate) domain: &'a Deliveries,
    pub(crate) city: &'a City,
    pub(crate) now: Time,
    pub(crate) stance: Stance,
}

type Decided = Result<Decision<Deliveries>, Rejection>;

/// Decides a command, and which calls the decision owes.
pub(crate) fn decide(domain: &Deliveries, city: &City, command: &Command, ctx: &mut Ctx<'_>) -> Decided {
    let mut decision = decide_alone(domain, city, command, ctx)?;
    if ctx.in_doubt {
        decision = in_doubt::undenied(decision)?;
    }
    calls::add_due(domain, city, command, &mut decision.events, ctx);
    Ok(decision)
}

fn decide_alone(domain: &Deliveries, city: &City, command: &Command, ctx: &mut Ctx<'_>) -> Decided {
    let desk = Desk { domain, city, now: ctx.now, stance: ctx.stance };
    match command {
        Command::PlaceOrder(details) => desk.place(details, ctx),
        Command::TrackOrder(order) => desk.track(order),
        Command::UpdateOrder { order, details } => desk.update(order, details),
        Command::CancelOrder { order, reason } => desk.cancel(order, reason.as_deref()),
        Command::ScorePilot(pilot) => desk.score(pilot),
        Command::RankPilots(order) => desk.rank(order),
        Command::ReportPilots(many) => Ok(desk.report_pilots(many)),
        Command::ReportDeliveries(many) => desk.report_deliveries(many),
        Command::SetPilots(many) => desk.set_pilots(many),
        Command::Assign(assignment) => desk.assign(assignment),
        Command::AssignMany(many) => Ok(desk.assign_many(many.as_ref())),
        Command::AssignAll(plan) => Ok(desk.assign_all(plan.clone())),
        Command::ShowPilots(query) => desk.show(query).map(Answer::PilotInfos).map(Decision::answer),
        Command::ShowDeliveries(query) => desk.show_new(query).map(Answer::PilotDeliveries).map(Decision::answer),
        Command::AssignNow(order) => Ok(desk.assign_now(*order)),
        Command::FollowPlan(plan) => Ok(follow(plan)),
        Command::AssignPlanned(planned) => Ok(desk.assign_planned(planned)),
        Command::DispatchDue => Ok(desk.dispatch_due()),
        Command::TakeBack { order, pilot, from, to } => desk.take_back(*order, *pilot, *from, *to),
        Command::Retire(orders) => Ok(desk.retire(orders)),
        Command::Recall { order, row } => Ok(desk.recall(*order, row)),
        Command::Watched(watched) => Ok(desk.watch(watched)),
        Command::SettleCalls(settled) => Ok(calls::settle(city, desk.now, settled)),
        Command::SetMerchant { id, callback_url, secret_file } => {
            calls::set_merchant(domain, city, desk.now, id, callback_url, secret_file)
        }
        Command::Disown { local, why } => Ok(desk.disown(*local, why)),
        Command::Alias { local, upstream } => Ok(desk.alias(*local, upstream)),
    }
}

/// Each assignment of a plan is decided by itself.
fn follow(plan: &[Planned]) -> Decision<Deliveries> {
    let then = plan.iter().map(|planned| Command::AssignPlanned(Box::new(planned.clone())));
    Decision { then: then.collect(), ..Decision::answer(Answer::Done) }
}

impl<'a> Desk<'a> {
    /// Whether the gateway is the server now.
    fn acting(&self) -> bool {
        self.stance == Stance::Acting
    }

    /// Whether orders are given to pilots unasked.
    fn dispatches(&self) -> bool {
        let settings = &self.domain.settings;
        self.acting() && settings.dispatch.auto && settings.acting.allow.contains(Decides::Assign)
    }

    /// Whether an order that has just begun to wait is given to somebody in the same breath. Where many wait, that would
    /// be a worse choice than a plan over all of them.
    fn decides_at_once(&self) -> bool {
        let few = match self.domain.settings.dispatch.planner {
            Planner::Nearest => usize::MAX,
            Planner::Plan => assign::FEW,
            Planner::PlanOnly => return false,
        };
        self.dispatches() && self.city.waiting_count() <= few
    }

    /// Refuses what may not be decided while the upstream is down.
    fn within_limits(&self, kind: Decides) -> Result<(), Rejection> {
        if !self.acting() || self.domain.settings.acting.allow.contains(kind) {
            return Ok(());
        }
        Err(beyond("This cannot be decided while the main service is unreachable."))
    }

    /// The order that somebody names.
    fn order(&self, name: &Name) -> Result<&'a Order, Rejection> {
        self.city.find_order(name).ok_or_else(|| self.order_not_found(name))
    }

    fn order_not_found(&self, name: &Name) -> Rejection {
        if name.local().is_some() {
            let field = self.domain.wire(crate::dialect::Field::OrderId);
            return Rejection::new(404, "order_not_found", "There is no order with this id.").at(field);
        }
        order_not_known_here(self.domain)
    }

    fn pilot_not_found(&self) -> Rejection {
        not_known_here("This pilot is not known here.").at(self.domain.wire(crate::dialect::Field::MinionId))
    }
}

/// An order that the upstream may know.
pub(crate) fn order_not_known_here(domain: &Deliveries) -> Rejection {
    not_known_here("This order is not known here while the main service is unreachable.")
        .at(domain.wire(crate::dialect::Field::OrderId))
}

/// What is not known is not denied: the upstream may know it.
fn not_known_here(detail: &str) -> Rejection {
    Rejection::new(503, "not_known_here", detail).retry_after(30)
}

/// Beyond what is decided while the upstream is down.
fn beyond(detail: &str) -> Rejection {
    Rejection::new(503, "beyond_stand_in", detail).retry_after(60)
}
