//! Where an order is on its way.

use serde::{Deserialize, Serialize};

/// Where an order is. The variants are in the order of the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Known by name only.
    #[default]
    Unknown,
    /// Taken, and nobody carries it.
    Placed,
    /// Given to a pilot who has not answered.
    Assigned,
    /// The pilot is coming.
    Accepted,
    /// The pilot is at the pickup.
    ArrivedAtPickup,
    /// The pilot has it.
    PickedUp,
    /// The pilot is at the door.
    ArrivedAtDropoff,
    /// Handed over.
    Delivered,
    /// Could not be handed over.
    Failed,
    /// Called off.
    Cancelled,
}

impl Status {
    /// Every status, in the order of the way.
    pub const ALL: [Self; 10] = [
        Self::Unknown,
        Self::Placed,
        Self::Assigned,
        Self::Accepted,
        Self::ArrivedAtPickup,
        Self::PickedUp,
        Self::ArrivedAtDropoff,
        Self::Delivered,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing is left to be done.
    pub fn is_final(self) -> bool {
        self >= Self::Delivered
    }

    /// Whether a pilot is busy with an order of this status.
    pub fn is_carried(self) -> bool {
        (Self::Assigned..=Self::ArrivedAtDropoff).contains(&self)
    }

    /// Whether the parcel has left the merchant.
    pub fn is_picked_up(self) -> bool {
        self >= Self::PickedUp && self != Self::Cancelled
    }

    /// How far along this is when two accounts of one order are joined: what was picked up was not called off
    /// before, and what was delivered was delivered.
    pub fn progress(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Placed => 1,
            Self::Assigned => 2,
            Self::Accepted => 3,
            Self::ArrivedAtPickup => 4,
            Self::Cancelled => 5,
            Self::PickedUp => 6,
            Self::ArrivedAtDropoff => 7,
            Self::Failed => 8,
            Self::Delivered => 9,
        }
    }
}

/// Something that happens at the doors: a fact, whoever reports it and whatever was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The pilot is at the pickup.
    ArrivedAtPickup,
    /// The pilot has it.
    PickedUp,
    /// The pilot is at the door.
    ArrivedAtDropoff,
    /// Handed over.
    Delivered,
    /// Could not be handed over.
    Failed,
}

impl Fact {
    /// The status that an order has after this.
    pub fn status(self) -> Status {
        match self {
            Self::ArrivedAtPickup => Status::ArrivedAtPickup,
            Self::PickedUp => Status::PickedUp,
            Self::ArrivedAtDropoff => Status::ArrivedAtDropoff,
            Self::Delivered => Status::Delivered,
            Self::Failed => Status::Failed,
        }
    }

    /// The status of an order at `now` after this. Nothing goes backwards, and of what is final only a
    /// delivery is stronger.
    pub fn after(self, now: Status) -> Status {
        let next = self.status();
        let goes = if now.is_final() { next == Status::Delivered } else { next > now };
        if goes { next } else { now }
    }

    /// Whether it shows that the pilot has the parcel, or had it.
    pub fn proves_carriage(self) -> bool {
        self != Self::ArrivedAtPickup
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_never_take_an_order_back() {
        for now in Status::ALL {
            for fact in [
                Fact::ArrivedAtPickup,
                Fact::PickedUp,
                Fact::ArrivedAtDropoff,
                Fact::Delivered,
                Fact::Failed,
            ] {
                let after = fact.after(now);
                assert!(after.progress() >= now.progress(), "{fact:?} on {now:?}");
                assert!(!now.is_final() || after.is_final());
            }
        }
    }
}
