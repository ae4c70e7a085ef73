//! Programs that are not ours drive the emulated modem: gammu, gammu-smsd and smstools, unmodified
//! from Debian (`apt-get install gammu gammu-smsd smstools`). Skipped, visibly, without them.

mod modem_support;

use megamind_sim::modem::Emulator;
use modem_support::until;
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// Where Debian puts daemons, which is not in everybody's PATH.
const DAEMONS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(DAEMONS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// A daemon that ends with the test.
struct Daemon(Child);

impl Daemon {
    fn start(program: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is installed");
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Bench {
    modem: Emulator,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let modem = Emulator::pty(&folder.path().join("modem0")).expect("a pseudo terminal");
        Self { modem, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// The texts of the files in a folder, whatever their names.
    fn files(&self, folder: &str) -> Vec<String> {
        fs::read_dir(self.path(folder))
            .map(|files| {
                files
                    .filter_map(|file| fs::read(file.ok()?.path()).ok())
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    .collect()
            })
            .unwrap_or_default()
    }

    fn gammu_section(&self) -> String {
        format!(
            "[gammu]\ndevice={}\nconnection=at\nmodel=at\nsynchronizetime=no\nuse_locking=no\n",
            self.path("modem0")
        )
    }

    fn gammu(&self, program: &Path, arguments: &[&str], input: &str) -> String {
        let config = self.write("gammurc", &self.gammu_section());
        let mut child = Command::new(program)
            .args(["-c", &config])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let out = String::from_utf8_lossy(&stdout).into_owned();
        let err = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "gammu {arguments:?}: {out}{err}");
        out
    }

    /// The text that was sent, its parts in order.
    fn sent_text(&self) -> String {
        let mut parts = self.modem.sent();
        parts.sort_by_key(|p| p.submit.user_data.concat().map_or(0, |place| place.part));
        parts.iter().map(|p| p.submit.user_data.text()).collect()
    }
}

fn four_hundred_characters() -> String {
    let mut text = String::new();
    for nth in 0..80 {
        write!(text, "{nth:03}. ").expect("a string");
    }
    text
}

#[test]
fn gammu_identifies_and_lists() {
    let Some(gammu) = program("gammu") else { return };
    let bench = Bench::new();
    let about = bench.gammu(&gammu, &["identify"], "");
    assert!(about.contains("490154203237518"), "{about}");
    let network = bench.gammu(&gammu, &["networkinfo"], "");
    assert!(network.contains("home network"), "{network}");
    let centre = bench.gammu(&gammu, &["getsmsc"], "");
    assert!(centre.contains("+10000000000"), "{centre}");

    bench.modem.deliver("+4366012345", "first of two");
    bench.modem.deliver("Bank", "Контроль");
    let all = bench.gammu(&gammu, &["getallsms"], "");
    for expected in ["+4366012345", "first of two", "Bank"] {
        assert!(all.contains(expected), "{expected} is not in {all}");
    }
}

#[test]
fn gammu_sends_four_hundred_characters() {
    let Some(gammu) = program("gammu") else { return };
    let bench = Bench::new();
    let text = four_hundred_characters();
    let arguments = ["sendsms", "TEXT", "+79161234567", "-len", "400", "-report"];
    bench.gammu(&gammu, &arguments, &text);
    let sent = bench.modem.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|part| part.submit.status_report));
    assert_eq!(bench.sent_text().trim_end(), text.trim_end());
}

#[test]
fn gammu_sends_unicode() {
    let Some(gammu) = program("gammu") else { return };
    let bench = Bench::new();
    let text = "Заказ 4711 🚚";
    let locale = ["sendsms", "TEXT", "+79161234567", "-unicode", "-text", text];
    bench.gammu(&gammu, &locale, "");
    let data = bench.modem.sent()[0].submit.user_data.clone();
    assert_eq!(data.coding().alphabet().to_string(), "ucs2");
}

#[test]
fn gammu_smsd_receives_sends_and_gets_reports() {
    let Some(smsd) = program("gammu-smsd") else { return };
    let bench = Bench::new();
    for folder in ["inbox", "outbox", "sent", "error"] {
        fs::create_dir(bench.path(folder)).expect("a folder");
    }
    let config = format!(
        "{}[smsd]\nservice=files\ncommtimeout=5\nsendtimeout=20\nloopsleep=1\ncheckbattery=0\n\
         checksecurity=0\ndeliveryreport=sms\nlogfile={}\n\
         inboxpath={}/\noutboxpath={}/\nsentsmspath={}/\nerrorsmspath={}/\n",
        bench.gammu_section(),
        bench.path("log"),
        bench.path("inbox"),
        bench.path("outbox"),
        bench.path("sent"),
        bench.path("error"),
    );
    let config = bench.write("smsdrc", &config);
    // OUT, priority, date, time, serial number, recipient, note: d asks for a report.
    bench.write("outbox/OUTC20261121_120000_00_+79161234567_x.txtd", "out by gammu-smsd");
    bench.modem.deliver("+4366012345", "in by gammu-smsd");
    let _daemon = Daemon::start(&smsd, &["-c", &config]);
    until("the message in", || {
        bench.files("inbox").iter().any(|text| text.contains("in by gammu-smsd"))
    });
    until("the message out", || bench.sent_text() == "out by gammu-smsd");
    assert!(bench.modem.sent()[0].submit.status_report);
    until("the report taken", || bench.modem.stored() + bench.modem.waiting() == 0);
    until("the message filed", || !bench.files("sent").is_empty());
}

#[test]
fn smstools_receives_sends_and_gets_reports() {
    let Some(smsd) = program("smsd") else { return };
    let bench = Bench::new();
    for folder in ["incoming", "outgoing", "checked", "sent", "failed", "reports"] {
        fs::create_dir(bench.path(folder)).expect("a folder");
    }
    let config = format!(
        "devices = modem0\nloglevel = 7\nlogfile = {}\npidfile = {}\ninfofile = {}\n\
         incoming = {}\noutgoing = {}\nchecked = {}\nsent = {}\nfailed = {}\nreport = {}\n\
         delaytime = 1\nreceive_before_send = no\n\n\
         [modem0]\ndevice = {}\nincoming = yes\nbaudrate = 115200\nreport = yes\n\
         check_network = no\nrtscts = no\ninit = AT+CNMI=2,1,0,0,0\n",
        bench.path("log"),
        bench.path("pid"),
        bench.path("working"),
        bench.path("incoming"),
        bench.path("outgoing"),
        bench.path("checked"),
        bench.path("sent"),
        bench.path("failed"),
        bench.path("reports"),
        bench.path("modem0"),
    );
    let config = bench.write("smsd.conf", &config);
    let text = four_hundred_characters();
    bench.write("outgoing/one", &format!("To: 79161234567\nReport: yes\n\n{text}"));
    bench.modem.deliver("+4366012345", "in by smstools");
    let _daemon = Daemon::start(&smsd, &["-t", &format!("-c{config}")]);
    until("the message in", || {
        bench.files("incoming").iter().any(|text| text.contains("in by smstools"))
    });
    until("all parts out", || bench.modem.sent().len() == 3);
    assert_eq!(bench.sent_text().trim_end(), text.trim_end());
    until("the message filed", || !bench.files("sent").is_empty());
    until("the reports filed", || bench.files("reports").len() == 3);
}
