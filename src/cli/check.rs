//! `guideway check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::{EXIT_CONFIGURATION, print};
use crate::profile::Library;
use crate::reading::Source;
use crate::{config, profile};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// guideway.toml or agent.cfg; a device profile, or the id of one that ships.
    #[arg(value_name = "FILE", default_value = "guideway.toml")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let (report, summary) = match profile_in(&arguments.file) {
        Some(source) => {
            let (report, machine) = profile::check(&source);
            let counted = |machine: profile::Machine| {
                format!(
                    "{} {}: {}; points: {}, items: {}, commands: {}\n",
                    machine.profile,
                    machine.version,
                    machine.kind,
                    machine.mapping.points().len(),
                    machine.items,
                    machine.commands.len()
                )
            };
            (report, machine.map(counted).unwrap_or_default())
        }
        None => (config::check(&arguments.file), String::new()),
    };
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
    print(&format!("{summary}{}", report.render(colour).trim_end()));
    if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONFIGURATION) }
}

/// The profile that is meant: a file that is one, or the id of one that ships.
fn profile_in(file: &Path) -> Option<Arc<Source>> {
    let name = file.to_str()?;
    if !file.exists() {
        return Library::default().find(name, Path::new("")).ok();
    }
    let source = Library::default().find(&format!("./{name}"), Path::new("")).ok();
    let source = if file.is_absolute() { Library::default().find(name, Path::new("")).ok() } else { source };
    // A profile has one adapter of a kind; a configuration has lists of adapters by protocol.
    source.filter(|source| {
        source.text().lines().any(|line| line.trim_start().starts_with("[adapter]"))
            || source.text().lines().any(|line| line.trim_start().starts_with("schema"))
    })
}
