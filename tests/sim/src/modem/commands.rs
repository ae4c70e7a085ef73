//! The commands that the emulated modem knows. What it does not know it answers with `ERROR`, as
//! real ones do.

use super::{
    device::{Device, Settings},
    fault::Faults,
    storage::Mark,
};

const MANUFACTURER: &str = "MegaMind";
const MODEL: &str = "Emulated modem";
const REVISION: &str = "1.0";
const IMEI: &str = "490154203237518";
const IMSI: &str = "001010123456789";
const SERVICE_CENTRE: &str = "+10000000000";

impl Device {
    /// Runs what follows `AT`.
    pub(super) fn execute(&mut self, body: &str) {
        let upper = body.to_ascii_uppercase();
        let (name, argument) = match upper.find(['=', '?']) {
            Some(at) if upper[at..].starts_with("=?") => (&upper[..at], Argument::Test),
            Some(at) if upper[at..].starts_with('?') => (&upper[..at], Argument::Read),
            // Arguments keep their case.
            Some(at) => (&upper[..at], Argument::Set(&body[at + 1..])),
            None => (upper.as_str(), Argument::None),
        };
        match argument {
            Argument::None | Argument::Set(_) if self.basic(name) => {}
            Argument::Test => self.test(name),
            Argument::Read => self.read(name),
            Argument::Set(value) => self.set(name, value),
            Argument::None => self.plain(name),
        }
    }

    /// The commands of V.250, without a `+`.
    fn basic(&mut self, name: &str) -> bool {
        match name {
            "" | "&F" | "V1" | "Q0" | "X4" | "S0" | "S3" | "S7" | "H" => {}
            "Z" => {
                let memories = self.settings.memories.clone();
                self.settings = Settings { memories, ..Settings::default() };
            }
            "E" | "E0" => self.settings.echo = self.faults.keep_echo,
            "E1" => self.settings.echo = true,
            "I" => {
                self.answer(&format!("{MANUFACTURER} {MODEL} {REVISION}"));
            }
            _ => return false,
        }
        self.answer("OK");
        true
    }

    fn ok(&mut self, line: &str) {
        self.answer(line);
        self.answer("OK");
    }

    fn test(&mut self, name: &str) {
        match name {
            "+CPMS" => {
                let memories: Vec<String> = self.memories.keys().map(|m| format!("\"{m}\"")).collect();
                let all = memories.join(",");
                self.ok(&format!("+CPMS: ({all}),({all}),({all})"));
            }
            "+CNMI" => self.ok("+CNMI: (0-2),(0-2),(0),(0-2),(0,1)"),
            "+CMGF" => self.ok("+CMGF: (0)"),
            "+CSCS" => self.ok("+CSCS: (\"IRA\",\"GSM\")"),
            "+CMGL" => self.ok("+CMGL: (0-4)"),
            "+CFUN" => self.ok("+CFUN: (0,1,4),(0,1)"),
            "+CREG" => self.ok("+CREG: (0-2)"),
            "+CSMS" => self.ok("+CSMS: (0,1)"),
            "+COPS" => self.ok("+COPS: (2,\"Emulated\",\"Emul\",\"00101\"),,(0-4),(0-2)"),
            "+CUSD" => self.ok("+CUSD: (0-2)"),
            "+CMGS" | "+CMGR" | "+CMGD" | "+CNMA" | "+CSCA" | "+CPIN" | "+CCLK" => {
                self.answer("OK");
            }
            _ => self.answer("ERROR"),
        }
    }

