//! `guideway tap`.

use std::process::ExitCode;
use std::time::Duration;

use super::{Logging, print};
use crate::config::{Log, LogLevel};
use crate::verify;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A running gateway, or any MTConnect agent.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:5000")]
    url: String,

    /// An XPath: only these items, such as //Path or //DataItem[@type="EXECUTION"].
    #[arg(long, value_name = "XPATH")]
    path: Option<String>,

    /// How long. Default: until Ctrl-C.
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    time: Option<Duration>,
}

pub(super) fn run(arguments: &Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    logging.start(&Log { level: LogLevel::Warn, ..Log::default() })?;
    super::runtime()?.block_on(async {
        let tap = verify::tap(&arguments.url, arguments.path.as_deref(), print);
        let end = async {
            match arguments.time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = tap => result.map_err(anyhow::Error::msg).map(|()| ExitCode::SUCCESS),
            () = end => Ok(ExitCode::SUCCESS),
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        }
    })
}
