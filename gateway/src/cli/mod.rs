//! The command line: every command is defined here, and does its work in a module of its name.

mod check;
mod deliveries;
mod import;
mod keeping;
mod logging;
mod manual;
mod outbox;
mod queue;
mod remote;
mod run;
mod sms;

use std::{
    io::{stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use megamind_conf::{Config, Diagnostic};

/// Where the configuration is looked for when no file is named.
const PLACES: [&str; 2] = ["conf/megamind.toml", "/etc/megamind/megamind.toml"];

/// Keeps a city's deliveries running when its cloud is gone.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "megamind", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    #[command(after_help = "Example: megamind run --config /etc/megamind/megamind.toml")]
    Run(ConfigFile),
    /// Check a configuration file and name every mistake in it.
    #[command(after_help = "Example: megamind check --config conf/megamind.toml --json")]
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// One JSON object a mistake, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Show what a running gateway is doing.
    #[command(after_help = "Example: megamind status --json")]
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// The whole status as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the mode of a running gateway, or force one for planned maintenance.
    #[command(after_help = "Example: megamind mode act    # and later: megamind mode auto")]
    Mode {
        /// `auto`: the checks decide. `act`: stand in. `forward`: send everything on.
        order: Option<ModeOrder>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// The queue of a running gateway, and what is parked in it.
    #[command(after_help = "Example: megamind queue list --state parked")]
    Queue {
        #[command(subcommand)]
        action: queue::QueueAction,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Copy the journal of a running gateway into a new file, complete as of one moment.
    #[command(after_help = "Example: megamind backup /var/backups/blr.db")]
    Backup {
        /// The file to make; there must be none of that name.
        file: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Bring a copy back as the journal, while no gateway runs. What is queued in it waits for `megamind queue release`.
    #[command(after_help = "Example: megamind restore /var/backups/blr.db --config /etc/megamind/megamind.toml")]
    Restore {
        /// A file that `megamind backup` or `[backup]` made.
        #[arg(value_parser = keeping::existing)]
        file: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Tell a running gateway what it should know: pilots or orders from a CSV file.
    #[command(after_help = "Example: megamind import pilots pilots.csv")]
    Import {
        /// What the file holds.
        kind: ImportKind,
        /// A CSV file whose first line names the fields.
        file: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Calls to pilots and merchants that are owed, and those that wait for the operator.
    #[command(after_help = "Example: megamind calls list --state parked")]
    Calls {
        #[command(subcommand)]
        action: outbox::CallsAction,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Merchants whose services are told about their orders.
    #[command(
        after_help = "Example: megamind merchant set M1 --callback-url https://m1.example.com/hooks \
        --secret-file /etc/megamind/m1.secret"
    )]
    Merchant {
        #[command(subcommand)]
        action: outbox::MerchantAction,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// What is known of a pilot.
    #[command(after_help = "Example: megamind pilot set P17 --name Asha --phone +918022223333 --status available")]
    Pilot {
        #[command(subcommand)]
        action: PilotAction,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Run a stand-in for the cloud, which can be broken on purpose.
    #[command(after_help = "Example: megamind oblivion --listen 127.0.0.1:8081\n\
        then:    curl -X POST 127.0.0.1:8081/__fault -d '{\"kind\":\"hang\"}'")]
    Oblivion(megamind_sim::oblivion::Options),
    /// Emulate a GSM modem on a pseudo-terminal and a TCP port, for those without hardware.
    #[command(
        name = "modem-sim",
        after_help = "Example: megamind modem-sim --pty /tmp/modem0    # then: megamind sms probe /tmp/modem0"
    )]
    ModemSim(megamind_sim::modem::Options),
    /// Write the manual pages, one a command, from the same definitions as `--help`.
    #[command(after_help = "Example: megamind man /usr/local/share/man/man1")]
    Man {
        /// The folder to write them to; it must exist.
        folder: PathBuf,
    },
    /// Print the completions for a shell.
    #[command(after_help = "Example: megamind completions bash > /etc/bash_completion.d/megamind")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Short messages: the modems of a running gateway and what they carry; PDUs taken apart and put together.
    #[command(after_help = "Example: megamind sms status")]
    Sms {
        #[command(subcommand)]
        action: sms::SmsAction,
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// Which configuration.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file; without it conf/megamind.toml, else /etc/megamind/megamind.toml.
    #[arg(long = "config", value_name = "FILE", global = true)]
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeOrder {
    Auto,
    Act,
    Forward,
}

#[derive(Debug, Subcommand)]
enum PilotAction {
    /// Register a pilot, or change what is given.
    Set(outbox::PilotSet),
    /// Let a pilot write by SMS: prints a new secret, as text and as a QR code for authenticator apps.
    Enrol(sms::Enrol),
    /// Print a card of 100 codes, for a pilot without an app.
    Card {
        /// The pilot's id.
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ImportKind {
    Pilots,
    Orders,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Run(config) => run::run(&config.path()),
            Command::Check { config, json } => return check::check(&config.path(), json),
            Command::Status { config, json } => remote::status(&config.path(), json),
            Command::Mode { order, config } => remote::mode(&config.path(), order),
            Command::Queue { action, config } => {
                let path = config.path();
                load(&path).and_then(|loaded| queue::queue(&path, &loaded, &action))
            }
            Command::Backup { file, config } => keeping::backup(&config.path(), &file),
            Command::Restore { file, config } => keeping::restore(&config.path(), &file),
            Command::Import { kind, file, config } => import::import(&config.path(), kind, &file),
            Command::Calls { action, config } => outbox::calls(&config.path(), &action),
            Command::Merchant { action, config } => outbox::merchant(&config.path(), &action),
            Command::Pilot { action, config } => match action {
                PilotAction::Set(set) => outbox::pilot(&config.path(), &set),
                PilotAction::Enrol(enrol) => sms::enrol(&config.path(), &enrol),
                PilotAction::Card { id } => sms::card(&config.path(), &id),
            },
            Command::Oblivion(options) => {
                logging::start(&logging::plain());
                megamind_sim::oblivion::run(&options)
            }
            Command::ModemSim(options) => {
                logging::start(&logging::plain());
                megamind_sim::modem::run(&options)
            }
            Command::Man { folder } => manual::pages(&folder),
            Command::Completions { shell } => manual::completions(shell),
            Command::Sms { action: sms::SmsAction::Tools(tool), .. } => {
                return tool
                    .run(&mut stdout().lock(), &mut stderr().lock())
                    .unwrap_or(ExitCode::FAILURE);
            }
            Command::Sms { action, config } => sms::sms(&config.path(), &action),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("megamind: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

impl ConfigFile {
    /// The file named, or the first of [`PLACES`] that is there, or the first of them.
    fn path(&self) -> PathBuf {
        let found = || PLACES.iter().map(Path::new).find(|path| path.exists());
        match &self.path {
            Some(path) => path.clone(),
            None => found().unwrap_or(Path::new(PLACES[0])).to_owned(),
        }
    }
}

/// The configuration, or all its mistakes as one error.
fn load(path: &Path) -> anyhow::Result<Config> {
    megamind_conf::load(path).map_err(|mistakes| told(&mistakes))
}

fn told(mistakes: &[Diagnostic]) -> anyhow::Error {
    let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the configuration has mistakes\n{}", lines.join("\n"))
}
