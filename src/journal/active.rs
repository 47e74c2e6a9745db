//! The segment that is being written.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway_contract::{Observation, Timestamp};

use super::catalog::View;
use super::disk::{Disk, SegmentFile, What, segment_path};
use super::files;
use super::open::System;
use super::segment::{Encoder, Header};
use super::state::States;

/// Sequences that are reserved at least. A power loss makes the sequence jump by no more than about
/// twice as many, or twice what was appended within a sync interval.
const RESERVE: u64 = 1 << 16;

/// The longest pause between attempts while the disk refuses.
const PAUSE: Duration = Duration::from_secs(1);

/// The file whose absence says that the disk has refused to write.
pub(super) const INTACT: &str = "intact";

struct Segment {
    file: Arc<File>,
    path: PathBuf,
    encoder: Encoder,
    first: u64,
    /// Bytes of whole records.
    bytes: u64,
    full: u64,
}

/// Puts batches into segments.
pub(super) struct Active {
    instance_id: u64,
    boot: [u8; 16],
    segment_bytes: u64,
    segment: Option<Segment>,
    buffer: Vec<u8>,
    /// Sequences before this one are reserved by what was written.
    reserved: u64,
    /// How many are reserved at once.
    margin: u64,
    /// Failures in a row, and when to try again.
    failures: u32,
    again: Option<Instant>,
}

impl Active {
    pub(super) const fn new(instance_id: u64, system: &System) -> Self {
        Self {
            instance_id,
            boot: system.boot,
            segment_bytes: system.segment_bytes,
            segment: None,
            buffer: Vec::new(),
            reserved: 0,
            margin: RESERVE,
            failures: 0,
            again: None,
        }
    }

    /// Writes observations, the first of which gets sequence `first`. `states` are those before it.
    /// `None` while it waits for the disk to come back.
    pub(super) fn write(
        &mut self,
        disk: &Disk,
        first: u64,
        observations: &[Observation],
        view: &View,
        states: impl FnOnce() -> States,
    ) -> Option<io::Result<()>> {
        if disk.take_failed() {
            self.segment = None;
            self.failures += 1;
        }
        if self.again.is_some_and(|again| Instant::now() < again) {
            return None;
        }
        let result = self.try_write(disk, first, observations, view, states);
        match &result {
            Ok(()) if self.failures > 0 => {
                self.failures = 0;
                self.again = None;
                disk.works(What::Segments);
                let _ = files::append(&disk.folder.join(INTACT));
            }
            Ok(()) => {}
            Err(error) => {
                disk.trouble(What::Segments, error);
                let _ = std::fs::remove_file(disk.folder.join(INTACT));
                // The first further attempt comes with the next batch, later ones less and less often.
                if self.failures > 0 {
                    let pause = Duration::from_millis(10) * 2_u32.saturating_pow(self.failures.min(10));
                    self.again = Some(Instant::now() + pause.min(PAUSE));
                }
                self.failures = self.failures.saturating_add(1);
            }
        }
        Some(result)
    }

    fn try_write(
        &mut self,
        disk: &Disk,
        first: u64,
        observations: &[Observation],
        view: &View,
        states: impl FnOnce() -> States,
    ) -> io::Result<()> {
        let next = first + observations.len() as u64;
        let fits = |segment: &Segment| segment.bytes < segment.full && first - segment.first < 1 << 31;
        let segment = match self.segment.take() {
            Some(segment) if fits(&segment) => segment,
            full => {
                if let Some(full) = full {
                    self.seal(disk, full, first);
                }
                self.begin(disk, first, view, &states())?
            }
        };
        let segment = self.segment.insert(segment);
        self.buffer.clear();
        segment.encoder.batch(&mut self.buffer, first, observations, view);
        if next + self.margin / 2 > self.reserved {
            self.reserved = next + self.margin;
            segment.encoder.reserve(&mut self.buffer, next, self.reserved);
        }
        if let Err(error) = segment.put(&self.buffer) {
            self.segment = None;
            return Err(error);
        }
        disk.grown(segment.bytes);
        disk.written(&segment.file, self.reserved);
        self.buffer.shrink_to(1 << 20);
        if next > disk.reserved_safe() {
            // More than expected came since the last sync: expect more from now on.
            self.margin = (self.margin * 2).min(1 << 24);
            disk.sync_now()?;
        } else if disk.sync_interval.is_zero() {
            disk.sync_now()?;
        }
        Ok(())
    }

    fn begin(&mut self, disk: &Disk, first: u64, view: &View, states: &States) -> io::Result<Segment> {
        let now = Timestamp::now().nanos();
        self.reserved = self.reserved.max(first + self.margin);
        let header = Header {
            instance_id: self.instance_id,
            first,
            created: now - now.rem_euclid(1_000_000_000),
            reserved: self.reserved,
            boot: self.boot,
        };
        self.buffer.clear();
        let encoder = Encoder::begin(&mut self.buffer, header, states, view);
        let path = segment_path(&disk.folder, first);
        let file = Arc::new(files::replace(&path, &self.buffer)?);
        let bytes = self.buffer.len() as u64;
        disk.begun(SegmentFile { first, path: path.clone(), bytes, created: header.created });
        disk.written(&file, self.reserved);
        disk.retain(Timestamp::now());
        Ok(Segment { file, path, encoder, first, bytes, full: self.segment_bytes.max(6 * bytes) })
    }

    /// Puts its digest at the end of a full segment. Without it the segment is read more slowly, so
    /// what the disk refuses here is no loss.
    fn seal(&mut self, disk: &Disk, mut segment: Segment, next: u64) {
        self.buffer.clear();
        segment.encoder.digest(&mut self.buffer, next);
        if segment.put(&self.buffer).is_ok() {
            disk.grown(segment.bytes);
        }
    }

    /// Says that nothing follows.
    pub(super) fn close(&mut self, disk: &Disk, next: u64) -> io::Result<()> {
        let Some(mut segment) = self.segment.take() else { return Ok(()) };
        self.buffer.clear();
        segment.encoder.digest(&mut self.buffer, next);
        segment.encoder.clean(&mut self.buffer, next);
        segment.put(&self.buffer)?;
        disk.grown(segment.bytes);
        disk.written(&segment.file, self.reserved);
        Ok(())
    }
}

impl Segment {
    /// Writes whole records, with one call as a rule. What a failed write left behind is cut off.
    fn put(&mut self, records: &[u8]) -> io::Result<()> {
        match (&*self.file).write_all(records) {
            Ok(()) => {
                self.bytes += records.len() as u64;
                Ok(())
            }
            Err(error) => {
                let _ = self.file.set_len(self.bytes);
                Err(files::at(&self.path, error))
            }
        }
    }
}
