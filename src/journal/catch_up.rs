//! Durable readers: what follows their cursor, from memory or from disk.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use guideway_contract::Observation;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::ledger::{Gap, GapCause};
use super::record::{End, Kind, Records};
use super::recovery;
use super::ring::NO_ITEM;
use super::segment::Decoder;
use super::{Bounds, Recorded, Shared, Stretch};

/// Observations that are given out at once at most, whatever the reader asks for.
const MOST: usize = 1 << 16;

/// Where durable readers are in the files. Each reads one segment after the other, from front to
/// back, so what it needs next is at hand.
#[derive(Default)]
pub(super) struct CatchUp(Mutex<FxHashMap<String, Arc<Mutex<Option<Place>>>>>);

impl CatchUp {
    fn place(&self, name: &str) -> Arc<Mutex<Option<Place>>> {
        self.0.lock().entry(name.to_owned()).or_default().clone()
    }

    pub(super) fn forget(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

/// A place in a segment.
struct Place {
    /// First sequence of the segment.
    segment: u64,
    records: Records<File>,
    file: File,
    decoder: Decoder,
    /// Read and not given out yet; the first one has sequence `next`.
    ahead: VecDeque<Observation>,
    next: u64,
    scratch: Vec<Observation>,
}

/// See [`Journal::stretch`](super::Journal::stretch).
pub(super) fn stretch(shared: &Shared, name: &str, from: u64, limit: usize) -> Stretch {
    let limit = limit.clamp(1, MOST);
    loop {
        let bounds = shared.ring.bounds();
        if from >= bounds.next {
            return Stretch::End;
        }
        if from >= bounds.first {
            if let Ok(found) = shared.ring.read_all(from, limit) {
                return contiguous(shared, name, from, found, bounds);
            }
            // The ring has moved on since.
            continue;
        }
        let Some(disk) = &shared.disk else {
            return gap(shared, name, from, bounds.first - 1, GapCause::Retention);
        };
        let place = shared.catch_up.place(name);
        let mut place = place.lock();
        if place.as_ref().is_none_or(|place| place.next != from) {
            *place = Place::find(shared, from);
        }
        let Some(here) = place.as_mut() else {
            // Nothing is kept that far back, or it cannot be read.
            let behind = disk.after(from).map_or(bounds.first, |next| next.first);
            let removed = disk.oldest().is_none_or(|oldest| from < oldest);
            let cause = if removed { GapCause::Retention } else { GapCause::Corruption };
            return gap(shared, name, from, behind.min(bounds.first) - 1, cause);
        };
        let found = here.take(limit, bounds.next);
        if !found.is_empty() {
            return contiguous(shared, name, from, found, bounds);
        }
        // The segment has no more. What it lacks, the ring or the next one has, or nobody.
        let next = disk.after(here.segment).map(|next| next.first);
        *place = None;
        match next {
            Some(next) if next <= from => {}
            next => {
                let behind = next.map_or(bounds.first, |next| next.min(bounds.first));
                return gap(shared, name, from, behind - 1, GapCause::Corruption);
            }
        }
    }
}

/// The beginning of what was found, up to the first hole; or the hole.
fn contiguous(shared: &Shared, name: &str, from: u64, mut found: Vec<Recorded>, bounds: Bounds) -> Stretch {
    let place = (from..).zip(&found).position(|(sequence, recorded)| recorded.0 != sequence);
    let first_gone = found.iter().position(|recorded| recorded.1.item == NO_ITEM);
    match (place, first_gone) {
        (Some(0), _) => gap(shared, name, from, found[0].0 - 1, GapCause::Corruption),
        (place, Some(0)) => {
            let end = place.unwrap_or(found.len());
            let gone = found[..end].iter().take_while(|recorded| recorded.1.item == NO_ITEM).count();
            gap(shared, name, from, from + gone as u64 - 1, GapCause::ItemRemoved)
        }
        (place, gone) => {
            found.truncate(place.unwrap_or(found.len()).min(gone.unwrap_or(found.len())));
            if found.is_empty() {
                // The ring ends with a hole.
                return gap(shared, name, from, bounds.next - 1, GapCause::Corruption);
            }
            Stretch::Observations(found)
        }
    }
}

/// A gap, entered in the ledger. If the journal itself knows why it is there, that is its cause.
fn gap(shared: &Shared, name: &str, from: u64, to: u64, cause: GapCause) -> Stretch {
    let mut ledger = shared.ledger.lock();
    let cause = match cause {
        GapCause::Corruption => ledger.cause(from).unwrap_or(cause),
        _ => cause,
    };
    let gap = Gap::new(name, from, to.max(from), cause);
    ledger.enter(gap.clone());
    Stretch::Gap(gap)
}

impl Place {
    /// Opens the segment that holds `from`, in front of it.
    fn find(shared: &Shared, from: u64) -> Option<Self> {
        let segment = shared.disk.as_ref()?.holding(from)?;
        let header = recovery::readable_header(&segment)?;
        let records = recovery::open(&segment).ok()?;
        let file = File::open(&segment.path).ok()?;
        let mut place = Self {
            segment: segment.first,
            records,
            file,
            decoder: Decoder::new(header, shared.catalog.view()),
            ahead: VecDeque::new(),
            next: segment.first,
            scratch: Vec::new(),
        };
        while place.next < from {
            let skip = usize::try_from(from - place.next).unwrap_or(usize::MAX);
            if place.ahead.is_empty() && !place.more() {
                // It ends before: the caller goes on behind the hole.
                place.next = from;
                return Some(place);
            }
            let skip = skip.min(place.ahead.len());
            place.ahead.drain(..skip);
            place.next += skip as u64;
        }
        Some(place)
    }

    /// Up to `limit` observations before `until`, without a hole.
    fn take(&mut self, limit: usize, until: u64) -> Vec<Recorded> {
        let mut found = Vec::new();
        while found.len() < limit && self.next < until {
            let Some(observation) = self.ahead.pop_front() else {
                if self.more() {
                    continue;
                }
                break;
            };
            found.push((self.next, observation));
            self.next += 1;
        }
        found
    }

    /// Reads the next batch. False when there is none, or it does not go on where this one ends.
    fn more(&mut self) -> bool {
        loop {
            let head = match self.records.step() {
                Ok(head) => head,
                Err(End::Whole | End::Torn) if self.grown() => continue,
                Err(_) => return false,
            };
            let record = self.records.current(&head);
            let sound = match record.kind {
                Kind::Dictionary => self.decoder.dictionary(record.payload),
                Kind::Batch if self.decoder.sequence(record.offset) == self.next => {
                    self.scratch.clear();
                    let sound = self.decoder.batch(record.payload, &mut self.scratch);
                    if sound.is_some() && !self.scratch.is_empty() {
                        self.ahead.extend(self.scratch.drain(..));
                        return true;
                    }
                    sound
                }
                Kind::Batch => None,
                _ => Some(()),
            };
            if sound.is_none() {
                return false;
            }
        }
    }

    /// Whether the file has become longer.
    fn grown(&mut self) -> bool {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        self.records.grown_to(length.saturating_sub(super::segment::HEADER as u64))
    }
}
