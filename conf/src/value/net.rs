//! Names of machines: the upstream's servers, and whom callbacks may reach.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::read::form::Text;

/// One server of the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// As it was written: the name in logs, metrics and `/admin/status`.
    pub name: String,
    /// A DNS name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port; where none is written, 80, or 443 with `https`.
    pub port: u16,
    /// Whether the server is spoken to in TLS.
    pub tls: bool,
}

impl Server {
    pub(crate) fn sample() -> Self {
        let host = "127.0.0.1".to_owned();
        Self { name: format!("{host}:8081"), host, port: 8081, tls: false }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Text for Server {
    const ALLOWED: &'static str = "host:port, or a URL of http or https without a path";

    fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix('/').filter(|text| text.contains("://")).unwrap_or(text);
        let (default_port, tls, authority) = if let Some(rest) = name.strip_prefix("http://") {
            (Some(80), false, rest)
        } else if let Some(rest) = name.strip_prefix("https://") {
            (Some(443), true, rest)
        } else {
            (None, false, name)
        };
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0)?,
            None => default_port?,
        };
        Some(Self { name: name.to_owned(), host: checked_host(host)?, port, tls })
    }

    fn meant(refused: &str) -> Option<String> {
        let text = refused.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => (String::new(), text),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Some(match scheme.as_str() {
            "" if split_port(authority).is_some_and(|(_, port)| port.is_none()) => {
                format!("{authority}:80")
            }
            "" => authority.to_owned(),
            "http" | "https" => format!("{scheme}://{authority}"),
            _ => format!("http://{authority}"),
        })
    }

    fn meant_by_integer(refused: i64) -> Option<String> {
        u16::try_from(refused).ok().map(|port| format!("127.0.0.1:{port}"))
    }
}

/// Splits `host:port`, `host`, `[v6]:port` and `[v6]`; the host keeps its brackets.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let (host, rest) = authority.split_at(authority.find(']')? + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn checked_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    is_host(host).then(|| host.to_owned())
}

/// An IPv4 address or a DNS name (RFC 1123, and `_`, which container networks use).
pub(crate) fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name whose last label is a number is an address, or a mistake in one.
    let numeric = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253
        && if numeric {
            host.parse::<IpAddr>().is_ok()
        } else {
            host.split('.').all(label)
        }
}

/// Whom callbacks may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackTarget {
    /// Every address whose first `prefix` bits are those of `address`.
    Network {
        /// The network's address; the bits after the prefix are 0.
        address: IpAddr,
        /// 0 to 32, or to 128 with IPv6.
        prefix: u8,
    },
    /// One host by name, in lower case.
    Host(String),
    /// `*.domain`: every host below the domain (kept in lower case), not the domain itself.
    Below(String),
}

impl fmt::Display for CallbackTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { address, prefix } => write!(f, "{address}/{prefix}"),
            Self::Host(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl Text for CallbackTarget {
    const ALLOWED: &'static str = "a network such as \"10.0.0.0/8\", a host, or \"*.example.com\"";

    fn parse(text: &str) -> Option<Self> {
        if let Some((address, prefix)) = text.split_once('/') {
            let (address, prefix) = (address.parse().ok()?, prefix.parse().ok()?);
            return (masked(address, prefix)? == address).then_some(Self::Network { address, prefix });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } });
        }
        match text.strip_prefix("*.") {
            Some(domain) => is_host(domain).then(|| Self::Below(domain.to_ascii_lowercase())),
            None => is_host(text).then(|| Self::Host(text.to_ascii_lowercase())),
        }
    }

    fn meant(refused: &str) -> Option<String> {
        let text = refused.trim();
        if let Some((address, prefix)) = text.split_once('/')
            && let (Ok(address), Ok(prefix)) = (address.parse(), prefix.parse())
        {
            return masked(address, prefix).map(|network| format!("{network}/{prefix}"));
        }
        let host = text.split_once("://").map_or(text, |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default();
        Some(if let Some(domain) = host.strip_prefix('.') {
            format!("*.{domain}")
        } else {
            host.to_owned()
        })
    }
}

/// The address with every bit after the prefix cleared; `None` where the prefix is too long.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => {
            let host_bits = 32_u32.checked_sub(prefix.into())?;
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let host_bits = 128_u32.checked_sub(prefix.into())?;
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    })
}
