//! The upstream: its servers, their addresses, and one way to exchange a request for an answer.

mod coding;
mod exchange;
mod failure;
mod idle;
mod servers;

pub(crate) use coding::{decoded, decoded_from};
pub(crate) use exchange::{Answer, Call, Exchanger, Stream, retry_after};
pub(crate) use failure::{Applied, Failure, FailureTest, Reason, Subject, media_type, refuses_content};
pub(crate) use servers::{Servers, Tried};
