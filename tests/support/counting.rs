//! A gateway that reads a counting machine and forwards it to a broker, one topic for each data
//! item, and what arrives there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::broker::Broker;

/// Writes `guideway.toml` and its devices file into `folder`.
pub fn configure(folder: &Path, http: u16, source: u16, broker: u16) -> PathBuf {
    std::fs::write(folder.join("Devices.xml"), include_str!("counting.xml")).unwrap();
    let text = format!(
        r#"
[model]
devices = ["Devices.xml"]
agent_device = false

[mtconnect]
address = "127.0.0.1"
port = {http}

[[adapter.shdr]]
name = "counting"
host = "127.0.0.1"
port = {source}

[[mqtt]]
name = "test"
url = "mqtt://127.0.0.1:{broker}"
layout = "entity"
"#
    );
    let path = folder.join("guideway.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Reads messages in the background.
pub struct Receiver {
    messages: mpsc::Receiver<(u64, u64, String)>,
    /// By (instance, sequence), in order of first arrival: the item and its value.
    pub unique: BTreeMap<(u64, u64), String>,
    /// Sequences in the order of their first arrival.
    pub order: Vec<(u64, u64)>,
    /// Messages that came again.
    pub duplicates: usize,
}

impl Receiver {
    pub fn start(broker: &Broker) -> Self {
        let mut subscriber = broker.subscribe("MTConnect/Devices/#", "receiver");
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            loop {
                let (_, payload) = subscriber.next();
                let json: serde_json::Value = serde_json::from_str(&payload).unwrap();
                let number =
                    |key: &str| json[key].as_u64().unwrap_or_else(|| panic!("no {key} in {payload}"));
                let result = format!("{} = {}", json["dataItemId"], json["result"]);
                if sender.send((number("instanceId"), number("sequence"), result)).is_err() {
                    return;
                }
            }
        });
        Self { messages, unique: BTreeMap::new(), order: Vec::new(), duplicates: 0 }
    }

    /// Takes in what has arrived, until every sequence before `next` is there.
    pub fn until(&mut self, next: u64, within: Duration) {
        let deadline = std::time::Instant::now() + within;
        while (self.unique.len() as u64) < next - 1 {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let (instance, sequence, result) = self.messages.recv_timeout(left).unwrap_or_else(|_| {
                panic!("{} of {} messages within {within:?}", self.unique.len(), next - 1)
            });
            let key = (instance, sequence);
            match self.unique.get(&key) {
                Some(known) => {
                    assert_eq!(*known, result, "a duplicate of {key:?} says something else");
                    self.duplicates += 1;
                }
                None => {
                    self.unique.insert(key, result);
                    self.order.push(key);
                }
            }
        }
    }

    /// Every sequence exactly once and in order, of one instance.
    pub fn assert_complete(&self, next: u64) {
        let instance = self.order[0].0;
        let wanted: Vec<(u64, u64)> = (1..next).map(|sequence| (instance, sequence)).collect();
        assert_eq!(self.unique.keys().copied().collect::<Vec<_>>(), wanted, "complete");
        assert_eq!(self.order, wanted, "in order");
    }
}
