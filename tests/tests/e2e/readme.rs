//! The README's `curl` lines, run as they are printed.

use std::fs;
use std::process::Command;

use megamind_tests::{City, binary, skipped};

/// The addresses that the README uses, as `./dev run` takes them.
const GATEWAY: &str = "localhost:8080";
const CONTROL: &str = "localhost:8082";
const ADMIN: &str = "localhost:9900";

/// A command of the README and the status that it promises in the comment behind it.
struct Line {
    command: String,
    status: String,
}

/// Every `curl` line of the README; it goes on while a quote is open. `# 201` behind a command is
/// the status that it gets.
fn lines() -> Vec<Line> {
    let text = fs::read_to_string(binary::root().join("README.md")).expect("a README");
    let mut commands: Vec<String> = Vec::new();
    for line in text.lines() {
        match commands.last_mut() {
            Some(open) if open.matches('\'').count() % 2 == 1 => {
                open.push('\n');
                open.push_str(line);
            }
            _ if line.starts_with("curl ") => commands.push(line.to_owned()),
            _ => {}
        }
    }
    let parse = |line: String| {
        let (command, comment) = line.rsplit_once(" # ").unwrap_or((&line, "200"));
        Line { command: command.trim().to_owned(), status: comment.trim().to_owned() }
    };
    commands.into_iter().map(parse).collect()
}

#[test]
fn the_curl_lines_of_the_readme_work() {
    if Command::new("curl").arg("--version").output().is_err() {
        skipped("curl is not installed");
        return;
    }
    let lines = lines();
    assert!(lines.len() > 5, "the README shows how it works");
    let city = City::start();
    // `ID` in a line stands for the last order's id, as it does for who reads along.
    let mut id = String::new();
    for Line { command, status } in lines {
        let command = command
            .replace(GATEWAY, &city.gateway.addr.to_string())
            .replace(CONTROL, &city.cloud.control().to_string())
            .replace(ADMIN, &city.gateway.admin.to_string())
            .replace("=ID", &format!("={id}"));
        assert!(!command.contains("localhost"), "an unknown address: {command}");
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("{command} -sS --max-time 20 -w '\\n%{{http_code}}'"))
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, code) = said.rsplit_once('\n').expect("a status");
        assert_eq!(code, status, "{command}\n{body}");
        if let Ok(body) = serde_json::from_str::<serde_json::Value>(body)
            && let Some(placed) = body["orderId"].as_str()
        {
            placed.clone_into(&mut id);
        }
        await_change(&city, &command);
    }
    city.gateway.await_drained();
}

/// Who reads along types slower than the gateway notices.
fn await_change(city: &City, command: &str) {
    if !command.contains("/__fault") {
        return;
    }
    if command.contains("DELETE") {
        city.gateway.await_drained();
    } else {
        city.gateway.await_mode("acting");
    }
}
