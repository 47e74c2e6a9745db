//! Lines of SHDR in messages.

use std::sync::Arc;

use guideway_contract::{Fault, Outlet, PointTable, Signal};
use guideway_shdr::codec::{Decoder, Event, Faults, Settings, Tally};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::{Sink, device_in};
use crate::reader::Message;

/// A decoder for each device that topics name, because one line says something about the next.
#[derive(Default)]
pub(super) struct Decoders {
    by_device: FxHashMap<SmolStr, Decoder>,
}

/// Hands the decoder's faults on.
struct Hand<'o>(&'o Outlet);

impl Faults for Hand<'_> {
    fn fault(&mut self, fault: Fault, detail: impl FnOnce() -> String) {
        self.0.fault(fault, detail);
    }
}

impl Decoders {
    /// Reads all lines of a message. A multi-line body has to be in one message.
    pub(super) fn read(
        &mut self,
        table: &Arc<PointTable>,
        message: Message<'_>,
        payload: &[u8],
        sink: &mut Sink<'_>,
    ) {
        // Only devices that the model knows get one, so that their number is bounded.
        let device = device_in(table, message.topic).map(|(device, _)| device).unwrap_or_default();
        let decoder =
            self.by_device.entry(device.into()).or_insert_with(|| Decoder::new(Settings::default()));
        decoder.set_points(table.clone());
        let mut faults = Hand(sink.outlet);
        let mut readings = Vec::new();
        if !device.is_empty() {
            // The topic says whose lines these are, whatever the message before has said.
            let line = format!("* device: {device}");
            decoder.line(line.as_bytes(), message.arrival, &mut readings, &mut faults);
        }
        let mut events = Vec::new();
        for line in payload.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(event) = decoder.line(line, message.arrival, &mut readings, &mut faults) {
                events.push((readings.len(), event));
            }
        }
        let mut rest = readings.into_iter();
        let mut taken = 0;
        for (count, event) in events {
            sink.extend(rest.by_ref().take(count - taken));
            taken = count;
            match event {
                Event::Asset(change) => sink.signal(Signal::Asset(change)),
                Event::Describe { device, name, value } => {
                    sink.signal(Signal::Describe { device, name, value });
                }
                // There is no heartbeat in messages.
                Event::Pong(_) => {}
            }
        }
        sink.extend(rest);
    }
}

/// Reads lines; for the fuzz target.
pub(super) fn fuzz(payload: &[u8]) {
    let mut decoder = Decoder::new(Settings::default());
    let (mut readings, mut tally) = (Vec::new(), Tally::default());
    for line in payload.split(|byte| *byte == b'\n') {
        decoder.line(line, guideway_contract::Timestamp::EPOCH, &mut readings, &mut tally);
    }
}