    fn read(&mut self, name: &str) {
        if matches!(name, "+CPIN" | "+CPMS" | "+CSCA") && Faults::once(&mut self.faults.busy) {
            return self.cme_error(14);
        }
        match name {
            "+CPIN" => self.pin_state(),
            "+CPMS" => {
                let shown: Vec<String> = self
                    .settings
                    .memories
                    .iter()
                    .map(|name| format!("\"{name}\",{}", self.usage(name)))
                    .collect();
                self.ok(&format!("+CPMS: {}", shown.join(",")));
            }
            "+CREG" | "+CGREG" | "+CEREG" => {
                let codes = self.settings.registration_codes;
                let place = if codes == 2 { ",\"00C3\",\"1A2B\"" } else { "" };
                let stat = self.registration;
                self.ok(&format!("{name}: {codes},{stat}{place}"));
            }
            "+COPS" => {
                let format = self.settings.operator_format;
                let name = if format == 2 { "00101" } else { "Emulated" };
                self.ok(&format!("+COPS: 0,{format},\"{name}\""));
            }
            "+CSCA" => self.ok(&format!("+CSCA: \"{SERVICE_CENTRE}\",145")),
            "+CSCS" => {
                let charset = self.settings.charset.clone();
                self.ok(&format!("+CSCS: \"{charset}\""));
            }
            "+CMGF" => self.ok("+CMGF: 0"),
            "+CNMI" => {
                let (messages, reports) = (self.settings.announce_messages, self.settings.announce_reports);
                self.ok(&format!("+CNMI: 2,{messages},0,{reports},0"));
            }
            "+CSMS" => {
                let service = self.settings.service;
                self.ok(&format!("+CSMS: {service},1,1,1"));
            }
            "+CMEE" => {
                let errors = self.settings.errors;
                self.ok(&format!("+CMEE: {errors}"));
            }
            "+CFUN" => self.ok("+CFUN: 1"),
            "+CGATT" => self.ok("+CGATT: 1"),
            "+CCLK" => self.ok(&format!("+CCLK: \"{}\"", clock())),
            _ => self.answer("ERROR"),
        }
    }

