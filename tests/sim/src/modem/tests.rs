use super::{control::command, device::Device, *};

/// Types `input` and gives what the modem says.
fn say(device: &mut Device, input: &str) -> String {
    device.input(input.as_bytes());
    String::from_utf8(device.take_output()).expect("ASCII")
}

#[test]
fn echo_prompt_and_reference() {
    let mut modem = Device::new();
    assert_eq!(say(&mut modem, "AT\r"), "AT\r\r\nOK\r\n");
    assert_eq!(say(&mut modem, "ATE0\r"), "ATE0\r\r\nOK\r\n");
    assert_eq!(say(&mut modem, "at+csq\r"), "\r\n+CSQ: 21,99\r\n\r\nOK\r\n");
    assert_eq!(say(&mut modem, "AT+CMGS=17\r"), "\r\n> ");
    let pdu = "0001000B914316565811F9000004E8373B0C\u{1a}";
    assert_eq!(say(&mut modem, pdu), "\r\n+CMGS: 0\r\n\r\nOK\r\n");
    assert_eq!(modem.sent[0].submit.user_data.text(), "hola");
    say(&mut modem, "AT+CMGS=17\r");
    assert_eq!(say(&mut modem, "00\u{1b}"), "\r\nOK\r\n");
    say(&mut modem, "AT+CMGS=16\r");
    assert_eq!(say(&mut modem, pdu), "\r\n+CMS ERROR: 304\r\n");
}

#[test]
fn storage_announcements_and_acknowledgement() {
    let mut modem = Device::new();
    say(&mut modem, "ATE0\rAT+CNMI=2,1\r");
    let pdu = "0004069021430000625021000000000441E19058";
    modem.deliver(pdu.into());
    assert_eq!(say(&mut modem, ""), "\r\n+CMTI: \"SM\",1\r\n");
    assert_eq!(say(&mut modem, "AT+CMGR=1\r"), format!("\r\n+CMGR: 0,,19\r\n{pdu}\r\n\r\nOK\r\n"));
    assert_eq!(say(&mut modem, "AT+CMGD=1\r"), "\r\nOK\r\n");
    assert_eq!(say(&mut modem, "AT+CMGR=1\r"), "\r\n+CMS ERROR: 321\r\n");

    say(&mut modem, "AT+CSMS=1\rAT+CNMI=2,2\r");
    modem.deliver(pdu.into());
    modem.deliver(pdu.into());
    let direct = format!("\r\n+CMT: ,19\r\n{pdu}\r\n");
    assert_eq!(say(&mut modem, ""), direct);
    assert_eq!(say(&mut modem, "AT+CNMA\r"), format!("\r\nOK\r\n{direct}"));
    assert_eq!(say(&mut modem, "AT+CNMA\r"), "\r\nOK\r\n");
    assert_eq!(say(&mut modem, "AT+CNMA\r"), "\r\n+CMS ERROR: 340\r\n");
}

#[test]
fn a_full_storage_is_silent() {
    let mut modem = Device::new();
    say(&mut modem, "ATE0\rAT+CNMI=2,1\r");
    if let Some(memory) = modem.memories.get_mut("SM") {
        memory.capacity = 1;
    }
    modem.deliver("00AA".into());
    modem.deliver("00BB".into());
    assert_eq!(say(&mut modem, ""), "\r\n+CMTI: \"SM\",1\r\n");
    assert_eq!(modem.waiting(), 1);
    assert_eq!(say(&mut modem, "AT+CMGD=1\r"), "\r\nOK\r\n\r\n+CMTI: \"SM\",1\r\n");
}

#[test]
fn faults_have_names() {
    assert_eq!(
        "silent-after-text lost reopen".parse::<Fault>().expect("a fault"),
        Fault::SilentAfterText { sent: false, cure: Cure::Reopen }
    );
    assert!("sulk".parse::<Fault>().is_err());
    let mut modem = Device::new();
    say(&mut modem, "ATE0\r");
    modem.faults.set(Fault::Silent(Cure::Defaults));
    assert_eq!(say(&mut modem, "AT\r"), "");
    assert_eq!(say(&mut modem, "ATZ\r"), "\r\nOK\r\n");
}

#[test]
fn commands_of_the_operator() {
    let modem = Emulator::tcp().expect("a port");
    assert_eq!(command(&modem, "from +4366 hello there"), "done");
    assert!(command(&modem, "status").starts_with("stored 1, "));
    assert_eq!(command(&modem, "report 7"), "no such thing");
    assert!(command(&modem, "fault ?").contains("silent CURE"));
    assert!(command(&modem, "what").contains("unplug"));
}
