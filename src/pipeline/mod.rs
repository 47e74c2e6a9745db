//! From readings to observations: routes, conversion, filters, conditions, data sets.
//!
//! Single-threaded and free of I/O: the agent's ingest thread owns it.

use std::sync::Arc;

use guideway_contract::{AdapterId, Batch, ItemIndex, Observation, PointTable, Timestamp, Value};

use crate::device_model::{DeviceIndex, DeviceModel};

/// What holds for the values of one adapter.
#[derive(Clone, Debug)]
pub struct AdapterRules {
    /// The devices whose items it feeds; the first is its default one.
    pub devices: Vec<DeviceIndex>,
    /// Text of events becomes upper case (`UpcaseDataItemValue`).
    pub upcase: bool,
    /// Values in native units are converted (`ConversionRequired`).
    pub convert: bool,
    /// Values that are the same as before are dropped, discrete items excepted (`FilterDuplicates`).
    pub filter_duplicates: bool,
    /// AVAILABILITY follows the connection.
    pub auto_available: bool,
}

/// The points of an adapter and where their values go.
#[derive(Clone, Debug)]
pub struct Routes {
    /// What the adapter is given.
    pub points: Arc<PointTable>,
    /// By [`PointId`](guideway_contract::PointId): the data items that a point feeds.
    pub items: Vec<ItemIndex>,
}

/// The stages in order: route, upcase, convert, duplicate, delta, period, validate.
pub struct Pipeline {
    // the owner of this module fills this in
}

impl Pipeline {
    /// A pipeline for `model` and these adapters (by [`AdapterId`]).
    pub fn new(model: Arc<DeviceModel>, adapters: Vec<AdapterRules>) -> Self {
        let _ = (model, adapters);
        todo!()
    }

    /// Points and routes of an adapter that is fed by key (id, name, source), such as SHDR.
    pub fn routes_by_key(&self, adapter: AdapterId) -> Routes {
        let _ = adapter;
        todo!()
    }

    /// Takes up what the journal knew of an item before a restart: its last value, or the entries
    /// of its condition.
    pub fn restore(&mut self, item: ItemIndex, values: &[Value]) {
        let _ = (item, values);
        todo!()
    }

    /// The first observation of every item that has none yet: its initial or only value, else
    /// UNAVAILABLE.
    pub fn initial(&mut self, now: Timestamp, out: &mut Vec<Observation>) {
        let _ = (now, out);
        todo!()
    }

    /// A session is up: AVAILABILITY, where that is automatic.
    pub fn connected(&mut self, adapter: AdapterId, at: Timestamp, out: &mut Vec<Observation>) {
        let _ = (adapter, at, out);
        todo!()
    }

    /// A session is over: everything whose last value came from this adapter is UNAVAILABLE (and,
    /// after a restart of the gateway, everything restored that this adapter feeds).
    pub fn disconnected(&mut self, adapter: AdapterId, at: Timestamp, out: &mut Vec<Observation>) {
        let _ = (adapter, at, out);
        todo!()
    }

    /// Readings become observations, at the end of `out`, in order.
    pub fn readings(&mut self, adapter: AdapterId, batch: Batch, out: &mut Vec<Observation>) {
        let _ = (adapter, batch, out);
        todo!()
    }

    /// An observation that the agent makes itself (asset events, the Agent device's items); goes
    /// through the duplicate filter only.
    pub fn own(&mut self, observation: Observation, out: &mut Vec<Observation>) {
        let _ = (observation, out);
        todo!()
    }

    /// When a period filter next holds something that is due.
    pub fn due(&self) -> Option<Timestamp> {
        todo!()
    }

    /// What period filters held and is due by `now`.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Observation>) {
        let _ = (now, out);
        todo!()
    }

    /// The model has changed; states of items that stay are kept.
    pub fn change_model(&mut self, model: Arc<DeviceModel>) {
        let _ = model;
        todo!()
    }
}
