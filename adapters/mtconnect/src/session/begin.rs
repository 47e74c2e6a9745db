//! The beginning of a session: the device model and the state.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Fault, Outlet, PointTable, SessionEnd, Signal};
use smol_str::SmolStr;
use tokio::time::{Instant, sleep};

use super::{MODEL_PAUSE, Memory, Session, current, next_of, probe, wait};
use crate::Config;
use crate::assets::Assets;
use crate::client::{Client, Failure};
use crate::codec::{Document, Header, Streams};
use crate::model::Device;
use crate::tell::Which;

/// How long the gateway may take to take over a device model.
const TAKE_OVER: Duration = Duration::from_secs(5);
/// How long the points may stay as they are, without all that the model has, until the rest is given up.
const SETTLED: Duration = Duration::from_millis(500);

impl<'a> Session<'a> {
    /// Asks for everything first, so that only an agent that answers counts as connected.
    pub(super) async fn start(
        config: &'a Config,
        memory: &'a mut Memory,
        outlet: &mut Outlet,
    ) -> Result<Self, SessionEnd> {
        let endpoint = config.base().map_or_else(|_| config.address.clone(), |base| base.uri());
        let not = |cause: String| SessionEnd::NotConnected { endpoint: endpoint.clone(), cause };
        let base = config.base().map_err(not)?;
        let client = Client::new(config).map_err(not)?;
        let (header, model) =
            probe(&client, &base, config, outlet).await?.map_err(|why| not(format!("probe: {why}")))?;
        let mut path = base.clone();
        if let ([device], true, false) = (model.followed.as_slice(), base.is_root(), model.others.is_empty())
        {
            path = base.of(if device.name.is_empty() { &device.uuid } else { &device.name });
        }
        let mut current = current(&client, &path, outlet).await?;
        if path != base && current.as_ref().is_err_and(Failure::is_answer) {
            path = base.clone();
            current = super::current(&client, &path, outlet).await?;
        }
        let (now, streams) = current.map_err(|failure| not(format!("current: {failure}")))?;
        if header.instance != now.instance && !header.instance.is_empty() && !now.instance.is_empty() {
            return Err(not("the agent restarts just now".into()));
        }
        let Some(next) = next_of(&now, &streams) else {
            return Err(not("current: the agent gives its observations no sequence".into()));
        };
        outlet.connected().await;
        let mut session = Self {
            config,
            client,
            base,
            path,
            model,
            next,
            instance: now.instance.clone(),
            model_changed: if header.model_changed.is_empty() {
                now.model_changed.clone()
            } else {
                header.model_changed
            },
            model_due: (Instant::now(), MODEL_PAUSE),
            count: u64::from(config.count).min(now.buffer.filter(|size| *size > 1).unwrap_or(u64::MAX)),
            assets: None,
            failures: 0,
            parts: 0,
            gaps: 0,
            memory,
        };
        session.describe(outlet).await?;
        session.state(&now, &streams, outlet).await?;
        if config.assets {
            let (client, base, model) = (session.client.clone(), session.base.clone(), session.model.clone());
            session.assets = Some(Assets::start(client, base, model));
        }
        Ok(session)
    }

    /// Tells the device models that the gateway does not know yet, and waits until it has taken them over.
    pub(super) async fn describe(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let mut is_changed = false;
        for device in &self.model.followed {
            let is_known = self.memory.models.get(&device.uuid).is_some_and(|known| *known == device.xml)
                && outlet.points().scope(&device.uuid).is_some();
            if !is_known {
                is_changed = true;
                // Points may have other numbers from now on.
                self.memory.aliases.clear();
                let describe = Signal::Describe {
                    device: SmolStr::default(),
                    name: "deviceModel".into(),
                    value: device.xml.clone(),
                };
                outlet.send(describe).await;
            }
        }
        if is_changed {
            let followed = self.model.followed.clone();
            let points = || outlet.points();
            let mut seen = points();
            let (deadline, mut since) = (Instant::now() + TAKE_OVER, Instant::now());
            while Instant::now() < deadline && !followed.iter().all(|device| is_taken(device, &seen)) {
                let settled = since.elapsed() >= SETTLED;
                if settled && followed.iter().all(|device| seen.scope(&device.uuid).is_some()) {
                    break;
                }
                wait(outlet, sleep(Duration::from_millis(10))).await?;
                let now = outlet.points();
                if !Arc::ptr_eq(&now, &seen) {
                    (seen, since) = (now, Instant::now());
                }
            }
        }
        let points = outlet.points();
        let mut taken = 0;
        self.memory.models.clear();
        for device in &self.model.followed {
            if points.scope(&device.uuid).is_some() {
                taken += 1;
                self.memory.models.insert(device.uuid.clone(), device.xml.clone());
            } else {
                outlet.fault(Fault::Unmapped, || {
                    format!("the gateway did not take over device `{}`", device.uuid)
                });
            }
        }
        if taken == 0 {
            return Err(SessionEnd::Protocol(
                "the gateway did not take over the agent's device model".into(),
            ));
        }
        Ok(())
    }

    /// Tells the state: all of it, or, where the changes since the last session are still to be had, that of before them.
    async fn state(
        &mut self,
        now: &Header,
        streams: &Streams,
        outlet: &mut Outlet,
    ) -> Result<(), SessionEnd> {
        let same_run = self.memory.instance == self.instance;
        let resume = self.memory.next.filter(|known| same_run && *known <= self.next);
        let from =
            resume.filter(|known| *known == self.next || now.first.is_some_and(|first| first <= *known));
        if let (Some(known), None) = (resume, from) {
            self.lost(now.first.map(|first| first.saturating_sub(known)), outlet);
        }
        match from.filter(|known| *known < self.next) {
            Some(known) => {
                self.tell(streams, Which::Before(known), outlet).await;
                let before = self.state_before(known, now.first, outlet).await?;
                self.tell(before.as_ref().unwrap_or(streams), Which::Sets, outlet).await;
            }
            None => self.tell(streams, Which::All, outlet).await,
        }
        self.reached(from.unwrap_or(self.next));
        self.memory.instance = self.instance.clone();
        Ok(())
    }

    /// The state before a sequence, where there are data sets and the agent can tell it.
    async fn state_before(
        &self,
        known: u64,
        first: Option<u64>,
        outlet: &mut Outlet,
    ) -> Result<Option<Streams>, SessionEnd> {
        let has_sets =
            |device: &Device| device.xml.contains("\"DATA_SET\"") || device.xml.contains("\"TABLE\"");
        if first.is_none_or(|first| first >= known) || !self.model.followed.iter().any(has_sets) {
            return Ok(None);
        }
        let url = self.path.current_at(known.saturating_sub(1));
        let Ok(Document::Streams(header, streams)) = wait(outlet, self.client.observations(url)).await?
        else {
            return Ok(None);
        };
        // An agent that does not know `at` tells the state of now.
        let is_before = |sequence: Option<u64>| sequence.is_some_and(|sequence| sequence < known);
        let all = streams.observations.iter().all(|observed| is_before(observed.sequence));
        Ok((all && header.instance == self.instance).then_some(streams))
    }
}

/// Whether the points have all that a device has.
fn is_taken(device: &Device, points: &PointTable) -> bool {
    points
        .scope(&device.uuid)
        .is_some_and(|scope| device.ids.iter().all(|id| points.find(scope, id).is_some()))
}
