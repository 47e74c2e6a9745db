//! Notifications: what the controller watches for a session.

use std::time::Duration;

use guideway_contract::{Fault, Outlet, RawBatch, RawReading, SessionEnd, Timestamp};

use crate::codec::command::{
    ADD_NOTIFICATION, DELETE_NOTIFICATION, SYMBOL_VERSION, add_notification, read_handle, read_result,
};
use crate::codec::notification::instant;
use crate::codec::return_code::ReturnCode;
use crate::config::Mode;
use crate::link::RequestError;
use crate::session::Session;

/// How often the controller looks whether its program has changed.
const VERSION_CYCLE: Duration = Duration::from_millis(100);
/// The most foreign notifications that are remembered to be given back.
const MOST_STRAYS: usize = 64;

impl Session<'_> {
    /// Has the controller watch what can be watched and is not yet. What it refuses is polled.
    pub(crate) async fn subscribe(&mut self) -> Result<(), SessionEnd> {
        if self.config.mode != Mode::Notify {
            return Ok(());
        }
        for index in 0..self.slots.len() {
            if self.handles.len() >= usize::from(self.config.max_notifications) {
                break;
            }
            let slot = &self.slots[index];
            let (Some(period), Some(item)) = (self.recurs(index), slot.item(index)) else { continue };
            if slot.handle.is_some() || !slot.spec.own.notify {
                continue;
            }
            match self.watch(item.group, item.offset, item.size, period).await? {
                Ok(handle) => {
                    self.handles.insert(handle, index);
                    self.slots[index].handle = Some(handle);
                }
                Err(code) if code.is_full() => break,
                // Polling will tell what is wrong with it, if it is not the watching alone.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Has the controller tell when its program changes.
    pub(crate) async fn watch_version(&mut self) -> Result<(), SessionEnd> {
        if self.config.mode == Mode::Notify && self.version.is_some() {
            self.version_handle = self.watch(SYMBOL_VERSION, 0, 1, VERSION_CYCLE).await?.ok();
        }
        Ok(())
    }

    async fn watch(
        &mut self,
        group: u32,
        offset: u32,
        size: usize,
        cycle: Duration,
    ) -> Result<Result<u32, ReturnCode>, SessionEnd> {
        let payload = add_notification(group, offset, size, cycle);
        let answer = self.link.request(ADD_NOTIFICATION, &payload).await;
        match answer.and_then(|payload| Ok(read_handle(&payload)?)) {
            Ok(handle) => Ok(Ok(handle)),
            Err(RequestError::Refused(code)) => Ok(Err(code)),
            Err(RequestError::End(end)) => Err(end),
        }
    }

    /// Gives all notifications back.
    pub(crate) async fn unsubscribe(&mut self) -> Result<(), SessionEnd> {
        let handles: Vec<u32> =
            self.handles.drain().map(|(handle, _)| handle).chain(self.version_handle.take()).collect();
        for handle in handles {
            self.give_back(handle).await?;
        }
        // Samples of what is no longer watched are of no use, and their handles may be given out again.
        self.link.take_samples();
        Ok(())
    }

    /// Gives back what an earlier connection had asked for and this one is sent.
    pub(crate) async fn return_strays(&mut self) -> Result<(), SessionEnd> {
        while let Some(handle) = self.strays.pop() {
            self.give_back(handle).await?;
        }
        Ok(())
    }

    async fn give_back(&mut self, handle: u32) -> Result<(), SessionEnd> {
        let answer = self.link.request(DELETE_NOTIFICATION, &handle.to_le_bytes()).await;
        match answer.and_then(|payload| Ok(read_result(&payload).map(|_| ())?)) {
            // A changed program has forgotten its notifications by itself.
            Ok(()) | Err(RequestError::Refused(_)) => Ok(()),
            Err(RequestError::End(end)) => Err(end),
        }
    }

    /// Sends on the samples that have come.
    pub(crate) async fn deliver(&mut self, outlet: &Outlet) {
        let samples = self.link.take_samples();
        if samples.is_empty() {
            return;
        }
        let arrival = Timestamp::now();
        let mut readings: Vec<RawReading> = Vec::with_capacity(samples.len());
        for sample in samples {
            if Some(sample.handle) == self.version_handle {
                self.changed |= sample.data.first().copied() != self.version;
                continue;
            }
            let Some(index) = self.handles.get(&sample.handle).copied() else {
                outlet.fault(Fault::Unmapped, || format!("a sample of notification {}", sample.handle));
                if self.strays.len() < MOST_STRAYS && !self.strays.contains(&sample.handle) {
                    self.strays.push(sample.handle);
                }
                continue;
            };
            let seen = instant(sample.filetime);
            if seen.is_none() {
                outlet.fault(Fault::Timestamp, || {
                    format!("FILETIME {}: the controller's clock is not set", sample.filetime)
                });
            }
            if let Some(seen) = seen {
                outlet.health().set_clock_offset(seen.nanos().saturating_sub(arrival.nanos()));
            }
            let time = seen.filter(|_| self.config.source_times).unwrap_or(arrival);
            let slot = &mut self.slots[index];
            match slot.read(&sample.data, time) {
                Some(reading) => {
                    slot.sampled = true;
                    readings.push(reading);
                }
                None => outlet.fault(Fault::Rejected, || {
                    format!("{}: a sample of {} bytes", slot.spec.address, sample.data.len())
                }),
            }
        }
        // What was watched may have moved by the time the program's change is told: the new one is asked first.
        if self.runs() && !self.changed {
            outlet.raw(RawBatch { arrival, readings }).await;
        }
    }
}
