//! The measurements of the project, one subcommand each.
//!
//! `cargo run --release -p megamind-bench -- NAME [--data DIR] [--json]`
//!
//! A figure is only worth something beside another one of the same run, so every subcommand
//! prints ratios next to absolute numbers, and nothing here is an assertion: tests do not
//! measure time, and the bench does not fail because a machine is slow.

mod acting;
mod assign;
mod client;
mod contender;
mod drain;
mod figures;
mod forward;
mod frame;
mod gateway;
mod load;
mod mdrp;
mod memory;
mod outage;
mod process;
mod report;
mod series;
mod sms;
mod upstream;
mod waiting;
mod workload;

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
enum Bench {
    /// Forwarding, as a ratio to a bare Pingora proxy, with other proxies beside it.
    Forward(forward::Options),
    /// Orders a second while the cloud is gone, each on disk before it is answered.
    Acting(acting::Options),
    /// What clients feel when the cloud is killed, and when it hangs.
    Outage(outage::Options),
    /// How fast a queue goes back to the cloud, and what live traffic feels of it.
    Drain(drain::Options),
    /// Memory at rest and with a long queue, and how long opening that takes.
    Memory(memory::Options),
    /// Dispatch over the public Meal Delivery Routing Problem instances.
    Mdrp(mdrp::Options),
    /// Linear assignment beside other solvers.
    Assign(assign::Options),
    /// Messages through one modem, in and out.
    Sms(sms::Options),
    /// Pilots' apps that wait for news: memory, time to the news, and what others feel.
    Waiting(waiting::Options),
}

fn main() -> anyhow::Result<()> {
    let Cli { bench, settings } = Cli::parse();
    let report: Report = match bench {
        Bench::Forward(options) => forward::run(&options)?,
        Bench::Acting(options) => acting::run(&options)?,
        Bench::Outage(options) => outage::run(&options)?,
        Bench::Drain(options) => drain::run(&options)?,
        Bench::Memory(options) => memory::run(&options)?,
        // Its JSON is read by a gate and has a form of its own.
        Bench::Mdrp(options) => {
            return mdrp::run(&options, settings.data.as_deref(), settings.json);
        }
        Bench::Assign(options) => assign::run(&options)?,
        Bench::Sms(options) => sms::run(&options)?,
        Bench::Waiting(options) => waiting::run(&options)?,
    };
    report.print(settings.json);
    Ok(())
}
