//! `guideway record`.

use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::machine::{AtWork, Which};
use super::{Logging, say};
use crate::config::Log;
use crate::profile::recording::Recorder;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,

    /// The file to write; an existing one is not written over.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// How long. Default: until Ctrl-C.
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    time: Option<Duration>,
}

pub(super) fn run(arguments: &Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    logging.start(&Log::default())?;
    let machine = arguments.which.machine()?;
    let file = std::fs::File::create_new(&arguments.file)
        .with_context(|| format!("cannot create {}; choose another name", arguments.file.display()))?;
    let points = machine.mapping.points().iter().map(|point| point.name.clone()).collect();
    let mut recorder = Recorder::new(BufWriter::new(file), &machine.profile, points)?;
    super::runtime()?.block_on(async {
        let mut at_work = AtWork::start(machine.adapter(), Arc::default());
        let end = arguments.time.map(|time| Instant::now() + time);
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let (mut values, mut told) = (0, 0);
        loop {
            tokio::select! {
                signal = at_work.next() => match signal {
                    Some(signal) => values += recorder.take(&signal)?,
                    None => break,
                },
                _ = ticks.tick() => {
                    recorder.flush()?;
                    if values > told {
                        say(&format!("{values} values"));
                        told = values;
                    }
                }
                _ = tokio::signal::ctrl_c() => break,
                () = tokio::time::sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
            }
        }
        at_work.stop().await;
        recorder.flush()?;
        let file = arguments.file.display();
        say(&format!("{values} values in {file}; play them with `guideway try PROFILE replay:{file}`"));
        Ok(if values > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
