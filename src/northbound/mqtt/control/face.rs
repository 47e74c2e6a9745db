//! The face at one broker: starts, keeps connected and ends in good order.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::Backoff;
use smol_str::SmolStr;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answers::MOST_SENT;
use super::health::{Health, Status};
use super::options::Options;
use super::pump::{Over, Pump, lost_state};
use super::topics::Topics;
use crate::control::Control;
use crate::northbound::mqtt::address::Address;
use crate::northbound::mqtt::session::{ConnectOptions, Listen, Session, Will};
use crate::northbound::mqtt::{Finding, State, secret, tls};

/// Requests that the broker sends without having the first acknowledged, and that wait to be taken.
const WINDOW: u16 = 32;
/// Bytes of the largest packet that is read: what is larger than `max_payload` but not than this is refused and
/// audited.
const MOST_PACKET_BYTES: u32 = 128 * 1_024;
/// Connections in a row that may end by something that cannot be read, before what the broker keeps is thrown away.
const MOST_CHOKED: u32 = 2;

/// What the face needs of the gateway.
#[derive(Clone)]
pub struct Context {
    /// The gateway's name: `{gateway}` in topics, and part of the default client id.
    pub gateway: SmolStr,
    /// Where requests go.
    pub control: Control,
}

/// Why the face could not be started.
#[derive(Debug, thiserror::Error)]
#[error("[[control.mqtt]] \"{name}\": {}", .findings.iter().map(|it| format!("{}: {}; {}", it.key, it.what, it.cure)).collect::<Vec<_>>().join("; "))]
pub struct StartError {
    /// Which one.
    pub name: String,
    /// What is wrong with its options.
    pub findings: Vec<Finding>,
}

/// Follows how the face is doing, also while it ends. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    name: Arc<str>,
    url: Arc<str>,
    health: Arc<Health>,
}

impl Watch {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.health.status(&self.name, &self.url)
    }
}

/// The face at one broker.
pub struct Face {
    watch: Watch,
    task: JoinHandle<()>,
}

impl Face {
    /// Starts following the request topics. Whether the broker can be reached makes no difference here: that is tried
    /// for ever, with pauses of 500 ms to 10 s. To be called before control runs, so that no end of an earlier run is
    /// missed. After `cancel` it waits up to 2.5 s for answers, publishes that control is off, and says good-bye.
    ///
    /// # Errors
    /// When the options are wrong ([`Options::check`]).
    pub fn start(options: &Options, context: Context, cancel: CancellationToken) -> Result<Self, StartError> {
        let refused = |findings| StartError { name: options.name.clone(), findings };
        let findings: Vec<_> = options.check().into_iter().filter(|finding| !finding.warning).collect();
        if !findings.is_empty() {
            return Err(refused(findings));
        }
        let topics = Topics::new(&options.topic_prefix, &context.gateway, &options.response_topics);
        let connect = connect_options(options, &topics).map_err(|what| {
            refused(vec![Finding { key: "url", what, cure: String::new(), warning: false }])
        })?;
        let health = Arc::new(Health::default());
        let watch = Watch {
            name: options.name.as_str().into(),
            url: options.url.as_str().into(),
            health: health.clone(),
        };
        let most = usize::try_from(options.max_payload).unwrap_or(usize::MAX);
        let pump = Pump::new(&options.name, topics, most, context.control, health);
        let task = tokio::spawn(supervise(pump, connect, cancel));
        Ok(Self { watch, task })
    }

    /// What tells how it is doing from now on.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The task that works; it ends only when cancelled.
    pub fn into_task(self) -> JoinHandle<()> {
        self.task
    }
}

async fn supervise(mut pump: Pump, mut connect: ConnectOptions, cancel: CancellationToken) {
    let mut backoff = Backoff::default();
    let health = pump.health().clone();
    let name = pump.name().to_owned();
    let mut choked = 0;
    while !cancel.is_cancelled() {
        health.link.set_state(State::Connecting);
        let attempt = tokio::select! {
            attempt = pump.meanwhile(Session::connect(&connect)) => attempt,
            () = cancel.cancelled() => break,
        };
        let cause = match attempt {
            Err(error) => error.to_string(),
            Ok(session) => {
                if let Some(listen) = &mut connect.listen {
                    listen.fresh = false;
                }
                tracing::debug!(face = name, host = connect.host, port = connect.port, "connected");
                match Box::pin(pump.run(session, &cancel)).await {
                    Over::Stopped => break,
                    Over::Lost { ended, progress } => {
                        if progress {
                            backoff.reset();
                            choked = 0;
                        }
                        choked += u32::from(ended.choked);
                        ended.cause
                    }
                }
            }
        };
        if choked >= MOST_CHOKED {
            choked = 0;
            Health::count(&health.renewed);
            tracing::error!(
                face = name,
                cause,
                "the session is begun anew: requests that wait in it are lost; limit the size of messages at the broker"
            );
            if let Some(listen) = &mut connect.listen {
                listen.fresh = true;
            }
        }
        health.link.set_state(State::Waiting);
        let pause = backoff.pause();
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        if health.link.set_error(Some(&cause)) {
            tracing::warn!(face = name, cause, pause_ms, "not connected; requests wait at the broker");
        } else {
            tracing::debug!(face = name, cause, pause_ms, "not connected");
        }
        tokio::select! {
            () = pump.meanwhile(tokio::time::sleep(pause)) => {}
            () = cancel.cancelled() => {}
        }
    }
    health.link.set_state(State::Stopped);
}

fn connect_options(options: &Options, topics: &Topics) -> Result<ConnectOptions, String> {
    let address = Address::parse(&options.url)?;
    let tls = if address.tls { Some(tls::client_config(&options.tls)?) } else { None };
    let keep = options.session_expiry >= Duration::from_secs(1);
    Ok(ConnectOptions {
        version: options.version,
        host: address.host,
        port: address.port,
        tls,
        client_id: options.client_id.clone().unwrap_or_else(|| default_client_id(options, topics)),
        credentials: secret::credentials(options.username.as_deref(), options.password.as_deref())?,
        keep_alive: options.keep_alive,
        session_expiry: u32::try_from(options.session_expiry.as_secs()).unwrap_or(u32::MAX),
        // Beside the answers there is the state, a few times over when the switch is played with.
        in_flight: u16::try_from(MOST_SENT).unwrap_or(u16::MAX).saturating_add(8),
        will: Some(Will { topic: topics.state(), payload: lost_state(), qos: 1, retain: true }),
        listen: Some(Listen {
            filters: topics.requests(),
            window: WINDOW,
            packet_bytes: MOST_PACKET_BYTES,
            keep,
            fresh: false,
        }),
    })
}

/// The same over restarts, different for each gateway, name and prefix: what the broker keeps belongs to the topics
/// that were followed.
fn default_client_id(options: &Options, topics: &Topics) -> String {
    let hash = crc32fast::hash(topics.base().as_bytes());
    let name: String =
        options.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("guideway-control-{name}-{hash:08x}")
}
