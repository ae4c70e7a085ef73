//! `megamind sms status|send|log`, `megamind pilot enrol|card`.

use std::path::Path;

use anyhow::Context;
use clap::{Args, Subcommand};
use qrcode::{QrCode, render::unicode::Dense1x2};
use serde_json::{Value, json};

use super::remote::Remote;

/// `megamind sms …`.
#[derive(Debug, Subcommand)]
pub(super) enum SmsAction {
    /// Show the modems of a running gateway, and how many messages wait.
    Status,
    /// Send a message.
    Send {
        /// The phone number.
        to: String,
        /// The text.
        text: String,
    },
    /// Show the newest messages, in and out.
    Log {
        /// How many of each.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    #[command(flatten)]
    Tools(megamind_sms::cli::Command),
}

/// `megamind pilot enrol`.
#[derive(Debug, Args)]
pub(super) struct Enrol {
    /// The pilot's id.
    id: String,
    /// A second phone number.
    #[arg(long)]
    number: Option<String>,
    /// The language of texts: en, hi, kn.
    #[arg(long, default_value = "en")]
    language: String,
    /// Texts in the language's own letters: 70 characters, not 160.
    #[arg(long)]
    ucs2: bool,
}

fn remote(path: &Path) -> anyhow::Result<Remote> {
    Remote::of(path, &super::load(path)?)
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// `megamind sms status|send|log`; the tools need no gateway and are run elsewhere.
pub(super) fn sms(path: &Path, action: &SmsAction) -> anyhow::Result<()> {
    let remote = remote(path)?;
    match action {
        SmsAction::Status => {
            let status = remote.get("/admin/sms")?;
            println!("waiting {}, enrolled {}", status["waiting"], status["enrolled"]);
            for modem in list(&status, "modems") {
                let resting = if modem["resting"] == true { ", rests" } else { "" };
                println!(
                    "{}: {}{resting}, {} of {} sent today, {} received, {} refused, {} unknown, {} resets",
                    text(modem, "modem"),
                    text(modem, "state"),
                    modem["usedToday"],
                    modem["dailyBudget"],
                    modem["received"],
                    modem["refused"],
                    modem["unknown"],
                    modem["resets"]
                );
                if !modem["balance"].is_null() || !modem["validUntil"].is_null() {
                    println!(
                        "  balance {}, valid until {}, told at {}",
                        modem["balance"],
                        text(modem, "validUntil"),
                        text(modem, "balanceAt")
                    );
                }
            }
            for channel in list(&status, "channels") {
                let state = match (channel["there"] == true, channel["usable"] == true) {
                    (true, true) => "works",
                    (true, false) => "pauses",
                    (false, _) => "is dropped",
                };
                let why = channel["trouble"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
                println!("channel {} {state}, {} waiting{why}", text(channel, "channel"), channel["load"]);
            }
        }
        SmsAction::Send { to, text } => {
            let sent = remote.post("/admin/sms/send", &json!({"to": to, "text": text}))?;
            println!("queued as {}", sent["id"]);
        }
        SmsAction::Log { limit } => {
            let log = remote.get(&format!("/admin/sms/log?limit={limit}"))?;
            for out in list(&log, "out") {
                println!(
                    "{} to {} {} by {}: {}",
                    text(out, "at"),
                    text(out, "to"),
                    text(out, "state"),
                    text(out, "channel"),
                    text(out, "text")
                );
            }
            for heard in list(&log, "in") {
                println!(
                    "{} from {} by {}: {}",
                    text(heard, "at"),
                    text(heard, "from"),
                    text(heard, "modem"),
                    text(heard, "outcome")
                );
            }
        }
        SmsAction::Tools(_) => {}
    }
    Ok(())
}

/// Enrols a pilot and prints the secret, once.
pub(super) fn enrol(path: &Path, enrol: &Enrol) -> anyhow::Result<()> {
    let body = json!({
        "pilot": enrol.id, "number": enrol.number, "language": enrol.language, "ucs2": enrol.ucs2,
    });
    let told = remote(path)?.post("/admin/sms/enrol", &body)?;
    let otpauth = text(&told, "otpauth");
    let code = QrCode::new(otpauth).context("the QR code")?;
    println!("{}", code.render::<Dense1x2>().quiet_zone(true).build());
    println!("pilot    {}", text(&told, "pilot"));
    println!("gateway  {}", text(&told, "gateway"));
    let numbers: Vec<&str> = list(&told, "numbers").filter_map(Value::as_str).collect();
    println!("numbers  {}", numbers.join(" "));
    println!("secret   {}", text(&told, "secret"));
    println!("counter  {}", told["counter"]);
    println!("{otpauth}");
    println!("It is shown this once. Codes of an earlier enrolment are worth nothing from now on.");
    Ok(())
}

/// Prints a card of codes.
pub(super) fn card(path: &Path, id: &str) -> anyhow::Result<()> {
    let told = remote(path)?.post("/admin/sms/card", &json!({"pilot": id}))?;
    let codes: Vec<&str> = list(&told, "codes").filter_map(Value::as_str).collect();
    println!("{id}: use each code once, from left to right, and strike it out");
    for row in codes.chunks(5) {
        println!("{}", row.join("   "));
    }
    Ok(())
}
