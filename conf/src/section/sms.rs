//! The SMS channel: `[sms]`, `[[sms.http]]`, `[[sms.smtp]]`, `[[modem]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::read::Section;
use crate::read::field::{optional, or, required, tables};
use crate::read::form::{members, path, plain, word};
use crate::read::number::{count, duration, ratio};
use crate::read::{section, words};
use crate::value::duration::{DAY, HOUR, MINUTE, MS, SECOND, secs};
use crate::value::{Ratio, is_label};

words! {
    /// Which of several working channels takes a message.
    pub enum Scheduler {
        /// The first: modems, then `[[sms.http]]`, then `[[sms.smtp]]`, each in the order of the file.
        Priority = "priority",
        /// Each in turn.
        RoundRobin = "round_robin",
        /// The one with the fewest messages waiting.
        LeastBusy = "least_busy",
        /// Any.
        Random = "random",
    }
}

words! {
    /// What to do with a message when nobody knows whether it went out.
    pub enum Unknown {
        /// Send it again, by the same channel and under the same number.
        Resend = "resend",
        /// Take it as sent: rather lost than twice.
        AssumeSent = "assume_sent",
    }
}

section! {
    /// Pilots without data, by text message.
    pub struct Sms {
        /// The country whose national numbers are understood (ISO 3166-1, two letters).
        pub country: String = required(
            plain("two capital letters such as \"IN\"", |text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())),
            "IN".to_owned(),
        ),
        /// The city's clock, as its distance from UTC: with it, pilots are told by when an order should be at the door.
        pub utc_offset: Option<String> = optional(plain("an offset such as \"+05:30\"", is_offset), "+05:30".to_owned()),
        /// A place in the city, latitude and longitude in degrees: short plus codes are those nearest to it. Without it,
        /// they are those nearest to the pilot's last known position.
        pub reference: Option<String> = optional(plain("two numbers of degrees such as \"12.97,77.59\"", is_place), "12.97,77.59".to_owned()),
        /// Which of several working channels takes a message: the first (modems, then `[[sms.http]]`, then
        /// `[[sms.smtp]]`, each in the order of the file), each in turn, the one with the fewest waiting, or any.
        pub scheduler: Scheduler = or(word(), Scheduler::Priority),
        /// How often every channel says that it works.
        pub heartbeat: Duration = or(duration(MS * 100..=HOUR), secs(10)),
        /// A channel that has not said so for this long is dropped, until it says so again.
        pub drop_after: Duration = or(duration(MS * 200..=DAY), secs(30)),
        /// A message of which nobody knows whether it went out is sent again by the same channel, or taken as sent.
        pub on_unknown: Unknown = or(word(), Unknown::Resend),
        /// Messages that one SIM sends a day at most.
        pub daily_budget: u32 = or(count(0..=1_000_000), 90),
        /// Messages that one SIM sends a minute at most; a quarter of them may go at once.
        pub per_minute: u32 = or(count(1..=100_000), 20),
        /// The share of the budget that is kept for assignments. On a day after one that needed more of them, as much as
        /// that needed is kept.
        pub assignment_share: Ratio = or(ratio(), Ratio::THIRTY_PERCENT),
        /// A SIM without a delivery report for this long is rested.
        pub silent_after: Duration = or(duration(MINUTE..=DAY * 7), HOUR * 6),
        /// How long a SIM rests.
        pub rest: Duration = or(duration(SECOND..=DAY), MINUTE * 30),
        /// An answer that has not gone out for this long is not sent any more.
        pub answer_expires: Duration = or(duration(SECOND..=DAY), HOUR),
        /// The same for messages about orders, and for an operator's.
        pub message_expires: Duration = or(duration(MINUTE..=DAY * 7), HOUR * 4),
        /// How often each modem with a `number` is written to by another, to see that both work; without it, never.
        pub probe_every: Option<Duration> = optional(duration(SECOND..=DAY * 7), DAY),
        /// How often the balance of prepaid SIMs is asked for.
        pub balance_every: Duration = or(duration(SECOND..=DAY * 7), HOUR * 6),
        /// How long messages that are done with are kept.
        pub keep_log: Duration = or(duration(HOUR..=DAY * 3_650), DAY * 90),
        /// A file of texts instead of those that come with the program (`sms/src/grammar/templates.toml`): other words,
        /// or the ids under which a regulator knows them.
        pub templates: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/templates.toml")),
        /// Providers that are asked by HTTP.
        pub http: Vec<HttpSms> = tables(),
        /// Providers that take mail.
        pub smtp: Vec<SmtpSms> = tables(),
    }
    rules = Sms::rules;
}

