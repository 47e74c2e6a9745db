//! `guideway run`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{DataDir, EXIT_CONFIGURATION, Logging, colour, say, service};
use crate::agent::{Agent, StartError, Surroundings};
use crate::config::{self, Report};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// guideway.toml or agent.cfg.
    #[arg(value_name = "FILE", default_value = "guideway.toml")]
    file: PathBuf,

    #[command(flatten)]
    data: DataDir,
}

pub(super) fn run(arguments: &Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    let (configuration, warnings) = match config::load(&arguments.file) {
        Ok(loaded) => loaded,
        Err(findings) => {
            say(Report { findings }.render(colour()).trim_end());
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    logging.start(&configuration.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let surroundings =
        Surroundings { data_dir: Some(arguments.data.resolve(&configuration.gateway)), simulated: false };
    super::runtime()?.block_on(async {
        match Agent::start(configuration, surroundings).await {
            Ok(agent) => {
                service::until_stopped(agent).await?;
                Ok(ExitCode::SUCCESS)
            }
            Err(
                error @ (StartError::Model(_)
                | StartError::NoSuchDevice { .. }
                | StartError::NoSuchDetails { .. }),
            ) => {
                say(&format!("guideway: {error}"));
                Ok(ExitCode::from(EXIT_CONFIGURATION))
            }
            Err(error) => Err(error.into()),
        }
    })
}
