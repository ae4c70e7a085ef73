//! The operator's commands, as functions that write to where they are told:
//! `sms decode`, `sms encode` and `sms probe`.

mod decode;
mod encode;
mod probe;
#[cfg(test)]
mod tests;

pub use decode::{DecodeArgs, decode};
pub use encode::{EncodeArgs, EncodeError, ValidityArg, encode};
pub use probe::{ProbeArgs, probe};

use std::{io, process::ExitCode};

/// `megamind sms …`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Say what PDUs mean
    Decode(DecodeArgs),
    /// Make the PDUs for a text
    Encode(EncodeArgs),
    /// Find out what a modem is and whether it works
    Probe(ProbeArgs),
}

impl Command {
    /// Runs the command. What the operator asked for goes to `out`, what went wrong to `err`.
    pub fn run(&self, out: &mut dyn io::Write, err: &mut dyn io::Write) -> io::Result<ExitCode> {
        match self {
            Self::Decode(args) => decode(args, out),
            Self::Encode(args) => encode(args, out, err),
            Self::Probe(args) => probe(args, out),
        }
    }
}
