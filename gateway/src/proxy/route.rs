//! Which path is whose.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderName, HeaderValue};
use megamind_conf::{self as conf, PathPattern};
use megamind_domain::{Access, Endpoint, Policy, RouteSpec};

/// The `Access-Control-*` headers of an answer.
type Cors = Vec<(HeaderName, HeaderValue)>;

/// A path that the handlers can answer.
pub(crate) struct Route {
    /// The label in metrics and logs.
    pub(crate) name: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) policy: Policy,
    pub(crate) access: Access,
    creates: bool,
    cors: ArcSwapOption<Cors>,
}

/// All routes.
pub(crate) struct Routes {
    handled: HashMap<Box<str>, Arc<Route>>,
    named: Vec<(PathPattern, Arc<str>)>,
    other: Arc<str>,
}

impl Routes {
    /// The domain's routes, with the policies that the configuration sets.
    pub(crate) fn new(specs: Vec<RouteSpec>, configured: &[conf::Route]) -> Self {
        let handled = specs
            .into_iter()
            .filter_map(|spec| {
                let own = configured.iter().find(|route| route.path.matches(&spec.path));
                let policy = match own.map(|route| route.policy) {
                    None | Some(conf::Policy::Cache | conf::Policy::Queue) => spec.policy,
                    Some(conf::Policy::Act) => Policy::Act,
                    Some(conf::Policy::Local) => Policy::Local,
                    Some(conf::Policy::Forward) => return None,
                };
                let route = Route {
                    name: spec.name.into(),
                    endpoint: spec.endpoint,
                    policy,
                    access: spec.access,
                    creates: spec.creates,
                    cors: ArcSwapOption::empty(),
                };
                Some((trimmed(&spec.path).into(), Arc::new(route)))
            })
            .collect();
        let named = configured
            .iter()
            .map(|route| (route.path.clone(), Arc::from(route.path.to_string())))
            .collect();
        Self { handled, named, other: "other".into() }
    }

    /// The handled route of a path. A trailing slash is the same route.
    pub(crate) fn handled(&self, path: &str) -> Option<&Arc<Route>> {
        self.handled.get(trimmed(path))
    }

    /// Whether what is written there creates something that the upstream names.
    pub(crate) fn creates(&self, endpoint: Endpoint) -> bool {
        self.handled.values().any(|route| route.endpoint == endpoint && route.creates)
    }

    /// The label of a path that only the upstream answers: one of few, whatever clients ask for.
    pub(crate) fn label(&self, path: &str) -> Arc<str> {
        self.named
            .iter()
            .find(|(pattern, _)| pattern.matches(path))
            .map_or(&self.other, |(_, name)| name)
            .clone()
    }
}

impl Route {
    /// Keeps the `Access-Control-*` headers of an answer of the upstream's, for the time without it. A preflight's answer
    /// has others than the answer that follows, so each name keeps the value last seen.
    pub(crate) fn learn_cors(&self, headers: &HeaderMap) {
        let known = self.cors.load();
        let known = known.as_deref().map_or(&[][..], Vec::as_slice);
        let news = |(name, value): &(&HeaderName, &HeaderValue)| {
            name.as_str().starts_with("access-control-")
                && !known.iter().any(|(old, kept)| old == *name && kept == *value)
        };
        let seen: Cors = headers
            .iter()
            .filter(news)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if seen.is_empty() {
            return;
        }
        let kept = known
            .iter()
            .filter(|(old, _)| !seen.iter().any(|(name, _)| name == old))
            .cloned();
        let merged = kept.chain(seen.iter().cloned()).collect();
        self.cors.store(Some(Arc::new(merged)));
    }

    /// The headers last learned.
    pub(crate) fn cors(&self) -> Option<Arc<Cors>> {
        self.cors.load_full()
    }
}

fn trimmed(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(rest) => rest,
    }
}
