//! `guideway check`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{EXIT_CONFIGURATION, print};
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// guideway.toml or agent.cfg.
    #[arg(value_name = "FILE", default_value = "guideway.toml")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let report = config::check(&arguments.file);
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
    print(report.render(colour).trim_end());
    if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONFIGURATION) }
}
