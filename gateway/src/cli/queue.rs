//! `megamind queue`.

use std::{env, io::IsTerminal, path::Path};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use megamind_conf::Config;
use serde_json::{Value, json};

use super::{keeping, remote::Remote};

/// What is done with the queue.
#[derive(Debug, Subcommand)]
pub(super) enum QueueAction {
    /// List entries, one a line.
    #[command(after_help = "Example: megamind queue list --state parked --status 422")]
    List {
        /// Which ones.
        #[arg(long, default_value = "pending")]
        state: QueueState,
        /// Only those whose path contains this.
        #[arg(long = "path", value_name = "PART")]
        within: Option<String>,
        /// Only those that were refused with this status.
        #[arg(long)]
        status: Option<u16>,
        /// So many at most.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show entries whole.
    #[command(after_help = "Example: megamind queue show 4711")]
    Show {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<u64>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Send parked entries again: with a new key after a definite refusal, with the old one where the upstream may
    /// have applied them.
    #[command(after_help = "Example: megamind queue retry 4711 4712    # or: megamind queue retry --all-parked")]
    Retry {
        #[command(flatten)]
        which: Which,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Say that Oblivion has an entry, which is not sent again then: what its own staff or log tells.
    #[command(after_help = "Example: megamind queue acknowledge 4711 --upstream-id OB-7 --why 'found in its log'")]
    Acknowledge {
        /// Its id.
        id: u64,
        /// Of a placeOrder: the id that Oblivion gave to the order.
        #[arg(long, value_name = "ID")]
        upstream_id: Option<String>,
        /// Who says so; journaled. Without it, the user who types this.
        #[arg(long, default_value_t = operator(), hide_default_value = true)]
        who: String,
        /// How it is known; journaled.
        #[arg(long)]
        why: String,
        /// A JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Never send entries. With a placeOrder goes all of its order, which is called off.
    #[command(after_help = "Example: megamind queue discard 4711 --why 'placed by phone instead'")]
    Discard {
        #[command(flatten)]
        which: Which,
        /// Who says so; journaled. Without it, the user who types this.
        #[arg(long, default_value_t = operator(), hide_default_value = true)]
        who: String,
        /// Why; journaled.
        #[arg(long)]
        why: String,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// After a restore: send what waits.
    Release {
        /// Who says so; journaled. Without it, the user who types this.
        #[arg(long, default_value_t = operator(), hide_default_value = true)]
        who: String,
    },
    /// Print what waits and what is parked, whole, one JSON object a line; without credentials.
    Export,
}

/// Which entries.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Their ids.
    ids: Vec<u64>,
    /// All that are parked.
    #[arg(long)]
    all_parked: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum QueueState {
    Pending,
    Parked,
    Done,
}

/// Entries that are asked for at once.
const PAGE: usize = 1000;

/// Does what was asked.
pub(super) fn queue(path: &Path, config: &Config, action: &QueueAction) -> anyhow::Result<()> {
    let remote = Remote::of(path, config)?;
    match action {
        QueueAction::List { state, within, status, limit, json } => {
            let word = match state {
                QueueState::Pending => "pending",
                QueueState::Parked => "parked",
                QueueState::Done => "done",
            };
            let mut filter = String::new();
            if let Some(within) = within {
                let path = percent_encoding::utf8_percent_encode(within, percent_encoding::NON_ALPHANUMERIC);
                filter = format!("{filter}&path={path}");
            }
            if let Some(status) = status {
                filter = format!("{filter}&status={status}");
            }
            print_list(&listed(&remote, word, &filter, *limit)?, *json);
            Ok(())
        }
        QueueAction::Show { ids, json } => {
            for id in ids {
                let entry = remote
                    .get(&format!("/admin/queue/{id}"))
                    .with_context(|| format!("entry {id}"))?;
                if *json { println!("{entry}") } else { print_whole(&entry) }
            }
            Ok(())
        }
        QueueAction::Retry { which, json } => settle(&remote, which, "retry", &json!({}), *json),
        QueueAction::Acknowledge { id, upstream_id, who, why, json } => {
            let body = json!({"who": who, "why": why, "upstreamId": upstream_id});
            settle(&remote, &Which { ids: vec![*id], all_parked: false }, "acknowledge", &body, *json)
        }
        QueueAction::Discard { which, who, why, json } => {
            settle(&remote, which, "discard", &json!({"who": who, "why": why}), *json)
        }
        QueueAction::Release { who } => keeping::release(&remote, who),
        QueueAction::Export => keeping::export(&remote),
    }
}

/// The user who types the command, also behind `sudo`.
pub(super) fn operator() -> String {
    let mut names = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| env::var(name).ok());
    names.find(|name| !name.is_empty()).unwrap_or_else(|| "operator".to_owned())
}

/// All entries of a state, page by page.
fn listed(remote: &Remote, state: &str, filter: &str, limit: usize) -> anyhow::Result<Vec<Value>> {
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let page = remote.get(&format!("/admin/queue?limit={PAGE}&state={state}&after={after}{filter}"))?;
        entries.extend(page.get("entries").and_then(Value::as_array).cloned().unwrap_or_default());
        let next = page.get("next").and_then(Value::as_u64);
        match next {
            Some(next) if entries.len() < limit => after = next,
            _ => break,
        }
    }
    entries.truncate(limit);
    Ok(entries)
}

/// Settles each; those that fail are named, and the rest is done all the same.
fn settle(remote: &Remote, which: &Which, action: &str, body: &Value, as_json: bool) -> anyhow::Result<()> {
    let ids = if which.all_parked {
        let parked = listed(remote, "parked", "", usize::MAX)?;
        parked.iter().filter_map(|entry| entry.get("id")?.as_u64()).collect()
    } else {
        which.ids.clone()
    };
    let mut failed = 0;
    for id in &ids {
        match remote.post(&format!("/admin/queue/{id}/{action}"), body) {
            Ok(done) if as_json => println!("{done}"),
            Ok(_) if action == "retry" => println!("{id} will be sent again"),
            Ok(_) if action == "acknowledge" => println!("{id} is settled: Oblivion has it"),
            Ok(_) => println!("{id} will never be sent"),
            // It went with the placeOrder that was discarded before it.
            Err(error) if which.all_parked && error.to_string().contains("409") => {}
            Err(error) => {
                failed += 1;
                eprintln!("{id}: {error:#}");
            }
        }
    }
    if ids.is_empty() && !as_json {
        println!("nothing is parked");
    }
    if failed > 0 {
        bail!("{failed} of {} entries are as they were", ids.len());
    }
    Ok(())
}

fn text(entry: &Value, name: &str) -> String {
    match entry.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn print_list(entries: &[Value], as_json: bool) {
    if as_json {
        for entry in entries {
            println!("{entry}");
        }
        return;
    }
    if entries.is_empty() {
        println!("nothing is there");
        return;
    }
    if std::io::stdout().is_terminal() {
        println!("{:>10}  {:<24}  {:>8}  {:>6}  PATH", "ID", "SINCE", "ATTEMPTS", "STATUS");
    }
    for entry in entries {
        let why = match text(entry, "lastError") {
            none if none == "-" => String::new(),
            why => format!("  {why}"),
        };
        println!(
            "{:>10}  {:<24}  {:>8}  {:>6}  {}{why}",
            text(entry, "id"),
            text(entry, "at"),
            text(entry, "attempts"),
            text(entry, "lastStatus"),
            text(entry, "path"),
        );
    }
}

fn print_whole(entry: &Value) {
    let target = match text(entry, "query") {
        none if none == "-" => text(entry, "path"),
        query => format!("{}?{query}", text(entry, "path")),
    };
    println!("entry     {} ({})", text(entry, "id"), text(entry, "state"));
    println!("since     {}", text(entry, "at"));
    println!("request   {} {target}", text(entry, "method"));
    println!("key       {}", text(entry, "idempotencyKey"));
    println!("attempts  {}", text(entry, "attempts"));
    println!("last      {} {}", text(entry, "lastStatus"), text(entry, "lastError"));
    println!("body      {}", text(entry, "body"));
}
