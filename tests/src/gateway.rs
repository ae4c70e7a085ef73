//! The gateway, as a process.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use rustix::process::Signal;
use serde_json::{Value, json};
use toml::Table;

use crate::http::{Answer, Client, Party, Request, Trouble};
use crate::process::Process;
use crate::{binary, wait};

/// A gateway with a configuration file and a database in one folder.
#[derive(Debug)]
pub struct Gateway {
    /// The public listener.
    pub addr: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
    dir: PathBuf,
    environment: Vec<(&'static str, String)>,
    process: Option<Process>,
}

impl Gateway {
    /// A gateway that will listen on the given addresses; not started yet.
    pub fn new(dir: &Path, addr: SocketAddr, admin: SocketAddr) -> Self {
        Self { addr, admin, dir: dir.to_owned(), environment: Vec::new(), process: None }
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("megamind.toml")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.dir.join("megamind.db")
    }

    /// Its next starts have these variables in their environment.
    pub fn environment(&mut self, variables: Vec<(&'static str, String)>) {
        self.environment = variables;
    }

    /// Writes the configuration file.
    pub fn configure(&self, config: &Table) {
        let text = toml::to_string(config).expect("a table is TOML");
        fs::write(self.config_path(), text).expect("a writable folder");
    }

    /// Starts it and waits until it is ready. An error is what it said before it ended.
    pub fn try_start(&mut self) -> Result<(), String> {
        let mut command = Command::new(binary::megamind());
        command
            .arg("run")
            .arg("--config")
            .arg(self.config_path())
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .current_dir(&self.dir);
        let mut process = Process::spawn("gateway", &mut command, &self.dir);
        let parse = |text: String| text.parse().expect("an address");
        self.addr = process.await_line("listening on ").map(parse)?;
        self.admin = process.await_line("admin on ").map(parse)?;
        self.process = Some(process);
        wait::until("the gateway is ready", || {
            self.ask(&Request::get("/readyz")).ok().filter(|answer| answer.status == 200)
        });
        Ok(())
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(&mut self) {
        if let Err(said) = self.try_start() {
            panic!("the gateway does not start: {said}");
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.process().wait();
        self.process = None;
        status
    }

    /// SIGTERM, and waits for a good end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "it ended with {status}");
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// Asks the admin listener.
    pub fn ask(&self, request: &Request) -> Result<Answer, Trouble> {
        Client::connect_to(self.admin, Party::Other)?.send(request)
    }

    /// `/admin/status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.ask(&Request::get("/admin/status"))
            .expect("the admin listener answers")
            .expect(200)
            .json()
    }

    /// The mode it is in.
    #[track_caller]
    pub fn mode(&self) -> String {
        let status = self.status();
        status["mode"].as_str().expect("a mode").to_owned()
    }

    /// Waits for a mode.
    #[track_caller]
    pub fn await_mode(&self, mode: &str) {
        wait::until(&format!("the mode is {mode}"), || (self.mode() == mode).then_some(()));
    }

    /// Waits until Oblivion serves and has everything.
    #[track_caller]
    pub fn await_drained(&self) {
        wait::until_good("everything is drained", || {
            let status = self.status();
            let empty = status["queue"]["entries"] == 0 && status["queue"]["parked"] == 0;
            if status["mode"] == "forwarding" && empty {
                return Ok(());
            }
            let parked = self.ask(&Request::get("/admin/queue?state=parked"));
            Err(parked.map_or(status.clone(), |parked| json!([status, parked.json()])))
        });
    }

    /// The sum of a metric over all labels that contain `labels`; `None` where there is none.
    pub fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let text = self
            .ask(&Request::get("/metrics"))
            .expect("the admin listener answers")
            .expect(200)
            .text();
        let samples = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (known, rest) = series.split_at(series.find('{').unwrap_or(series.len()));
            (known == name && rest.contains(labels)).then(|| value.parse().ok())?
        });
        samples.fold(None, |sum: Option<f64>, value: f64| Some(sum.unwrap_or(0.0) + value))
    }

    /// Waits for a metric: a request is counted when it is over, which its client may know a moment sooner.
    #[track_caller]
    pub fn await_metric(&self, name: &str, labels: &str, value: f64) {
        wait::until_good(&format!("{name} {{{labels}}} is {value}"), || {
            let told = self.metric(name, labels);
            if told == Some(value) { Ok(()) } else { Err(format!("but {told:?}")) }
        });
    }

    /// What a command says, which must do its work.
    #[track_caller]
    pub fn said(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{complaint}");
        text
    }

    /// Runs another command of the same binary, with this gateway's configuration.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Command::new(binary::megamind())
            .args(arguments)
            .arg("--config")
            .arg(self.config_path())
            .current_dir(&self.dir)
            .output()
            .expect("the binary runs")
    }
}
