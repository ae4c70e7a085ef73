//! The endpoints of the cloud, split by whether they change something.

use serde::{Deserialize, Serialize};

/// An endpoint that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    TrackOrder,
    FindOrder,
    Score,
    /// All orders, in full.
    Orders,
    /// All pilots.
    Minions,
}

/// An endpoint whose requests have an effect. Its name is what the durable log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Write {
    #[serde(rename = "/placeOrder")]
    PlaceOrder,
    #[serde(rename = "/updateOrder")]
    UpdateOrder,
    #[serde(rename = "/cancelOrder")]
    CancelOrder,
    /// The same command under a second path.
    #[serde(rename = "/cancelOrderll")]
    CancelOrderll,
    #[serde(rename = "/updatemaster/ind/generalinfo")]
    GeneralInfo,
    #[serde(rename = "/updatemaster/bulk/generalinfo")]
    GeneralInfoBulk,
    #[serde(rename = "/updatemaster/ind/deliveryInfo")]
    DeliveryInfo,
    #[serde(rename = "/updatemaster/bulk/deliveryInfo")]
    DeliveryInfoBulk,
    /// A page of the catalogue, replaced.
    #[serde(rename = "/catalogue/*")]
    Catalogue,
    /// Anything but GET and HEAD to `/echo`.
    #[serde(rename = "/echo")]
    Echo,
}

/// One of the endpoints that speak the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Read(Read),
    Write(Write),
}

impl Endpoint {
    /// Every endpoint that has a path in the dialect's table.
    pub(crate) const ALL: &[Self] = &[
        Self::Write(Write::PlaceOrder),
        Self::Read(Read::TrackOrder),
        Self::Write(Write::UpdateOrder),
        Self::Write(Write::CancelOrder),
        Self::Write(Write::CancelOrderll),
        Self::Read(Read::FindOrder),
        Self::Read(Read::Score),
        Self::Read(Read::Orders),
        Self::Read(Read::Minions),
        Self::Write(Write::GeneralInfo),
        Self::Write(Write::GeneralInfoBulk),
        Self::Write(Write::DeliveryInfo),
        Self::Write(Write::DeliveryInfoBulk),
    ];

    /// The canonical path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Read(Read::TrackOrder) => "/trackOrder",
            Self::Read(Read::FindOrder) => "/findOrder",
            Self::Read(Read::Score) => "/score",
            Self::Read(Read::Orders) => "/orders",
            Self::Read(Read::Minions) => "/minions",
            Self::Write(write) => write.path(),
        }
    }
}

impl Write {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::PlaceOrder => "/placeOrder",
            Self::UpdateOrder => "/updateOrder",
            Self::CancelOrder => "/cancelOrder",
            Self::CancelOrderll => "/cancelOrderll",
            Self::GeneralInfo => "/updatemaster/ind/generalinfo",
            Self::GeneralInfoBulk => "/updatemaster/bulk/generalinfo",
            Self::DeliveryInfo => "/updatemaster/ind/deliveryInfo",
            Self::DeliveryInfoBulk => "/updatemaster/bulk/deliveryInfo",
            Self::Catalogue => "/catalogue/*",
            Self::Echo => "/echo",
        }
    }
}
