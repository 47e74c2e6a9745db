//! Segments: the journal's files. A header, a checkpoint (dictionary and states at the segment's
//! beginning), and then batches as they come.
//!
//! A segment needs no other one to be understood. Layout: `docs/journal.md`.

use guideway_contract::{ItemIndex, Observation};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::bytes::{Bytes, put_count, put_text, put_varint};
use super::catalog::View;
use super::digest::Gathered;
use super::observation_codec::{self, Before, observation, put_observation};
use super::record::{self, Kind};
use super::ring::NO_ITEM;
use super::state::{ItemState, States};
use super::{NO_NAME, Recorded, Selection};

/// Bytes of a segment's header.
pub(super) const HEADER: usize = 72;

const MAGIC: [u8; 8] = *b"gw-jrnl\n";

/// The format that is written. A reader of another one sets the journal aside.
pub(super) const VERSION: u32 = 1;

/// Observations in one record.
const IN_RECORD: usize = 4_096;

/// States, or names, in one record.
const STATES_IN_RECORD: usize = 512;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) instance_id: u64,
    /// The sequence of its first observation.
    pub(super) first: u64,
    /// When it was begun, nanoseconds since the epoch; whole seconds, so that steps are short.
    pub(super) created: i64,
    /// Sequences before this one may have been given out.
    pub(super) reserved: u64,
    /// The run of the operating system that wrote it.
    pub(super) boot: [u8; 16],
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Too short, not ours, or changed.
    Damaged,
    /// Written by another version of the program.
    Version(u32),
}

impl Header {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.instance_id.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.reserved.to_le_bytes());
        out.extend_from_slice(&self.boot);
        out.extend_from_slice(&[0; 8]);
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let (header, crc) =
            bytes.get(..HEADER).and_then(|all| all.split_last_chunk()).ok_or(HeaderFault::Damaged)?;
        if header[..8] != MAGIC || crc32fast::hash(header) != u32::from_le_bytes(*crc) {
            return Err(HeaderFault::Damaged);
        }
        let mut rest = Bytes::new(&header[8..]);
        let version = rest.array().map(u32::from_le_bytes).ok_or(HeaderFault::Damaged)?;
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let mut fields = || {
            Some(Self {
                instance_id: rest.u64()?,
                first: rest.u64()?,
                created: rest.i64()?,
                reserved: rest.u64()?,
                boot: rest.array()?,
            })
        };
        fields().ok_or(HeaderFault::Damaged)
    }
}

/// Writes a segment's bytes into a buffer, in order.
pub(super) struct Encoder {
    header: Header,
    /// By item: its number in the dictionary and one more; 0 when it has none yet.
    numbers: Vec<u32>,
    names: u32,
    devices: FxHashMap<SmolStr, u64>,
    gathered: Gathered,
}

impl Encoder {
    /// Begins a segment: puts header and checkpoint.
    pub(super) fn begin(out: &mut Vec<u8>, header: Header, states: &States, view: &View) -> Self {
        header.put(out);
        let mut encoder = Self {
            header,
            numbers: Vec::new(),
            names: 0,
            devices: FxHashMap::default(),
            gathered: Gathered::default(),
        };
        let known: Vec<_> = states.iter().filter(|(_, state)| !matches!(state, ItemState::Unknown)).collect();
        for part in known.chunks(STATES_IN_RECORD) {
            encoder.name(out, 0, part.iter().map(|(item, _)| *item), view);
            record::put(out, Kind::States, 0, |out| {
                for (_, state) in part {
                    encoder.put_state(out, state);
                }
            });
        }
        record::put(out, Kind::Ready, 0, |out| put_count(out, known.len()));
        encoder
    }

    /// Puts observations; the first has sequence `first`.
    pub(super) fn batch(&mut self, out: &mut Vec<u8>, first: u64, observations: &[Observation], view: &View) {
        let mut offset = self.offset(first);
        for part in observations.chunks(IN_RECORD) {
            self.name(out, offset, part.iter().map(|observation| observation.item), view);
            record::put(out, Kind::Batch, offset, |out| {
                put_count(out, part.len());
                let mut before = Before::new(self.header.created);
                for observation in part {
                    let number = self.number(observation.item);
                    put_observation(out, &mut before, number, observation);
                    self.gathered.see(number, observation.time().nanos());
                }
            });
            offset = offset.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
        }
    }

    /// Says up to where sequences may be given out before the next such record is on the disk.
    pub(super) fn reserve(&self, out: &mut Vec<u8>, next: u64, reserved: u64) {
        record::put(out, Kind::Reserve, self.offset(next), |out| {
            out.extend_from_slice(&reserved.to_le_bytes());
        });
    }

    /// Says what the segment holds; no batch follows. `next` is the sequence behind its last one.
    pub(super) fn digest(&self, out: &mut Vec<u8>, next: u64) {
        self.gathered.digest().put(out, self.offset(next));
    }

