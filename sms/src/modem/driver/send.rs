//! Messages and USSD requests that go out.

use super::{Command, Driver, DriverEvent, Output, Reply, State};
use crate::{
    at::{Answer, ResultCode, fields},
    modem::{exchange::End, outbox::SendOutcome},
    pdu::{
        DataCoding, Payload,
        alphabet::{Shift, septets},
        hex,
    },
};

/// "Network timeout": the network may have it all the same.
const NETWORK_TIMEOUT: u16 = 332;
/// The cell broadcast coding that says default alphabet, language unspecified.
const USSD_CODING: u8 = 15;

impl Driver {
    /// Takes a part; it is sent when its turn comes.
    pub(super) fn accept(&mut self, pdu: String, length: usize) {
        if !self.can_send() {
            self.output.push(Output::Sent(SendOutcome::NotSent("not ready".to_owned())));
            return;
        }
        let config = &self.config;
        let command = Command::new(format!("AT+CMGS={length}"), Answer::Lines("+CMGS:"), config.slow_deadline);
        self.sending = Some(command.typing(pdu, config.send_deadline, config.send_grace));
    }

    /// Gives back a part that was never begun.
    pub(super) fn give_back(&mut self) {
        if self.sending.take().is_some() {
            self.output
                .push(Output::Sent(SendOutcome::NotSent("the modem is not there".to_owned())));
        }
    }

    pub(super) fn sent(&mut self, reply: &Reply) {
        let reference = reply.lines.iter().find_map(|line| fields(line, "+CMGS:")?.number::<u8>());
        let outcome = match (&reply.end, reference) {
            // A reference is the modem's word, even if its OK got lost.
            (End::Code(ResultCode::Ok) | End::Silence, Some(reference)) => SendOutcome::Sent { reference },
            (End::Code(ResultCode::Cms(code)), _) if code.0 != NETWORK_TIMEOUT => SendOutcome::Refused(Some(*code)),
            (End::Code(ResultCode::Error | ResultCode::Cme(_)), _) => SendOutcome::Refused(None),
            _ if !reply.typed => SendOutcome::NotSent("no prompt".to_owned()),
            _ => SendOutcome::Unknown,
        };
        match outcome {
            SendOutcome::Sent { .. } => self.counters.sent += 1,
            SendOutcome::Refused(_) => self.counters.refused += 1,
            SendOutcome::Unknown => self.counters.unknown += 1,
            SendOutcome::NotSent(_) => {}
        }
        self.output.push(Output::Sent(outcome));
    }

    pub(super) fn ussd_command(&mut self) -> Command {
        let request = self.ussd.take().unwrap_or_default();
        let text = match Shift::default().encode(&request) {
            Ok(coded) if self.config.ussd_packed => hex::format(&septets::pack(&coded, 0)),
            _ => request,
        };
        Command::new(format!("AT+CUSD=1,\"{text}\",{USSD_CODING}"), Answer::None, self.config.slow_deadline)
    }

    pub(super) fn ussd_sent(&mut self, reply: &Reply) {
        if let End::Code(code @ (ResultCode::Error | ResultCode::Cme(_) | ResultCode::Cms(_))) = &reply.end {
            self.event(DriverEvent::UssdFailed(code.to_string()));
        }
    }

    pub(super) fn ussd_answer(&mut self, text: Option<String>, coding: Option<u8>) {
        let text = text.map(|text| ussd_text(&text, coding.unwrap_or(USSD_CODING)));
        self.event(DriverEvent::Ussd(text));
    }

    /// The network is gone: a part that waits had better go by another modem.
    pub(super) fn network_lost(&mut self) {
        self.enter(State::NoNetwork);
        if self.task != Some(super::Task::Send) {
            self.give_back();
        }
    }
}

/// The text of a USSD answer, which modems give plain or, in any of three codings, as hexadecimal.
fn ussd_text(text: &str, coding: u8) -> String {
    let octets = match hex::parse(text) {
        // Digits alone may well be an amount of money.
        Ok(octets) if octets.len() > 2 && !text.bytes().all(|b| b.is_ascii_digit()) => octets,
        Ok(octets) if coding == 0x48 => octets,
        _ => return text.to_owned(),
    };
    // Cell broadcast groups 01xx have the alphabet where the data coding scheme has it; 0x11 is
    // UCS-2 behind a language (3GPP TS 23.038 §5).
    let payload = match coding {
        0x40..=0x7F if DataCoding(coding).alphabet() == crate::pdu::Alphabet::Ucs2 => Payload::Ucs2(octets),
        0x11 => Payload::Ucs2(octets),
        0x40..=0x7F if DataCoding(coding).alphabet() == crate::pdu::Alphabet::Data => Payload::Data(octets),
        _ => {
            let count = octets.len() * 8 / 7;
            Payload::Gsm7(septets::unpack(&octets, 0, count).unwrap_or_default())
        }
    };
    // Septets that only fill the last octet are carriage returns or `@` (§6.1.2.3.1).
    let text = payload.text(Shift::default());
    text.trim_end_matches(['\r', '@']).to_owned()
}
