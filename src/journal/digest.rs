//! What a segment says of its observations: from when to when they were made, and of which data
//! items. Readers of history pass over segments that hold nothing for them.
//!
//! It is written when a segment is full, or closed, as its last record but `clean`, and found from the
//! end of the file. A segment whose process was killed has none; it is made from the observations then.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use guideway_contract::ItemIndex;
use parking_lot::Mutex;

use super::bytes::{Bytes, put_count, put_varint};
use super::disk::SegmentFile;
use super::observation_codec::{self, Before};
use super::record::{self, Kind, Records};
use super::recovery;
use super::segment;

/// The longest digest that is read: that of some 300,000 data items.
const LONGEST: u64 = 1 << 20;

/// Times are nanoseconds since the epoch, of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    /// The earliest; above `latest` when there is no observation at all.
    pub(super) earliest: i64,
    pub(super) latest: i64,
    items: Items,
}

/// A set of marks, shortened so that about one stranger in a hundred seems to be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Items {
    /// How many bits of a mark are kept, 0 to 32.
    bits: u8,
    /// What is left of the marks, in order: each as the difference to the one before, varint.
    steps: Box<[u8]>,
}

/// A number made of a data item's name; two items may have the same one.
pub(super) fn mark(device_uuid: &str, id: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(device_uuid.as_bytes());
    hasher.update(&[0]);
    hasher.update(id.as_bytes());
    hasher.finalize()
}

const fn shortened(mark: u32, bits: u8) -> u64 {
    (mark as u64) >> (32 - bits as u32)
}

impl Items {
    fn of(marks: impl Iterator<Item = u32> + Clone) -> Self {
        let count = marks.clone().count().max(1).next_power_of_two();
        let bits = u8::try_from((count.ilog2() + 7).min(32)).unwrap_or(32);
        let mut short: Vec<u64> = marks.map(|mark| shortened(mark, bits)).collect();
        short.sort_unstable();
        short.dedup();
        let mut steps = Vec::with_capacity(2 * short.len());
        let mut before = 0;
        for mark in short {
            put_varint(&mut steps, mark - before);
            before = mark;
        }
        Self { bits, steps: steps.into() }
    }

    fn may_hold(&self, mark: u32) -> bool {
        let wanted = shortened(mark, self.bits);
        let mut steps = Bytes::new(&self.steps);
        let mut here = 0_u64;
        while let Some(step) = steps.varint() {
            here = here.saturating_add(step);
            if here >= wanted {
                return here == wanted;
            }
        }
        false
    }
}

impl Digest {
    /// Whether there may be observations of the item with that mark. A `false` is certain.
    pub(super) fn may_hold(&self, mark: u32) -> bool {
        self.items.may_hold(mark)
    }

    /// Puts the record. Its last four bytes are its length, so that it is found from the end.
    pub(super) fn put(&self, out: &mut Vec<u8>, offset: u32) {
        let start = out.len();
        record::put(out, Kind::Digest, offset, |out| {
            out.extend_from_slice(&self.earliest.to_le_bytes());
            out.extend_from_slice(&self.latest.to_le_bytes());
            out.push(self.items.bits);
            put_count(out, self.items.steps.len());
            out.extend_from_slice(&self.items.steps);
            let length = u32::try_from(out.len() - start + 4).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_le_bytes());
        });
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut bytes = Bytes::new(payload);
        let (earliest, latest, bits) = (bytes.i64()?, bytes.i64()?, bytes.byte()?);
        let length = bytes.count()?;
        let steps = bytes.take(length)?.into();
        (bits <= 32).then_some(Self { earliest, latest, items: Items { bits, steps } })
    }

    /// The digest at the end of a segment's bytes, of which `tail` is the last part.
    fn at_end(tail: &[u8]) -> Option<Self> {
        let length = u32::from_le_bytes(*tail.last_chunk()?);
        let start = tail.len().checked_sub(usize::try_from(length).ok()?)?;
        let mut records = Records::new(tail.get(start..)?, length.into());
        let record = records.next().ok()?;
        (record.kind == Kind::Digest).then(|| Self::read(record.payload)).flatten()
    }

    /// The digest that a segment has.
    pub(super) fn of_file(segment: &SegmentFile) -> Option<Self> {
        let mut file = File::open(&segment.path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut tail = |longest: u64| {
            let mut tail = Vec::new();
            file.seek(SeekFrom::Start(length.saturating_sub(longest))).ok()?;
            file.by_ref().take(longest).read_to_end(&mut tail).ok()?;
            Some(tail)
        };
        let find = |tail: &[u8]| {
            let behind_clean = tail.len().checked_sub(record::HEADER).map(|end| &tail[..end]);
            Self::at_end(tail).or_else(|| behind_clean.and_then(Self::at_end))
        };
        // Most are short.
        find(&tail(4_096)?).or_else(|| find(&tail(LONGEST)?))
    }

    /// Makes the digest of a segment that has none; `None` when it cannot be read at all.
    pub(super) fn made(segment: &SegmentFile) -> Option<Self> {
        let header = recovery::readable_header(segment)?;
        let mut records = recovery::open(segment).ok()?;
        let mut gathered = Gathered::default();
        let mut devices = Vec::new();
        while let Ok(record) = records.next() {
            let sound = match record.kind {
                Kind::Dictionary => {
                    segment::names(record.payload, &mut devices, |device, id| gathered.name(device, id))
                }
                Kind::Batch => gathered.batch(record.payload, header.created),
                _ => Some(()),
            };
            if sound.is_none() {
                break;
            }
        }
        Some(gathered.digest())
    }
}