    /// Says that the journal was closed in order.
    pub(super) fn clean(&self, out: &mut Vec<u8>, next: u64) {
        record::put(out, Kind::Clean, self.offset(next), |_| ());
    }

    fn offset(&self, sequence: u64) -> u32 {
        u32::try_from(sequence - self.header.first).unwrap_or(u32::MAX)
    }

    fn number(&self, item: ItemIndex) -> u32 {
        self.numbers.get(item.index()).map_or(0, |number| number.saturating_sub(1))
    }

    fn put_state(&self, out: &mut Vec<u8>, state: &ItemState) {
        let mut put = |entries: &[Recorded]| {
            put_count(out, entries.len());
            let mut before = Before::new(self.header.created);
            for (sequence, observation) in entries {
                put_varint(out, *sequence);
                put_observation(out, &mut before, self.number(observation.item), observation);
            }
        };
        match state {
            ItemState::Unknown => {}
            // One entry of a chain and a latest value differ by what the item is.
            ItemState::Latest(recorded) => put(std::slice::from_ref(recorded)),
            ItemState::Chain(chain) => put(chain),
        }
    }

    /// Puts the names of items that are not in the dictionary yet.
    fn name(&mut self, out: &mut Vec<u8>, offset: u32, items: impl Iterator<Item = ItemIndex>, view: &View) {
        let mut new = Vec::new();
        for item in items {
            if self.numbers.get(item.index()).is_some_and(|number| *number != 0) {
                continue;
            }
            if item.index() >= self.numbers.len() {
                self.numbers.resize(item.index() + 1, 0);
            }
            self.names += 1;
            self.numbers[item.index()] = self.names;
            new.push(item);
        }
        if new.is_empty() {
            return;
        }
        record::put(out, Kind::Dictionary, offset, |out| {
            for item in new {
                let (device, id) = view.name(item).unwrap_or(NO_NAME);
                self.gathered.name(device, id);
                match self.devices.get(device) {
                    Some(number) => put_varint(out, *number),
                    None => {
                        self.devices.insert(device.into(), self.devices.len() as u64 + 1);
                        put_varint(out, 0);
                        put_text(out, device);
                    }
                }
                put_text(out, id);
            }
        });
    }
}

/// Understands a segment's records, which must come in order.
pub(super) struct Decoder {
    header: Header,
    view: View,
    /// By number in the dictionary.
    items: Vec<ItemIndex>,
    devices: Vec<SmolStr>,
}

impl Decoder {
    pub(super) const fn new(header: Header, view: View) -> Self {
        Self { header, view, items: Vec::new(), devices: Vec::new() }
    }

    /// The sequence that a record's offset stands for.
    pub(super) const fn sequence(&self, offset: u32) -> u64 {
        self.header.first.saturating_add(offset as u64)
    }

    /// Takes a dictionary record; `None` when it makes no sense.
    pub(super) fn dictionary(&mut self, payload: &[u8]) -> Option<()> {
        names(payload, &mut self.devices, |device, id| {
            self.items.push(self.view.find(device, id).unwrap_or(NO_ITEM));
        })
    }

    /// Takes a record of states; those of items that are gone are left out.
    pub(super) fn states(&self, payload: &[u8], conditions: &[bool], states: &mut States) -> Option<()> {
        let mut bytes = Bytes::new(payload);
        while !bytes.is_empty() {
            let mut before = Before::new(self.header.created);
            let mut chain = Vec::new();
            for _ in 0..bytes.count()? {
                let sequence = bytes.varint()?;
                chain.push((sequence, self.observation(&mut bytes, &mut before)?));
            }
            let item = chain.first()?.1.item;
            if item == NO_ITEM {
                continue;
            }
            let condition = conditions.get(item.index()).copied().unwrap_or(false);
            let state = if condition { ItemState::Chain(chain) } else { ItemState::Latest(chain.pop()?) };
            states.set(item, state);
        }
        Some(())
    }

    /// Takes a batch; observations of items that are gone have [`NO_ITEM`].
    pub(super) fn batch(&self, payload: &[u8], out: &mut Vec<Observation>) -> Option<()> {
        let mut bytes = Bytes::new(payload);
        let count = bytes.count()?;
        out.reserve(count.min(IN_RECORD));
        let mut before = Before::new(self.header.created);
        for _ in 0..count {
            out.push(self.observation(&mut bytes, &mut before)?);
        }
        bytes.is_empty().then_some(())
    }

    /// Takes a record of states: gives those of selected items to `each`, with their sequences.
    pub(super) fn states_of(
        &self,
        payload: &[u8],
        selection: &Selection,
        mut each: impl FnMut(u64, Observation),
    ) -> Option<()> {
        let mut bytes = Bytes::new(payload);
        while !bytes.is_empty() {
            let mut before = Before::new(self.header.created);
            for _ in 0..bytes.count()? {
                let sequence = bytes.varint()?;
                if let Some(state) = self.selected(&mut bytes, &mut before, selection)? {
                    each(sequence, state);
                }
            }
        }
        Some(())
    }

