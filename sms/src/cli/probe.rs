//! `sms probe`: what a modem is, what it can do, and whether it is in a network.

use crate::{
    at::{Answer, Digester, Event, Expect, Registration, ResultCode, fields},
    modem::port::{Opener, Port, SerialOpener, TcpOpener},
};
use serde::Serialize;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Which modem, and how long to wait for it.
#[derive(Debug, Clone, clap::Args)]
pub struct ProbeArgs {
    /// A device such as /dev/serial/by-id/…, or tcp:ADDRESS:PORT
    pub device: String,
    /// Baud rate; modems on USB do not care
    #[arg(long, default_value_t = 115_200)]
    pub baud: u32,
    /// Seconds that each command may take
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub timeout: u64,
    /// Seconds to wait until it has found its network
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What was found out; what the modem does not tell is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    device: String,
    manufacturer: Option<String>,
    model: Option<String>,
    revision: Option<String>,
    serial: Option<String>,
    sim: Option<String>,
    registration: Option<&'static str>,
    operator: Option<String>,
    signal_dbm: Option<i16>,
    service_centre: Option<String>,
    pdu_mode: bool,
    /// It waits for the acknowledgement of messages given directly.
    acknowledgement: bool,
    memories: Option<String>,
    storage: Option<String>,
    announcements: Option<String>,
    ussd: bool,
    /// Why it cannot be used.
    problems: Vec<String>,
}

