//! The life of an order and of a pilot's part in it, as the cloud sees it.

use serde::{Deserialize, Serialize};

/// Where an order is in its life. The order of the variants is the order of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderStatus {
    Placed,
    Assigned,
    Accepted,
    ArrivedAtPickup,
    PickedUp,
    ArrivedAtDropoff,
    Delivered,
    Failed,
    Cancelled,
}

impl OrderStatus {
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Cancelled)
    }

    /// A merchant may change or cancel an order until a pilot carries it.
    pub(crate) fn is_changeable(self) -> bool {
        self < Self::PickedUp
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::ArrivedAtPickup => "arrived_at_pickup",
            Self::PickedUp => "picked_up",
            Self::ArrivedAtDropoff => "arrived_at_dropoff",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a delivery event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryStatus {
    /// The order goes to the status named. Steps may be left out: a phone without a network
    /// loses events, and a parcel that is delivered has been picked up.
    Forward(OrderStatus),
    /// The pilot does not want it: back to `placed`.
    Rejected,
}

impl DeliveryStatus {
    /// The words that `/updatemaster/ind/deliveryInfo` takes.
    pub(crate) const WORDS: &[(&str, Self)] = &[
        ("assigned", Self::Forward(OrderStatus::Assigned)),
        ("accepted", Self::Forward(OrderStatus::Accepted)),
        ("rejected", Self::Rejected),
        ("arrived_at_pickup", Self::Forward(OrderStatus::ArrivedAtPickup)),
        ("picked_up", Self::Forward(OrderStatus::PickedUp)),
        ("arrived_at_dropoff", Self::Forward(OrderStatus::ArrivedAtDropoff)),
        ("delivered", Self::Forward(OrderStatus::Delivered)),
        ("failed", Self::Forward(OrderStatus::Failed)),
    ];

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, status)| *status)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Forward(status) => status.word(),
            Self::Rejected => "rejected",
        }
    }

    /// The status after this event, or `None` where the event is not possible.
    pub(crate) fn after(self, now: OrderStatus) -> Option<OrderStatus> {
        match self {
            Self::Rejected => {
                matches!(now, OrderStatus::Assigned | OrderStatus::Accepted).then_some(OrderStatus::Placed)
            }
            Self::Forward(next) => (!now.is_final() && next > now).then_some(next),
        }
    }
}

/// Whether a pilot takes orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Availability {
    Available,
    Busy,
    Offline,
}

impl Availability {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "available" => Some(Self::Available),
            "busy" => Some(Self::Busy),
            "offline" => Some(Self::Offline),
            _ => None,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(now: OrderStatus, word: &str, expect: Option<OrderStatus>) {
        let event = DeliveryStatus::parse(word).expect("a known word");
        assert_eq!(event.after(now), expect, "{word} on {}", now.word());
    }

    #[test]
    fn an_order_goes_forward_only() {
        use OrderStatus as S;
        check(S::Placed, "accepted", Some(S::Accepted));
        check(S::Assigned, "assigned", None);
        check(S::PickedUp, "arrived_at_pickup", None);
        check(S::PickedUp, "delivered", Some(S::Delivered));
        check(S::Assigned, "rejected", Some(S::Placed));
        check(S::PickedUp, "rejected", None);
        check(S::PickedUp, "failed", Some(S::Failed));
    }

    #[test]
    fn nothing_follows_a_final_status() {
        for status in [OrderStatus::Delivered, OrderStatus::Failed, OrderStatus::Cancelled] {
            for (word, _) in DeliveryStatus::WORDS {
                check(status, word, None);
            }
        }
    }
}
