//! Copies of the journal, and what comes back of them.

use std::fs;
use std::path::{Path, PathBuf};

use megamind_tests::{City, Request, wait};
use serde_json::{Value, json};

/// What a command complained of, which must not have done it.
#[track_caller]
fn refused(city: &City, arguments: &[&str]) -> String {
    let output = city.gateway.command(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?} should be refused: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of this test is text")
}

#[test]
fn a_restored_queue_waits_to_be_released_and_has_effect_once() {
    let mut city = City::start();
    let copy = city.dir().join("copy.db");
    city.lose_cloud();
    let before = city.place("before");
    city.place("sent-before-the-fall");
    city.gateway.said(&["backup", text(&copy)]);
    let again = refused(&city, &["backup", text(&copy)]);
    assert!(again.contains("is there already"), "{again}");
    // Oblivion gets both; what came after the copy is lost with the disk.
    city.regain_cloud();
    assert_eq!(city.cloud.effects_of("\"before\"").len(), 1);
    city.lose_cloud();
    city.place("after");
    let running = refused(&city, &["restore", text(&copy)]);
    assert!(running.contains("locked by another gateway"), "{running}");
    city.gateway.kill();

    let told = city.gateway.said(&["restore", text(&copy)]);
    assert!(told.contains("2 queued writes") && told.contains("megamind queue release"), "{told}");
    city.cloud.start();
    city.gateway.start();
    city.gateway.await_mode("forwarding");
    let status = city.gateway.status();
    assert!(status["restored"]["copiedAt"].is_string(), "{status}");
    assert_eq!(status["queue"]["entries"], 2, "{status}");
    assert_eq!(city.status_of(&before), "placed", "what is queued is still answered here");

    let lines = city.gateway.said(&["queue", "export"]);
    let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(entries.len(), 2, "{lines}");
    assert!(entries.iter().all(|entry| entry["possiblyApplied"] == true), "{lines}");
    assert!(entries[0]["body"].as_str().is_some_and(|body| body.contains("\"before\"")), "{lines}");

    city.gateway.said(&["queue", "release", "--who", "the test"]);
    city.gateway.await_drained();
    for reference in ["\"before\"", "\"sent-before-the-fall\""] {
        assert_eq!(city.cloud.effects_of(reference).len(), 1, "{reference}");
    }
    assert!(city.gateway.status()["restored"].is_null());
    let twice = refused(&city, &["queue", "release"]);
    assert!(twice.contains("not held back"), "{twice}");

    // Numbers of another range: no entry is taken for one of before.
    city.lose_cloud();
    city.place("anew");
    let listed = city.gateway.ask(&Request::get("/admin/queue")).expect("answers").json();
    let id = listed["entries"][0]["id"].as_u64().expect("an id");
    assert!(id > 1 << 40, "{listed}");
    city.regain_cloud();
}

#[test]
fn copies_are_made_by_the_clock_and_the_oldest_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("copies");
    let city = City::with(&format!("backup = {{ every = '1s', to = '{}', keep = 2 }}", to.display())).start();
    let copies = || -> Vec<PathBuf> {
        let entries = fs::read_dir(&to).into_iter().flatten().flatten();
        let mut copies: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        copies.retain(|path| path.extension().is_some_and(|suffix| suffix == "db"));
        copies.sort();
        copies
    };
    let first = wait::until("there is a copy", || copies().first().cloned());
    wait::until("the first copy is gone", || (!first.exists()).then_some(()));
    let made = city.gateway.metric("megamind_backups_total", "done").expect("is counted");
    assert!(made >= 3.0, "{made}");
    wait::until("two are kept", || (copies().len() == 2).then_some(()));
    assert!(city.gateway.status()["backup"]["lastAt"].is_string());
}

#[test]
fn a_copy_of_another_city_s_path_is_asked_for_in_words_that_help() {
    let city = City::start();
    let nowhere = city.dir().join("no-such-folder").join("copy.db");
    let complaint = refused(&city, &["backup", text(&nowhere)]);
    assert!(complaint.contains("No such file"), "{complaint}");
    let relative = Request::post("/admin/backup", &json!({"file": "copy.db"}));
    let answer = city.gateway.ask(&relative).expect("answers").expect(400);
    assert_eq!(answer.json()["code"], "bad_file");
}
