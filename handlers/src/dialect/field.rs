//! The members and words of the public interface, by their canonical names.

/// Declares an enum of names with their canonical text.
macro_rules! names {
    ($(#[$doc:meta])* $enum:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $enum { $($variant,)* }

        impl $enum {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the default dialect.
            pub(crate) fn canonical(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

names! {
    /// A member of a request or an answer.
    Field {
        Acceptance = "acceptance",
        AddedSeconds = "addedSeconds",
        Action = "action",
        Address = "address",
        Assignments = "assignments",
        At = "at",
        CallbackUrl = "callbackUrl",
        Candidates = "candidates",
        Capacity = "capacity",
        ClientRef = "clientRef",
        CodAmount = "codAmount",
        CodCollected = "codCollected",
        CashLimit = "cashLimit",
        Code = "code",
        Completion = "completion",
        Contact = "contact",
        Currency = "currency",
        Cursor = "cursor",
        Deliveries = "deliveries",
        Detail = "detail",
        Dropoff = "dropoff",
        Eta = "eta",
        EtaDropoff = "etaDropoff",
        EtaPickup = "etaPickup",
        Feasible = "feasible",
        Freshness = "freshness",
        History = "history",
        Items = "items",
        Known = "known",
        Lat = "lat",
        Limit = "limit",
        Lng = "lng",
        Location = "location",
        MerchantId = "merchantId",
        MinionId = "minionId",
        MinionIds = "minionIds",
        Minions = "minions",
        Name = "name",
        Near = "near",
        OrderId = "orderId",
        Orders = "orders",
        Parts = "parts",
        Phone = "phone",
        Pickup = "pickup",
        PlanVersion = "planVersion",
        Priority = "priority",
        PromisedAt = "promisedAt",
        Proof = "proof",
        Punctuality = "punctuality",
        ReadyAt = "readyAt",
        Reason = "reason",
        Reasons = "reasons",
        RequestId = "requestId",
        Results = "results",
        Score = "score",
        ShiftEnd = "shiftEnd",
        Since = "since",
        Status = "status",
        Vehicle = "vehicle",
        Vehicles = "vehicles",
        Version = "version",
        Wait = "wait",
    }
}

names! {
    /// A status of an order, a delivery or a pilot.
    Word {
        Unknown = "unknown",
        Placed = "placed",
        Assigned = "assigned",
        Accepted = "accepted",
        Rejected = "rejected",
        Lapsed = "lapsed",
        ArrivedAtPickup = "arrived_at_pickup",
        PickedUp = "picked_up",
        ArrivedAtDropoff = "arrived_at_dropoff",
        Delivered = "delivered",
        Failed = "failed",
        Cancelled = "cancelled",
        Available = "available",
        Busy = "busy",
        Offline = "offline",
    }
}

impl From<crate::order::Status> for Word {
    fn from(status: crate::order::Status) -> Self {
        use crate::order::Status;
        match status {
            Status::Unknown => Self::Unknown,
            Status::Placed => Self::Placed,
            Status::Assigned => Self::Assigned,
            Status::Accepted => Self::Accepted,
            Status::ArrivedAtPickup => Self::ArrivedAtPickup,
            Status::PickedUp => Self::PickedUp,
            Status::ArrivedAtDropoff => Self::ArrivedAtDropoff,
            Status::Delivered => Self::Delivered,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

impl From<crate::pilot::Availability> for Word {
    fn from(availability: crate::pilot::Availability) -> Self {
        use crate::pilot::Availability;
        match availability {
            Availability::Unknown => Self::Unknown,
            Availability::Available => Self::Available,
            Availability::Busy => Self::Busy,
            Availability::Offline => Self::Offline,
        }
    }
}

impl Word {
    /// The status of an order with this name.
    pub(crate) fn status(self) -> Option<crate::order::Status> {
        crate::order::Status::ALL.into_iter().find(|&status| Self::from(status) == self)
    }
}
