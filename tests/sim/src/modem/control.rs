//! The modem as a program: a port, and commands on standard input.

use super::{Emulator, Fault};
use anyhow::Context;
use std::{
    io::{BufRead, Write},
    net::SocketAddr,
    path::PathBuf,
};

/// Where the modem is to be, `megamind modem-sim`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Listen on this TCP port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Be a pseudo terminal behind this symbolic link instead
    #[arg(long, value_name = "LINK", conflicts_with = "listen")]
    pub pty: Option<PathBuf>,
    /// Lock the SIM with this PIN
    #[arg(long)]
    pub pin: Option<String>,
    /// How many messages the SIM holds
    #[arg(long, default_value_t = 30)]
    pub capacity: u16,
}

const HELP: &str = "\
from NUMBER TEXT      somebody sends a text
pdu HEX               hand over a PDU, whatever it is
report REFERENCE      report a message as delivered
urc LINE              say an unsolicited code
registration STAT     change the registration (+CREG)
ussd REQUEST ANSWER   set the answer to a USSD request
fault FAULT           make something go wrong; `fault ?` lists what can
clear                 end all faults
unplug | plug         pull the modem out, put it in
sent | status         show what was sent, how the modem is
quit                  end";

/// Runs the modem until standard input says `quit`; at its end the modem stays.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let modem = match &options.pty {
        Some(link) => Emulator::pty(link).with_context(|| link.display().to_string())?,
        None => Emulator::listen(options.listen).context("listen")?,
    };
    modem.set_capacity("SM", options.capacity);
    if let Some(pin) = &options.pin {
        modem.lock_sim(pin);
    }
    let mut out = std::io::stdout();
    match (modem.address(), modem.link()) {
        (Some(address), _) => writeln!(out, "listening on {address}")?,
        (None, Some(link)) => writeln!(out, "listening on {}", link.display())?,
        (None, None) => {}
    }
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim() == "quit" {
            return Ok(());
        }
        writeln!(out, "{}", command(&modem, line.trim()))?;
        out.flush()?;
    }
    // In the background there is no standard input; a signal ends it.
    loop {
        std::thread::park();
    }
}

/// Does what a line says; gives what to print.
pub(super) fn command(modem: &Emulator, line: &str) -> String {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let done = |ok: bool| if ok { "done" } else { "no such thing" }.to_owned();
    match verb {
        "from" => match rest.split_once(' ') {
            Some((number, text)) => done(modem.deliver(number, text)),
            None => HELP.to_owned(),
        },
        "pdu" => {
            modem.deliver_pdu(rest);
            done(true)
        }
        "report" => done(
            rest.parse()
                .is_ok_and(|reference| modem.report(reference, megamind_sms::pdu::Status::RECEIVED)),
        ),
        "urc" => {
            modem.urc(rest);
            done(true)
        }
        "registration" => done(rest.parse().is_ok_and(|stat| {
            modem.set_registration(stat);
            true
        })),
        "ussd" => match rest.split_once(' ') {
            Some((request, answer)) => {
                modem.set_ussd(request, answer);
                done(true)
            }
            None => HELP.to_owned(),
        },
        "fault" => match rest.parse::<Fault>() {
            Ok(fault) => {
                modem.fault(fault);
                done(true)
            }
            Err(error) => error.to_string(),
        },
        "clear" => {
            modem.clear_faults();
            done(true)
        }
        "unplug" => {
            modem.unplug();
            done(true)
        }
        "plug" => {
            modem.plug();
            done(true)
        }
        "sent" => sent(modem),
        "status" => format!(
            "stored {}, waiting {}, sent {}, restarts {}",
            modem.stored(),
            modem.waiting(),
            modem.sent().len(),
            modem.restarts()
        ),
        _ => HELP.to_owned(),
    }
}

fn sent(modem: &Emulator) -> String {
    let lines: Vec<String> = modem
        .sent()
        .iter()
        .map(|sent| {
            let Some(place) = sent.submit.user_data.concat() else {
                return format!("#{} {} {}", sent.reference, sent.submit.destination, sent.submit.user_data.text());
            };
            format!(
                "#{} {} ({}/{}) {}",
                sent.reference,
                sent.submit.destination,
                place.part,
                place.total,
                sent.submit.user_data.text()
            )
        })
        .collect();
    lines.join("\n")
}
