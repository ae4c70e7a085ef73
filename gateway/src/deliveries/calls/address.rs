//! From a name to the one address that is connected to: resolved and checked in one step, so that nothing can change in
//! between.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
};

use megamind_handlers::calls::allow::{AllowList, CallUrl};

/// Turns names into addresses.
pub(super) trait Resolve: Send + Sync {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

pub(super) type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why there is nothing to connect to.
#[derive(Debug)]
pub(super) enum NoAddress {
    /// The name cannot be resolved now.
    Unresolved(String),
    /// No address behind it may be called.
    NotAllowed(String),
}

/// An address behind a URL that may be connected to.
pub(super) async fn checked(resolver: &dyn Resolve, allow: &AllowList, url: &CallUrl) -> Result<SocketAddr, NoAddress> {
    let addresses = match url.address() {
        Some(address) => vec![address],
        None => (resolver.resolve(&url.host, url.port).await)
            .map_err(|error| NoAddress::Unresolved(format!("{} cannot be resolved: {error}", url.host)))?,
    };
    let allowed = addresses.iter().find(|address| allow.address(url, **address));
    match (allowed, addresses.first()) {
        (Some(address), _) => Ok(SocketAddr::new(*address, url.port)),
        (None, Some(address)) => {
            Err(NoAddress::NotAllowed(format!("{} leads to {address}, which may not be called", url.host)))
        }
        (None, None) => Err(NoAddress::Unresolved(format!("{} has no address", url.host))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use megamind_handlers::calls::allow::Allowed;

    use super::*;

    /// Answers in turn, as a name that is made to lead elsewhere after it was looked at.
    struct Turns(Mutex<Vec<Vec<&'static str>>>);

    impl Resolve for Turns {
        fn resolve<'a>(&'a self, _host: &'a str, _port: u16) -> Resolving<'a> {
            let next = self.0.lock().expect("no panic").remove(0);
            Box::pin(async move { Ok(next.into_iter().map(|text| text.parse().expect("an address")).collect()) })
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_not_followed() {
        let allow = AllowList::new(vec![
            Allowed::Below("example.com".into()),
            Allowed::Network { address: "10.1.0.0".parse().expect("an address"), prefix: 16 },
        ]);
        let url = allow.url("http://rebinding.example.com:8080/x").expect("allowed");
        let turns = Turns(Mutex::new(vec![
            vec!["93.184.216.34"],
            vec!["127.0.0.1"],
            vec!["169.254.169.254", "::1"],
            vec!["::ffff:192.168.0.1"],
            vec!["127.0.0.1", "10.1.2.3"],
            vec![],
        ]));
        let mut found = Vec::new();
        for _ in 0..6 {
            found.push(match checked(&turns, &allow, &url).await {
                Ok(address) => address.to_string(),
                Err(NoAddress::NotAllowed(_)) => "not allowed".to_owned(),
                Err(NoAddress::Unresolved(_)) => "unresolved".to_owned(),
            });
        }
        let expected = [
            "93.184.216.34:8080",
            "not allowed",
            "not allowed",
            "not allowed",
            "10.1.2.3:8080",
            "unresolved",
        ];
        assert_eq!(found, expected);
    }
}