/// A digest in the making.
#[derive(Debug)]
pub(super) struct Gathered {
    earliest: i64,
    latest: i64,
    /// By number in the segment's dictionary.
    marks: Vec<u32>,
    seen: Vec<bool>,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { earliest: i64::MAX, latest: i64::MIN, marks: Vec::new(), seen: Vec::new() }
    }
}

impl Gathered {
    /// Takes the next name of the dictionary.
    pub(super) fn name(&mut self, device_uuid: &str, id: &str) {
        self.marks.push(mark(device_uuid, id));
        self.seen.push(false);
    }

    /// Takes an observation of the item with that number in the dictionary.
    pub(super) fn see(&mut self, number: u32, time: i64) {
        self.earliest = self.earliest.min(time);
        self.latest = self.latest.max(time);
        if let Some(seen) = self.seen.get_mut(number as usize) {
            *seen = true;
        }
    }

    fn batch(&mut self, payload: &[u8], created: i64) -> Option<()> {
        let mut bytes = Bytes::new(payload);
        let mut before = Before::new(created);
        for _ in 0..bytes.count()? {
            let item = |number: u64| u32::try_from(number).ok().map(ItemIndex);
            let head = observation_codec::head(&mut bytes, &mut before, item)?;
            head.pass(&mut bytes)?;
            self.see(head.item.0, head.time.nanos());
        }
        Some(())
    }

    /// What was gathered so far.
    pub(super) fn digest(&self) -> Digest {
        let seen = self.marks.iter().zip(&self.seen).filter(|(_, seen)| **seen);
        Digest { earliest: self.earliest, latest: self.latest, items: Items::of(seen.map(|(mark, _)| *mark)) }
    }
}

/// Bytes of marks that are kept in memory. With 200 items that is enough for 50,000 segments; what is
/// not kept is read again from the end of its file.
const KEPT: usize = 16 << 20;

/// The digests of segments, once they were asked for.
#[derive(Default)]
pub(super) struct Digests(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By first sequence.
    digests: BTreeMap<u64, Arc<Digest>>,
    /// Bytes of their marks.
    bytes: usize,
}

impl Digests {
    /// The digest of a segment that does not grow any more; `None` when it cannot be read.
    pub(super) fn get(&self, segment: &SegmentFile) -> Option<Arc<Digest>> {
        if let Some(known) = self.0.lock().digests.get(&segment.first) {
            return Some(known.clone());
        }
        let (digest, is_cheap) = match Digest::of_file(segment) {
            Some(written) => (written, true),
            None => (Digest::made(segment)?, false),
        };
        let digest = Arc::new(digest);
        let bytes = digest.items.steps.len();
        let mut known = self.0.lock();
        // There are few that were made, and making one again takes long.
        if (!is_cheap || known.bytes + bytes <= KEPT)
            && known.digests.insert(segment.first, digest.clone()).is_none()
        {
            known.bytes += bytes;
        }
        Some(digest)
    }

    /// Forgets those of segments before `first`.
    pub(super) fn forget_before(&self, first: u64) {
        let mut known = self.0.lock();
        while let Some(oldest) = known.digests.first_entry().filter(|oldest| *oldest.key() < first) {
            let bytes = oldest.remove().items.steps.len();
            known.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gathered(items: usize) -> Gathered {
        let mut gathered = Gathered::default();
        for item in 0..items {
            gathered.name("machine", &format!("item-{item}"));
        }
        gathered
    }

    #[test]
    fn a_digest_knows_what_it_holds_and_few_strangers() {
        for items in [1, 10, 200, 20_000] {
            let mut gathered = gathered(items);
            for item in 0..items {
                gathered.see(u32::try_from(item).unwrap(), 0);
            }
            let digest = gathered.digest();
            assert!((0..items).all(|item| digest.may_hold(mark("machine", &format!("item-{item}")))));
            let strangers =
                (0..10_000).filter(|item| digest.may_hold(mark("other", &format!("item-{item}")))).count();
            assert!(strangers < 200, "{strangers} of 10,000 with {items}");
            assert!(digest.items.steps.len() <= 2 * items + 4);
        }
    }

    #[test]
    fn an_item_that_was_named_but_not_seen_is_not_held() {
        let mut gathered = gathered(2);
        gathered.see(0, 7);
        let digest = gathered.digest();
        assert!(digest.may_hold(mark("machine", "item-0")));
        assert!(!digest.may_hold(mark("machine", "item-1")));
    }

    proptest! {
        #[test]
        fn a_digest_is_found_from_the_end(
            times in proptest::collection::vec(any::<i64>(), 0..20),
            before in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut gathered = gathered(20);
            for (item, time) in (0..).zip(&times) {
                gathered.see(item, *time);
            }
            let digest = gathered.digest();
            prop_assert_eq!(digest.earliest, times.iter().copied().min().unwrap_or(i64::MAX));
            let mut out = before;
            digest.put(&mut out, 5);
            prop_assert_eq!(Digest::at_end(&out), Some(digest));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), mark in any::<u32>()) {
            let _ = Digest::at_end(&bytes);
            if let Some(digest) = Digest::read(&bytes) {
                let _ = digest.may_hold(mark);
            }
        }
    }
}
