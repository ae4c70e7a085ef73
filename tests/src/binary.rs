//! The program under test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `megamind` to test: `MEGAMIND_BIN`, or the one of this workspace, built if need be in the
/// profile and the target folder of the tests themselves.
pub fn megamind() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("MEGAMIND_BIN") {
        Some(path) => path.into(),
        None => build("megamind-gateway", "megamind"),
    })
}

/// The stand-in for a pilot's app or a merchant's service.
pub fn receiver() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build("megamind-sim", "megamind-receiver"))
}

/// The root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is a folder of the project")
}

fn build(package: &str, binary: &str) -> PathBuf {
    // TARGET/PROFILE/deps/TEST
    let test = env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2).expect("cargo puts tests into TARGET/PROFILE/deps");
    let target = folder.parent().expect("PROFILE is in TARGET");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root())
        .args(["build", "--quiet", "-p", package, "--bin", binary])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "{binary} does not build");
    folder.join(binary)
}
