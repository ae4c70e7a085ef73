//! A small HTTP/1.1 client, as strict as a client can be: every answer is checked, byte by byte.

mod answer;
mod check;
mod client;
mod request;
mod wire;

pub use answer::Answer;
pub use client::{Client, Transport};
pub use request::Request;

/// Why an exchange is not what it must be.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The connection could not be opened, or broke.
    #[error("the connection: {0}")]
    Io(#[from] std::io::Error),
    /// The server closed the connection where an answer was due.
    #[error("the connection was closed before the answer was whole")]
    Closed,
    /// The answer is not HTTP, or not what the gateway promises of every answer.
    #[error("not a good answer: {0}")]
    Violation(String),
}

/// Whose answers are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The gateway's public listener: everything that it promises is checked.
    Gateway,
    /// Anybody else: only HTTP is.
    Other,
}
