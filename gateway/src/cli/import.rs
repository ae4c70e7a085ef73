//! `megamind import`.

use std::{fs, path::Path};

use anyhow::Context;

use super::{ImportKind, remote::Remote};

/// Sends a CSV file to a running gateway, which takes all of it, or nothing where a line cannot be read.
pub(super) fn import(config_path: &Path, kind: ImportKind, file: &Path) -> anyhow::Result<()> {
    let config = super::load(config_path)?;
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let name = match kind {
        ImportKind::Pilots => "pilots",
        ImportKind::Orders => "orders",
    };
    let answer = Remote::of(config_path, &config)?
        .post_text(&format!("/admin/import/{name}"), "text/csv", text)
        .with_context(|| format!("{}: nothing was imported", file.display()))?;
    println!("{} {name} imported", answer.get("imported").unwrap_or(&0.into()));
    Ok(())
}