impl Sms {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if self.drop_after < self.heartbeat * 2 {
            section.refuse(
                "drop_after",
                "found less than twice the heartbeat, allowed is twice sms.heartbeat or more",
            );
        }
    }
}

/// `+05:30`: hours to 14, and quarters of one.
fn is_offset(text: &str) -> bool {
    let parts = text.strip_prefix(['+', '-']).and_then(|rest| rest.split_once(':'));
    let number = |text: &str, most: u8| text.len() == 2 && text.parse::<u8>().is_ok_and(|number| number <= most);
    parts.is_some_and(|(hours, minutes)| number(hours, 14) && number(minutes, 59))
}

fn is_place(text: &str) -> bool {
    let degrees = |text: &str, most: f64| text.trim().parse::<f64>().is_ok_and(|number| number.abs() <= most);
    text.split_once(',')
        .is_some_and(|(lat, lng)| degrees(lat, 90.0) && degrees(lng, 180.0))
}

/// Whether every `{word}` in a text is a placeholder.
fn is_pattern(text: &str) -> bool {
    const KNOWN: [&str; 6] = ["number", "digits", "text", "template_id", "id", "secret"];
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        rest = &rest[at + 1..];
        let name = rest.split_once('}').map(|(name, _)| name);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        // Braces of JSON are no placeholders.
        if name.is_some_and(|name| is_name(name) && !KNOWN.contains(&name)) {
            return false;
        }
    }
    true
}

fn is_url(text: &str) -> bool {
    is_label(text) && (text.starts_with("https://") || text.starts_with("http://")) && is_pattern(text)
}

fn is_address(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && is_label(text)
}

words! {
    /// How a provider is asked.
    pub enum HttpMethod {
        /// GET, without a body.
        Get = "GET",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
    }
}

section! {
    /// A provider that sends messages when asked by HTTP. URL, headers and body may have placeholders; they are written
    /// as their place demands: percent-encoded in a URL or a form, escaped in JSON.
    pub struct HttpSms {
        /// Its name in logs, metrics and the list of messages.
        pub name: String = required(plain("a name", is_label), "provider".to_owned()),
        /// Where to ask: `{number}`, `{digits}` (without the +), `{text}`, `{template_id}`, `{id}` (the same at every
        /// attempt) and `{secret}` stand for what is sent.
        pub url: String = required(
            plain("a URL of http or https; placeholders: {number}, {digits}, {text}, {template_id}, {id}, {secret}", is_url),
            "https://sms.example.com/send".to_owned(),
        ),
        /// How.
        pub method: HttpMethod = or(word(), HttpMethod::Post),
        /// Headers besides. A `content-type` of JSON or of a form tells how placeholders in the body are written.
        pub headers: BTreeMap<String, String> = or(
            members(plain("a text with the placeholders of `url`", is_pattern)),
            BTreeMap::new(),
        ),
        /// The body.
        pub body: String = or(plain("a text with the placeholders of `url`", is_pattern), String::new()),
        /// A file with what `{secret}` stands for; read again at every message.
        pub secret_file: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/provider.secret")),
        /// What the answer must contain to count, besides a status of 2xx.
        pub success: Option<String> = optional(plain("a text", |text| !text.is_empty() && text.len() <= 256), "\"accepted\"".to_owned()),
        /// The longest that an answer may take.
        pub timeout: Duration = or(duration(MS * 100..=MINUTE), secs(10)),
        /// Messages under way at once.
        pub max_concurrency: usize = or(count(1..=100), 4),
        /// The certificates, in PEM, that it is verified by; without it, the system's.
        pub ca: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/provider-ca.pem")),
    }
}

