//! The paths that are answered here.

use megamind_domain::{Access, Endpoint, Policy, RouteSpec};

use crate::dialect::Dialect;

/// Declares the endpoints with their canonical path, policy and access.
macro_rules! endpoints {
    ($($variant:ident = $path:literal, $policy:ident, $access:ident;)*) => {
        /// An endpoint of the public interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Route { $($variant,)* }

        impl Route {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The path in the default dialect.
            pub(crate) fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)* }
            }

            fn policy(self) -> Policy {
                match self { $(Self::$variant => Policy::$policy,)* }
            }

            /// Whether it is a write.
            pub(crate) fn access(self) -> Access {
                match self { $(Self::$variant => Access::$access,)* }
            }
        }
    };
}

endpoints! {
    PlaceOrder = "/placeOrder", Act, Write;
    TrackOrder = "/trackOrder", Act, Read;
    UpdateOrder = "/updateOrder", Act, Write;
    CancelOrder = "/cancelOrder", Act, Write;
    CancelOrderll = "/cancelOrderll", Act, Write;
    Score = "/score", Act, Read;
    GeneralInfo = "/updatemaster/ind/generalinfo", Act, Write;
    GeneralInfos = "/updatemaster/bulk/generalinfo", Act, Write;
    DeliveryInfo = "/updatemaster/ind/deliveryInfo", Act, Write;
    DeliveryInfos = "/updatemaster/bulk/deliveryInfo", Act, Write;
    Assign = "/ind/assigntominion", Local, Write;
    AssignMany = "/bulk/assigntominions", Local, Write;
    GetPilot = "/ind/getminiongeneralinfo", Local, Read;
    GetPilots = "/bulk/getminionsgeneralinfo", Local, Read;
    GetDelivery = "/ind/getminiondeliveryinfo", Local, Read;
    GetDeliveries = "/bulk/getminionsdeliveryinfo", Local, Read;
    SetPilot = "/ind/setminiongeneralinfo", Local, Write;
    SetPilots = "/bulk/setminionsgeneralinfo", Local, Write;
}

impl Route {
    /// The route behind an endpoint's number.
    pub(crate) fn of(endpoint: Endpoint) -> Option<Self> {
        Self::ALL.get(usize::from(endpoint.0)).copied()
    }

    /// The endpoint's number.
    pub(crate) fn endpoint(self) -> Endpoint {
        Endpoint(self as u16)
    }
}

/// The table of routes in a dialect.
pub(crate) fn table(dialect: &Dialect) -> Vec<RouteSpec> {
    let spec = |route: &Route| RouteSpec {
        path: dialect.path(route.path()),
        name: route.path().trim_start_matches('/'),
        endpoint: route.endpoint(),
        policy: route.policy(),
        creates: matches!(route, Route::PlaceOrder),
        access: route.access(),
    };
    Route::ALL.iter().map(spec).collect()
}
