//! `guideway replay`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use guideway_simulator::{Progress, Replay, Speed};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Logging, say};
use crate::config::Log;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Recordings: SHDR lines with timestamps, as an adapter sends them.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// How many times faster than recorded; `max` for as fast as the client reads.
    #[arg(long, default_value = "1", value_name = "FACTOR")]
    speed: Speed,

    /// The first file's port; the others follow. 0 takes free ones.
    #[arg(long, default_value_t = 7878)]
    port: u16,

    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,

    /// Send the time of sending instead of the recorded time.
    #[arg(long)]
    now: bool,

    /// Begin again at the end of a file.
    #[arg(long = "loop")]
    again: bool,
}

pub(super) fn run(arguments: &Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    logging.start(&Log::default())?;
    super::runtime()?.block_on(async {
        let cancel = CancellationToken::new();
        let mut players = JoinSet::new();
        let mut followed = Vec::new();
        for (file, offset) in arguments.files.iter().zip(0_u16..) {
            let port = match arguments.port {
                0 => 0,
                first => {
                    first.checked_add(offset).context("there are no ports left; choose a lower --port")?
                }
            };
            let address = SocketAddr::new(arguments.address, port);
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}; choose another --port"))?;
            say(&format!("{}  on shdr://{}", file.display(), listener.local_addr()?));
            let play = Replay {
                files: vec![file.clone()],
                speed: arguments.speed,
                restamp: arguments.now,
                repeat: arguments.again,
            };
            let progress = Arc::new(Progress::default());
            followed.push((file.clone(), progress.clone()));
            players.spawn(guideway_simulator::replay(play, listener, progress, cancel.clone()));
        }
        say("Each begins with its first client. Ctrl-C ends.");
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        let mut told = vec![0; followed.len()];
        loop {
            tokio::select! {
                ended = tokio::signal::ctrl_c() => {
                    ended?;
                    break;
                }
                Some(ended) = players.join_next() => ended??,
                _ = ticks.tick() => {
                    for ((file, progress), told) in followed.iter().zip(&mut told) {
                        tell(file, progress, told);
                    }
                }
            }
        }
        cancel.cancel();
        while let Some(ended) = players.join_next().await {
            ended??;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A line of progress, where there was any.
fn tell(file: &Path, progress: &Progress, told: &mut u64) {
    let lines = progress.lines();
    if lines == *told {
        return;
    }
    *told = lines;
    let percent = progress.bytes() * 100 / progress.total().max(1);
    let (round, end) = match (progress.is_done(), progress.rounds()) {
        (true, _) => (String::new(), "; that is all"),
        (false, 0) => (String::new(), ""),
        (false, rounds) => (format!(", round {}", rounds + 1), ""),
    };
    say(&format!("{}  {lines} lines sent, {percent} %{round}{end}", file.display()));
}
