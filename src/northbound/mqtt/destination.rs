//! A destination: starts, keeps connected and ends in good order.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::Backoff;
use smol_str::SmolStr;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::health::{Health, State};
use super::layout::{self, Publisher};
use super::pump::{End, Pump};
use super::session::{ConnectOptions, Session, Will};
use super::{Finding, LastWill, Layout, Options, Status, secret, tls};
use crate::device_model::SharedModel;
use crate::documents::Dressing;
use crate::journal::Journal;

/// What a destination reads and how it introduces itself.
#[derive(Clone)]
pub struct Context {
    /// Where the observations are.
    pub journal: Journal,
    /// What they mean.
    pub model: SharedModel,
    /// The gateway's name: the sender of documents, and part of the default client id.
    pub gateway: SmolStr,
    /// Namespaces of the documents.
    pub dressing: Dressing,
    /// Whether the data are simulated or replayed.
    pub test_indicator: bool,
}

/// Why a destination could not be started.
#[derive(Debug, thiserror::Error)]
#[error("mqtt destination \"{name}\": {}", .findings.iter().map(|it| format!("{}: {}; {}", it.key, it.what, it.cure)).collect::<Vec<_>>().join("; "))]
pub struct StartError {
    /// Which destination.
    pub name: String,
    /// What is wrong with its options.
    pub findings: Vec<Finding>,
}

/// Follows how a destination is doing, also while it ends. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    name: Arc<str>,
    url: Arc<str>,
    journal: Journal,
    health: Arc<Health>,
}

impl Watch {
    /// The destination's name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let cursor = self.journal.cursor(&self.name);
        self.health.status(&self.name, &self.url, cursor, self.journal.bounds().next)
    }
}

/// A running destination.
pub struct Destination {
    watch: Watch,
    task: JoinHandle<()>,
}

impl Destination {
    /// Starts sending. Whether the broker can be reached makes no difference here: that is tried
    /// for ever, with pauses of 500 ms to 10 s. After `cancel` it waits up to 2.5 s for what is on
    /// its way, publishes the last will's message itself and says good-bye.
    ///
    /// # Errors
    /// When the options are wrong ([`Options::check`]).
    pub fn start(options: Options, context: Context, cancel: CancellationToken) -> Result<Self, StartError> {
        let findings: Vec<_> = options.check().into_iter().filter(|finding| !finding.warning).collect();
        let refused = |findings| StartError { name: options.name.clone(), findings };
        if !findings.is_empty() {
            return Err(refused(findings));
        }
        let finding = |key, what| refused(vec![Finding { key, what, cure: String::new(), warning: false }]);
        let connect = connect_options(&options, &context).map_err(|what| finding("url", what))?;
        let single = layout::single(&options).map_err(|what| finding("template", what))?;
        // What is recorded from now on counts as missed when retention is faster.
        context.journal.acknowledge(&options.name, context.journal.cursor(&options.name));
        let health = Arc::new(Health::default());
        let watch = Watch {
            name: options.name.as_str().into(),
            url: options.url.as_str().into(),
            journal: context.journal.clone(),
            health: health.clone(),
        };
        let pump = Pump::new(options, context, connect.will.clone(), single, health);
        let task = tokio::spawn(supervise(pump, connect, cancel));
        Ok(Self { watch, task })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        self.watch.name()
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.watch.status()
    }

    /// What tells how it is doing from now on.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The task that sends; it ends only when cancelled.
    pub fn into_task(self) -> JoinHandle<()> {
        self.task
    }

    /// Waits until it has ended, which it does only when cancelled.
    pub async fn stopped(&mut self) {
        // A task that was aborted has ended as well.
        let _ = (&mut self.task).await;
    }

    /// Ends it at once, as a crash would: no good-bye, so that the broker publishes the last will.
    pub fn abort(&self) {
        self.task.abort();
        self.watch.health.link.set_state(State::Stopped);
    }
}

async fn supervise(mut pump: Pump, connect: ConnectOptions, cancel: CancellationToken) {
    let mut backoff = Backoff::default();
    let health = pump.health().clone();
    let name = pump.name().to_owned();
    while !cancel.is_cancelled() {
        health.link.set_state(State::Connecting);
        let attempt = tokio::select! {
            attempt = Session::connect(&connect) => attempt,
            () = cancel.cancelled() => break,
        };
        let cause = match attempt {
            Err(error) => error.to_string(),
            Ok(session) => {
                health.link.connected();
                tracing::info!(destination = name, host = connect.host, port = connect.port, "connected");
                match Box::pin(pump.run(session, &cancel)).await {
                    End::Stopped => break,
                    End::Lost { cause, progress } => {
                        if progress {
                            backoff.reset();
                        }
                        cause
                    }
                }
            }
        };
        health.link.set_state(State::Waiting);
        let pause = backoff.pause();
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        if health.link.set_error(Some(&cause)) {
            tracing::warn!(destination = name, cause, pause_ms, "not connected; nothing is lost meanwhile");
        } else {
            tracing::debug!(destination = name, cause, pause_ms, "not connected");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => {}
        }
    }
    health.link.set_state(State::Stopped);
}

fn connect_options(options: &Options, context: &Context) -> Result<ConnectOptions, String> {
    let address = Address::parse(&options.url)?;
    let tls = if address.tls { Some(tls::client_config(&options.tls)?) } else { None };
    let credentials = secret::credentials(options.username.as_deref(), options.password.as_deref())?;
    let session_expiry = if options.clean_session { Duration::ZERO } else { options.session_expiry };
    Ok(ConnectOptions {
        version: options.version,
        host: address.host,
        port: address.port,
        tls,
        client_id: options.client_id.clone().unwrap_or_else(|| default_client_id(options, context)),
        credentials,
        keep_alive: options.keep_alive,
        session_expiry: u32::try_from(session_expiry.as_secs()).unwrap_or(u32::MAX),
        in_flight: options.in_flight,
        will: will(options, context),
        listen: None,
    })
}

/// The same over restarts, different for each gateway and destination.
fn default_client_id(options: &Options, context: &Context) -> String {
    let mut hash = crc32fast::Hasher::new();
    hash.update(context.gateway.as_bytes());
    hash.update(&context.journal.instance_id().to_le_bytes());
    let name: String =
        options.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("guideway-{name}-{:08x}", hash.finalize())
}

fn will(options: &Options, context: &Context) -> Option<Will> {
    let qos = options.qos.min(1);
    if let Some(LastWill { topic, payload, retain, .. }) = &options.last_will {
        return Some(Will { topic: topic.clone(), payload: payload.clone(), qos, retain: *retain });
    }
    if !matches!(options.layout, Layout::Mtconnect | Layout::Entity) {
        return None;
    }
    let prefix = layout::prefix(options);
    let topic = Publisher::availability_topic(&context.model.load(), prefix, &context.gateway);
    Some(Will { topic, payload: "UNAVAILABLE".into(), qos, retain: true })
}
