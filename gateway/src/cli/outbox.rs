//! `megamind calls`, `megamind merchant` and `megamind pilot`: what is told to whom.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{queue::operator, remote::Remote};

/// `megamind calls`.
#[derive(Debug, Subcommand)]
pub(super) enum CallsAction {
    /// List calls that are owed.
    List {
        /// Only these.
        #[arg(long)]
        state: Option<CallState>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a call with its body.
    Show {
        /// Its id.
        id: u64,
    },
    /// Make parked calls again.
    Retry {
        /// Their ids.
        #[arg(required_unless_present = "all_parked")]
        ids: Vec<u64>,
        /// All that are parked.
        #[arg(long)]
        all_parked: bool,
    },
    /// Never make calls.
    Discard {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<u64>,
        /// Who says so; journaled. Without it, the user who types this.
        #[arg(long, default_value_t = operator(), hide_default_value = true)]
        who: String,
        /// Why; journaled.
        #[arg(long)]
        why: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CallState {
    Due,
    Parked,
}

/// `megamind merchant`.
#[derive(Debug, Subcommand)]
pub(super) enum MerchantAction {
    /// Register a merchant's service, or change it.
    Set {
        /// The `merchantId` of its orders.
        id: String,
        /// Where its service listens; within `callbacks.allow`.
        #[arg(long)]
        callback_url: String,
        /// A file, readable by the gateway, with the secret that signs the calls (`whsec_…`).
        #[arg(long)]
        secret_file: PathBuf,
    },
    /// List merchants that are called.
    List,
}

/// `megamind pilot set`.
#[derive(Debug, Args)]
pub(super) struct PilotSet {
    /// The pilot's id (`minionId`).
    id: String,
    /// The name for people.
    #[arg(long)]
    name: Option<String>,
    /// The phone number, E.164.
    #[arg(long)]
    phone: Option<String>,
    /// Where the pilot's app listens; within `callbacks.allow`.
    #[arg(long)]
    callback_url: Option<String>,
    /// What the pilot rides.
    #[arg(long)]
    vehicle: Option<String>,
    /// Orders at a time.
    #[arg(long)]
    capacity: Option<u16>,
    /// available, busy or offline.
    #[arg(long)]
    status: Option<String>,
    /// The position, degrees.
    #[arg(long, requires = "lng", allow_negative_numbers = true)]
    lat: Option<f64>,
    /// The position, degrees.
    #[arg(long, requires = "lat", allow_negative_numbers = true)]
    lng: Option<f64>,
}

fn remote(path: &Path) -> anyhow::Result<Remote> {
    Remote::of(path, &super::load(path)?)
}

/// Does what was asked about calls.
pub(super) fn calls(path: &Path, action: &CallsAction) -> anyhow::Result<()> {
    let remote = remote(path)?;
    match action {
        CallsAction::List { state, json } => {
            for call in list(&remote, *state)? {
                if *json {
                    println!("{call}");
                } else {
                    println!("{}", line(&call));
                }
            }
        }
        CallsAction::Show { id } => println!("{:#}", remote.get(&format!("/admin/calls/{id}"))?),
        CallsAction::Retry { ids, all_parked } => {
            let mut ids = ids.clone();
            if *all_parked {
                let parked = list(&remote, Some(CallState::Parked))?;
                ids.extend(parked.iter().filter_map(|call| call.get("id")?.as_u64()));
            }
            for id in ids {
                remote
                    .post(&format!("/admin/calls/{id}/retry"), &json!({}))
                    .with_context(|| format!("call {id}"))?;
                println!("{id} will be made again");
            }
        }
        CallsAction::Discard { ids, who, why } => {
            for id in ids {
                remote
                    .post(&format!("/admin/calls/{id}/discard"), &json!({"who": who, "why": why}))
                    .with_context(|| format!("call {id}"))?;
                println!("{id} will never be made");
            }
        }
    }
    Ok(())
}

/// All calls of a state, page by page.
fn list(remote: &Remote, state: Option<CallState>) -> anyhow::Result<Vec<Value>> {
    let state = match state {
        None => "",
        Some(CallState::Due) => "due",
        Some(CallState::Parked) => "parked",
    };
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().and_then(|call| call.get("id")?.as_u64()).unwrap_or(0);
        let mut page = remote.get(&format!("/admin/calls?limit=1000&after={after}&state={state}"))?;
        let Some(Value::Array(calls)) = page.get_mut("calls").map(Value::take) else {
            return Ok(all);
        };
        if calls.is_empty() {
            return Ok(all);
        }
        all.extend(calls);
    }
}

fn line(call: &Value) -> String {
    let text = |pointer: &str| match call.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    format!(
        "{:<8} {:<6} {} {} {} about {} ({}), {} attempts: {}",
        text("/id"),
        text("/state"),
        text("/target/kind"),
        text("/target/id"),
        text("/path"),
        text("/orderId"),
        text("/channel"),
        text("/attempts"),
        text("/lastError"),
    )
}

/// Does what was asked about merchants.
pub(super) fn merchant(path: &Path, action: &MerchantAction) -> anyhow::Result<()> {
    let remote = remote(path)?;
    match action {
        MerchantAction::Set { id, callback_url, secret_file } => {
            let secret_file = std::path::absolute(secret_file)?;
            let body = json!({"id": id, "callbackUrl": callback_url, "secretFile": secret_file});
            remote.post("/admin/merchants", &body)?;
            println!("{id} is told about its orders at {callback_url}");
        }
        MerchantAction::List => {
            let listed = remote.get("/admin/merchants")?;
            for merchant in listed.get("merchants").and_then(Value::as_array).into_iter().flatten() {
                println!("{merchant}");
            }
        }
    }
    Ok(())
}

/// Registers a pilot, or changes what is given.
pub(super) fn pilot(path: &Path, set: &PilotSet) -> anyhow::Result<()> {
    let mut body = Map::new();
    body.insert("minionId".into(), set.id.clone().into());
    let texts = [
        ("name", &set.name),
        ("phone", &set.phone),
        ("callbackUrl", &set.callback_url),
        ("vehicle", &set.vehicle),
        ("status", &set.status),
    ];
    for (name, value) in texts {
        body.extend(value.clone().map(|value| (name.to_owned(), value.into())));
    }
    body.extend(set.capacity.map(|capacity| ("capacity".to_owned(), capacity.into())));
    body.extend(set.lat.map(|lat| ("lat".to_owned(), lat.into())));
    body.extend(set.lng.map(|lng| ("lng".to_owned(), lng.into())));
    remote(path)?.post("/admin/pilot", &body.into())?;
    println!("{} is set", set.id);
    Ok(())
}
