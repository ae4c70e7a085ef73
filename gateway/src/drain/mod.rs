//! The drain: gives the upstream what it missed, in order, gently, once in effect.
//!
//! [`worker`] decides what is sent when, [`plan`] what goes together, [`replay`] sends one entry and [`bundle`] many,
//! [`verdict`] says what an answer means, [`pace`] how fast and how wide, [`live`] whether others suffer, [`circuit`]
//! when it makes no sense to go on, [`gate`] how many are under way, [`items`] what was said about each item of a client's
//! bulk request, [`lookup`] asks whether a
//! write of unknown fate arrived, [`audit`] compares afterwards, [`view`] shows it to the operator.

mod audit;
mod bundle;
mod circuit;
mod gate;
mod items;
mod live;
mod lookup;
mod pace;
mod plan;
mod replay;
mod verdict;
mod view;
mod worker;

pub(crate) use live::Live;
pub(crate) use replay::{arrival, outgoing};
pub(crate) use view::{Note, View};
pub(crate) use worker::drain;
