//! A failover proxy for any [`Domain`]: it forwards to an upstream and watches; while the upstream fails, the domain's
//! handlers answer and every write is journaled; when it is back, the drain replays what it missed.
//!
//! [`Gateway`] is what a Pingora server of anybody's adds to itself; `examples/shop.rs` is one. The binary `megamind` is
//! another, with deliveries as its domain.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`proxy`] | the story of one request |
//! | [`modes`] | the pure state machine of forwarding, acting, recovering, draining, and its driver |
//! | [`health`] | active checks |
//! | [`upstream`] | servers, one way to exchange a request, the one test of failure |
//! | [`drain`] | replaying the queue |
//! | [`ids`], [`outbound`], [`keys`] | local ids in requests and answers; requests as they go out; idempotency keys |
//! | [`admin`] | the operator's listener |
//! | [`tasks`] | supervised background tasks |
//!
//! [`Domain`]: megamind_domain::Domain

mod admin;
mod ahead;
mod backup;
mod bootstrap;
mod carrier;
mod core;
mod credentials;
mod drain;
mod gateway;
mod handback;
mod handle;
mod health;
mod ids;
mod in_flight;
mod keys;
mod listen;
mod log;
mod metrics;
pub mod modes;
mod outbound;
mod proxy;
mod recall;
mod refresh;
mod tasks;
mod upstream;

pub use admin::Admin;
pub use ahead::Work;
pub use carrier::{Carried, Carrier, NotCarried};
pub use credentials::Vault;
pub use gateway::{Builder, Census, Gateway, StartError};
pub use handback::{Handback, Member, Merged, PartSaid, Said, Told};
pub use handle::{Asked, Handle, PageAnswer, PageError};
pub use listen::{Listeners, PortError};
pub use proxy::Proxy;
