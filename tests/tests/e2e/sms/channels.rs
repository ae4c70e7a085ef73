//! Several channels: one dies, messages leave by the next, it returns and is used again; nothing goes twice.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use megamind_sim::modem::Fault;
use megamind_tests::{Receiver, Request, ports, process::Process, skipped, wait};
use serde_json::{Value, json};

use super::Rig;

const TO: &str = "+919812300000";

/// A mail server that keeps what it gets.
struct Mail {
    addr: SocketAddr,
    log: PathBuf,
    process: Process,
}

impl Mail {
    /// `None`, and a word about it, where there is nothing to run it with.
    fn start(dir: &Path) -> Option<Self> {
        let test = std::env::current_exe().expect("a test knows where it is");
        let python = test.ancestors().nth(3).expect("cargo's target").join("tools/python/bin/python");
        let has = Command::new(&python)
            .args(["-c", "import aiosmtpd"])
            .output()
            .is_ok_and(|said| said.status.success());
        if !has {
            skipped("messages by mail: python with aiosmtpd is not in target/tools/python");
            return None;
        }
        let (addr, log) = (ports::reserve(), dir.join("mail.jsonl"));
        let mut command = Command::new(python);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/sms/smtp_sink.py"))
            .args([addr.ip().to_string(), addr.port().to_string()])
            .arg(&log);
        let mut process = Process::spawn("mail", &mut command, dir);
        process.await_line("listening on ").expect("the mail server starts");
        Some(Self { addr, log, process })
    }

    /// By their ids: a server that lost its answer is given the same mail again.
    fn mails(&self) -> Vec<Value> {
        let mut mails = self.given();
        let mut ids = std::collections::HashSet::new();
        mails.retain(|mail| ids.insert(mail["id"].clone()));
        mails
    }

    fn given(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// A modem, a provider that is asked by HTTP, and one that takes mail where there is a server for it.
struct Three {
    rig: Rig,
    provider: Receiver,
    mail: Option<Mail>,
    // Removed last.
    dir: tempfile::TempDir,
}

impl Three {
    fn start(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let provider = Receiver::start_new(dir.path(), "provider");
        let mail = Mail::start(dir.path());
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "s3cret\n").expect("written");
        let mut channels = format!(
            "[[sms.http]]\nname = \"provider\"\nurl = \"{}/send?key={{secret}}\"\nbody = '{{\"to\": \"{{number}}\", \"text\": \
             \"{{text}}\", \"template\": \"{{template_id}}\"}}'\nsecret_file = \"{}\"\nsuccess = '\"ok\"'\n\
             [sms.http.headers]\ncontent-type = \"application/json\"\nwebhook-id = \"{{id}}\"\n",
            provider.url(),
            secret.display(),
        );
        if let Some(mail) = &mail {
            let _ = write!(
                channels,
                "[[sms.smtp]]\nname = \"mail\"\nserver = \"{}\"\ntls = \"none\"\nfrom = \"megamind@example.com\"\n\
                 to = \"{{digits}}@sms.example.com\"\nsubject = \"SMS {{id}}\"\n",
                mail.addr
            );
        }
        let rig = Rig::with(|link| {
            format!(
                "[sms]\ncountry = \"IN\"\nper_minute = 100000\ndaily_budget = 1000000\nheartbeat = \"200ms\"\n\
                 drop_after = \"1s\"\nrest = \"2s\"\n{settings}\n[[modem]]\nname = \"sim1\"\ndevice = \"{}\"\n{channels}",
                link.display()
            )
        });
        let three = Self { rig, provider, mail, dir };
        for name in ["sim1", "provider"] {
            three.await_channel(name, true);
        }
        three
    }

    fn send(&self, text: &str) {
        let body = json!({"to": TO, "text": text});
        let sent = self
            .rig
            .city
            .gateway
            .ask(&Request::post("/admin/sms/send", &body))
            .expect("an answer");
        sent.expect(200);
    }

    fn await_channel(&self, name: &str, there: bool) {
        wait::until_good(&format!("{name} is there: {there}"), || {
            let status = self
                .rig
                .city
                .gateway
                .ask(&Request::get("/admin/sms"))
                .expect("an answer")
                .expect(200)
                .json();
            let channel = status["channels"]
                .as_array()
                .and_then(|all| all.iter().find(|one| one["channel"] == name));
            let is = channel.is_some_and(|one| one["there"] == there && (!there || one["usable"] == true));
            if is { Ok(()) } else { Err(status) }
        });
    }

    /// How often a text has gone out by which channel.
    fn ways(&self, text: &str) -> Vec<&'static str> {
        let by_modem = self.rig.texts(TO).into_iter().filter(|sent| sent == text).map(|_| "sim1");
        let asked = self
            .provider
            .effects()
            .into_iter()
            .filter(|call| call["body"]["text"] == text)
            .map(|_| "provider");
        let mails = self
            .mail
            .iter()
            .flat_map(Mail::mails)
            .filter(|mail| mail["text"] == text)
            .map(|_| "mail");
        by_modem.chain(asked).chain(mails).collect()
    }

    fn await_by(&self, channel: &str, text: &str) {
        wait::until_good(&format!("{text:?} goes by {channel}"), || {
            let ways = self.ways(text);
            if ways == [channel] { Ok(()) } else { Err(format!("{ways:?}")) }
        });
    }
}

