//! `sms probe` on the emulated modem.

use megamind_sim::modem::{Cure, Emulator, Fault};
use megamind_sms::cli::{ProbeArgs, probe};
use std::process::ExitCode;

fn look(modem: &Emulator, json: bool) -> (ExitCode, String) {
    let args = ProbeArgs {
        device: format!("tcp:{}", modem.address().expect("on TCP")),
        baud: 115_200,
        timeout: 1,
        wait: 0,
        json,
    };
    let mut out = Vec::new();
    let code = probe(&args, &mut out).expect("writing to memory");
    (code, String::from_utf8(out).expect("UTF-8"))
}

#[test]
fn a_modem_that_works() {
    let modem = Emulator::tcp().expect("a port");
    let (code, text) = look(&modem, false);
    assert_eq!(code, ExitCode::SUCCESS, "{text}");
    for line in [
        "serial       490154203237518",
        "SIM          READY",
        "network      home",
        "operator     Emulated",
        "signal       -71 dBm",
        "centre       +10000000000",
        "PDU mode     yes",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let modem = Emulator::tcp().expect("a port");
    modem.lock_sim("1234");
    modem.set_registration(3);
    let (code, json) = look(&modem, true);
    assert_eq!(code, ExitCode::FAILURE);
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let expected = serde_json::json!(["SIM: SIM PIN", "network: denied"]);
    assert_eq!(found["problems"], expected);

    modem.fault(Fault::Silent(Cure::Nothing));
    let (code, text) = look(&modem, false);
    assert_eq!(code, ExitCode::FAILURE);
    assert!(text.contains("problem      does not answer"), "{text}");
}

#[test]
fn a_device_that_is_not_there() {
    let args = ProbeArgs { device: "/nonexistent/modem".to_owned(), baud: 115_200, timeout: 1, wait: 0, json: false };
    let mut out = Vec::new();
    assert_eq!(probe(&args, &mut out).expect("memory"), ExitCode::FAILURE);
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.contains("problem      cannot be opened"), "{text}");
}
