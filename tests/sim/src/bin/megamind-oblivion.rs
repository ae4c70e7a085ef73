//! The stand-in cloud alone, for tests that do not need the gateway's binary.

use clap::Parser;
use megamind_sim::oblivion::{self, Options};

/// A stand-in for Oblivion that can be broken on purpose.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    oblivion::run(&Cli::parse().options)
}
