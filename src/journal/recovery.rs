//! From the files back to the ring: what is done when a journal is opened.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use guideway_contract::Observation;

use super::catalog::View;
use super::disk::{self, SegmentFile};
use super::files;
use super::ledger::{Gap, GapCause, JOURNAL, Ledger};
use super::record::{self, End, Kind, Records};
use super::ring::{NO_ITEM, Ring};
use super::segment::{self, Decoder, Header, HeaderFault};
use super::state::States;

/// What the files gave.
pub(super) struct Recovered {
    pub(super) instance_id: u64,
    pub(super) ring: Ring,
    pub(super) segments: Vec<SegmentFile>,
    pub(super) gaps: Vec<Gap>,
    /// How many observations were read.
    pub(super) observations: u64,
}

/// Why the files gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The system refused; trying again may help.
    Io(io::Error),
    /// The files are not what this program writes; they are to be set aside.
    Unreadable(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What there is to know besides the segments.
pub(super) struct Known<'k> {
    /// How many observations the ring holds.
    pub(super) capacity: usize,
    pub(super) view: &'k View,
    pub(super) ledger: &'k Ledger,
    /// Whether the disk took all that was written, as far as is known.
    pub(super) intact: bool,
    /// The run of the operating system.
    pub(super) boot: [u8; 16],
}

/// Further than any sequence that was given out while the disk refused reservations too.
const FAR: u64 = 1 << 32;

/// Reads the folder. `None` when it holds no segment.
pub(super) fn recover(folder: &Path, known: &Known<'_>) -> Result<Option<Recovered>, Failure> {
    let segments = disk::list(folder)?;
    if segments.is_empty() {
        return Ok(None);
    }
    let conditions = known.view.conditions();
    let recovery = Recovery {
        known,
        conditions,
        instance_id: None,
        boot: None,
        ring: None,
        states: States::default(),
        lost_from: None,
        reserved: 0,
        too_old: 0,
        gaps: Vec::new(),
        passing: false,
        gone: None,
        observations: 0,
        scratch: Vec::new(),
    };
    recovery.run(segments).map(Some)
}

/// How a segment ended.
enum SegmentEnd {
    /// As it should; in order if `clean`.
    Whole { clean: bool },
    /// In the middle of a record, `at` bytes from its beginning.
    Torn { at: u64 },
    /// With something else than a record, `at` bytes from its beginning.
    Damaged { at: u64 },
}

struct Recovery<'k> {
    known: &'k Known<'k>,
    conditions: Vec<bool>,
    instance_id: Option<u64>,
    /// The run of the operating system that wrote the newest segment.
    boot: Option<[u8; 16]>,
    ring: Option<Ring>,
    states: States,
    /// Where the first segments were unreadable: the sequence they begin at.
    lost_from: Option<u64>,
    reserved: u64,
    /// How many observations come before those that the ring has room for.
    too_old: u64,
    gaps: Vec<Gap>,
    /// Whether observations are taken that are too old for the ring.
    passing: bool,
    /// First and last observation of items that are gone, and how many there are.
    gone: Option<(u64, u64, u64)>,
    observations: u64,
    scratch: Vec<Observation>,
}

