//! Commands to a running gateway, over its administration listener.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, bail};
use megamind_conf::Config;
use serde_json::{Value, json};
use ureq::Agent;

use super::ModeOrder;

/// How long the answer to a backup is waited for.
const PATIENCE: Duration = Duration::from_hours(1);

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A running gateway.
pub(super) struct Remote {
    base: String,
    token: Option<String>,
    agent: Agent,
    config: String,
}

impl Remote {
    /// The gateway of a configuration.
    pub(super) fn of(path: &Path, config: &Config) -> anyhow::Result<Self> {
        Self::waiting(path, config, TIMEOUT)
    }

    /// The same, for what takes long.
    pub(super) fn patient(path: &Path, config: &Config) -> anyhow::Result<Self> {
        Self::waiting(path, config, PATIENCE)
    }

    fn waiting(path: &Path, config: &Config, longest: Duration) -> anyhow::Result<Self> {
        let token = match &config.admin.token_file {
            None => None,
            Some(file) => Some(
                fs::read_to_string(file)
                    .with_context(|| format!("admin.token_file: {}", file.display()))?
                    .trim()
                    .to_owned(),
            ),
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(longest))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        Ok(Self {
            base: format!("http://{}", config.admin.listen),
            token,
            agent,
            config: path.display().to_string(),
        })
    }

    /// Asks for a page.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.answer(request.call())
    }

    /// Asks for a page of text.
    pub(super) fn get_text(&self, path: &str) -> anyhow::Result<String> {
        match self.get(path)? {
            Value::String(text) => Ok(text),
            // One line of JSON is a text too.
            other => Ok(format!("{other}\n")),
        }
    }

    /// Asks for something to be done.
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.post_text(path, "application/json", body.to_string())
    }

    /// Hands in a text of any kind.
    pub(super) fn post_text(&self, path: &str, kind: &str, body: String) -> anyhow::Result<Value> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).header("Content-Type", kind);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.answer(request.send(body))
    }

    fn answer(&self, sent: Result<http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<Value> {
        let mut response = sent.map_err(|error| {
            anyhow::anyhow!(
                "no gateway answers at {} (admin.listen of {}): {error}\n\
                 likely it is not running; start it with: megamind run --config {}",
                self.base,
                self.config,
                self.config
            )
        })?;
        let text = response.body_mut().read_to_string()?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if !response.status().is_success() {
            let detail = value.get("detail").and_then(Value::as_str).unwrap_or("no detail");
            bail!("the gateway answered {}: {detail}", response.status());
        }
        Ok(value)
    }
}

fn remote(path: &Path) -> anyhow::Result<Remote> {
    Remote::of(path, &super::load(path)?)
}

/// `megamind status`.
pub(super) fn status(path: &Path, as_json: bool) -> anyhow::Result<()> {
    let status = remote(path)?.get("/admin/status")?;
    if as_json {
        println!("{status}");
        return Ok(());
    }
    let text = |pointer: &str| match status.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    println!("mode      {} since {} ({})", text("/mode"), text("/since"), text("/reason"));
    println!("order     {}", text("/order"));
    println!("city      {}, version {}", text("/city"), text("/version"));
    for upstream in status.get("upstreams").and_then(Value::as_array).into_iter().flatten() {
        let well = upstream.get("healthy") == Some(&Value::Bool(true));
        let server = upstream.get("server").and_then(Value::as_str).unwrap_or("-");
        println!("upstream  {server} {}", if well { "healthy" } else { "down" });
    }
    if let Some(why) = status.pointer("/clock/why").and_then(Value::as_str) {
        println!("clock     not trusted: {why}");
    }
    if status.pointer("/restored/at").is_some() {
        println!(
            "restored  {} (a copy of {}); held until: megamind queue release",
            text("/restored/at"),
            text("/restored/copiedAt")
        );
    }
    println!(
        "queue     {} entries, {} parked, oldest {}",
        text("/queue/entries"),
        text("/queue/parked"),
        text("/queue/oldestAt")
    );
    if let Some(why) = status.pointer("/drain/paused").and_then(Value::as_str) {
        println!("drain     paused: {why}");
    }
    Ok(())
}

/// `megamind mode`.
pub(super) fn mode(path: &Path, order: Option<ModeOrder>) -> anyhow::Result<()> {
    let remote = remote(path)?;
    let status = match order {
        None => remote.get("/admin/status")?,
        Some(order) => {
            let word = match order {
                ModeOrder::Auto => "auto",
                ModeOrder::Act => "act",
                ModeOrder::Forward => "forward",
            };
            remote.post("/admin/mode", &json!({"mode": word}))?
        }
    };
    let word = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or("-");
    println!("{} (order: {})", word("mode"), word("order"));
    Ok(())
}
