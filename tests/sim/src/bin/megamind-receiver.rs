//! A pilot's app or a merchant's service as a program of its own.

use clap::Parser;
use megamind_sim::receiver::{Options, run};

#[derive(Debug, Parser)]
#[command(name = "megamind-receiver", about = "Takes calls, and can be broken on purpose")]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    run(&Cli::parse().options)
}
