//! The process under test, and a client that takes nothing on trust.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Long enough for a slow machine; nothing waits so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running stand-in cloud; killed when it is dropped.
pub(crate) struct Oblivion {
    pub(crate) child: Child,
    _stdout: BufReader<ChildStdout>,
    pub(crate) addr: SocketAddr,
    pub(crate) control: SocketAddr,
}

impl Oblivion {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_megamind-oblivion"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut address = |prefix: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("a line");
            line.trim_end().strip_prefix(prefix).expect(prefix).parse().expect("an address")
        };
        let (addr, control) = (address("listening on "), address("control on "));
        Self { child, _stdout: stdout, addr, control }
    }

    pub(crate) fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> std::io::Result<Answer> {
        exchange(self.addr, method, path, headers, body)
    }

    pub(crate) fn json(&self, method: &str, path: &str, headers: &str, body: &Value) -> Answer {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        self.call(method, path, &headers, &body.to_string()).expect("an answer")
    }

    pub(crate) fn fault(&self, fault: &Value) {
        let answer = exchange(self.control, "PUT", "/__fault", "", &fault.to_string()).expect("the control plane");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    pub(crate) fn clear(&self) {
        assert_eq!(
            exchange(self.control, "DELETE", "/__fault", "", "")
                .expect("the control plane")
                .status,
            200
        );
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        match exchange(self.control, "GET", "/__log", "", "")
            .expect("the control plane")
            .value()
        {
            Value::Array(entries) => entries,
            other => panic!("not a list: {other}"),
        }
    }
}

impl Drop for Oblivion {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// One request on a connection of its own.
pub(crate) fn exchange(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .ok_or(std::io::ErrorKind::InvalidData)?;
    let promised = head
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    if promised.is_some_and(|length: usize| length != bytes.len() - end - 4) {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let answer = Answer { status, head, body: String::from_utf8_lossy(&bytes[end + 4..]).into_owned() };
    Ok(answer)
}
