//! A gateway as a service: readiness and watchdog for systemd, and the signals that end it.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::agent::Agent;

/// A signal that comes so soon after the first is the same wish: supervisors signal a process and
/// then its group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT, then stops the gateway. A second signal, later, ends it at once.
pub(super) async fn until_stopped(agent: Agent) -> anyhow::Result<()> {
    // Before anybody is told that it runs: from then on it may be asked to stop.
    let mut first = Stop::listen()?;
    notify(&[NotifyState::Ready, NotifyState::Status("running")]);
    let watchdog = tokio::spawn(feed_watchdog(agent.heartbeat()));
    tokio::select! {
        () = first.asked() => {}
        () = last_beat(agent.heartbeat()) => {
            // Without it nothing is recorded any more; a fresh start can do better than going on.
            tracing::error!("the ingest thread is gone; stopping");
        }
    }
    notify(&[NotifyState::Stopping]);
    watchdog.abort();
    let second = async {
        tokio::time::sleep(SAME_WISH).await;
        Stop::listen()?.asked().await;
        std::io::Result::Ok(())
    };
    tokio::select! {
        stopped = agent.stop() => stopped.map_err(Into::into),
        _ = second => anyhow::bail!("stopped at once by a second signal"),
    }
}

/// SIGTERM and SIGINT, as far as they come from now on.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for the end of the ingest thread, which outlives everything unless it panics.
async fn last_beat(mut heartbeat: tokio::sync::watch::Receiver<u64>) {
    while heartbeat.changed().await.is_ok() {}
}

/// Tells systemd that the gateway is alive, as long as the ingest thread is.
async fn feed_watchdog(mut heartbeat: tokio::sync::watch::Receiver<u64>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let pause = (limit / 3).max(Duration::from_millis(100));
    // The ingest thread beats at least every ten seconds; a shorter watchdog is fed by the clock.
    let beats_in_time = pause >= Duration::from_secs(10);
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(pause).await;
        if beats_in_time && heartbeat.changed().await.is_err() {
            return;
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