impl Recovery<'_> {
    fn run(mut self, mut segments: Vec<SegmentFile>) -> Result<Recovered, Failure> {
        let mut start = self.start(&segments)?;
        let mut end = SegmentEnd::Whole { clean: false };
        for segment in &mut segments[..start] {
            // Only its age is of interest.
            segment.created = header_of(segment)?.map_or(0, |header| header.created);
        }
        loop {
            for segment in &mut segments[start..] {
                self.boot = None;
                end = self.segment(segment)?;
            }
            if self.ring.is_some() || start == 0 {
                break;
            }
            // None of those can be read: go further back.
            start -= 1;
            self.lost_from = None;
        }
        let Some(newest) = segments.last_mut() else {
            return Err(Failure::Unreadable("there is no segment".to_owned()));
        };
        self.finish(newest, &end)?;
        let (Some(ring), Some(instance_id)) = (self.ring, self.instance_id) else {
            return Err(Failure::Unreadable(format!("{}: no segment can be read", newest.path.display())));
        };
        if let Some((from, to, count)) = self.gone {
            self.gaps.push(Gap { count, ..Gap::new(JOURNAL, from, to, GapCause::ItemRemoved) });
        }
        Ok(Recovered { instance_id, ring, segments, gaps: self.gaps, observations: self.observations })
    }

    /// The first segment that the ring needs. Observations are counted, since sequences may have
    /// holes.
    fn start(&mut self, segments: &[SegmentFile]) -> Result<usize, Failure> {
        let capacity = self.known.capacity as u64;
        let mut count = 0;
        for (place, segment) in segments.iter().enumerate().rev() {
            let mut records = open(segment)?;
            while let Ok(record) = records.next() {
                if record.kind == Kind::Batch {
                    count += segment::batch_count(record.payload);
                }
            }
            if count >= capacity {
                self.too_old = count - capacity;
                return Ok(place);
            }
        }
        Ok(0)
    }

    fn segment(&mut self, segment: &mut SegmentFile) -> Result<SegmentEnd, Failure> {
        let header = match header_of(segment)? {
            Some(header) if header.first == segment.first => header,
            _ => {
                self.lost(segment.first);
                return Ok(SegmentEnd::Damaged { at: 0 });
            }
        };
        if *self.instance_id.get_or_insert(header.instance_id) != header.instance_id {
            let text = format!("{} belongs to another journal", segment.path.display());
            return Err(Failure::Unreadable(text));
        }
        segment.created = header.created;
        self.boot = Some(header.boot);
        self.reserved = self.reserved.max(header.reserved);
        let mut records = open(segment)?;
        let mut decoder = Decoder::new(header, self.known.view.clone());
        let mut ready = false;
        let mut clean = false;
        self.states = States::default();
        loop {
            let at = segment::HEADER as u64 + records.position();
            let record = match records.next() {
                Ok(record) => record,
                Err(End::Io(error)) => return Err(files::at(&segment.path, error).into()),
                Err(_) if !ready => {
                    self.lost(segment.first);
                    return Ok(SegmentEnd::Damaged { at });
                }
                Err(End::Whole) => return Ok(SegmentEnd::Whole { clean }),
                Err(End::Torn) => return Ok(SegmentEnd::Torn { at }),
                Err(End::Damaged) => return Ok(SegmentEnd::Damaged { at }),
            };
            clean = record.kind == Kind::Clean;
            let sound = match record.kind {
                Kind::Dictionary => decoder.dictionary(record.payload),
                Kind::States if self.continues(header.first) => Some(()),
                Kind::States => decoder.states(record.payload, &self.conditions, &mut self.states),
                Kind::Ready => {
                    self.ready(header.first);
                    ready = true;
                    Some(())
                }
                Kind::Batch => self.batch(ready, &decoder, record.offset, record.payload),
                Kind::Reserve => segment::reserved(record.payload)
                    .map(|reserved| self.reserved = self.reserved.max(reserved)),
                Kind::Clean | Kind::Digest => Some(()),
                Kind::Asset => None,
            };
            if sound.is_none() {
                if !ready {
                    self.lost(segment.first);
                }
                return Ok(SegmentEnd::Damaged { at });
            }
        }
    }

    /// Whether the ring goes on at that sequence.
    fn continues(&self, first: u64) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.bounds().next == first)
    }

    /// A segment cannot be read.
    fn lost(&mut self, first: u64) {
        if self.ring.is_none() {
            self.lost_from.get_or_insert(first);
        }
    }

    /// A checkpoint has been read: the ring begins, or goes on, here.
    fn ready(&mut self, first: u64) {
        if self.continues(first) {
            return;
        }
        let missing = self.ring.as_ref().map(|ring| ring.bounds().next).or(self.lost_from.take());
        let mut cause = GapCause::Corruption;
        if let Some(from) = missing.filter(|from| *from < first) {
            match self.known.ledger.cause(from) {
                Some(known) => cause = known,
                None => self.gaps.push(Gap::new(JOURNAL, from, first - 1, cause)),
            }
        }
        if let Some(ring) = &mut self.ring
            && std::mem::take(&mut self.passing)
        {
            ring.settle();
        }
        if let Some(ring) = &mut self.ring
            && cause == GapCause::PowerLoss
        {
            // Nothing is known of what was lost, so the states before it still hold.
            ring.jump(first);
            return;
        }
        let mut ring = Ring::from_states(self.known.capacity, first, std::mem::take(&mut self.states));
        ring.set_conditions(self.conditions.clone());
        self.ring = Some(ring);
        self.gone = None;
    }

    fn batch(&mut self, ready: bool, decoder: &Decoder, offset: u32, payload: &[u8]) -> Option<()> {
        let ring = self.ring.as_mut().filter(|_| ready)?;
        let next = ring.bounds().next;
        if decoder.sequence(offset) != next {
            return None;
        }
        self.scratch.clear();
        decoder.batch(payload, &mut self.scratch)?;
        let count = self.scratch.len() as u64;
        self.observations += count;
        if self.too_old >= count && ring.bounds().first == next {
            self.too_old -= count;
            ring.pass(&self.scratch);
            self.passing = true;
            return Some(());
        }
        if std::mem::take(&mut self.passing) {
            ring.settle();
        }
        for (sequence, observation) in (next..).zip(self.scratch.drain(..)) {
            if observation.item == NO_ITEM {
                let (from, _, count) = self.gone.unwrap_or((sequence, sequence, 0));
                self.gone = Some((from, sequence, count + 1));
            }
            ring.push(observation);
        }
        Some(())
    }

    /// Finds the next sequence: none that was given out before may come again.
    fn finish(&mut self, newest: &mut SegmentFile, end: &SegmentEnd) -> Result<(), Failure> {
        let Some(ring) = &mut self.ring else { return Ok(()) };
        if std::mem::take(&mut self.passing) {
            ring.settle();
        }
        let found = ring.bounds().next;
        let (mut next, mut cause) = (found, GapCause::PowerLoss);
        let mut clean = false;
        match *end {
            SegmentEnd::Whole { clean: is_clean } => clean = is_clean,
            SegmentEnd::Torn { at } => {
                let file = File::options().write(true).open(&newest.path);
                file.and_then(|file| file.set_len(at)).map_err(|error| files::at(&newest.path, error))?;
                newest.bytes = at;
            }
            SegmentEnd::Damaged { at } => {
                next = next.max(self.reserved).max(highest(newest, at)?);
                cause = GapCause::Corruption;
            }
        }
        // The same run of the system still has all that was written to it.
        let same_run = self.boot == Some(self.known.boot) && self.known.boot != [0; 16];
        if !same_run && !clean {
            next = next.max(self.reserved);
        }
        if !self.known.intact {
            next = next.max(self.reserved) + FAR;
            cause = GapCause::WriteFailed;
        }
        if next > found {
            self.gaps.push(Gap::new(JOURNAL, found, next - 1, cause));
            ring.jump(next);
        }
        Ok(())
    }
}

