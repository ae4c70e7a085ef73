//! Who speaks. A sender's number can be forged, so it only says whose secret is meant; a code proves that the sender
//! has it. Pure: what is to be remembered is a value that the caller keeps.

mod code;
mod enrolment;
mod guard;
mod number;
#[cfg(test)]
mod tests;

pub use code::{CARD, Secret, app_code, hand_code};
pub use enrolment::{Answered, Enrolment, Proof, Seen, UNDO_WITHIN, WINDOW};
pub use guard::{Guard, LOCKED_FOR, Verdict};
pub use number::{Country, normalised};
