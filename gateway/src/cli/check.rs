//! `megamind check`.

use std::{path::Path, process::ExitCode};

use megamind_conf::Diagnostic;

/// Prints every mistake; fails if there is one.
pub(super) fn check(path: &Path, json: bool) -> ExitCode {
    let mistakes = match megamind_conf::load(path) {
        Ok(config) => config.check_files(),
        Err(mistakes) => mistakes,
    };
    for mistake in &mistakes {
        print(mistake, json);
    }
    if !mistakes.is_empty() {
        return ExitCode::FAILURE;
    }
    if !json {
        println!("{}: ok", path.display());
    }
    ExitCode::SUCCESS
}

fn print(mistake: &Diagnostic, json: bool) {
    match serde_json::to_string(mistake) {
        Ok(line) if json => println!("{line}"),
        _ => println!("{mistake}"),
    }
}
