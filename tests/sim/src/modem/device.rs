//! The modem itself, without IO: bytes go in, bytes come out, and the network around it is in the
//! hands of whoever holds it.

use super::{
    fault::{AfterText, Cure, Faults},
    storage::{Memory, tpdu_length},
};
use megamind_sms::pdu::{Direction, Frame, Prefix, ServiceTime, Status, StatusReport, Submit, Tpdu, hex};
use std::collections::{BTreeMap, VecDeque};

const CTRL_Z: u8 = 0x1A;
const ESC: u8 = 0x1B;
/// Commands remembered for whoever wants to see what a driver does.
const MAX_LOG: usize = 10_000;
/// Octets of a line that make sense.
const MAX_LINE: usize = 2048;

/// A message that the modem has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The reference that the modem gave it.
    pub reference: u8,
    /// The message.
    pub submit: Submit,
}

/// What `ATZ` resets.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) echo: bool,
    pub(super) errors: u8,
    pub(super) announce_messages: u8,
    pub(super) announce_reports: u8,
    pub(super) service: u8,
    pub(super) registration_codes: u8,
    pub(super) operator_format: u8,
    pub(super) charset: String,
    /// Read and delete, write, receive.
    pub(super) memories: [String; 3],
}

impl Default for Settings {
    fn default() -> Self {
        let memory = || "SM".to_owned();
        Self {
            echo: true,
            errors: 0,
            announce_messages: 0,
            announce_reports: 0,
            service: 0,
            registration_codes: 0,
            operator_format: 0,
            charset: "IRA".to_owned(),
            memories: [memory(), memory(), memory()],
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Sim {
    pub(super) pin: Option<String>,
    pub(super) locked: bool,
    pub(super) failures: u8,
}

/// The emulated modem.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) settings: Settings,
    pub(super) memories: BTreeMap<String, Memory>,
    pub(super) sim: Sim,
    /// `<stat>` of `+CREG`.
    pub(super) registration: u8,
    pub(super) signal: u8,
    pub(super) ussd: BTreeMap<String, String>,
    pub(super) faults: Faults,
    pub(super) sent: Vec<Sent>,
    pub(super) restarts: u32,
    pub(super) log: VecDeque<String>,
    /// Said to be gone: the host takes the port away.
    pub(super) vanished: bool,
    /// Reports for messages sent come by themselves.
    pub(super) reports: bool,
    line: Vec<u8>,
    /// The length that was announced for the text that is being typed.
    prompt: Option<usize>,
    /// Messages that the network could not hand over yet.
    waiting: VecDeque<Incoming>,
    /// A message was handed over directly and is not acknowledged yet.
    unacknowledged: Option<Incoming>,
    next_reference: u8,
    out: Vec<u8>,
    /// Unsolicited codes that come behind the answer being given.
    after: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Incoming {
    pdu: String,
    is_report: bool,
}

impl Device {
    pub(super) fn new() -> Self {
        let memory = |name: &str, capacity| (name.to_owned(), Memory::new(capacity));
        Self {
            settings: Settings::default(),
            memories: BTreeMap::from([memory("SM", 30), memory("ME", 100), memory("SR", 100)]),
            sim: Sim::default(),
            registration: 1,
            signal: 21,
            ussd: BTreeMap::from([("*100#".to_owned(), "Balance 42.17, valid 31.12.".to_owned())]),
            faults: Faults::default(),
            sent: Vec::new(),
            restarts: 0,
            log: VecDeque::new(),
            vanished: false,
            reports: true,
            line: Vec::new(),
            prompt: None,
            waiting: VecDeque::new(),
            unacknowledged: None,
            next_reference: 0,
            out: Vec::new(),
            after: Vec::new(),
        }
    }

    /// What the modem has said since the last call.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.out);
        out.append(&mut self.after);
        if self.faults.silence.is_some() {
            out.clear();
        }
        out
    }

    /// The port was opened: what was half typed is forgotten.
    pub(super) fn opened(&mut self) {
        self.cure(Cure::Reopen);
        self.line.clear();
        self.prompt = None;
        self.out.clear();
        self.after.clear();
    }

    fn cure(&mut self, cure: Cure) {
        if self.faults.silence == Some(cure) {
            self.faults.silence = None;
        }
    }

    /// Takes what was typed.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match (byte, self.prompt) {
                (ESC, prompt) => {
                    self.cure(Cure::Escape);
                    self.line.clear();
                    if prompt.is_some() {
                        self.prompt = None;
                        self.answer("OK");
                    }
                }
                (CTRL_Z, Some(length)) => {
                    self.prompt = None;
                    let text = std::mem::take(&mut self.line);
                    self.text(length, &String::from_utf8_lossy(&text));
                }
                (b'\r', None) => {
                    self.echo(byte);
                    let line = std::mem::take(&mut self.line);
                    self.command(String::from_utf8_lossy(&line).trim());
                }
                (b'\n', None) => {}
                _ => {
                    self.echo(byte);
                    if self.line.len() < MAX_LINE {
                        self.line.push(byte);
                    }
                }
            }
        }
    }

    fn echo(&mut self, byte: u8) {
        if self.settings.echo && self.faults.silence.is_none() {
            self.out.push(byte);
        }
    }

    /// A line of an answer, or its result code.
    pub(super) fn answer(&mut self, line: &str) {
        if self.faults.silence.is_some() {
            return;
        }
        if self.faults.garbage {
            self.out.extend(b"\r\n\x00\x07~}#\r\n");
        }
        self.out.extend(format!("\r\n{line}\r\n").into_bytes());
    }

    /// An unsolicited code. Glued ones come without the line ends that would set them off.
    pub(super) fn announce(&mut self, line: &str) {
        if self.faults.silence.is_some() {
            return;
        }
        let behind = &mut self.after;
        if self.faults.glue {
            let end = self.out.trim_ascii_end().len();
            self.out.truncate(end);
            self.out.extend(line.as_bytes());
            self.out.extend(b"\r\n");
        } else {
            behind.extend(format!("\r\n{line}\r\n").into_bytes());
        }
    }

    fn command(&mut self, line: &str) {
        if self.log.len() == MAX_LOG {
            self.log.pop_front();
        }
        self.log.push_back(line.to_owned());
        let upper = line.to_ascii_uppercase();
        if upper == "ATZ" {
            self.cure(Cure::Defaults);
        }
        if upper.starts_with("AT+CFUN=1,1") {
            self.cure(Cure::Restart);
        }
        // An empty line, or the rest of something garbled.
        let Some(body) = upper.find("AT").map(|at| line[at + 2..].to_owned()) else {
            return;
        };
        if self.faults.silence.is_none() {
            self.execute(body.trim());
        }
    }

    /// Asks for the text of a message of `length` octets.
    pub(super) fn ask_for_text(&mut self, length: usize) {
        self.prompt = Some(length);
        self.out.extend(b"\r\n> ");
    }

    /// The text of a message has been typed.
    fn text(&mut self, length: usize, pdu: &str) {
        if let Some(code) = self.faults.refusal() {
            return self.cms_error(code);
        }
        let frame = hex::parse(pdu).and_then(|octets| Frame::decode(&octets, Some(Direction::Submit), Prefix::Present));
        let Ok(Frame { tpdu: Tpdu::Submit(submit), .. }) = frame else {
            return self.cms_error(304);
        };
        if tpdu_length(pdu.trim()) != length {
            return self.cms_error(304);
        }
        match self.faults.after_text.take() {
            None => {
                let reference = self.send(submit);
                self.answer(&format!("+CMGS: {reference}"));
                self.answer("OK");
                self.hand_over();
            }
            Some(AfterText::Silence { sent, cure }) => {
                if sent {
                    self.send(submit);
                }
                self.faults.silence = Some(cure);
            }
            Some(AfterText::Vanish { sent }) => {
                if sent {
                    self.send(submit);
                }
                self.vanished = true;
            }
        }
    }

    /// The network takes a message, and delivers it at once.
    fn send(&mut self, submit: Submit) -> u8 {
        let reference = self.next_reference;
        self.next_reference = reference.wrapping_add(1);
        if submit.status_report && self.reports {
            self.waiting
                .push_back(Incoming { pdu: report(reference, &submit, Status::RECEIVED), is_report: true });
        }
        self.sent.push(Sent { reference, submit });
        reference
    }

    /// A message comes from the network.
    pub(super) fn deliver(&mut self, pdu: String) {
        let is_report = Frame::from_hex(&pdu).is_ok_and(|frame| frame.tpdu.direction() == Direction::StatusReport);
        self.waiting.push_back(Incoming { pdu, is_report });
        self.hand_over();
    }

    /// Messages that the network still has.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + usize::from(self.unacknowledged.is_some())
    }

    /// Hands over what waits, as far as there is room and the last one is acknowledged.
    pub(super) fn hand_over(&mut self) {
        while self.unacknowledged.is_none() {
            let Some(next) = self.waiting.pop_front() else {
                return;
            };
            let way = if next.is_report {
                self.settings.announce_reports
            } else {
                self.settings.announce_messages
            };
            let direct = if next.is_report { way == 1 } else { way == 2 };
            if direct {
                self.hand_over_directly(next);
            } else if !self.store(&next, way) {
                // The storage is full: the network keeps it, and the modem says nothing.
                self.waiting.push_front(next);
                return;
            }
        }
    }

    fn hand_over_directly(&mut self, incoming: Incoming) {
        let length = tpdu_length(&incoming.pdu);
        let head = if incoming.is_report {
            format!("+CDS: {length}")
        } else {
            format!("+CMT: ,{length}")
        };
        self.announce(&format!("{head}\r\n{}", incoming.pdu));
        if self.settings.service == 1 {
            self.unacknowledged = Some(incoming);
        }
    }

    /// Stores; `false` when there is no room.
    fn store(&mut self, incoming: &Incoming, way: u8) -> bool {
        let name = match (&self.faults.store_in, incoming.is_report && way == 2) {
            (Some(memory), _) => memory.clone(),
            (None, true) => "SR".to_owned(),
            (None, false) => self.settings.memories[2].clone(),
        };
        let stored = self
            .memories
            .get_mut(&name)
            .and_then(|memory| memory.store(incoming.pdu.clone()));
        let Some(index) = stored else { return false };
        let code = if incoming.is_report { "+CDSI" } else { "+CMTI" };
        let announced = way == if incoming.is_report { 2 } else { 1 };
        if announced && !self.faults.lose {
            self.announce(&format!("{code}: \"{name}\",{index}"));
        }
        true
    }

    /// `AT+CNMA`; `false` when there was nothing to acknowledge.
    pub(super) fn acknowledge(&mut self) -> bool {
        self.unacknowledged.take().is_some()
    }

    /// The modem starts again: all settings are gone, messages are not.
    pub(super) fn restart(&mut self) {
        self.restarts += 1;
        self.settings = Settings::default();
        self.prompt = None;
        self.line.clear();
        // The network repeats what was never acknowledged.
        if let Some(again) = self.unacknowledged.take() {
            self.waiting.push_front(again);
        }
        self.sim.locked = self.sim.pin.is_some();
        if self.faults.vanish_at_restart {
            self.vanished = true;
        }
    }

    pub(super) fn cme_error(&mut self, code: u16) {
        match self.settings.errors {
            0 => self.answer("ERROR"),
            _ => self.answer(&format!("+CME ERROR: {code}")),
        }
    }

    pub(super) fn cms_error(&mut self, code: u16) {
        self.answer(&format!("+CMS ERROR: {code}"));
    }
}

/// The delivery report for a message.
pub(super) fn report(reference: u8, submit: &Submit, status: Status) -> String {
    let now = ServiceTime::at(jiff::Timestamp::now(), 0).unwrap_or(ServiceTime([0; 7]));
    Frame::new(Tpdu::StatusReport(StatusReport {
        more_messages: false,
        loop_prevention: false,
        for_command: false,
        message_reference: reference,
        recipient: submit.destination.clone(),
        timestamp: now,
        discharge: now,
        status,
        parameters: Vec::new(),
    }))
    .to_hex()
}
