//! Structured logs on standard error, as text or JSON.

use std::io::{IsTerminal, stderr};

use megamind_conf::{Config, Log, LogFormat};
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged, and how.
pub(super) struct Settings {
    json: bool,
    filter: String,
}

/// The settings of a configuration.
pub(super) fn configured(config: &Config) -> Settings {
    let Log { format, level, .. } = &config.log;
    Settings {
        json: *format == LogFormat::Json,
        // Pingora tells of every retry and every client that went away; the access log says it already.
        filter: format!("{level},pingora_core=warn,pingora_proxy=error,access=info"),
    }
}

/// Text at level info.
pub(super) fn plain() -> Settings {
    Settings { json: false, filter: "info".into() }
}

/// Begins to log. `RUST_LOG` overrides the settings.
pub(super) fn start(settings: &Settings) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&settings.filter));
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    // A second subscriber is refused; the first stays.
    let _ = if settings.json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.try_init()
    };
}
