//! The deliveries of a city, from outside: requests, decisions, events and rows.

mod calls;
mod dispatching;
mod golden;
mod import;
mod in_doubt;
mod numbers;
mod problems;
mod properties;
mod retiring;
mod scenarios;
mod support;
