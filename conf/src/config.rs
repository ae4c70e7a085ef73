//! The whole file, and the rules that reach across its sections.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::diagnostic::Places;
use crate::read::field::{optional_table, required, table, tables, unread};
use crate::read::form::text;
use crate::read::{Section, section};
use crate::section::{
    Acting, Admin, Auth, Backup, Callbacks, Dialect, Dispatch, Drain, Gateway, Health, Idempotency, Ids, Log, Merchant,
    Modem, Orders, PATHS, Policy, Route, Shadow, Sms, Store, Upstream,
};
use crate::value::City;

section! {
    /// The checked configuration. It comes only from [`parse`](crate::parse) and
    /// [`load`](crate::load), so whoever holds one holds a valid one.
    pub struct Config {
        /// The city's short name: the prefix of the ids that are given here.
        pub city: City = required(text(), City::sample()),
        /// The public listener.
        pub gateway: Gateway = table(),
        /// The listener for operators.
        pub admin: Admin = table(),
        /// Logs.
        pub log: Log = table(),
        /// Oblivion.
        pub upstream: Upstream = table(),
        /// When Oblivion is down.
        pub health: Health = table(),
        /// Policies of other paths, in the order of the file.
        pub routes as "route": Vec<Route> = tables(),
        /// How the cloud's clients speak.
        pub dialect: Dialect = table(),
        /// Who may come in while acting.
        pub auth: Auth = table(),
        /// The journal.
        pub store: Store = table(),
        /// Finished orders.
        pub orders: Orders = table(),
        /// Repeated requests.
        pub idempotency: Idempotency = table(),
        /// Ids given here.
        pub ids: Ids = table(),
        /// The replay to Oblivion.
        pub drain: Drain = table(),
        /// Silent watching.
        pub shadow: Shadow = table(),
        /// The stand-in's limits.
        pub acting: Acting = table(),
        /// Who carries what.
        pub dispatch: Dispatch = table(),
        /// Calls to pilots and merchants.
        pub callbacks: Callbacks = table(),
        /// Merchants that are called.
        pub merchants as "merchant": Vec<Merchant> = tables(),
        /// The SMS channel.
        pub sms: Option<Sms> = optional_table(),
        /// Its modems.
        pub modems as "modem": Vec<Modem> = tables(),
        /// Copies made while running.
        pub backup: Option<Backup> = optional_table(),
        /// Where the keys stand in the file.
        pub(crate) places: Places = unread(),
    }
    rules = Config::rules;
}

impl Config {
    fn rules(&self, section: &mut Section<'_, '_>) {
        self.listeners_apart(section);
        unique(section, "upstream.servers", "", self.upstream.servers.iter().map(|server| &server.name));
        unique(section, "route", ".path", self.routes.iter().map(|route| route.path.to_string()));
        unique(section, "merchant", ".id", self.merchants.iter().map(|merchant| &merchant.id));
        unique(section, "modem", ".name", self.modems.iter().map(|modem| &modem.name));
        self.channels_apart(section);
        self.handlers_known(section);
    }

    /// Every listener as `(key, address)`.
    fn listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let plain = self.gateway.listen.iter().map(|address| ("gateway.listen", *address));
        let tls = self
            .gateway
            .tls
            .iter()
            .flat_map(|tls| &tls.listen)
            .map(|address| ("gateway.tls.listen", *address));
        plain.chain(tls).chain([("admin.listen", self.admin.listen)])
    }

    fn listeners_apart(&self, section: &mut Section<'_, '_>) {
        let listeners: Vec<_> = self.listeners().collect();
        for (index, (key, address)) in listeners.iter().enumerate() {
            let taken = listeners[..index].iter().find(|(_, other)| collide(*address, *other));
            let Some((other_key, other)) = taken else {
                continue;
            };
            // Blame what is written rather than a default.
            let ((key, address), (other_key, other)) = if section.has(key) {
                ((key, address), (other_key, other))
            } else {
                ((other_key, other), (key, address))
            };
            let message =
                format!("found {address}, which {other_key} takes with {other}; allowed is an address of its own");
            section.refuse(key, message);
        }
    }

    /// A channel is known by its name, whatever it is.
    fn channels_apart(&self, section: &mut Section<'_, '_>) {
        let modems = self
            .modems
            .iter()
            .enumerate()
            .map(|(at, modem)| (format!("modem[{at}].name"), &modem.name));
        let sms = self.sms.iter();
        let http = sms.clone().flat_map(|sms| sms.http.iter().enumerate());
        let smtp = sms.flat_map(|sms| sms.smtp.iter().enumerate());
        let channels: Vec<_> = modems
            .chain(http.map(|(at, http)| (format!("sms.http[{at}].name"), &http.name)))
            .chain(smtp.map(|(at, smtp)| (format!("sms.smtp[{at}].name"), &smtp.name)))
            .collect();
        for (at, (key, name)) in channels.iter().enumerate().skip(self.modems.len()) {
            if let Some((other, _)) = channels[..at].iter().find(|(_, other)| other == name) {
                section
                    .refuse(key, format!("found \"{name}\", which {other} is already; allowed is a name of its own"));
            }
        }
    }

    /// `act` and `local` need somebody who answers.
    fn handlers_known(&self, section: &mut Section<'_, '_>) {
        for (index, route) in self.routes.iter().enumerate() {
            let answered = PATHS.iter().any(|path| route.path.matches(&self.dialect.wire_path(path)));
            if matches!(route.policy, Policy::Act | Policy::Local) && !answered {
                let message = format!(
                    "found \"{}\" for {}, which no handler answers; allowed is \"forward\", \"cache\" or \"queue\"",
                    route.policy, route.path
                );
                section.refuse(&format!("route[{index}].policy"), message);
            }
        }
    }
}

/// Whether two listeners cannot be bound at once.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip(), other.ip());
    let overlap =
        ip == other_ip || ip.is_ipv4() == other_ip.is_ipv4() && (ip.is_unspecified() || other_ip.is_unspecified());
    one.port() == other.port() && one.port() != 0 && overlap
}

/// No two members of a list may have the same name.
fn unique<T: Ord + std::fmt::Display>(
    section: &mut Section<'_, '_>,
    list: &str,
    member: &str,
    names: impl Iterator<Item = T>,
) {
    let mut seen = BTreeMap::new();
    for (index, name) in names.enumerate() {
        if let Some(first) = seen.get(&name) {
            let message = format!("found \"{name}\", which {list}[{first}] is already; allowed is each one once");
            section.refuse(&format!("{list}[{index}]{member}"), message);
        } else {
            seen.insert(name, index);
        }
    }
}
