//! The journal's folder: its segments, what is to be synced, and what may go.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway_contract::Timestamp;
use parking_lot::{Condvar, Mutex};

use super::{Options, files};

/// A segment that is there.
#[derive(Clone, Debug)]
pub(super) struct SegmentFile {
    /// The sequence of its first observation.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// When it was begun, nanoseconds since the epoch.
    pub(super) created: i64,
}

/// Where a segment with that first sequence is.
pub(super) fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.seg"))
}

/// The segments of a folder, oldest first. What was left half made is removed.
pub(super) fn list(folder: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| files::at(folder, error))? {
        let entry = entry.map_err(|error| files::at(folder, error))?;
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        match (extension, stem) {
            (Some("seg"), Some(stem))
                if stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                let Ok(first) = stem.parse() else { continue };
                let bytes = entry.metadata().map_err(|error| files::at(&path, error))?.len();
                segments.push(SegmentFile { first, path, bytes, created: i64::MAX });
            }
            (Some("tmp"), _) => {
                let _ = std::fs::remove_file(&path);
            }
            _ => {}
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// What can go wrong, each with its own last error.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// Writing or syncing segments.
    Segments,
    /// Writing assets.
    Assets,
    /// Writing cursors and ledger.
    Books,
    /// Removing what is too old.
    Retention,
}

/// What the writer, the keeper and the readers share of the disk.
pub(super) struct Disk {
    pub(super) folder: PathBuf,
    pub(super) sync_interval: Duration,
    retention_bytes: u64,
    retention_age: Duration,
    segments: Mutex<VecDeque<SegmentFile>>,
    sync: Mutex<SyncState>,
    wake: Condvar,
    problems: [Mutex<Option<String>>; 4],
}

#[derive(Default)]
struct SyncState {
    /// Files with data that may not be on the disk yet.
    files: Vec<Arc<File>>,
    /// Since when there is some.
    since: Option<Instant>,
    /// Whether files were made since the folder was synced.
    folder: bool,
    /// The last reservation that was written, and the last one that is on the disk for sure.
    reserved: u64,
    reserved_safe: u64,
    /// A sync went wrong: what the system held may be lost, go on in a new segment.
    failed: bool,
    stop: bool,
}

impl Disk {
    pub(super) fn new(folder: PathBuf, options: &Options, segments: Vec<SegmentFile>) -> Self {
        Self {
            folder,
            sync_interval: options.sync_interval,
            retention_bytes: options.retention_bytes,
            retention_age: options.retention_age,
            segments: Mutex::new(segments.into()),
            sync: Mutex::default(),
            wake: Condvar::new(),
            problems: Default::default(),
        }
    }

    /// A new segment is being written.
    pub(super) fn begun(&self, segment: SegmentFile) {
        let mut segments = self.segments.lock();
        // One that was begun and got no observation is replaced by the next.
        segments.retain(|other| other.first != segment.first);
        segments.push_back(segment);
        self.sync.lock().folder = true;
    }

    /// The newest segment has grown.
    pub(super) fn grown(&self, bytes: u64) {
        if let Some(active) = self.segments.lock().back_mut() {
            active.bytes = bytes;
        }
    }

    /// Bytes of all segments, and how many there are.
    pub(super) fn size(&self) -> (u64, usize) {
        let segments = self.segments.lock();
        (segments.iter().map(|segment| segment.bytes).sum(), segments.len())
    }

