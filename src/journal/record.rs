//! Records: what a file of the journal consists of behind its header.
//!
//! ```text
//! length u32 | check u8 | kind u8 | offset u32 | crc32 u32 | payload (length bytes)
//! ```
//!
//! All numbers are little-endian. `check` covers length, kind and offset, so that a record that was
//! cut short (its process was killed: nobody saw it) can be told from one that is damaged. The CRC
//! covers the header before it and the payload.

use std::io::{self, Read};

/// Bytes in front of a payload.
pub(super) const HEADER: usize = 14;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Names of data items, which get the next numbers of the segment's dictionary.
    Dictionary,
    /// States of items at the segment's beginning.
    States,
    /// The states are complete.
    Ready,
    /// Observations.
    Batch,
    /// Sequences before this one may have been given out.
    Reserve,
    /// The journal was closed in order; nothing follows.
    Clean,
    /// An asset.
    Asset,
    /// What a segment says of its observations.
    Digest,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Dictionary,
        Self::States,
        Self::Ready,
        Self::Batch,
        Self::Reserve,
        Self::Clean,
        Self::Asset,
        Self::Digest,
    ];

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// Adds a record to `out`; `fill` writes its payload.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, offset: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    fill(out);
    // The callers split what they write long before it gets near 4 GiB.
    let length = u32::try_from(out.len() - start - HEADER).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 5] = kind as u8;
    out[start + 6..start + 10].copy_from_slice(&offset.to_le_bytes());
    out[start + 4] = check(&out[start..start + 10]);
    let crc = crc(&out[start..start + 10], &out[start + HEADER..]);
    out[start + 10..start + HEADER].copy_from_slice(&crc.to_le_bytes());
}

/// Any change of a single byte changes it, and zeros are no valid header.
fn check(header: &[u8]) -> u8 {
    let sum = |sum: u8, byte: &u8| sum.rotate_left(1) ^ byte;
    header[..4].iter().chain(&header[5..10]).fold(0xa5, sum)
}

fn crc(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

/// A record's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    length: usize,
    kind: Kind,
    offset: u32,
    crc: u32,
}

impl Head {
    fn read(bytes: &[u8; HEADER]) -> Option<Self> {
        if bytes[4] != check(&bytes[..10]) {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Some(Self {
            length: usize::try_from(word(0)).ok()?,
            kind: Kind::of(bytes[5])?,
            offset: word(6),
            crc: word(10),
        })
    }
}

/// A sound record.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) kind: Kind,
    pub(super) offset: u32,
    pub(super) payload: &'r [u8],
}

/// Why there is no next record.
#[derive(Debug)]
pub(super) enum End {
    /// The file ends behind a whole record.
    Whole,
    /// The file ends within a record.
    Torn,
    /// What follows is no sound record.
    Damaged,
    /// The system refused to read.
    Io(io::Error),
}

/// Reads records one after the other. Memory is bounded by what the source is said to hold.
pub(super) struct Records<R> {
    source: R,
    /// Bytes that the source still has.
    left: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the next record begins.
    at: usize,
    /// Bytes of sound records so far.
    position: u64,
}

/// Bytes that are asked of the source at once.
const READ: usize = 256 << 10;

impl<R: Read> Records<R> {
    /// Records of a source that holds `length` bytes more.
    pub(super) const fn new(source: R, length: u64) -> Self {
        Self { source, left: length, buffer: Vec::new(), at: 0, position: 0 }
    }

    /// Where the next record begins, counted from where this began.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The source holds so many bytes in all, counted from where this began; says whether these are
    /// more than was known.
    pub(super) fn grown_to(&mut self, length: u64) -> bool {
        let known = self.position + (self.buffer.len() - self.at) as u64 + self.left;
        self.left += length.saturating_sub(known);
        length > known
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Record<'_>, End> {
        let head = self.step()?;
        Ok(self.current(&head))
    }

