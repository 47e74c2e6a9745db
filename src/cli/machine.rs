//! What `try`, `record` and `browse` share: a machine of a profile at an address, and its adapter at work.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use guideway_contract::{
    Adapter, AdapterId, Backoff, CommandRequest, Envelope, Health, Outlet, PointTable, Signal, supervise,
};
use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toml::de::DeTable;

use crate::profile::file::Scalar;
use crate::profile::{self, Library, Machine};

/// Which machine is meant.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// A profile: its id, or its file.
    #[arg(value_name = "PROFILE")]
    profile: String,

    /// Where the machine is: host, host:port, a device file, a URL of its protocol, or replay:FILE.
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// A parameter of the profile.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,

    /// A setting of the profile's [adapter], as a [[device]] writes it: --set unit=3
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Which {
    pub(super) fn machine(&self) -> anyhow::Result<Machine> {
        let source = Library::new(vec!["device-profiles".into()])
            .find(&self.profile, Path::new(""))
            .map_err(|missing| anyhow::anyhow!("{} ({})", missing.what, missing.cure))?;
        let mut params = BTreeMap::new();
        for param in &self.params {
            let (name, value) =
                param.split_once('=').with_context(|| format!("`{param}`: write NAME=VALUE"))?;
            params.insert(SmolStr::new(name.trim()), scalar(value.trim()));
        }
        match profile::instance(&source, "machine", &self.address, params, settings_of(&self.set)?) {
            Ok(machine) => Ok(machine),
            Err(report) => bail!("the profile cannot be used\n\n{}", report.render(super::colour())),
        }
    }
}

/// `KEY=VALUE` as TOML: what TOML does not take for a value is a text. The text lives as long as the process: what
/// stands on a command line is little.
pub(super) fn settings_of(texts: &[String]) -> anyhow::Result<DeTable<'static>> {
    let mut table = DeTable::new();
    for text in texts {
        let (key, value) = text.split_once('=').with_context(|| format!("`{text}`: write KEY=VALUE"))?;
        let (key, value) = (key.trim(), value.trim());
        let line = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let read = DeTable::parse(line(format!("{key} = {value}")))
            .or_else(|_| DeTable::parse(line(format!("{key} = {value:?}"))));
        table.extend(read.with_context(|| format!("`{text}`: write KEY=VALUE"))?.into_inner());
    }
    Ok(table)
}

/// A value as TOML would read it, else a text.
pub(super) fn scalar(text: &str) -> Scalar {
    match text {
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        _ => match (text.parse(), text.parse()) {
            (Ok(number), _) => Scalar::Int(number),
            (Err(_), Ok(number)) => Scalar::Float(number),
            _ => Scalar::Text(text.trim_matches('"').into()),
        },
    }
}

/// An adapter at work, with the command line in the agent's place.
pub(super) struct AtWork {
    pub(super) signals: mpsc::Receiver<Envelope>,
    pub(super) health: Arc<Health>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    /// Nobody writes from here; while this end is held, the adapter waits for commands in vain.
    _commands: mpsc::Sender<CommandRequest>,
}

impl AtWork {
    /// With `points` for an adapter that is fed by key.
    pub(super) fn start(adapter: Box<dyn Adapter>, points: Arc<PointTable>) -> Self {
        let (sender, signals) = mpsc::channel(64);
        let (commands, requests) = mpsc::channel(1);
        let health = Arc::new(Health::default());
        let cancel = CancellationToken::new();
        let points = Arc::new(ArcSwap::new(points));
        let outlet =
            Outlet::new(AdapterId(0), "machine", points, sender, requests, health.clone(), cancel.clone());
        let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
        let task = tokio::spawn(supervise(adapter, outlet, backoff));
        Self { signals, health, cancel, task, _commands: commands }
    }

    /// The next signal; `None` once it has ended.
    pub(super) async fn next(&mut self) -> Option<Signal> {
        self.signals.recv().await.map(|envelope| envelope.signal)
    }

    /// Ends it, within two seconds.
    pub(super) async fn stop(mut self) {
        self.cancel.cancel();
        self.signals.close();
        // What does not stop in time ends with the process.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.task).await;
    }
}
