//! The end-to-end harness: the gateway and a stand-in cloud as real processes on the loopback
//! interface, and a client whose every answer goes through one strict checker.
//!
//! A test starts a [`City`], breaks what it wants to break, and asks. Nothing here judges by time:
//! what has to happen is awaited by [`wait::until`], with a deadline that only a broken gateway
//! reaches.

pub mod binary;
pub mod city;
pub mod clock;
pub mod cloud;
pub mod dialect;
pub mod disk;
pub mod gateway;
pub mod http;
pub mod load;
pub mod ports;
pub mod process;
pub mod random;
pub mod receiver;
pub mod tls;
pub mod wait;

pub use city::City;
pub use cloud::Cloud;
pub use dialect::Dialect;
pub use gateway::Gateway;
pub use http::{Answer, Client, Request};
pub use receiver::Receiver;

/// Says that a test is skipped, and why. Written to standard error itself, since `cargo test` keeps
/// to itself what a passing test prints.
pub fn skipped(why: &str) {
    use std::io::Write as _;
    // Nobody to tell it to is no reason to fail.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
