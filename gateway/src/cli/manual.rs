//! Manual pages and completions, made from the definitions that also make `--help`.

use std::{
    io::{ErrorKind, Write, stdout},
    path::Path,
};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Writes `megamind.1` and a page for every command within it.
pub(super) fn pages(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .with_context(|| format!("the manual pages cannot be written to {}", folder.display()))
}

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "megamind", &mut script);
    match stdout().lock().write_all(&script) {
        // Whoever reads has seen enough, such as `head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("the completions cannot be printed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_an_example() {
        let folder = tempfile::tempdir().expect("a folder");
        pages(folder.path()).expect("pages");
        let written = |name: &str| folder.path().join(format!("{name}.1")).is_file();
        assert!(written("megamind"));
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(written(&format!("megamind-{name}")), "no page for {name}");
            let groups = command.has_subcommands();
            let example = command
                .get_after_help()
                .is_some_and(|help| help.to_string().contains("Example: megamind"));
            assert!(example || groups, "{name} has no example");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let folder = file.path().join("man1");
        let error = pages(&folder).expect_err("no folder in a file");
        assert!(format!("{error:#}").contains(&folder.display().to_string()));
    }
}
