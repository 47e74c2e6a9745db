//! `mtconnect`: Probe, Current, Sample and Asset documents, as the reference agent publishes them.

use std::sync::Arc;

use bytes::Bytes;
use guideway_contract::Timestamp;
use smol_str::SmolStr;

use crate::device_model::{Device, DeviceIndex, DeviceModel};
use crate::documents::{Documents, Dressing, Format, Header};
use crate::journal::{Bounds, ItemState, Journal, Recorded, Snapshot};
use crate::northbound::mqtt::topic;

/// Content type of MTConnect's JSON documents.
pub(in crate::northbound::mqtt) const CONTENT_TYPE: &str = "application/mtconnect+json";

/// Makes documents and their topics for one device model.
pub(in crate::northbound::mqtt) struct Publisher {
    journal: Journal,
    model: Arc<DeviceModel>,
    documents: Documents,
    prefix: String,
    sender: SmolStr,
    test_indicator: bool,
}

/// A Sample document.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::northbound::mqtt) struct Sheaf {
    pub(in crate::northbound::mqtt) topic: String,
    pub(in crate::northbound::mqtt) payload: Bytes,
    /// The first sequence in it.
    pub(in crate::northbound::mqtt) first: u64,
    /// The last sequence in it.
    pub(in crate::northbound::mqtt) last: u64,
    /// How many observations it holds.
    pub(in crate::northbound::mqtt) count: usize,
}

/// A document for a device as it is now, or one asset.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::northbound::mqtt) struct Document {
    pub(in crate::northbound::mqtt) topic: String,
    pub(in crate::northbound::mqtt) payload: Bytes,
}

impl Publisher {
    pub(in crate::northbound::mqtt) fn new(
        journal: Journal,
        model: Arc<DeviceModel>,
        dressing: Dressing,
        prefix: &str,
        sender: SmolStr,
        test_indicator: bool,
    ) -> Self {
        let documents = Documents::new(model.clone(), dressing);
        Self { journal, model, documents, prefix: prefix.to_owned(), sender, test_indicator }
    }

    /// Where the gateway's own availability is told: `<prefix>/Probe/Agent_<uuid>/Availability`,
    /// the uuid that of the Agent device, or the gateway's name where there is none.
    pub(in crate::northbound::mqtt) fn availability_topic(
        model: &DeviceModel,
        prefix: &str,
        sender: &str,
    ) -> String {
        let agent = model.devices().iter().find(|device| device.is_agent);
        let mut name = topic_start(prefix, "Probe");
        topic::push_next_level(&mut name, "Agent_");
        topic::push_level(&mut name, agent.map_or(sender, |device| &device.uuid));
        name.push_str("/Availability");
        name
    }

    /// The device's Probe document.
    pub(in crate::northbound::mqtt) fn probe(&self, device: DeviceIndex) -> Document {
        let header = self.header(self.journal.bounds(), None);
        let counts = self.journal.asset_counts();
        let payload = self.documents.devices(Format::JsonV2, false, &header, &[device], &counts);
        Document { topic: self.topic("Probe", device), payload: payload.into() }
    }

    /// The device's Current document.
    pub(in crate::northbound::mqtt) fn current(&self, snapshot: &Snapshot, device: DeviceIndex) -> Document {
        let mut observations: Vec<Recorded> = Vec::new();
        for item in &self.model.device(device).items {
            match snapshot.items.get(item.index()) {
                Some(ItemState::Latest(recorded)) => observations.push(recorded.clone()),
                Some(ItemState::Chain(chain)) => observations.extend(chain.iter().cloned()),
                Some(ItemState::Unknown) | None => {}
            }
        }
        observations.sort_by_key(|(sequence, _)| *sequence);
        let header = self.header(snapshot.bounds, None);
        let payload = self.documents.streams(Format::JsonV2, false, &header, &observations);
        Document { topic: self.topic("Current", device), payload: payload.into() }
    }

    /// The asset's document; `None` when the asset has gone.
    pub(in crate::northbound::mqtt) fn asset(&self, id: &str) -> Option<Document> {
        let asset = self.journal.asset(id)?;
        let header = self.header(self.journal.bounds(), None);
        let payload = self.documents.assets(Format::JsonV2, false, &header, std::slice::from_ref(&asset));
        let mut name = topic_start(&self.prefix, "Asset");
        topic::push_next_level(&mut name, &asset.device_uuid);
        topic::push_next_level(&mut name, id);
        Some(Document { topic: name, payload: payload.into() })
    }

    /// Sample documents of a stretch of the journal, one for each device in it; more than one when
    /// it would have more than `most_bytes`. All their headers go on to `next`.
    pub(in crate::northbound::mqtt) fn samples(
        &self,
        stretch: &[Recorded],
        next: u64,
        most_bytes: usize,
    ) -> Vec<Sheaf> {
        let mut by_device: Vec<(DeviceIndex, Vec<Recorded>)> = Vec::new();
        for recorded in stretch {
            let Some(item) = self.model.items().get(recorded.1.item.index()) else { continue };
            match by_device.iter_mut().find(|(device, _)| *device == item.device) {
                Some((_, of_device)) => of_device.push(recorded.clone()),
                None => by_device.push((item.device, vec![recorded.clone()])),
            }
        }
        let header = self.header(self.journal.bounds(), Some(next));
        let mut sheaves = Vec::with_capacity(by_device.len());
        for (device, observations) in &by_device {
            self.split(&header, &self.topic("Sample", *device), observations, most_bytes, &mut sheaves);
        }
        sheaves
    }

    fn split(
        &self,
        header: &Header,
        topic: &str,
        observations: &[Recorded],
        most_bytes: usize,
        sheaves: &mut Vec<Sheaf>,
    ) {
        let ([(first, _), ..], [.., (last, _)]) = (observations, observations) else { return };
        let payload = self.documents.streams(Format::JsonV2, false, header, observations);
        if payload.len() > most_bytes && observations.len() > 1 {
            let (before, after) = observations.split_at(observations.len() / 2);
            self.split(header, topic, before, most_bytes, sheaves);
            self.split(header, topic, after, most_bytes, sheaves);
            return;
        }
        sheaves.push(Sheaf {
            topic: topic.to_owned(),
            payload: payload.into(),
            first: *first,
            last: *last,
            count: observations.len(),
        });
    }

    fn topic(&self, kind: &str, device: DeviceIndex) -> String {
        let Device { uuid, is_agent, .. } = self.model.device(device);
        let mut name = topic_start(&self.prefix, kind);
        name.push('/');
        if *is_agent {
            name.push_str("Agent_");
        }
        topic::push_level(&mut name, uuid);
        name
    }

    fn header(&self, bounds: Bounds, next: Option<u64>) -> Header {
        Header {
            creation_time: Timestamp::now(),
            sender: self.sender.clone(),
            instance_id: self.journal.instance_id(),
            device_model_change_time: self.model.model_change_time(),
            asset_buffer_size: self.journal.asset_buffer_size(),
            asset_count: self.journal.asset_counts().iter().map(|(_, count)| count).sum(),
            buffer_size: self.journal.buffer_size(),
            first_sequence: bounds.first,
            last_sequence: bounds.next.saturating_sub(1),
            next_sequence: next.unwrap_or(bounds.next),
            test_indicator: self.test_indicator,
        }
    }
}

fn topic_start(prefix: &str, kind: &str) -> String {
    if prefix.is_empty() { kind.to_owned() } else { format!("{prefix}/{kind}") }
}
