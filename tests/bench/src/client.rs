//! A blocking HTTP client for what is not measured: set-up, metrics, readiness.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::frame::{frame, status};

const TIMEOUT: Duration = Duration::from_secs(30);

/// One request on a connection of its own: the status and the body.
pub(crate) fn call(target: SocketAddr, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let frame = frame(&answer)
        .ok()
        .flatten()
        .with_context(|| format!("{target}{path} gave no plain answer"))?;
    let status = status(&answer).context("an answer without a status")?;
    let body = answer.get(frame.head..).unwrap_or_default();
    Ok((status, String::from_utf8_lossy(body).into_owned()))
}

/// Waits until a GET is answered with 200.
pub(crate) fn wait_until_ready(target: SocketAddr, path: &str, limit: Duration) -> anyhow::Result<Duration> {
    let began = Instant::now();
    loop {
        if let Ok((200, _)) = call(target, "GET", path, "") {
            return Ok(began.elapsed());
        }
        if began.elapsed() > limit {
            bail!("{target}{path} was not ready within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The metrics of one scrape: each name with the sum of all its series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(crate) fn scrape(admin: SocketAddr) -> anyhow::Result<Self> {
        let (status, text) = call(admin, "GET", "/metrics", "")?;
        if status != 200 {
            bail!("{admin}/metrics answered {status}");
        }
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut sums = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let name = series.split('{').next().unwrap_or(series);
            if let Ok(value) = value.parse::<f64>() {
                *sums.entry(name.to_owned()).or_insert(0.0) += value;
            }
        }
        Self(sums)
    }

    /// `None` where the gateway does not export the metric.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// How much a counter has risen since an earlier scrape.
    pub(crate) fn since(&self, earlier: &Self, name: &str) -> Option<f64> {
        Some(self.get(name)? - earlier.get(name).unwrap_or(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_summed() {
        let text = "# HELP a b\na{x=\"1\"} 2\na{x=\"2 3\"} 3\nb 1e3\nrubbish\n";
        let metrics = Metrics::parse(text);
        assert_eq!((metrics.get("a"), metrics.get("b"), metrics.get("c")), (Some(5.0), Some(1000.0), None));
    }
}
