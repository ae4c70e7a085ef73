//! The deliveries of a city, from outside: requests, decisions, events and rows.

mod calls;
mod golden;
mod import;
mod problems;
mod properties;
mod scenarios;
mod support;
