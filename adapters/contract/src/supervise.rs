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
        if was_up || !attempted {
            outlet.send(Signal::Disconnected { at: Timestamp::now() }).await;
        }
        if was_up {
            backoff.reset();
        }
        attempted = true;
        if matches!(end, SessionEnd::Stopped) {
            break;
        }
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
