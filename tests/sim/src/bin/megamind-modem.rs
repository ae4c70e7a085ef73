//! The emulated modem as a program of its own.

use clap::Parser;
use megamind_sim::modem::{Options, run};

#[derive(Debug, Parser)]
#[command(name = "megamind-modem", about = "Emulates a GSM modem")]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    run(&Cli::parse().options)
}
