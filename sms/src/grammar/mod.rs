//! What pilots write and what they read. Pure: texts in, values out, and back.
//!
//! ```text
//! request = cmd *(SP arg) SP seq SP code [SP note]
//! reply   = "#" seq SP ("OK" | "E" SP error) [SP n "/" m] *(SP field)
//! ```

mod fit;
mod parse;
mod place;
mod reply;
mod templates;
#[cfg(test)]
mod tests;

pub use fit::{fits, septets, shorten, transliterate};
pub use parse::{MAX_TEXT, parse};
pub use place::{Place, plus_code};
pub use reply::{OrderLine, Stop, Trouble, confirmed, order, refused, said};
pub use templates::{Kind, Template, Templates, TemplatesError};

/// What a pilot wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `A`: what is my next order?
    Next,
    /// `T id`: where is the order?
    Track(String),
    /// `P id`: picked up.
    PickedUp(String),
    /// `D id [pin] [amount]`: delivered.
    Delivered {
        /// Which order.
        order: String,
        /// The customer's proof code.
        pin: Option<String>,
        /// Cash that was taken, a decimal number.
        amount: Option<String>,
    },
    /// `F id reason`: failed.
    Failed {
        /// Which order.
        order: String,
        /// Why.
        reason: String,
    },
    /// `J id`: handed to another.
    Rejected(String),
    /// `L geo`: here I am.
    Here(Place),
    /// `S state`: whether the pilot takes orders.
    State(State),
    /// `N`: the next part of a long answer.
    More,
    /// `U seq`: undo what was sent with that number.
    Undo(u32),
    /// `H`: help.
    Help,
}

impl Command {
    /// Whether it changes anything.
    pub fn is_change(&self) -> bool {
        !matches!(self, Self::Next | Self::Track(_) | Self::More | Self::Help)
    }

    /// Whether it reports a fact, which is taken however late it comes.
    pub fn is_fact(&self) -> bool {
        matches!(self, Self::PickedUp(_) | Self::Delivered { .. } | Self::Failed { .. })
    }

    /// Whether nothing is answered as long as all is well: prepaid SIMs pay for every answer.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Here(_) | Self::State(_) | Self::PickedUp(_))
    }
}

/// Whether a pilot takes orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Takes orders.
    Available,
    /// Takes none now.
    Busy,
    /// Not at work.
    Offline,
}

impl State {
    /// The word on the wire of the HTTP interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }
}

/// A message that is a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub command: Command,
    /// The pilot's number of this message. It grows.
    pub seq: u32,
    /// Six characters that prove who speaks, in capitals.
    pub code: String,
    /// What stands after the code.
    pub note: Option<String>,
    /// The canonical body: command and arguments in capitals, one space between. This is what a code signs.
    pub body: String,
}

/// Why a text is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not begin with a command's letter.
    #[error("no command")]
    NotACommand,
    /// It begins like a command and does not go on like one.
    #[error("not of the command's form")]
    Malformed,
    /// It is longer than any command.
    #[error("too long")]
    TooLong,
    /// Command, arguments, number or code have characters outside ASCII.
    #[error("characters outside ASCII")]
    Alphabet,
}
