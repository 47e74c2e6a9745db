//! Keeps an adapter in session.

use crate::{
    Adapter, Backoff, CommandRequest, ConnectionState, Counters, Outcome, Outlet, SessionEnd, Signal,
    Timestamp,
};

/// Runs sessions until the outlet is cancelled: after each end it says so once, then waits for the
/// next pause of `backoff`. Each lost session, and a first attempt that fails, is told as
/// [`Signal::Disconnected`]. Commands that arrive while no session is up are answered `NotSent`.
pub async fn supervise(mut adapter: Box<dyn Adapter>, mut outlet: Outlet, mut backoff: Backoff) {
    let cancel = outlet.cancelled().clone();
    let mut attempted = false;
    while !cancel.is_cancelled() {
        outlet.health().set_state(ConnectionState::Listen);
        let end = adapter.session(&mut outlet).await;
        let was_up = outlet.health().state() == ConnectionState::Established;
        outlet.health().set_state(ConnectionState::Closed);
        // The first attempt that fails is told too: what an earlier run of the gateway knew of this
        // source is no longer known.
        // A gateway that stops says nothing about the machine: its values stand until the next run
        // has tried to reach it.
        if matches!(end, SessionEnd::Stopped) {
            break;
        }
        if was_up || !attempted {
            outlet.send(Signal::Disconnected { at: Timestamp::now() }).await;
        }
        if was_up {
            backoff.reset();
        }
        attempted = true;
        if !was_up {
            Counters::add(&outlet.health().counters.failed_attempts, 1);
        }
        let cause = end.to_string();
        let repeated = outlet.health().last_error().as_deref() == Some(&cause);
        let pause = backoff.pause();
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        if repeated && !was_up {
            tracing::debug!(
                adapter = outlet.name(),
                endpoint = adapter.endpoint(),
                cause,
                pause_ms,
                "session over"
            );
        } else {
            tracing::warn!(
                adapter = outlet.name(),
                endpoint = adapter.endpoint(),
                cause,
                pause_ms,
                "session over"
            );
        }
        outlet.health().set_last_error(Some(cause));
        wait(&mut outlet, pause).await;
    }
    outlet.health().set_state(ConnectionState::Closed);
}

async fn wait(outlet: &mut Outlet, pause: std::time::Duration) {
    let cancel = outlet.cancelled().clone();
    let until = tokio::time::sleep(pause);
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => return,
            () = cancel.cancelled() => return,
            Some(CommandRequest { reply, .. }) = outlet.commands().recv() => {
                // A requester that has gone away no longer needs the answer.
                let _ = reply.send(Outcome::NotSent("no session".into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::{Capabilities, Command, PointTable, SessionFuture, kit};

    /// An adapter whose sessions follow a script: whether each comes up, and how it ends.
    struct Scripted(VecDeque<(bool, SessionEnd)>);

    impl Adapter for Scripted {
        fn protocol(&self) -> &'static str {
            "scripted"
        }

        fn endpoint(&self) -> String {
            "scripted://here".into()
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
            Box::pin(async move {
                let Some((comes_up, end)) = self.0.pop_front() else {
                    outlet.cancelled().cancelled().await;
                    return SessionEnd::Stopped;
                };
                if comes_up {
                    outlet.connected().await;
                }
                end
            })
        }
    }

    fn lost() -> SessionEnd {
        SessionEnd::Lost("reset".into())
    }

    async fn told(script: Vec<(bool, SessionEnd)>, signals: usize) -> Vec<&'static str> {
        let (outlet, mut collector) = kit::outlet(PointTable::default());
        let task = tokio::spawn(supervise(Box::new(Scripted(script.into())), outlet, Backoff::default()));
        let mut told = Vec::new();
        while told.len() < signals {
            told.push(match collector.next().await {
                Some(Signal::Connected { .. }) => "up",
                Some(Signal::Disconnected { .. }) => "down",
                _ => "other",
            });
        }
        collector.cancel.cancel();
        task.await.unwrap();
        assert!(collector.drain().is_empty());
        told
    }

    #[tokio::test(start_paused = true)]
    async fn each_lost_session_is_told_and_the_next_one_follows() {
        assert_eq!(told(vec![(true, lost()), (true, lost())], 4).await, ["up", "down", "up", "down"]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_attempts_that_fail_only_the_first_is_told() {
        assert_eq!(
            told(vec![(false, lost()), (false, lost()), (true, lost())], 3).await,
            ["down", "up", "down"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_leaves_the_values_as_they_are() {
        assert_eq!(told(vec![(true, SessionEnd::Stopped)], 1).await, ["up"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_between_sessions_is_not_sent() {
        let (outlet, mut collector) = kit::outlet(PointTable::default());
        let task =
            tokio::spawn(supervise(Box::new(Scripted([(false, lost())].into())), outlet, Backoff::default()));
        collector.next().await;
        let (reply, outcome) = tokio::sync::oneshot::channel();
        let command =
            Command { id: "1".into(), writes: Vec::new(), timeout: std::time::Duration::from_secs(1) };
        collector.commands.send(CommandRequest { command, reply }).await.unwrap();
        assert_eq!(outcome.await, Ok(Outcome::NotSent("no session".into())));
        collector.cancel.cancel();
        task.await.unwrap();
    }
}
