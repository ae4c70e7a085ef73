//! Pilots by SMS alone, through an emulated modem on a pseudo-terminal.

mod care;
mod channels;
mod enrolled;
mod kills;
mod refused;
mod work;

use std::path::Path;

use megamind_sim::modem::Emulator;
use megamind_sms::identity::{Secret, app_code};
use megamind_tests::{City, Request, wait};
use serde_json::json;

/// A pilot who can only write.
pub(crate) struct Writer {
    id: String,
    number: String,
    secret: Secret,
    card: Vec<String>,
    next: std::cell::Cell<usize>,
}

/// A city with one modem, and the pilots P1 and P2 enrolled.
pub(crate) struct Rig {
    pub(crate) city: City,
    pub(crate) modem: Emulator,
    pub(crate) pilots: Vec<Writer>,
    // Removed last.
    _link: tempfile::TempDir,
}

pub(crate) fn config(link: &Path) -> String {
    format!(
        "[sms]\ncountry = \"IN\"\nutc_offset = \"+05:30\"\nreference = \"12.97,77.59\"\nper_minute = 100000\ndaily_budget = 1000000\nheartbeat = \"200ms\"\n\
         [[modem]]\nname = \"sim1\"\ndevice = \"{}\"\n",
        link.display()
    )
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::with(config)
    }

    pub(crate) fn with(config: impl Fn(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("modem0");
        let modem = Emulator::pty(&link).expect("a pseudo-terminal");
        let city = City::with(&config(&link)).start();
        let mut rig = Self { city, modem, pilots: Vec::new(), _link: folder };
        for (id, number) in [("P1", "+919812345671"), ("P2", "+919812345672")] {
            let body = json!({"minionId": id, "lat": 12.97, "lng": 77.59, "status": "available", "phone": number});
            rig.city.post("/ind/setminiongeneralinfo", &body).expect(200);
            rig.enrol(id, number);
        }
        // What was set about the pilots is the cloud's too: nothing is fenced.
        rig.city.gateway.await_drained();
        rig
    }

    fn enrol(&mut self, id: &str, number: &str) {
        let told = self.ask("/admin/sms/enrol", &json!({"pilot": id}));
        let card = self.ask("/admin/sms/card", &json!({"pilot": id}));
        let base32 = told["secret"].as_str().expect("a secret");
        let codes = card["codes"].as_array().expect("codes");
        self.pilots.push(Writer {
            id: id.to_owned(),
            number: number.to_owned(),
            secret: Secret::new(decoded(base32)),
            card: codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect(),
            next: std::cell::Cell::new(0),
        });
    }

    fn ask(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        self.city
            .gateway
            .ask(&Request::post(path, body))
            .expect("an answer")
            .expect(200)
            .json()
    }

    /// All that was sent to a number.
    pub(crate) fn texts(&self, number: &str) -> Vec<String> {
        let sent = self.modem.sent();
        sent.iter()
            .filter(|sent| sent.submit.destination.to_string() == number)
            .map(|sent| sent.submit.user_data.text())
            .collect()
    }

    /// Waits for a text to a number that begins so.
    pub(crate) fn await_text(&self, number: &str, start: &str) -> String {
        wait::until(&format!("{start:?} goes to {number}"), || {
            self.texts(number).into_iter().find(|text| text.starts_with(start))
        })
    }

    /// Waits until a message with this outcome was heard, and tells how often.
    pub(crate) fn await_outcome(&self, outcome: &str, times: usize) {
        wait::until(&format!("{outcome} was heard {times} times"), || {
            (self.outcomes(outcome) >= times).then_some(())
        });
    }

    pub(crate) fn outcomes(&self, outcome: &str) -> usize {
        let log = self
            .city
            .gateway
            .ask(&Request::get("/admin/sms/log?limit=1000"))
            .expect("an answer");
        let log = log.expect(200).json();
        let heard = log["in"].as_array().expect("a list");
        heard.iter().filter(|heard| heard["outcome"] == outcome).count()
    }

    /// The short number of the order that a pilot was sent, from a text such as `NEW 4711 PICK …`.
    pub(crate) fn assigned(&self, number: &str) -> String {
        let text = self.await_text(number, "NEW ");
        text.split(' ').nth(1).expect("a number").to_owned()
    }
}

impl Writer {
    pub(crate) fn number(&self) -> &str {
        &self.number
    }

    /// A message with an app's code.
    pub(crate) fn by_app(&self, seq: u32, body: &str) -> String {
        let code = app_code(&self.secret, "tst", &self.number, seq, &body.to_ascii_uppercase());
        format!("{body} {seq} {code}")
    }

    /// A message with an app's code, from another number than the first.
    pub(crate) fn from(&self, number: &str, seq: u32, body: &str) -> String {
        let code = app_code(&self.secret, "tst", number, seq, &body.to_ascii_uppercase());
        format!("{body} {seq} {code}")
    }

    /// A message with the next code of the card.
    pub(crate) fn by_card(&self, seq: u32, body: &str) -> String {
        let next = self.next.get();
        self.next.set(next + 1);
        format!("{body} {seq} {}", self.card[next])
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// RFC 4648 base 32.
fn decoded(text: &str) -> [u8; 20] {
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            _ => letter - b'2' + 26,
        };
        bits = bits << 5 | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out.try_into().expect("twenty bytes")
}