    fn plain(&mut self, name: &str) {
        match name {
            "+CGMI" | "+GMI" => self.ok(MANUFACTURER),
            "+CGMM" | "+GMM" => self.ok(MODEL),
            "+CGMR" | "+GMR" => self.ok(REVISION),
            "+CGSN" | "+GSN" => self.ok(IMEI),
            "+CIMI" => self.ok(IMSI),
            "+CSQ" => {
                let signal = self.signal;
                self.ok(&format!("+CSQ: {signal},99"));
            }
            "+CBC" => self.ok("+CBC: 0,100"),
            "+CPAS" => self.ok("+CPAS: 0"),
            "+CNUM" => self.answer("OK"),
            "+CMGL" => self.list(None),
            "+CNMA" => self.acknowledged(),
            _ => self.answer("ERROR"),
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        let fields: Vec<&str> = value.split(',').map(|f| f.trim().trim_matches('"')).collect();
        let number = |at: usize| fields.get(at).and_then(|f| f.parse::<u16>().ok());
        let digit = |at: usize| number(at).map(|n| n as u8);
        match name {
            "+CMGS" => match number(0) {
                Some(length) => self.ask_for_text(usize::from(length)),
                None => self.cms_error(304),
            },
            "+CMGR" => self.read_message(number(0)),
            "+CMGD" => self.delete(number(0), number(1)),
            "+CMGL" => match number(0) {
                Some(0) => self.list(Some(Mark::Unread)),
                Some(1) => self.list(Some(Mark::Read)),
                Some(4) => self.list(None),
                // Nothing is ever stored to be sent.
                Some(2 | 3) => self.answer("OK"),
                _ => self.cms_error(305),
            },
            "+CPMS" => self.select(&fields),
            "+CPIN" => self.enter_pin(fields[0]),
            "+CUSD" => self.ussd(digit(0), fields.get(1).copied()),
            "+CFUN" if fields.starts_with(&["1", "1"]) => {
                self.answer("OK");
                self.restart();
            }
            "+CNMA" => self.acknowledged(),
            "+CSMS" => {
                self.settings.service = digit(0).unwrap_or(0).min(1);
                self.ok("+CSMS: 1,1,1");
            }
            _ => {
                let known = self.set_value(name, &fields, digit(0));
                self.answer(if known { "OK" } else { "ERROR" });
                self.hand_over();
            }
        }
    }

    /// Commands that only note something.
    fn set_value(&mut self, name: &str, fields: &[&str], first: Option<u8>) -> bool {
        let digit = |at: usize| fields.get(at).and_then(|f| f.parse::<u8>().ok());
        match (name, first) {
            ("+CMEE", Some(errors @ 0..=2)) => self.settings.errors = errors,
            ("+CMGF", Some(0))
            | ("+CFUN" | "+COPS", Some(0 | 1 | 4))
            | ("+CGREG" | "+CEREG" | "+CLIP" | "+CMMS" | "+CTZU" | "+CRC" | "+CSCA" | "+CGATT" | "+CCLK", _) => {}
            ("+CNMI", Some(0..=2)) => {
                let (messages, reports) = (digit(1).unwrap_or(0), digit(3).unwrap_or(0));
                if messages > 2 || reports > 2 {
                    return false;
                }
                self.settings.announce_messages = messages;
                self.settings.announce_reports = reports;
            }
            ("+CREG", Some(codes @ 0..=2)) => self.settings.registration_codes = codes,
            ("+COPS", Some(3)) => self.settings.operator_format = digit(1).unwrap_or(0),
            ("+CSCS", _) if matches!(fields, ["IRA" | "GSM"]) => {
                fields[0].clone_into(&mut self.settings.charset);
            }
            _ => return false,
        }
        true
    }

    fn usage(&self, memory: &str) -> String {
        self.memories
            .get(memory)
            .map_or_else(|| "0,0".to_owned(), |m| format!("{},{}", m.used(), m.capacity))
    }

    fn select(&mut self, names: &[&str]) {
        if names.iter().any(|name| !self.memories.contains_key(*name)) {
            return self.cms_error(302);
        }
        for (selected, name) in self.settings.memories.iter_mut().zip(names) {
            (*name).clone_into(selected);
        }
        let usage: Vec<String> = self.settings.memories.iter().map(|name| self.usage(name)).collect();
        self.ok(&format!("+CPMS: {}", usage.join(",")));
    }

    fn read_message(&mut self, index: Option<u16>) {
        let selected = self.settings.memories[0].clone();
        let memory = self.memories.get_mut(&selected);
        let stored = memory.and_then(|memory| memory.read(index?));
        match stored {
            Some(stored) => {
                let (mark, length) = (stored.mark as u8, stored.length());
                self.ok(&format!("+CMGR: {mark},,{length}\r\n{}", stored.pdu));
            }
            None => self.cms_error(321),
        }
    }

    fn list(&mut self, mark: Option<Mark>) {
        let selected = self.settings.memories[0].clone();
        let found = match self.memories.get_mut(&selected) {
            Some(memory) => memory.list(mark),
            None => Vec::new(),
        };
        for (index, stored) in found {
            let (mark, length) = (stored.mark as u8, stored.length());
            self.answer(&format!("+CMGL: {index},{mark},,{length}\r\n{}", stored.pdu));
        }
        self.answer("OK");
    }

    fn delete(&mut self, index: Option<u16>, flag: Option<u16>) {
        if Faults::once(&mut self.faults.keep_messages) {
            return self.cms_error(320);
        }
        let selected = self.settings.memories[0].clone();
        let Some(memory) = self.memories.get_mut(&selected) else {
            return self.cms_error(302);
        };
        let deleted = match (index, flag) {
            (_, Some(4)) => {
                memory.clear();
                true
            }
            (Some(index), _) => memory.delete(index),
            (None, _) => false,
        };
        if deleted {
            self.answer("OK");
        } else {
            self.cms_error(321);
        }
        self.hand_over();
    }

    fn acknowledged(&mut self) {
        if self.acknowledge() {
            self.answer("OK");
            self.hand_over();
        } else {
            self.cms_error(340);
        }
    }

    fn pin_state(&mut self) {
        let state = match (self.sim.locked, self.sim.failures) {
            (true, 3..) => "SIM PUK",
            (true, _) => "SIM PIN",
            (false, _) => "READY",
        };
        self.ok(&format!("+CPIN: {state}"));
    }

    fn enter_pin(&mut self, pin: &str) {
        if self.sim.failures >= 3 {
            return self.cme_error(12);
        }
        if self.sim.pin.as_deref() == Some(pin) {
            self.sim.locked = false;
            self.sim.failures = 0;
            self.answer("OK");
        } else {
            self.sim.failures += 1;
            self.cme_error(16);
        }
    }

    fn ussd(&mut self, mode: Option<u8>, request: Option<&str>) {
        self.answer("OK");
        if let (Some(1), Some(request)) = (mode, request) {
            match self.ussd.get(request).cloned() {
                Some(text) => self.announce(&format!("+CUSD: 0,\"{text}\",15")),
                None => self.announce("+CUSD: 4"),
            }
        }
    }
}

enum Argument<'a> {
    None,
    Test,
    Read,
    Set(&'a str),
}

/// The time as `+CCLK` says it, in UTC.
fn clock() -> String {
    jiff::Timestamp::now().strftime("%y/%m/%d,%H:%M:%S+00").to_string()
}