    /// The first sequence that is kept.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.segments.lock().front().map(|segment| segment.first)
    }

    /// The segment that holds a sequence, or would if it were there.
    pub(super) fn holding(&self, sequence: u64) -> Option<SegmentFile> {
        let segments = self.segments.lock();
        let behind = segments.partition_point(|segment| segment.first <= sequence);
        behind.checked_sub(1).and_then(|place| segments.get(place)).cloned()
    }

    /// The segments that begin before a sequence, oldest first, without `created`; and the first sequence of the
    /// newest one of all, which may grow.
    pub(super) fn until(&self, sequence: u64) -> (Vec<SegmentFile>, Option<u64>) {
        let segments = self.segments.lock();
        let before = segments.iter().take_while(|segment| segment.first < sequence).cloned().collect();
        (before, segments.back().map(|segment| segment.first))
    }

    /// The segment after the one that begins at `first`.
    pub(super) fn after(&self, first: u64) -> Option<SegmentFile> {
        let segments = self.segments.lock();
        segments.get(segments.partition_point(|segment| segment.first <= first)).cloned()
    }

    /// Removes the oldest segments that are too many or too old; never the newest.
    pub(super) fn retain(&self, now: Timestamp) {
        let age = i64::try_from(self.retention_age.as_nanos()).unwrap_or(i64::MAX);
        let mut gone = Vec::new();
        {
            let mut segments = self.segments.lock();
            let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
            // What a segment holds is as old as the next one's beginning, or older.
            while let Some(next) = segments.get(1)
                && (bytes > self.retention_bytes || next.created.saturating_add(age) < now.nanos())
            {
                let Some(oldest) = segments.pop_front() else { break };
                bytes -= oldest.bytes;
                gone.push(oldest.path);
            }
        }
        for path in gone {
            if let Err(error) = std::fs::remove_file(&path) {
                self.trouble(What::Retention, &files::at(&path, error));
            }
        }
    }

    /// Something was written.
    pub(super) fn written(&self, file: &Arc<File>, reserved: u64) {
        let mut state = self.sync.lock();
        if !state.files.iter().any(|other| Arc::ptr_eq(other, file)) {
            state.files.push(file.clone());
        }
        state.since.get_or_insert_with(Instant::now);
        state.reserved = state.reserved.max(reserved);
    }

    /// Sequences before this one can be given out without fear that a power loss makes them be
    /// given out again.
    pub(super) fn reserved_safe(&self) -> u64 {
        self.sync.lock().reserved_safe
    }

    /// For how long data has been waiting to be synced.
    pub(super) fn lag(&self) -> Duration {
        self.sync.lock().since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Puts everything written so far on the disk itself.
    pub(super) fn sync_now(&self) -> io::Result<()> {
        let (waiting, folder, reserved) = {
            let mut state = self.sync.lock();
            state.since = None;
            (std::mem::take(&mut state.files), std::mem::take(&mut state.folder), state.reserved)
        };
        if folder {
            files::sync_folder(&self.folder);
        }
        let result = waiting.iter().try_for_each(|file| file.sync_data());
        let mut state = self.sync.lock();
        match result {
            Ok(()) => {
                state.reserved_safe = state.reserved_safe.max(reserved);
                Ok(())
            }
            Err(error) => {
                state.failed = true;
                drop(state);
                let error = files::at(&self.folder, error);
                self.trouble(What::Segments, &error);
                Err(error)
            }
        }
    }

    /// Whether a sync went wrong since this was asked last.
    pub(super) fn take_failed(&self) -> bool {
        std::mem::take(&mut self.sync.lock().failed)
    }

    /// Waits until `deadline`, or until it is time to stop; says whether it is.
    pub(super) fn rest(&self, deadline: Instant) -> bool {
        let mut state = self.sync.lock();
        while !state.stop {
            if self.wake.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.stop
    }

    /// Ends the keeper.
    pub(super) fn stop(&self) {
        self.sync.lock().stop = true;
        self.wake.notify_all();
    }

    /// Remembers what went wrong, and says it once.
    pub(super) fn trouble(&self, what: What, error: &io::Error) {
        let text = error.to_string();
        let mut problem = self.problems[what as usize].lock();
        if problem.as_ref() != Some(&text) {
            tracing::error!(error = %text, "the journal cannot be written; going on in memory");
            *problem = Some(text);
        }
    }

    /// Writing works again.
    pub(super) fn works(&self, what: What) {
        if self.problems[what as usize].lock().take().is_some() {
            tracing::info!("the journal can be written again");
        }
    }

    /// What is wrong now.
    pub(super) fn problem(&self) -> Option<String> {
        self.problems.iter().find_map(|problem| problem.lock().clone())
    }
}
