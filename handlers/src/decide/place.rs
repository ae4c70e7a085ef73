//! Taking a new order.

use std::sync::Arc;

use megamind_domain::{Ctx, Decision, Rejection, Replay};

use super::{Decided, Desk, beyond};
use crate::{
    Money,
    command::{Answer, Command},
    dialect::Field,
    event::{Event, OrderPlaced, V},
    id::LocalId,
    order::{Details, OrderKey},
    settings::Decides,
};

impl Desk<'_> {
    pub(super) fn place(&self, details: &Arc<Details>, ctx: &mut Ctx<'_>) -> Decided {
        self.within_limits(Decides::PlaceOrder)?;
        self.within_cash(details.cod_amount)?;
        self.within_open_orders(details)?;
        let key = OrderKey(self.city.next_key(0));
        let id = self.fresh_id(key, ctx)?;
        let then = if self.decides_at_once() && self.city.free_pilots() > 0 {
            vec![Command::AssignNow(key)]
        } else {
            Vec::new()
        };
        Ok(Decision {
            events: vec![Event::OrderPlaced(Box::new(OrderPlaced {
                v: V,
                order: key,
                id,
                at: self.now,
                details: details.clone(),
                in_doubt: ctx.in_doubt,
            }))],
            created: Some(id.name(&self.domain.settings.city).into()),
            replay: Replay::AsSent,
            then,
            ..Decision::answer(Answer::Order { key, asked: None, new: true, dispatched_at: self.dispatched_at() })
        })
    }

    /// A number follows from the order's key, which no other entity has had or will have.
    fn fresh_id(&self, key: OrderKey, ctx: &mut Ctx<'_>) -> Result<LocalId, Rejection> {
        let Some(integers) = self.domain.settings.integers.filter(|integers| integers.given) else {
            return Ok(LocalId(ctx.next_id()));
        };
        let place = integers.skip.checked_add(key.0.get() - 1);
        let number = place.and_then(|place| integers.first.checked_add(place));
        let number = number.filter(|number| *number <= integers.last);
        number
            .map(LocalId::integer)
            .ok_or_else(|| beyond("No order can be taken: all numbers that are reserved for ids have been given."))
    }

    /// Refuses more cash than may be decided about while the upstream is down.
    pub(super) fn within_cash(&self, amount: Option<Money>) -> Result<(), Rejection> {
        let limit = self.domain.settings.acting.max_cod_amount;
        match (amount, limit) {
            (Some(amount), Some(limit)) if self.acting() && amount.exceeds(limit) => {
                let detail =
                    format!("Cash of more than {limit} cannot be taken while the main service is unreachable.");
                Err(beyond(&detail).at(self.domain.wire(Field::CodAmount)))
            }
            _ => Ok(()),
        }
    }

    fn within_open_orders(&self, details: &Details) -> Result<(), Rejection> {
        let limit = self.domain.settings.acting.max_open_orders_per_merchant;
        let Some(merchant) = &details.merchant else {
            return Ok(());
        };
        if !self.acting() || self.city.open_orders(&merchant.text()) < limit {
            return Ok(());
        }
        let detail = format!("More than {limit} open orders cannot be taken while the main service is unreachable.");
        Err(beyond(&detail).at(self.domain.wire(Field::MerchantId)))
    }
}
