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
const TAKE_OVER: Duration = Duration::from_secs(3);
/// How long the points may stay as they are, without all that the model has, until the rest is given up.
const SETTLED: Duration = Duration::from_secs(1);

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

    /// Tells the device models that the gateway does not know yet, one by one, and waits until it has taken
    /// each.
    pub(super) async fn describe(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let mut taken = 0;
        let mut patience = TAKE_OVER;
        for at in 0..self.model.followed.len() {
            let device = self.model.followed[at].clone();
            let is_told = self.memory.models.get(&device.uuid).is_some_and(|told| *told == device.xml);
            if !is_told || outlet.points().scope(&device.uuid).is_none() {
                // Points may have other numbers from now on.
                self.memory.aliases.clear();
                self.memory.models.remove(&device.uuid);
                if take_over(&device, patience, outlet).await? {
                    self.memory.models.insert(device.uuid.clone(), device.xml.clone());
                } else {
                    // A gateway that takes none must not be waited for with each of a hundred devices.
                    patience = SETTLED;
                    outlet.fault(Fault::Unmapped, || {
                        format!("the gateway did not take over the model of device `{}`", device.uuid)
                    });
                }
            }
            if outlet.points().scope(&device.uuid).is_some() {
                taken += 1;
            }
        }
        if taken == 0 {
            return Err(SessionEnd::Protocol(
                "the gateway did not take over the agent's device model".into(),
            ));
        }
        Ok(())
    }

    /// Tells the state: all of it, or, where the changes since the last session are still to be had, that of
    /// before them.
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

/// Tells a device model and waits for the points that the gateway makes of it; whether it did. What is told
/// before that would have the numbers of other points.
async fn take_over(device: &Device, patience: Duration, outlet: &mut Outlet) -> Result<bool, SessionEnd> {
    let old = outlet.points();
    let describe = Signal::Describe {
        device: SmolStr::default(),
        name: "deviceModel".into(),
        value: device.xml.clone(),
    };
    outlet.send(describe).await;
    let mut seen = old.clone();
    let mut since = Instant::now();
    let deadline = since + patience;
    loop {
        let is_new = !Arc::ptr_eq(&seen, &old);
        if is_new && is_taken(device, &seen) {
            return Ok(true);
        }
        // Not all that a model has becomes a point, and a gateway may find that it has it all.
        if since.elapsed() >= SETTLED && if is_new { has(device, &seen) } else { is_taken(device, &seen) } {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        wait(outlet, sleep(Duration::from_millis(5))).await?;
        let now = outlet.points();
        if !Arc::ptr_eq(&now, &seen) {
            (seen, since) = (now, Instant::now());
        }
    }
}

fn has(device: &Device, points: &PointTable) -> bool {
    points.scope(&device.uuid).is_some()
}

/// Whether the points have all that a device has.
fn is_taken(device: &Device, points: &PointTable) -> bool {
    points
        .scope(&device.uuid)
        .is_some_and(|scope| device.ids.iter().all(|id| points.find(scope, id).is_some()))
}
