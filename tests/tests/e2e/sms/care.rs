//! Looking after modems and SIMs: balance, probes, reports, status, and the SIM that was written to.

use megamind_sim::modem::Emulator;
use megamind_tests::{Request, wait};
use serde_json::{Value, json};

use super::Rig;

/// Two modems.
struct Two {
    rig: Rig,
    second: Emulator,
    _link: tempfile::TempDir,
}

const NUMBERS: [&str; 2] = ["+919800000001", "+919800000002"];

impl Two {
    fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("modem1");
        let second = Emulator::pty(&link).expect("a pseudo-terminal");
        second.set_ussd("*123#", "Main Bal Rs 5.50. Valid till 31-12-2099");
        let rig = Rig::with(|first| {
            let modem = |name: &str, device: &std::path::Path, number: &str, more: &str| {
                format!(
                    "[[modem]]\nname = \"{name}\"\ndevice = \"{}\"\nnumber = \"{number}\"\n{more}",
                    device.display()
                )
            };
            format!(
                "[sms]\ncountry = \"IN\"\nper_minute = 100000\ndaily_budget = 1000000\nheartbeat = \"200ms\"\n{settings}\n{}{}",
                modem("sim1", first, NUMBERS[0], ""),
                modem("sim2", &link, NUMBERS[1], "balance_ussd = \"*123#\"\n"),
            )
        });
        Self { rig, second, _link: folder }
    }

    fn modem(&self, name: &str) -> Value {
        let status = self.rig.city.gateway.status();
        let modems = status["modems"].as_array().expect("a list").clone();
        modems.into_iter().find(|modem| modem["modem"] == name).unwrap_or_default()
    }

    fn await_modem(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) {
        wait::until_good(&format!("{name}: {what}"), || {
            let modem = self.modem(name);
            if holds(&modem) { Ok(()) } else { Err(modem) }
        });
    }
}

#[test]
fn the_status_tells_of_modems_their_balance_and_alarms() {
    let two = Two::start("");
    for name in ["sim1", "sim2"] {
        two.await_modem(name, "works", |modem| modem["state"] == "ready" && modem["signalDbm"].is_i64());
    }
    two.await_modem("sim2", "its balance is told", |modem| {
        modem["balance"] == 5.5 && modem["validUntil"] == "2099-12-31"
    });
    let gateway = &two.rig.city.gateway;
    gateway.await_metric("megamind_sms_balance", "sim2", 5.5);
    gateway.await_metric("megamind_sms_alarm", "alarm=\"balance\",modem=\"sim2\"", 1.0);
    gateway.await_metric("megamind_sms_alarm", "alarm=\"validity\",modem=\"sim2\"", 0.0);
    gateway.await_metric("megamind_modem_up", "sim1", 1.0);
    gateway.await_metric("megamind_modem_resets_total", "sim1", 0.0);
    assert!(gateway.metric("megamind_sms_signal_dbm", "sim1").is_some_and(|dbm| dbm < 0.0));
    gateway.await_metric("megamind_sms_queue_entries", "", 0.0);
    let said = gateway.command(&["sms", "status"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("sim2: ready") && said.contains("balance 5.5") && said.contains("channel sim1 works"),
        "{said}"
    );
}

#[test]
fn modems_write_to_one_another() {
    let two = Two::start("probe_every = \"1s\"");
    let carried = |from: &Emulator, number: &str| {
        let sent = from.sent();
        let probe = sent
            .iter()
            .map(|sent| (sent.submit.destination.to_string(), sent.submit.user_data.text()));
        probe
            .into_iter()
            .find(|(to, text)| to == number && text.starts_with("MEGAMIND PROBE "))
    };
    let (_, text) = wait::until("a probe to sim2", || carried(&two.rig.modem, NUMBERS[1]));
    two.second.deliver(NUMBERS[0], &text);
    two.await_modem("sim2", "the probe has arrived", |modem| modem["probeArrived"] == true);
    let (_, text) = wait::until("a probe to sim1", || carried(&two.second, NUMBERS[0]));
    two.rig.modem.deliver(NUMBERS[1], &text);
    two.await_modem("sim1", "the probe has arrived", |modem| modem["probeArrived"] == true);
    assert!(two.rig.outcomes("probe") >= 2);
    // Somebody who repeats it gains nothing.
    two.rig.modem.deliver("+919899999999", &text);
    two.rig.await_outcome("unregistered", 1);
}

#[test]
fn an_answer_leaves_by_the_sim_that_was_written_to() {
    let two = Two::start("");
    two.await_modem("sim1", "works", |modem| modem["state"] == "ready");
    let writer = &two.rig.pilots[0];
    two.second.deliver(writer.number(), &writer.by_app(1, "A"));
    let answered = |modem: &Emulator| modem.sent().iter().any(|sent| sent.submit.user_data.text() == "#1 OK 0/0");
    wait::until("the answer comes by the second", || answered(&two.second).then_some(()));
    assert!(!answered(&two.rig.modem));
}

#[test]
fn reports_tell_what_was_delivered() {
    let rig = Rig::start();
    rig.modem.set_reports(true);
    let long = "a long message of several parts ".repeat(8);
    let send = Request::post("/admin/sms/send", &json!({"to": "09812300000", "text": long}));
    let sent = rig.city.gateway.ask(&send).expect("an answer").expect(200).json();
    wait::until_good("it is delivered", || {
        let log = rig
            .city
            .gateway
            .ask(&Request::get("/admin/sms/log"))
            .expect("an answer")
            .expect(200)
            .json();
        let line = log["out"]
            .as_array()
            .and_then(|out| out.iter().find(|line| line["id"] == sent["id"]))
            .cloned();
        let line = line.expect("it is in the log");
        if line["state"] == "delivered" && line["channel"] == "sim1" {
            Ok(())
        } else {
            Err(line)
        }
    });
    // A report for each part.
    rig.city
        .gateway
        .await_metric("megamind_sms_messages_total", "outcome=\"delivered\"", 2.0);
}