    /// The record that the last step went over.
    pub(super) fn current(&self, head: &Head) -> Record<'_> {
        let payload = &self.buffer[self.at - head.length..self.at];
        Record { kind: head.kind, offset: head.offset, payload }
    }

    /// Goes over the next record.
    pub(super) fn step(&mut self) -> Result<Head, End> {
        let available = self.fill(HEADER)?;
        if available < HEADER {
            return Err(if available == 0 { End::Whole } else { End::Torn });
        }
        let header = self.buffer[self.at..].first_chunk().ok_or(End::Damaged)?;
        let head = Head::read(header).ok_or(End::Damaged)?;
        if self.fill(HEADER + head.length)? < HEADER + head.length {
            return Err(End::Torn);
        }
        let record = &self.buffer[self.at..self.at + HEADER + head.length];
        let payload = &record[HEADER..];
        if crc(&record[..10], payload) != head.crc {
            return Err(End::Damaged);
        }
        self.at += record.len();
        self.position += record.len() as u64;
        Ok(head)
    }

    /// Has `wanted` bytes in the buffer, or all that there are; gives how many there are.
    fn fill(&mut self, wanted: usize) -> Result<usize, End> {
        let have = self.buffer.len() - self.at;
        if have >= wanted || self.left == 0 || have as u64 + self.left < wanted as u64 {
            let all = have as u64 + self.left;
            return Ok(usize::try_from(all).unwrap_or(usize::MAX).min(wanted));
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let more = (wanted - have).max(READ) as u64;
        let more = more.min(self.left);
        let got = self.source.by_ref().take(more).read_to_end(&mut self.buffer).map_err(End::Io)?;
        // A file that is shorter than it was said to be has no more than this.
        self.left = if (got as u64) < more { 0 } else { self.left - more };
        Ok(self.buffer.len().min(wanted))
    }
}

/// Looks for sound records among damaged bytes; calls `found` with each.
pub(super) fn salvage(bytes: &[u8], mut found: impl FnMut(&Record<'_>)) {
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER>()) {
        let sound = Head::read(header).and_then(|head| {
            let payload = bytes.get(at + HEADER..)?.get(..head.length)?;
            (crc(&header[..10], payload) == head.crc).then_some(Record {
                kind: head.kind,
                offset: head.offset,
                payload,
            })
        });
        match sound {
            Some(record) => {
                found(&record);
                at += HEADER + record.payload.len();
            }
            None => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, Kind::Dictionary, 0, |out| out.extend_from_slice(b"names"));
        put(&mut out, Kind::Ready, 0, |_| ());
        put(&mut out, Kind::Batch, 7, |out| out.extend_from_slice(&[7; 300]));
        out
    }

    fn read(bytes: &[u8]) -> (Vec<(Kind, u32, Vec<u8>)>, End) {
        let mut records = Records::new(bytes, bytes.len() as u64);
        let mut found = Vec::new();
        loop {
            match records.next() {
                Ok(record) => found.push((record.kind, record.offset, record.payload.to_vec())),
                Err(end) => return (found, end),
            }
        }
    }

    #[test]
    fn records_come_back() {
        let (found, end) = read(&sample());
        assert!(matches!(end, End::Whole));
        assert_eq!(found[0], (Kind::Dictionary, 0, b"names".to_vec()));
        assert_eq!(found[2], (Kind::Batch, 7, vec![7; 300]));
    }

    #[test]
    fn a_record_that_is_cut_short_is_torn_and_those_before_it_are_whole() {
        let bytes = sample();
        let ends = [0, 19, 33, 347];
        for length in 0..bytes.len() {
            let (found, end) = read(&bytes[..length]);
            assert_eq!(found.len(), ends.iter().filter(|end| **end <= length).count() - 1, "{length}");
            let whole = ends.contains(&length);
            assert!(
                if whole { matches!(end, End::Whole) } else { matches!(end, End::Torn) },
                "{length}: {end:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_never_taken_for_sound(at in 0_usize..347, bits in 1_u8..=255) {
            let whole = sample();
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            let (found, end) = read(&bytes);
            prop_assert!(matches!(end, End::Damaged), "{:?}", end);
            prop_assert_eq!(&found[..], &read(&whole).0[..found.len()]);
            let mut saved = 0;
            salvage(&bytes, |_| saved += 1);
            prop_assert_eq!(saved, 2);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            read(&bytes);
            salvage(&bytes, |_| ());
        }
    }

    #[test]
    fn a_length_beyond_the_file_allocates_nothing() {
        let mut out = Vec::new();
        put(&mut out, Kind::Batch, 0, |_| ());
        out[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        out[4] = check(&out[..10]);
        let mut records = Records::new(&out[..], out.len() as u64);
        assert!(matches!(records.next(), Err(End::Torn)));
        assert!(records.buffer.capacity() <= 64);
    }
}
