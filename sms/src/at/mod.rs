//! The AT dialogue of 3GPP TS 27.005 and 27.007, without IO: bytes in; answers, result codes,
//! prompts and unsolicited codes out.

mod digester;
mod error;
mod fields;
#[cfg(test)]
mod tests;
mod urc;

pub use digester::{Answer, Digester, Event, Expect, ResultCode};
pub use error::{CmeError, CmsError};
pub use fields::{Fields, fields};
pub use urc::{Registration, Urc};

/// Ends the text that follows a prompt.
pub const CTRL_Z: u8 = 0x1A;
/// Aborts a prompt, or a command that some modems still work on.
pub const ESC: u8 = 0x1B;