words! {
    /// When the connection to a mail server is encrypted.
    pub enum SmtpTls {
        /// By STARTTLS, and not without.
        StartTls = "starttls",
        /// From its first byte.
        Implicit = "implicit",
        /// Never.
        None = "none",
    }
}

section! {
    /// A provider, or an operator's gateway, that makes messages of mail.
    pub struct SmtpSms {
        /// Its name in logs, metrics and the list of messages.
        pub name: String = required(plain("a name", is_label), "mail".to_owned()),
        /// The mail server.
        pub server: String = required(
            plain("host:port", |text| {
                text.rsplit_once(':').is_some_and(|(host, port)| is_label(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
            }),
            "mail.example.com:587".to_owned(),
        ),
        /// Whether the connection is encrypted: `starttls`, `implicit`, `none`.
        pub tls: SmtpTls = or(word(), SmtpTls::StartTls),
        /// The certificates, in PEM, that it is verified by; without it, the system's.
        pub ca: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/mail-ca.pem")),
        /// Who logs in; without it, nobody does.
        pub username: Option<String> = optional(plain("a name", is_label), "megamind".to_owned()),
        /// A file with the password.
        pub password_file: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/mail.password")),
        /// The sender's address.
        pub from: String = required(plain("a mail address", is_address), "megamind@example.com".to_owned()),
        /// The recipient's address; `{number}` or `{digits}` stand for the pilot's.
        pub to: String = required(
            plain("a mail address with {number} or {digits}", |text| {
                is_address(text) && is_pattern(text) && (text.contains("{number}") || text.contains("{digits}"))
            }),
            "{digits}@sms.example.com".to_owned(),
        ),
        /// The subject; the placeholders of `sms.http.url`.
        pub subject: String = or(plain("a text with placeholders", |text| text.len() <= 256 && is_pattern(text)), "SMS".to_owned()),
        /// The longest that each step may take.
        pub timeout: Duration = or(duration(MS * 100..=MINUTE), secs(10)),
        /// Messages under way at once.
        pub max_concurrency: usize = or(count(1..=100), 2),
    }
}

section! {
    /// A GSM modem on a serial port. Each needs a `name` of its own.
    pub struct Modem {
        /// Its name in logs, metrics and commands.
        pub name: String = required(plain("a name", is_label), "sim1".to_owned()),
        /// The port, best by its id, which a re-plugged modem keeps.
        pub device: PathBuf = required(path(), PathBuf::from("/dev/serial/by-id/usb-modem")),
        /// The port's speed, in bits a second.
        pub baud: u32 = or(count(300..=4_000_000), 115_200),
        /// A file with the SIM's PIN.
        pub pin_file: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/sim1.pin")),
        /// The SIM's own number (E.164): then other modems can probe it (`sms.probe_every`).
        pub number: Option<String> = optional(
            plain("a number such as \"+919812345678\"", |text| {
                text.strip_prefix('+').is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
            }),
            "+919812345678".to_owned(),
        ),
        /// What a prepaid SIM is asked for its balance by.
        pub balance_ussd: Option<String> = optional(
            plain("a USSD request such as \"*123#\"", |text| {
                (2..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'))
            }),
            "*123#".to_owned(),
        ),
        /// An alarm is raised below this balance, in the SIM's currency.
        pub balance_alarm: u32 = or(count(0..=1_000_000), 20),
        /// An alarm is raised when the SIM's validity ends within this.
        pub validity_alarm: Duration = or(duration(HOUR..=DAY * 365), DAY * 3),
    }
}
