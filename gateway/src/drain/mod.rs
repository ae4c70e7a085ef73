//! The drain: gives the upstream what it missed, in order, gently, once in effect.
//!
//! [`worker`] decides what is sent when, [`replay`] sends one entry, [`verdict`] says what an answer means,
//! [`pace`] how fast and how wide, and [`lookup`] asks whether a write of unknown fate arrived.

mod lookup;
mod pace;
mod replay;
mod verdict;
mod worker;

pub(crate) use worker::drain;
