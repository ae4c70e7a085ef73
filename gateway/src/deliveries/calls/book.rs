//! Where a target listens, and what its calls are signed with.

use std::{collections::BTreeMap, path::PathBuf};

use megamind_conf::Config;
use megamind_handlers::{
    City,
    calls::{
        Target,
        allow::{AllowList, CallUrl},
    },
};

use super::{
    client::Failure,
    webhook::{Keys, Secrets},
};

/// The configured merchants; the city knows the others, and the pilots.
pub(super) struct Book {
    configured: BTreeMap<String, (String, PathBuf)>,
    secrets: Secrets,
}

impl Book {
    pub(super) fn new(config: &Config) -> Self {
        let configured = config
            .merchants
            .iter()
            .map(|merchant| (merchant.id.clone(), (merchant.callback_url.clone(), merchant.secret_file.clone())));
        Self { configured: configured.collect(), secrets: Secrets::default() }
    }

    /// Where a call goes now, and the secrets that sign it. The configuration goes before what was set while running.
    pub(super) fn find(&self, city: &City, target: &Target, allow: &AllowList) -> Result<(CallUrl, Keys), Failure> {
        let (url, secrets) = match target {
            Target::Pilot(pilot) => {
                let profile = city.pilot(*pilot).map(megamind_handlers::pilot::Pilot::profile);
                (profile.and_then(|profile| profile.callback_url.as_deref()), None)
            }
            Target::Merchant(id) => match self.configured.get(&**id) {
                Some((url, secrets)) => (Some(url.as_str()), Some(secrets.clone())),
                None => {
                    let merchant = city.merchant(id);
                    let secrets = merchant.map(|merchant| PathBuf::from(&*merchant.secret_file));
                    (merchant.map(|merchant| &*merchant.callback_url), secrets)
                }
            },
        };
        let url = url.ok_or_else(|| Failure::NotAllowed("nobody has said where it listens".into()))?;
        let url = allow
            .url(url)
            .ok_or_else(|| Failure::NotAllowed(format!("{url} is not within callbacks.allow")))?;
        let keys = match secrets {
            None => Keys::new(),
            Some(path) => self.secrets.read(&path).map_err(Failure::Unready)?,
        };
        Ok((url, keys))
    }
}