#[test]
fn messages_leave_by_the_next_channel_and_by_the_first_again_when_it_returns() {
    let mut three = Three::start("");
    three.send("one");
    three.await_by("sim1", "one");

    three.rig.modem.unplug();
    three.await_channel("sim1", false);
    three.rig.city.gateway.await_metric("megamind_modem_up", "sim1", 0.0);
    three.rig.city.gateway.await_metric("megamind_sms_channel_up", "sim1", 0.0);
    three.send("two: \"ü\" {secret}");
    three.await_by("provider", "two: \"ü\" {secret}");

    three.provider.kill();
    three.await_channel("provider", false);
    three.send("three: ಹೊಸ");
    if let Some(mail) = &three.mail {
        three.await_by("mail", "three: ಹೊಸ");
        let kept = &mail.mails()[0];
        assert_eq!(kept["to"], json!(["919812300000@sms.example.com"]), "{kept}");
        assert!(kept["subject"].as_str().is_some_and(|subject| subject.starts_with("SMS tst-")), "{kept}");
    }

    three.rig.modem.plug();
    three.await_channel("sim1", true);
    three.send("four");
    three.await_by("sim1", "four");
    if three.mail.is_none() {
        three.await_by("sim1", "three: ಹೊಸ");
    }
    three.provider.start();
    three.await_channel("provider", true);
    three.send("five");
    three.await_by("sim1", "five");
    for text in ["one", "two: \"ü\" {secret}", "three: ಹೊಸ", "four"] {
        assert_eq!(three.ways(text).len(), 1, "{text}");
    }
    if let Some(mail) = &mut three.mail {
        assert!(mail.process.ended().is_none());
    }
    drop(three.dir);
}

#[test]
fn a_modem_that_dies_in_the_middle_of_many_loses_none_and_none_goes_twice() {
    let three = Three::start("on_unknown = \"assume_sent\"");
    let texts: Vec<String> = (0..30).map(|nth| format!("message {nth}")).collect();
    for (nth, text) in texts.iter().enumerate() {
        three.send(text);
        if nth == 12 {
            three.rig.modem.unplug();
        }
    }
    let unknown = || {
        three
            .rig
            .city
            .gateway
            .metric("megamind_sms_messages_total", "outcome=\"unknown\"")
            .unwrap_or(0.0)
    };
    wait::until_good("all are out, but one in doubt", || {
        let missing: Vec<_> = texts.iter().filter(|text| three.ways(text).is_empty()).collect();
        if missing.len() as f64 <= unknown() {
            Ok(())
        } else {
            Err(format!("{missing:?}"))
        }
    });
    three.rig.modem.plug();
    three.await_channel("sim1", true);
    three.send("the last");
    three.await_by("sim1", "the last");
    for text in &texts {
        let ways = three.ways(text);
        assert!(ways.len() <= 1, "{text}: {ways:?}");
    }
    assert!(texts.iter().any(|text| three.ways(text) == ["provider"]), "some went by the provider");
}

#[test]
fn a_provider_that_loses_its_answer_is_asked_again_under_the_same_id() {
    let three = Three::start("");
    three.rig.modem.unplug();
    three.await_channel("sim1", false);
    three.provider.fault(&json!({"kind": "lose_reply", "count": 1}));
    three.send("lost");
    let asked = || {
        three
            .provider
            .calls()
            .into_iter()
            .filter(|call| call["body"]["text"] == "lost")
            .count()
    };
    wait::until("it is asked again", || (asked() == 2).then_some(()));
    // The other channels never had it.
    assert_eq!(three.ways("lost"), ["provider"]);
    // One that says no: the next channel takes it.
    three.provider.fault(&json!({"kind": "status", "status": 400}));
    three.await_channel("provider", true);
    three.send("refused");
    if three.mail.is_some() {
        three.await_by("mail", "refused");
    }
}

#[test]
fn a_sim_that_the_network_refuses_rests_and_the_next_channel_takes_over() {
    let three = Three::start("");
    three.rig.modem.fault(Fault::Refuse { code: 38, times: 1 });
    three.send("barred");
    three.await_by("provider", "barred");
    wait::until("the SIM has rested", || {
        three.send("again");
        three.ways("again").contains(&"sim1").then_some(())
    });
}

#[test]
fn channels_take_turns_where_the_scheduler_says_so() {
    let three = Three::start("scheduler = \"round_robin\"");
    let texts: Vec<String> = (0..12).map(|nth| format!("turn {nth}")).collect();
    for text in &texts {
        three.send(text);
    }
    let ways = wait::until("all are out", || {
        let ways: Vec<_> = texts.iter().flat_map(|text| three.ways(text)).collect();
        (ways.len() >= texts.len()).then_some(ways)
    });
    assert_eq!(ways.len(), texts.len());
    for channel in ["sim1", "provider"] {
        assert!(ways.iter().filter(|way| **way == channel).count() >= 3, "{ways:?}");
    }
}

#[test]
fn a_kill_while_a_provider_is_asked_makes_no_second_message() {
    let mut three = Three::start("");
    three.rig.modem.unplug();
    three.await_channel("sim1", false);
    three.provider.fault(&json!({"kind": "slow", "delayMs": 300}));
    for round in 0..10 {
        let text = format!("round {round}");
        three.send(&text);
        // Each round at another moment: before it is asked, while it thinks, and afterwards.
        std::thread::sleep(std::time::Duration::from_millis(round * 60));
        three.rig.city.gateway.kill();
        three.rig.city.gateway.start();
        three.await_channel("provider", true);
    }
    // By whichever channel was there first after a start: what the provider may have sent, nobody else sends.
    for round in 0..10 {
        let text = format!("round {round}");
        wait::until(&format!("{text} is out"), || (!three.ways(&text).is_empty()).then_some(()));
    }
    three.send("the last");
    wait::until("the last is out", || (!three.ways("the last").is_empty()).then_some(()));
    for round in 0..10 {
        assert_eq!(three.ways(&format!("round {round}")).len(), 1, "round {round}");
    }
}
