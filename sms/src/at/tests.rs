use super::*;
use proptest::prelude::*;

fn expecting(command: &str, answer: Answer) -> Digester {
    let mut digester = Digester::default();
    digester.expect(Expect { command: command.into(), answer, typed: None });
    digester
}

fn sending(pdu: &str) -> Digester {
    let mut digester = Digester::default();
    digester.expect(Expect { command: "AT+CMGS=14".into(), answer: Answer::Lines("+CMGS:"), typed: Some(pdu.into()) });
    digester
}

fn line(text: &str) -> Event {
    Event::Line(text.into())
}

fn stray(text: &str) -> Event {
    Event::Stray(text.into())
}

const OK: Event = Event::Result(ResultCode::Ok);

fn stored(index: u16) -> Event {
    Event::Urc(Urc::MessageStored { memory: "SM".into(), index })
}

/// What `input` gives must not depend on how it is cut.
fn check(digester: impl Fn() -> Digester, input: &str, expected: &[Event]) {
    assert_eq!(digester().feed(input.as_bytes()), expected, "at once: {input:?}");
    let mut bytewise = digester();
    let events: Vec<Event> = input.bytes().flat_map(|byte| bytewise.feed(&[byte])).collect();
    assert_eq!(events, expected, "byte by byte: {input:?}");
}

#[test]
fn plain_answers() {
    let csq = || expecting("AT+CSQ", Answer::Lines("+CSQ:"));
    check(csq, "\r\n+CSQ: 20,0\r\n\r\nOK\r\n", &[line("+CSQ: 20,0"), OK]);
    check(csq, "\r\nERROR\r\n", &[Event::Result(ResultCode::Error)]);
    check(csq, "\r\n+CME ERROR: 14\r\n", &[Event::Result(ResultCode::Cme(CmeError(14)))]);
    check(csq, "+CMS ERROR: 500\r", &[Event::Result(ResultCode::Cms(CmsError(500)))]);
    check(csq, "+CME ERROR: SIM busy\r\n", &[Event::Result(ResultCode::Cme(CmeError(14)))]);
    check(csq, "+CME ERROR: gremlins\r\n", &[Event::Result(ResultCode::Cme(CmeError(100)))]);
}

#[test]
fn echo_is_stripped() {
    let csq = || expecting("AT+CSQ", Answer::Lines("+CSQ:"));
    check(csq, "AT+CSQ\r\r\n+CSQ: 20,0\r\n\r\nOK\r\n", &[line("+CSQ: 20,0"), OK]);
    check(csq, "AT+CSQ+CSQ: 20,0\r\nOK\r\n", &[line("+CSQ: 20,0"), OK]);
    let send = || sending("0011AABB");
    check(
        send,
        "AT+CMGS=14\r\r\n> 0011AABB\u{1a}\r\n+CMGS: 7\r\n\r\nOK\r\n",
        &[Event::Prompt, line("+CMGS: 7"), OK],
    );
}

#[test]
fn prompts_need_no_line_end() {
    let send = || sending("0011");
    check(send, "\r\n> ", &[Event::Prompt]);
    check(send, "\r\n+CMTI: \"SM\",4\r\n> ", &[stored(4), Event::Prompt]);
    check(send, "> \r\n+CMTI: \"SM\",4\r\n", &[Event::Prompt, stored(4)]);
    check(Digester::default, "\r\n> \r\n", &[stray(">")]);
}

#[test]
fn unsolicited_codes_between_and_glued() {
    let csq = || expecting("AT+CSQ", Answer::Lines("+CSQ:"));
    let all = [line("+CSQ: 20,0"), stored(4), OK];
    check(csq, "\r\n+CSQ: 20,0\r\n\r\n+CMTI: \"SM\",4\r\n\r\nOK\r\n", &all);
    check(csq, "\r\n+CSQ: 20,0+CMTI: \"SM\",4\r\nOK\r\n", &all);
    check(csq, "\r\n+CSQ: 20,0+CMTI: \"SM\",4OK\r\n", &all);
    check(csq, "\r\n+CSQ: 20,0\r\nOK+CMTI: \"SM\",4\r\n", &[line("+CSQ: 20,0"), OK, stored(4)]);
    check(Digester::default, "+CMTI: \"SM\",4+CMTI: \"SM\",5\r\n", &[stored(4), stored(5)]);
}

#[test]
fn a_text_that_looks_like_a_code_stays_a_text() {
    let text = "see +CMTI: there, or not";
    check(
        Digester::default,
        &format!("+CUSD: 0,\"{text}\",15\r\n"),
        &[Event::Urc(Urc::Ussd { status: 0, text: Some(text.into()), coding: Some(15) })],
    );
}

#[test]
fn a_text_on_several_lines() {
    let ussd = |text: &str| Event::Urc(Urc::Ussd { status: 0, text: Some(text.into()), coding: Some(15) });
    check(
        Digester::default,
        "\r\n+CUSD: 0,\"Balance: 1\nValid\r\n31.12.\",15\r\n",
        &[ussd("Balance: 1\nValid\n31.12.")],
    );
    // The end quote never comes: the answer that follows is not swallowed.
    let csq = || expecting("AT+CSQ", Answer::Lines("+CSQ:"));
    let open = Event::Urc(Urc::Ussd { status: 0, text: Some("Balance\n+CSQ: 20,0".into()), coding: None });
    check(csq, "+CUSD: 0,\"Balance\n+CSQ: 20,0\nOK\n", &[open, OK]);
}

