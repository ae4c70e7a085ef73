//! The measurements of the project, one subcommand each.
//!
//! `cargo run --release -p megamind-bench -- NAME [--data DIR] [--json]`
//!
//! A figure is only worth something beside another one of the same run, so every subcommand
//! prints ratios next to absolute numbers, and nothing here is an assertion: tests do not
//! measure time, and the bench does not fail because a machine is slow.

mod report;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::report::Report;

#[derive(Debug, Parser)]
#[command(name = "megamind-bench", about = "Measures MegaMind against its yardsticks")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
    #[command(flatten)]
    settings: Settings,
}

/// What every measurement understands.
#[derive(Debug, clap::Args)]
struct Settings {
    /// Print one JSON object instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// Where the public data sets are (folders such as `mdrp/`).
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// One measurement each; the code of `NAME` is in the module `NAME`.
#[derive(Debug, Subcommand)]
enum Bench {}

fn main() -> anyhow::Result<()> {
    let Cli { bench, settings } = Cli::parse();
    let report: Report = match bench {};
    report.print(settings.json);
    Ok(())
}
