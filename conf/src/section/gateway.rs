//! Where the gateway itself listens and how it speaks: `[gateway]`, `[admin]`, `[log]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::read::field::{optional, optional_table, or, required};
use crate::read::form::{flag, path, text, word};
use crate::read::list::one_or_more;
use crate::read::number::{count, duration};
use crate::read::{Section, section, words};
use crate::value::duration::{HOUR, MINUTE, SECOND, secs};

const fn on(ip: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(ip), port)
}

section! {
    /// The public listener: what clients reach.
    pub struct Gateway {
        /// Where clients are served in plain HTTP: an address, or a list of them. Port 0 takes a
        /// free one and logs it.
        pub listen: Vec<SocketAddr> = or(one_or_more(text()), vec![on(Ipv4Addr::UNSPECIFIED, 8080)]),
        /// Threads that serve; 0 is one a core.
        pub threads: usize = or(count(0..=1024), 0),
        /// The longest that SIGTERM waits for requests to finish before the gateway ends.
        pub grace: Duration = or(duration(Duration::ZERO..=HOUR), secs(10)),
        /// How long a client's connection may idle before it is closed.
        pub keepalive_timeout: Duration = or(duration(SECOND..=HOUR), MINUTE),
        /// Whether each request is logged with its route, status, who served it and how long it took.
        pub access_log: bool = or(flag(), true),
        /// The HTTPS listener.
        pub tls: Option<ListenerTls> = optional_table(),
    }
}

section! {
    /// A listener for HTTPS beside the plain one. The files are read at the start.
    pub struct ListenerTls {
        /// Where clients are served in HTTPS: an address, or a list of them.
        pub listen: Vec<SocketAddr> = or(one_or_more(text()), vec![on(Ipv4Addr::UNSPECIFIED, 8443)]),
        /// The certificate and those between it and the root, in PEM.
        pub cert: PathBuf = required(path(), PathBuf::from("/etc/megamind/tls.pem")),
        /// The certificate's private key, in PEM.
        pub key: PathBuf = required(path(), PathBuf::from("/etc/megamind/tls.key")),
    }
}

section! {
    /// The second listener, for operators: the live page, metrics, health, and what the command
    /// line asks.
    pub struct Admin {
        /// Where it listens. Beyond loopback it needs `token_file`.
        pub listen: SocketAddr = or(text(), on(Ipv4Addr::LOCALHOST, 9900)),
        /// A file with the token that requests carry as `Authorization: Bearer …`: one line of at
        /// least 16 characters. Without it there is no token.
        pub token_file: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/admin.token")),
    }
    rules = Admin::rules;
}

impl Admin {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if !self.listen.ip().is_loopback() && self.token_file.is_none() {
            let message = format!(
                "found nothing, but {} is reached from beyond this machine: allowed is the path of a file with the token",
                self.listen
            );
            section.refuse("token_file", message);
        }
    }
}

words! {
    /// How log lines look.
    pub enum LogFormat {
        /// For eyes.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// The least severe lines that are logged.
    pub enum LogLevel {
        /// What needs a hand.
        Error = "error",
        /// What may need one.
        Warn = "warn",
        /// What changed.
        Info = "info",
        /// Why it changed.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

section! {
    /// What the gateway logs, to standard error.
    pub struct Log {
        /// `text` for eyes, `json` for machines.
        pub format: LogFormat = or(word(), LogFormat::Text),
        /// The least severe lines that are logged.
        pub level: LogLevel = or(word(), LogLevel::Info),
    }
}