#[test]
fn messages_on_two_lines() {
    let message = || Event::Urc(Urc::Message("0791AA".into()));
    check(Digester::default, "\r\n+CMT: ,23\r\n0791AA\r\n", &[message()]);
    check(
        Digester::default,
        "\r\n+CDS: 25\r\n0006AA\r\n",
        &[Event::Urc(Urc::Report("0006AA".into()))],
    );
    // The PDU never came.
    check(
        Digester::default,
        "+CMT: ,23\r\n+CMTI: \"SM\",4\r\n",
        &[stray("Message without its PDU"), stored(4)],
    );
    let list = || expecting("AT+CMGL=4", Answer::Pdus("+CMGL:"));
    check(
        list,
        "+CMGL: 1,0,,23\r\n0791\r\n+CMT: ,23\r\n0791AA\r\n+CMGL: 2,1,,23\r\n0792\r\nOK\r\n",
        &[line("+CMGL: 1,0,,23"), line("0791"), message(), line("+CMGL: 2,1,,23"), line("0792"), OK],
    );
    check(
        list,
        "+CMGL: 1,0,,23\r\n+CMTI: \"SM\",4\r\n0791\r\nOK\r\n",
        &[line("+CMGL: 1,0,,23"), stored(4), line("0791"), OK],
    );
}

#[test]
fn registration_asked_and_unasked() {
    let creg = || expecting("AT+CREG?", Answer::Lines("+CREG:"));
    let home = || Event::Urc(Urc::Registration(Registration::Home));
    check(creg, "+CREG: 1\r\n+CREG: 2,5\r\nOK\r\n", &[home(), line("+CREG: 2,5"), OK]);
    check(
        creg,
        "+CREG: 1,\"00C3\",\"12\"\r\n+CREG: 2,5,\"00C3\",\"12\"\r\nOK\r\n",
        &[home(), line("+CREG: 2,5,\"00C3\",\"12\""), OK],
    );
    check(creg, "+CREG: 1,\"0001\",\"12\"\r\n", &[home()]);
}

#[test]
fn free_answers_and_strays() {
    let model = || expecting("AT+CGMM", Answer::Free);
    check(
        model,
        "E173\r\n^RSSI:17\r\nOK\r\n",
        &[line("E173"), Event::Urc(Urc::Other("^RSSI:17".into())), OK],
    );
    // Without a command, an answer is the late one of a command given up.
    check(Digester::default, "+CSQ: 20,0\r\nOK\r\n", &[stray("+CSQ: 20,0"), stray("OK")]);
    check(Digester::default, "\r\nRDY\r\n", &[Event::Urc(Urc::Booted)]);
}

#[test]
fn garbage_does_no_harm() {
    check(Digester::default, "\u{0}\u{7}xx+CMTI: \"SM\",4\r\n", &[stray("xx"), stored(4)]);
    let mut digester = expecting("AT", Answer::None);
    assert_eq!(digester.feed(&vec![b'x'; 3 * 4096]), []);
    assert_eq!(digester.feed(b"\r\nOK\r\n"), [OK]);
    assert_eq!(digester.feed(&[0xFF, 0xFE, b'\r']), [stray("\u{FFFD}\u{FFFD}")]);
}

#[test]
fn fields_of_a_line() {
    let all: Vec<&str> = fields("+X: \"a,b\", 3,,\"c\"", "+X:").unwrap().collect();
    assert_eq!(all, ["a,b", "3", "", "c"]);
    assert_eq!(fields("+X: \"open", "+X:").unwrap().collect::<Vec<_>>(), ["open"]);
    assert_eq!(fields("+X:", "+X:").unwrap().next(), None);
    assert!(fields("+Y: 1", "+X:").is_none());
}

#[test]
fn codes_have_words() {
    assert_eq!(CmeError(14).to_string(), "+CME ERROR 14 (SIM busy)");
    assert_eq!(CmsError(42).to_string(), "+CMS ERROR 42 (congestion)");
    assert_eq!(CmsError(999).description(), "not in the standard");
    assert!(CmeError(515).is_busy() && CmsError(38).is_sim_refused());
    assert!(CmsError(304).is_permanent() && !CmsError(41).is_permanent());
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
        let make = || sending("0011");
        let (front, back) = bytes.split_at(cut.min(bytes.len()));
        let mut cut_digester = make();
        let mut events = cut_digester.feed(front);
        events.extend(cut_digester.feed(back));
        prop_assert_eq!(events, make().feed(&bytes));
    }

    #[test]
    fn a_dialogue_survives_noise_around_it(
        before in "[a-z+:,\" \r\n]{0,40}",
        after in "[a-z+:,\" \r\n]{0,40}",
    ) {
        let mut digester = expecting("AT+CSQ", Answer::Lines("+CSQ:"));
        let events = digester.feed(format!("{before}\r\n+CSQ: 20,0\r\nOK\r\n{after}\r\n").as_bytes());
        prop_assert!(events.contains(&line("+CSQ: 20,0")), "{:?}", events);
        prop_assert!(events.contains(&OK));
    }
}