    /// Takes a batch: gives the observations of selected items to `each`, with their places in it.
    pub(super) fn batch_of(
        &self,
        payload: &[u8],
        selection: &Selection,
        mut each: impl FnMut(u64, Observation),
    ) -> Option<()> {
        let mut bytes = Bytes::new(payload);
        let mut before = Before::new(self.header.created);
        for place in 0..bytes.count()? as u64 {
            if let Some(observation) = self.selected(&mut bytes, &mut before, selection)? {
                each(place, observation);
            }
        }
        Some(())
    }

    fn observation(&self, bytes: &mut Bytes<'_>, before: &mut Before) -> Option<Observation> {
        observation(bytes, before, |number| self.item(number))
    }

    /// The next observation if it is of a selected item.
    fn selected(
        &self,
        bytes: &mut Bytes<'_>,
        before: &mut Before,
        selection: &Selection,
    ) -> Option<Option<Observation>> {
        let head = observation_codec::head(bytes, before, |number| self.item(number))?;
        if head.item != NO_ITEM && selection.contains(head.item) {
            head.value(bytes).map(Some)
        } else {
            head.pass(bytes).map(|()| None)
        }
    }

    fn item(&self, number: u64) -> Option<ItemIndex> {
        self.items.get(usize::try_from(number).ok()?).copied()
    }
}

/// Reads a dictionary record: gives device uuid and id of each item to `each`. `devices` are those of
/// the records before it. `None` when it makes no sense.
pub(super) fn names(
    payload: &[u8],
    devices: &mut Vec<SmolStr>,
    mut each: impl FnMut(&str, &str),
) -> Option<()> {
    let mut bytes = Bytes::new(payload);
    while !bytes.is_empty() {
        let device = match bytes.varint()? {
            0 => {
                devices.push(bytes.smol()?);
                devices.last()?
            }
            number => devices.get(usize::try_from(number - 1).ok()?)?,
        };
        each(device, bytes.text()?);
    }
    Some(())
}

/// How many observations a batch holds.
pub(super) fn batch_count(payload: &[u8]) -> u64 {
    Bytes::new(payload).varint().unwrap_or(0)
}

/// What a reserve record says.
pub(super) fn reserved(payload: &[u8]) -> Option<u64> {
    Bytes::new(payload).u64()
}

/// What a segment's bytes hold; for tools and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Sequence of the first observation.
    pub first: u64,
    /// States in the checkpoint.
    pub states: usize,
    /// Observations that can be read.
    pub observations: u64,
    /// Whether all could be read.
    pub sound: bool,
}

/// Reads a segment from memory as recovery reads it from disk, with every item taken as known.
/// `None` when even its header cannot be read.
pub fn inspect(bytes: &[u8]) -> Option<SegmentSummary> {
    let header = Header::read(bytes).ok()?;
    let records = bytes.get(HEADER..)?;
    let mut summary = SegmentSummary { first: header.first, sound: true, ..SegmentSummary::default() };
    let mut decoder = Decoder::new(header, View::Model(std::sync::Arc::default()));
    let mut records = record::Records::new(records, records.len() as u64);
    let mut states = States::default();
    let mut scratch = Vec::new();
    loop {
        let record = match records.next() {
            Ok(record) => record,
            Err(end) => {
                summary.sound = matches!(end, record::End::Whole);
                return Some(summary);
            }
        };
        let sound = match record.kind {
            Kind::Dictionary => decoder.dictionary(record.payload),
            Kind::States => decoder.states(record.payload, &[], &mut states),
            Kind::Ready => {
                summary.states = usize::try_from(batch_count(record.payload)).unwrap_or(usize::MAX);
                Some(())
            }
            Kind::Batch => decoder.batch(record.payload, &mut scratch),
            Kind::Reserve => reserved(record.payload).map(drop),
            Kind::Clean | Kind::Digest => Some(()),
            Kind::Asset => None,
        };
        summary.observations += scratch.len() as u64;
        scratch.clear();
        if sound.is_none() {
            summary.sound = false;
            return Some(summary);
        }
    }
}

/// Reads payloads without their checksums, which random bytes never pass: for fuzzing. Each has its
/// kind and its length (u16) in front.
#[doc(hidden)]
pub fn inspect_unchecked(bytes: &[u8]) {
    let header = Header { instance_id: 1, first: 1, created: 0, reserved: 0, boot: [0; 16] };
    let mut decoder = Decoder::new(header, View::Model(std::sync::Arc::default()));
    let mut rest = Bytes::new(bytes);
    let mut states = States::default();
    let mut scratch = Vec::new();
    while let (Some(kind), Some(length)) = (rest.byte(), rest.array().map(u16::from_le_bytes)) {
        let Some(payload) = rest.take(length.into()) else { return };
        let _ = match kind {
            0 => decoder.dictionary(payload),
            1 => decoder.states(payload, &[], &mut states),
            _ => decoder.batch(payload, &mut scratch),
        };
        scratch.clear();
    }
}
