//! Stand-ins for the world outside of the gateway, for tests, demonstrations and trying out.
//!
//! * [`oblivion`]: the cloud service, as a process of its own that can be broken on purpose.
//! * [`receiver`]: a pilot's app or a merchant's service.
//! * [`chaos`]: a TCP proxy that loses, delays and cuts what passes.

pub mod chaos;
pub mod modem;
pub mod oblivion;
pub mod receiver;
