//! Whom the gateway may call. A URL is checked when it is registered, and the address behind its name when it is
//! called: a name may lead elsewhere by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One target that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Every address whose first `prefix` bits are those of `address`.
    Network {
        /// The network's address.
        address: IpAddr,
        /// 0 to 32, or to 128 with IPv6.
        prefix: u8,
    },
    /// One host by name, in lower case.
    Host(Box<str>),
    /// Every host below a domain (in lower case), not the domain itself.
    Below(Box<str>),
}

/// All targets that may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Allowed>);

/// A URL that may be called, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUrl {
    /// Whether it is `https`.
    pub tls: bool,
    /// The host in lower case; an IPv6 address without its brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
    /// What stands before the called path, without a slash at its end.
    pub base: Box<str>,
}

impl CallUrl {
    /// Reads a URL of `http` or `https`: no user, no query, no fragment, nothing encoded in its host.
    pub fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\' | '"' | '<' | '>');
        if !path.chars().all(plain) {
            return None;
        }
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0)?
            }
            Some(_) => return None,
        };
        Some(Self { tls, host: host.into(), port, base: path.trim_end_matches('/').into() })
    }

    /// The host, where it is an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// `host:port` as a `Host` header has it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.to_string()
        };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

fn host_and_port(authority: &str) -> Option<(String, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        return Some((address.to_string(), port));
    }
    let (host, port) = authority
        .split_once(':')
        .map_or((authority, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let host = host.to_ascii_lowercase();
    let is_host = host.len() <= 253 && host.split('.').all(label);
    // A name whose last label is a number is an address, or one in disguise (0x7f.1, 2130706433).
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    (is_host && (!numeric || host.parse::<Ipv4Addr>().is_ok())).then_some((host, port))
}

impl AllowList {
    /// These targets.
    pub fn new(allowed: Vec<Allowed>) -> Self {
        Self(allowed)
    }

    /// Whether nobody may be called.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The URL, if it may be registered: its host is one of those allowed, or an address in one of the networks.
    pub fn url(&self, text: &str) -> Option<CallUrl> {
        let url = CallUrl::parse(text)?;
        let allowed = match url.address() {
            Some(address) => self.within_network(address),
            None => self.0.iter().any(|allowed| match allowed {
                Allowed::Network { .. } => false,
                Allowed::Host(host) => *host == url.host,
                Allowed::Below(domain) => url
                    .host
                    .strip_suffix(&**domain)
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            }),
        };
        allowed.then_some(url)
    }

    /// Whether the address behind a URL that may be registered may be connected to: it is within one of the networks,
    /// or it is a name's and public.
    pub fn address(&self, url: &CallUrl, address: IpAddr) -> bool {
        self.within_network(address) || (url.address().is_none() && is_public(address))
    }

    fn within_network(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|allowed| match *allowed {
            Allowed::Network { address: network, prefix } => within(address, network.to_canonical(), prefix),
            _ => false,
        })
    }
}

fn within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(prefix.min(32))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(prefix.min(128))
        }
        _ => false,
    }
}

/// Networks that are not of the public internet (IANA's special-purpose registries of RFC 6890).
const SPECIAL_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Carrier-grade NAT, RFC 6598.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, where clouds keep their metadata services.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Of IPv6 only global unicast is public, and of that not what carries an IPv4 address or is for documentation.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    // Teredo and the other IETF protocol assignments.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(_) => !SPECIAL_V4
            .iter()
            .any(|(network, prefix)| within(address.to_canonical(), (*network).into(), *prefix)),
        IpAddr::V6(v6) => {
            v6.segments()[0] & 0xe000 == 0x2000
                && !SPECIAL_V6
                    .iter()
                    .any(|(network, prefix)| within(address, (*network).into(), *prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> AllowList {
        AllowList::new(vec![
            Allowed::Network { address: "10.0.0.0".parse().expect("an address"), prefix: 8 },
            Allowed::Network { address: "fd00::".parse().expect("an address"), prefix: 8 },
            Allowed::Host("shop.example.org".into()),
            Allowed::Below("example.com".into()),
        ])
    }

    #[test]
    fn only_what_is_on_the_list_may_be_registered() {
        let list = list();
        for url in [
            "http://10.1.2.3:8080/app",
            "https://[fd00::1]/",
            "https://shop.example.org",
            "https://SHOP.example.org/hooks/",
            "http://a.b.example.com:81",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert!(list.url(url).is_some(), "{url}");
        }
        for url in [
            "http://11.1.2.3/",
            "http://127.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "https://example.com/",
            "https://notexample.com/",
            "https://example.com.evil.test/",
            "https://shop.example.org@evil.test/",
            "https://evil.test#.example.com",
            "https://evil.test\\.example.com/",
            "https://x%2eexample.com/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0x7f000001/",
            "http://10.1/",
            "http://.example.com/",
            "http://a..example.com/",
            "ftp://a.example.com/",
            "http://a.example.com:0/",
            "http://a.example.com:99999/",
            "http://a.example.com/?x=1",
            "http://a.example.com/ x",
            "http:///",
            "",
        ] {
            assert_eq!(list.url(url), None, "{url}");
        }
    }

    #[test]
    fn a_name_may_lead_to_the_public_and_to_allowed_networks_alone() {
        let list = list();
        let url = list.url("https://a.example.com").expect("allowed");
        for address in ["93.184.216.34", "2606:2800:220:1::1", "10.9.9.9", "::ffff:10.0.0.9", "fd12::1"] {
            assert!(list.address(&url, address.parse().expect("an address")), "{address}");
        }
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "172.31.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:0:1::1",
        ] {
            assert!(!list.address(&url, address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let url = CallUrl::parse("https://Shop.example.org/hooks/").expect("a URL");
        assert_eq!((&*url.host, url.port, url.tls, &*url.base), ("shop.example.org", 443, true, "/hooks"));
        assert_eq!(url.authority(), "shop.example.org");
        let url = CallUrl::parse("http://[fd00::1]:81").expect("a URL");
        assert_eq!(url.authority(), "[fd00::1]:81");
    }
}
