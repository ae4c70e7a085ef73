//! The example shop as a process: its upstream is taken away and comes back.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A cloud that gives its own ids and keeps what it was sent.
struct Cloud {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Cloud {
    fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("the cloud's port is free");
        let address = listener.local_addr().expect("bound");
        let (taken, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (orders, stopped) = (taken.clone(), stop.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let orders = orders.clone();
                thread::spawn(move || answer(stream.expect("a connection"), &orders));
            }
        });
        Self { address, taken, stop }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the loop, which then lets go of the port.
        drop(TcpStream::connect(self.address));
    }
}

/// One request, one answer, and the connection is closed.
fn answer(mut stream: TcpStream, orders: &Mutex<Vec<String>>) {
    let (head, body) = read_message(&mut stream);
    let reply = if head.starts_with("POST /order ") {
        let mut orders = orders.lock().expect("nobody panics");
        orders.push(body);
        format!("{{\"id\":\"UP-{}\"}}", orders.len())
    } else {
        "{}".to_owned()
    };
    let length = reply.len();
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{reply}"
    );
}

fn read_message(stream: &mut TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    (head, String::from_utf8(body).expect("text"))
}

fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the shop listens");
    stream.write_all(request.as_bytes()).expect("sent");
    read_message(&mut stream)
}

fn order(shop: SocketAddr, item: &str) -> (String, Value) {
    let body = format!("{{\"item\":\"{item}\",\"count\":1}}");
    let request = format!("POST /order HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (head, body) = ask(shop, &request);
    (head, serde_json::from_str(&body).expect("JSON"))
}

struct Shop(Child);

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the example, which was built with the tests; answers with the addresses that it prints.
fn start_shop(folder: &Path, cloud: SocketAddr) -> (Shop, SocketAddr, SocketAddr) {
    let config = folder.join("shop.toml");
    let text = format!(
        "city = \"shop\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nservers = [\"{cloud}\"]\nidempotency = \"key\"\n\
         [health]\ninterval = \"50ms\"\nfall = 2\nrise = 2\n[store]\npath = \"{}\"\n",
        folder.join("shop.db").display()
    );
    fs::write(&config, text).expect("the configuration is written");
    let test = std::env::current_exe().expect("this test");
    let example = test
        .parent()
        .and_then(Path::parent)
        .expect("target folder")
        .join("examples/shop");
    let mut child = Command::new(example)
        .arg(&config)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example was built with the tests");
    let lines: Vec<String> = BufReader::new(child.stdout.take().expect("piped"))
        .lines()
        .take(2)
        .map(|line| line.expect("text"))
        .collect();
    let address = |line: &str| line.rsplit(' ').next().and_then(|text| text.parse().ok()).expect("an address");
    let addresses = (address(&lines[0]), address(&lines[1]));
    until("the shop listens", || {
        TcpStream::connect(addresses.0).is_ok() && TcpStream::connect(addresses.1).is_ok()
    });
    (Shop(child), addresses.0, addresses.1)
}

fn until(what: &str, check: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn mode(admin: SocketAddr) -> String {
    let (_, body) = ask(admin, "GET /admin/status HTTP/1.1\r\nHost: admin\r\n\r\n");
    let status: Value = serde_json::from_str(&body).expect("JSON");
    status["mode"].as_str().expect("a mode").to_owned()
}

#[test]
fn a_shop_outlives_its_cloud() {
    let folder = tempfile::tempdir().expect("a folder");
    let cloud = Cloud::start("127.0.0.1:0".parse().expect("an address"));
    let (_shop, public, admin) = start_shop(folder.path(), cloud.address);

    let (head, placed) = order(public, "tea");
    assert_eq!(placed["id"], "UP-1");
    assert!(!head.contains("X-Served-By"), "the cloud's own answer passes through: {head}");

    cloud.stop();
    let (head, placed) = order(public, "rice");
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    assert!(head.contains("X-Served-By: megamind"), "{head}");
    assert!(placed["id"].as_str().expect("an id").starts_with("shop-"));
    until("the shop acts", || mode(admin) == "acting");
    let (_, orders) = ask(public, "GET /orders HTTP/1.1\r\nHost: shop\r\n\r\n");
    assert!(orders.contains("tea") && orders.contains("rice"), "watched and taken: {orders}");

    let again = Cloud::start(cloud.address);
    until("the order reaches the cloud", || again.taken.lock().expect("nobody panics").len() == 1);
    until("the shop forwards", || mode(admin) == "forwarding");
    assert_eq!(*again.taken.lock().expect("nobody panics"), [r#"{"item":"rice","count":1}"#]);
}