/// Opens a segment behind its header.
pub(super) fn open(segment: &SegmentFile) -> Result<Records<File>, io::Error> {
    let open = || {
        let mut file = File::open(&segment.path)?;
        let length = file.metadata()?.len().saturating_sub(segment::HEADER as u64);
        file.seek(SeekFrom::Start(segment::HEADER as u64))?;
        Ok(Records::new(file, length))
    };
    open().map_err(|error| files::at(&segment.path, error))
}

/// A segment's header; `None` when it is damaged.
fn header_of(segment: &SegmentFile) -> Result<Option<Header>, Failure> {
    let mut bytes = Vec::with_capacity(segment::HEADER);
    File::open(&segment.path)
        .and_then(|file| file.take(segment::HEADER as u64).read_to_end(&mut bytes))
        .map_err(|error| files::at(&segment.path, error))?;
    match Header::read(&bytes) {
        Ok(header) => Ok(Some(header)),
        Err(HeaderFault::Damaged) => Ok(None),
        Err(HeaderFault::Version(version)) => Err(Failure::Unreadable(format!(
            "{} has format {version}, this program reads {}",
            segment.path.display(),
            segment::VERSION
        ))),
    }
}

/// The header for a reader that comes later.
pub(super) fn readable_header(segment: &SegmentFile) -> Option<Header> {
    header_of(segment).ok().flatten().filter(|header| header.first == segment.first)
}

/// One past the highest sequence that sound records behind the damage tell of.
fn highest(segment: &SegmentFile, at: u64) -> Result<u64, Failure> {
    let bytes = files::read(&segment.path)?.unwrap_or_default();
    let mut highest = 0;
    let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    record::salvage(rest, |record| {
        let mut next = segment.first.saturating_add(record.offset.into());
        match record.kind {
            Kind::Batch => next = next.saturating_add(segment::batch_count(record.payload)),
            Kind::Reserve => next = next.max(segment::reserved(record.payload).unwrap_or(0)),
            _ => {}
        }
        highest = highest.max(next);
    });
    Ok(highest)
}
