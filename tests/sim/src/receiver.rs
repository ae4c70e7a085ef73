//! A pilot's app or a merchant's service: takes calls, keeps them in a file, and can be broken on purpose.
//!
//! Every call is a line of JSON in the log before it is answered: `path`, the `webhook-…` headers, `body`, and whether
//! it took effect (`effective`): it was taken, and its id had not been before. A restart goes on with the same file.
//!
//! `POST /__fault {"kind": …, "status"?, "delayMs"?, "count"?, "location"?}` breaks it: `none`, `hang`, `status`,
//! `slow`, `redirect`, `lose_reply` (taken, and never answered), `large` (answered with a megabyte). `POST /__answer {"path", "body"}` sets what a path
//! answers.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What a receiver is told on its command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where it listens; port 0 takes a free one and prints it.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The file that calls are written to.
    #[arg(long)]
    pub log: PathBuf,
}

/// How it is broken.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Fault {
    kind: String,
    status: Option<u16>,
    delay_ms: Option<u64>,
    /// So many calls; without it, all.
    count: Option<u32>,
    location: Option<String>,
}

struct State {
    log: File,
    taken: HashSet<String>,
    fault: Fault,
    answers: HashMap<String, Value>,
}

type Shared = Arc<Mutex<State>>;

fn locked(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Receives until the process is ended.
///
/// # Errors
/// The address is taken, or the log cannot be written.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let named = || options.log.display().to_string();
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&options.log)
        .with_context(named)?;
    let known = BufReader::new(File::open(&options.log).with_context(named)?).lines();
    let taken = known
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .filter(|call| call["effective"] == true)
        .filter_map(|call| call["webhookId"].as_str().map(str::to_owned));
    let state: Shared = Arc::new(Mutex::new(State {
        log,
        taken: taken.collect(),
        fault: Fault::default(),
        answers: HashMap::new(),
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| options.listen.to_string())?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            let state = state.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| serve(request, state.clone()));
                // A client that goes away is its own affair.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost on purpose")
    }
}

impl std::error::Error for Lost {}

impl From<Infallible> for Lost {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn serve(request: Request<Incoming>, state: Shared) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let path = head.uri.path().to_owned();
    if path.starts_with("/__") {
        return Ok(control(&path, &body, &state));
    }
    let fault = next_fault(&state);
    if let Some(delay) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let takes = matches!(fault.kind.as_str(), "" | "none" | "slow" | "lose_reply" | "large");
    let answer = {
        let mut state = locked(&state);
        let id = header("webhook-id");
        let effective = takes && id.as_ref().is_none_or(|id| state.taken.insert(id.clone()));
        let line = json!({
            "path": path,
            "webhookId": id,
            "timestamp": header("webhook-timestamp"),
            "signature": header("webhook-signature"),
            "text": String::from_utf8_lossy(&body),
            "body": serde_json::from_slice::<Value>(&body).ok(),
            "effective": effective,
        });
        writeln!(state.log, "{line}")
            .and_then(|()| state.log.sync_data())
            .map_err(|_| Lost)?;
        state.answers.get(&path).cloned()
    };
    match fault.kind.as_str() {
        "hang" => std::future::pending().await,
        "lose_reply" => Err(Lost),
        "redirect" => {
            let location = fault.location.unwrap_or_else(|| "http://127.0.0.1:1/".into());
            let response = Response::builder().status(307).header(header::LOCATION, location);
            Ok(response.body(Full::default()).unwrap_or_default())
        }
        "large" => Ok(answered(200, &json!({"said": "x".repeat(1 << 20)}))),
        "status" => Ok(answered(fault.status.unwrap_or(500), &json!({"broken": true}))),
        _ => Ok(answered(200, &answer.unwrap_or_else(|| json!({"ok": true})))),
    }
}

/// The fault of the next call; one with a count ends by itself.
fn next_fault(state: &Shared) -> Fault {
    let mut state = locked(state);
    let fault = state.fault.clone();
    if let Some(count) = &mut state.fault.count {
        *count = count.saturating_sub(1);
        if *count == 0 {
            state.fault = Fault::default();
        }
    }
    fault
}

fn control(path: &str, body: &[u8], state: &Shared) -> Response<Full<Bytes>> {
    let mut state = locked(state);
    match path {
        "/__fault" => match serde_json::from_slice(body) {
            Ok(fault) => state.fault = fault,
            Err(error) => return answered(400, &json!({"detail": error.to_string()})),
        },
        "/__answer" => {
            let said: Value = serde_json::from_slice(body).unwrap_or_default();
            let Some(path) = said["path"].as_str() else {
                return answered(400, &json!({"detail": "path is missing"}));
            };
            state.answers.insert(path.to_owned(), said["body"].clone());
        }
        _ => return answered(404, &json!({"detail": "/__fault and /__answer are there"})),
    }
    answered(200, &json!({"ok": true}))
}

fn answered(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json");
    response.body(Full::new(body.to_string().into())).unwrap_or_default()
}