/// Asks the modem. Exit code 0 says that it can be used for SMS as it is.
pub fn probe(args: &ProbeArgs, out: &mut dyn io::Write) -> io::Result<ExitCode> {
    let mut found = Found { device: args.device.clone(), ..Found::default() };
    match open(args) {
        Ok(port) => {
            let mut line = Line { port, digester: Digester::default(), timeout: Duration::from_secs(args.timeout) };
            if let Err(error) = ask(&mut line, &mut found, Duration::from_secs(args.wait)) {
                found.problems.push(error.to_string());
            }
        }
        Err(error) => found.problems.push(format!("cannot be opened: {error}")),
    }
    if args.json {
        serde_json::to_writer(&mut *out, &found)?;
        writeln!(out)?;
    } else {
        found.print(out)?;
    }
    Ok(if found.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(args: &ProbeArgs) -> io::Result<Box<dyn Port>> {
    match args.device.strip_prefix("tcp:") {
        Some(address) => {
            let address: SocketAddr = address
                .parse()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            TcpOpener { address }.open()
        }
        None => SerialOpener { path: PathBuf::from(&args.device), baud: args.baud }.open(),
    }
}

fn ask(line: &mut Line, found: &mut Found, wait: Duration) -> io::Result<()> {
    // The first command may end what somebody else has begun.
    if line.command("AT", Answer::None)?.is_none() && line.command("AT", Answer::None)?.is_none() {
        found.problems.push("does not answer".to_owned());
        return Ok(());
    }
    line.command("ATE0", Answer::None)?;
    line.command("AT+CMEE=1", Answer::None)?;
    found.manufacturer = line.free("AT+CGMI")?;
    found.model = line.free("AT+CGMM")?;
    found.revision = line.free("AT+CGMR")?;
    found.serial = line.free("AT+CGSN")?;
    found.sim = match line.command("AT+CPIN?", Answer::Lines("+CPIN:"))? {
        Some((ResultCode::Ok, lines)) => first(&lines, "+CPIN:", 0),
        Some((error, _)) => Some(error.to_string()),
        None => None,
    };
    found.pdu_mode = line.is_ok("AT+CMGF=0")?;
    found.acknowledgement = line.is_ok("AT+CSMS=1")?;
    found.memories = line.rest("AT+CPMS=?", "+CPMS:")?;
    found.storage = line.rest("AT+CPMS?", "+CPMS:")?;
    found.announcements = line.rest("AT+CNMI=?", "+CNMI:")?;
    found.ussd = line.is_ok("AT+CUSD=?")?;
    found.service_centre = line.field("AT+CSCA?", "+CSCA:", 0)?;
    let registration = registered(line, wait)?;
    found.registration = Some(name(registration));
    found.operator = line.field("AT+COPS?", "+COPS:", 2)?;
    let signal = line.field("AT+CSQ", "+CSQ:", 0)?;
    found.signal_dbm = signal
        .and_then(|steps| steps.parse::<i16>().ok())
        .filter(|steps| (0..=31).contains(steps))
        .map(|steps| 2 * steps - 113);

    if found.sim.as_deref() != Some("READY") {
        let sim = found.sim.as_deref().unwrap_or("says nothing");
        found.problems.push(format!("SIM: {sim}"));
    }
    if !found.pdu_mode {
        found.problems.push("has no PDU mode".to_owned());
    }
    if !registration.is_registered() {
        found.problems.push(format!("network: {}", name(registration)));
    }
    Ok(())
}

/// Asks once a second until there is a network, or `wait` is over.
fn registered(line: &mut Line, wait: Duration) -> io::Result<Registration> {
    let end = Instant::now() + wait;
    loop {
        let stat = line.field("AT+CREG?", "+CREG:", 1)?;
        let code = stat.and_then(|stat| stat.parse().ok());
        let registration = code.map_or(Registration::Unknown, Registration::from_code);
        if registration.is_registered() || Instant::now() >= end {
            return Ok(registration);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

const fn name(registration: Registration) -> &'static str {
    match registration {
        Registration::Idle => "not searching",
        Registration::Home => "home",
        Registration::Searching => "searching",
        Registration::Denied => "denied",
        Registration::Roaming => "roaming",
        Registration::Unknown => "unknown",
    }
}

fn first(lines: &[String], prefix: &str, nth: usize) -> Option<String> {
    lines.iter().find_map(|line| fields(line, prefix)?.nth(nth)).map(str::to_owned)
}

/// One command after the other.
struct Line {
    port: Box<dyn Port>,
    digester: Digester,
    timeout: Duration,
}

type Reply = Option<(ResultCode, Vec<String>)>;

impl Line {
    /// `None` when nothing comes in time.
    fn command(&mut self, text: &str, answer: Answer) -> io::Result<Reply> {
        self.digester.expect(Expect { command: text.to_owned(), answer, typed: None });
        self.port.write(format!("{text}\r").as_bytes())?;
        let end = Instant::now() + self.timeout;
        let mut lines = Vec::new();
        let mut buffer = [0; 1024];
        while Instant::now() < end {
            let count = self.port.read(&mut buffer)?;
            for event in self.digester.feed(&buffer[..count]) {
                match event {
                    Event::Line(line) => lines.push(line),
                    Event::Result(code) => return Ok(Some((code, lines))),
                    Event::Prompt | Event::Urc(_) | Event::Stray(_) => {}
                }
            }
        }
        self.digester.abandon();
        Ok(None)
    }

    fn ok_lines(&mut self, text: &str, answer: Answer) -> io::Result<Option<Vec<String>>> {
        Ok(match self.command(text, answer)? {
            Some((ResultCode::Ok, lines)) => Some(lines),
            _ => None,
        })
    }

    fn is_ok(&mut self, text: &str) -> io::Result<bool> {
        Ok(self.ok_lines(text, Answer::Free)?.is_some())
    }

    fn free(&mut self, text: &str) -> io::Result<Option<String>> {
        let lines = self.ok_lines(text, Answer::Free)?;
        Ok(lines.and_then(|lines| lines.into_iter().next()))
    }

    fn field(&mut self, text: &str, prefix: &'static str, nth: usize) -> io::Result<Option<String>> {
        let lines = self.ok_lines(text, Answer::Lines(prefix))?;
        Ok(lines.and_then(|lines| first(&lines, prefix, nth)))
    }

    /// Everything behind the prefix.
    fn rest(&mut self, text: &str, prefix: &'static str) -> io::Result<Option<String>> {
        let lines = self.ok_lines(text, Answer::Lines(prefix))?;
        let rest = lines.and_then(|lines| {
            let line = lines.first()?.strip_prefix(prefix)?;
            Some(line.trim().to_owned())
        });
        Ok(rest)
    }
}

impl Found {
    fn print(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let yes_no = |yes: bool| Some(if yes { "yes" } else { "no" }.to_owned());
        let lines = [
            ("device", Some(self.device.clone())),
            ("manufacturer", self.manufacturer.clone()),
            ("model", self.model.clone()),
            ("revision", self.revision.clone()),
            ("serial", self.serial.clone()),
            ("SIM", self.sim.clone()),
            ("network", self.registration.map(str::to_owned)),
            ("operator", self.operator.clone()),
            ("signal", self.signal_dbm.map(|dbm| format!("{dbm} dBm"))),
            ("centre", self.service_centre.clone()),
            ("PDU mode", yes_no(self.pdu_mode)),
            ("acknowledges", yes_no(self.acknowledgement)),
            ("memories", self.memories.clone()),
            ("storage", self.storage.clone()),
            ("announces", self.announcements.clone()),
            ("USSD", yes_no(self.ussd)),
        ];
        for (name, value) in lines {
            writeln!(out, "{name:<13}{}", value.as_deref().unwrap_or("-"))?;
        }
        for problem in &self.problems {
            writeln!(out, "problem      {problem}")?;
        }
        Ok(())
    }
}
