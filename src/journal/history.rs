//! The history of data items by source time, over memory and disk.
//!
//! A page is exact whatever the order in which observations came: it holds the first `limit` of the
//! range, ordered by source time, and by sequence where times are equal. To that end every place where
//! some may be is looked at, in the order of the earliest time that each holds (its [digest](super::digest)),
//! until none that is left can hold one that belongs in front of those found. Journals that were
//! written in order of time are thus read from where the page begins to where it ends, and disorder
//! costs what overlaps. Memory is bounded by the page.
//!
//! Where much is read without filling a page, the page is short: see [`BUDGET`].

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use guideway_contract::{Cell, Entry, ItemIndex, Observation, Timestamp, Value};
use rustc_hash::FxHashMap;

use super::catalog::View;
use super::digest::{self, Digest};
use super::disk::{Disk, SegmentFile, segment_path};
use super::record::Kind;
use super::ring::Held;
use super::segment::Decoder;
use super::{ItemState, Recorded, Selection, Shared, fold, recovery};

/// The most observations in a page.
const MOST: usize = 1 << 16;

/// Bytes of segments that are read for a page before it is given out as short as it is; it has one
/// observation at least, or is the last one.
const BUDGET: u64 = 64 << 20;

/// What the pages of one call may take in memory, about: long texts, series and whole sets make pages
/// short.
const WEIGHT: usize = 8 << 20;

/// What is wanted of the history of one data item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Which one. Of a data set or table whole sets are given, not changes.
    pub item: ItemIndex,
    /// Source times from this one on; `None`: from the oldest that is kept.
    pub from: Option<Timestamp>,
    /// Source times before this one; `None`: to the newest.
    pub until: Option<Timestamp>,
    /// Newest first.
    pub backward: bool,
    /// At most so many in a page, 1 to 65,536; there may be fewer.
    pub limit: usize,
    /// Where an earlier page of the same query ended.
    pub after: Option<Continuation>,
}

/// Where a page ended. Good for as long as the journal keeps what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// What follows ranks here or behind.
    at: Rank,
    /// What came after the first page was read is left out.
    until: u64,
    /// What follows has this sequence, or higher ones.
    rest: u64,
}

/// Part of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage {
    /// In order of source time (newest first when read backward), then of sequence.
    pub observations: Vec<Recorded>,
    /// Where to go on; `None` when this is all. What follows may turn out to be nothing.
    pub next: Option<Continuation>,
    backward: bool,
    until: u64,
}

/// Retention has removed some of what would have followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was to be read next has been removed from the journal")]
pub struct HistoryGone;

/// A place in the order of a history: time and sequence, both turned round when read backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(i64, u64);

impl Rank {
    const fn of(backward: bool, time: i64, sequence: u64) -> Self {
        if backward { Self(!time, !sequence) } else { Self(time, sequence) }
    }
}

impl HistoryPage {
    /// Shortens the page to `length` observations and gives where to go on behind them.
    pub fn cut(&mut self, length: usize) -> Option<Continuation> {
        if let Some((sequence, observation)) = self.observations.get(length) {
            let at = Rank::of(self.backward, observation.time().nanos(), *sequence);
            let cut = self.observations[length..].iter().map(|recorded| recorded.0);
            let rest = cut.chain(self.next.map(|next| next.rest)).min().unwrap_or(0);
            self.next = Some(Continuation { at, until: self.until, rest });
            self.observations.truncate(length);
        }
        self.next
    }
}

/// See [`Journal::histories`](super::Journal::histories).
pub(super) fn histories(shared: &Shared, queries: &[HistoryQuery]) -> Vec<Result<HistoryPage, HistoryGone>> {
    let mut pages: Vec<_> = queries.iter().map(|_| Err(HistoryGone)).collect();
    for backward in [false, true] {
        let places = queries.iter().enumerate().filter(|(_, query)| query.backward == backward);
        let (places, queries): (Vec<_>, Vec<_>) = places.unzip();
        if !queries.is_empty() {
            for (place, page) in places.into_iter().zip(one_way(shared, &queries)) {
                pages[place] = page;
            }
        }
    }
    pages
}

/// Pages of queries that all read in the same direction.
fn one_way(shared: &Shared, queries: &[&HistoryQuery]) -> Vec<Result<HistoryPage, HistoryGone>> {
    let mut reading = Reading::new(&shared.catalog.view(), queries);
    let held = shared.ring.hold(&reading.selection);
    for page in &mut reading.pages {
        page.until = page.until.min(held.bounds.next);
    }
    reading.memory(&held);
    if let Some(disk) = &shared.disk {
        reading.disk(shared, disk, held.bounds.first);
    }
    let first = held.bounds.first;
    let oldest = shared.disk.as_ref().and_then(Disk::oldest).map_or(first, |kept| kept.min(first));
    let gone = |query: &HistoryQuery| query.after.is_some_and(|after| after.rest < oldest);
    let pages = reading.pages.into_iter().zip(queries);
    pages.map(|(page, query)| if gone(query) { Err(HistoryGone) } else { Ok(page.finish()) }).collect()
}

/// A page in the making.
struct Page {
    backward: bool,
    /// Ranks from here on.
    start: Rank,
    /// The last time, turned round when read backward.
    end: i64,
    until: u64,
    limit: usize,
    mark: u32,
    found: BinaryHeap<Found>,
    weight: usize,
    most_weight: usize,
    /// The first rank that is not on this page any more.
    cut: Option<Rank>,
    /// The lowest sequence of what was found and is not on this page, or may be found later.
    rest: u64,
    done: bool,
}

struct Found {
    rank: Rank,
    recorded: Recorded,
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Found {}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl Page {
    fn new(query: &HistoryQuery, mark: u32, most_weight: usize) -> Self {
        let low = query.from.map_or(i64::MIN, Timestamp::nanos);
        // An end at the very beginning of time leaves nothing, like any end that is not behind the start.
        let high = query.until.map_or(Some(i64::MAX), |until| until.nanos().checked_sub(1));
        let (start, end) = match high {
            None => (i64::MAX, i64::MIN),
            Some(high) if query.backward => (!high, !low),
            Some(high) => (low, high),
        };
        let start = Rank(start, 0);
        Self {
            backward: query.backward,
            start: query.after.map_or(start, |after| after.at.max(start)),
            end,
            until: query.after.map_or(u64::MAX, |after| after.until),
            limit: query.limit.clamp(1, MOST),
            mark,
            found: BinaryHeap::new(),
            weight: 0,
            most_weight,
            cut: None,
            rest: u64::MAX,
            done: false,
        }
    }

    fn offer(&mut self, sequence: u64, observation: &Observation) {
        let rank = Rank::of(self.backward, observation.time().nanos(), sequence);
        if rank < self.start || rank.0 > self.end || sequence >= self.until {
            return;
        }
        if self.cut.is_some_and(|cut| rank >= cut) {
            self.rest = self.rest.min(sequence);
            return;
        }
        self.weight += weight(&observation.value);
        self.found.push(Found { rank, recorded: (sequence, observation.clone()) });
        while self.found.len() > self.limit || (self.weight > self.most_weight && self.found.len() > 1) {
            self.let_go();
        }
    }

    /// Leaves the last one to a later page.
    fn let_go(&mut self) {
        if let Some(Found { rank, recorded: (sequence, observation) }) = self.found.pop() {
            self.weight -= weight(&observation.value);
            self.cut = Some(rank);
            self.rest = self.rest.min(sequence);
        }
    }

    /// Whether nothing that ranks at `frontier` or behind it belongs to this page; `spent` says that
    /// enough was read.
    fn settle(&mut self, frontier: Rank, spent: bool) -> bool {
        let full = |page: &Self| {
            page.found.len() >= page.limit && page.found.peek().is_none_or(|last| last.rank < frontier)
        };
        // A full page is read on until it is known whether anything follows. What follows may begin at the frontier,
        // before what is known to follow.
        if !self.done && self.cut.is_some_and(|cut| cut > frontier) && full(self) {
            self.cut = Some(frontier);
        }
        self.done = self.done || frontier.0 > self.end || self.cut.is_some_and(|cut| cut <= frontier);
        if !self.done && spent && self.found.iter().any(|found| found.rank < frontier) {
            while self.found.peek().is_some_and(|last| last.rank >= frontier) {
                self.let_go();
            }
            self.cut = Some(frontier);
            self.done = true;
        }
        self.done
    }

    /// Whether a segment may hold something of this page or of later ones.
    fn wants(&self, candidate: &Candidate) -> bool {
        candidate.latest >= self.start.0
            && candidate.earliest <= self.end
            && candidate.first < self.until
            && candidate.digest.as_ref().is_none_or(|digest| digest.may_hold(self.mark))
    }

    fn finish(self) -> HistoryPage {
        let (until, rest) = (self.until, self.rest);
        HistoryPage {
            observations: self.found.into_sorted_vec().into_iter().map(|found| found.recorded).collect(),
            next: self.cut.map(|at| Continuation { at, until, rest }),
            backward: self.backward,
            until,
        }
    }
}

/// About how many bytes an observation with that value takes.
fn weight(value: &Value) -> usize {
    /// Key and value.
    const ENTRY: usize = size_of::<Entry>();
    let text = |cell: &Cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
    let entry = |entry: &Entry| match &entry.cell {
        Cell::Row(cells) => ENTRY + cells.iter().map(|entry| ENTRY + text(&entry.cell)).sum::<usize>(),
        cell => ENTRY + text(cell),
    };
    size_of::<Found>()
        + match value.plain() {
            Value::Text(text) => text.len(),
            Value::TimeSeries(series) => 8 * series.values.len(),
            Value::DataSet(set) => set.entries().iter().map(entry).sum(),
            Value::Message(message) => message.text.len() + message.native_code.len(),
            _ => 0,
        }
}

/// A segment that may hold something. Times are turned round when read backward.
struct Candidate {
    first: u64,
    bytes: u64,
    earliest: i64,
    latest: i64,
    /// `None` for the newest one, which may grow yet.
    digest: Option<Arc<Digest>>,
}

impl Candidate {
    fn new(backward: bool, file: &SegmentFile, digest: Option<Arc<Digest>>) -> Self {
        let (earliest, latest) =
            digest.as_ref().map_or((i64::MIN, i64::MAX), |digest| (digest.earliest, digest.latest));
        let (earliest, latest) = if backward { (!latest, !earliest) } else { (earliest, latest) };
        Self { first: file.first, bytes: file.bytes, earliest, latest, digest }
    }
}

/// A data item that is read.
struct Item {
    index: ItemIndex,
    /// Of a data set the whole one before the next observation.
    state: ItemState,
    pages: Vec<usize>,
}

/// Reads the pages of several queries at once.
struct Reading {
    view: View,
    pages: Vec<Page>,
    items: Vec<Item>,
    /// Where in `items`; also for the indices that an item had before it was taken out of the model and
    /// came back.
    places: FxHashMap<ItemIndex, usize>,
    selection: Selection,
}

impl Reading {
    fn new(view: &View, queries: &[&HistoryQuery]) -> Self {
        let mut pages = Vec::with_capacity(queries.len());
        let mut items: Vec<Item> = Vec::new();
        let mut places = FxHashMap::default();
        for (number, query) in queries.iter().enumerate() {
            let place = *places.entry(query.item).or_insert_with(|| {
                items.push(Item { index: query.item, state: ItemState::Unknown, pages: Vec::new() });
                items.len() - 1
            });
            items[place].pages.push(number);
            let (device, id) = view.name(query.item).unwrap_or(super::NO_NAME);
            pages.push(Page::new(query, digest::mark(device, id), WEIGHT / queries.len()));
        }
        for (place, item) in items.iter().enumerate() {
            for former in view.former(item.index) {
                places.entry(former).or_insert(place);
            }
        }
        // An index far beyond the model would make a long set of bits.
        let selection = Selection::of(places.keys().copied().filter(|item| item.index() < view.len()));
        Self { view: view.clone(), pages, items, places, selection }
    }

    /// Takes a state as it is before the next observations.
    fn begin(&mut self, state: impl Fn(ItemIndex) -> ItemState) {
        for item in &mut self.items {
            item.state = state(item.index);
        }
    }

    /// Takes an observation, in order of their sequences; offers it when it is in `range`.
    fn observe(&mut self, sequence: u64, observation: &Observation, offer: bool) {
        let Some(place) = self.places.get(&observation.item) else { return };
        let item = &mut self.items[*place];
        let observation = whole(&mut item.state, sequence, observation);
        if offer {
            for page in &item.pages {
                self.pages[*page].offer(sequence, &observation);
            }
        }
    }

    fn memory(&mut self, held: &Held) {
        self.begin(|item| held.state(item));
        let selection = self.selection.clone();
        held.each(&selection, |sequence, observation| {
            self.observe(sequence, observation, sequence >= held.bounds.first);
        });
    }

    /// Reads what is on disk only: sequences before `end`.
    fn disk(&mut self, shared: &Shared, disk: &Disk, end: u64) {
        let backward = self.pages.first().is_some_and(|page| page.backward);
        let (files, newest) = disk.until(end);
        shared.digests.forget_before(files.first().map_or(end, |file| file.first));
        let mut candidates: Vec<_> = files
            .iter()
            .filter_map(|file| {
                let digest = if Some(file.first) == newest { None } else { Some(shared.digests.get(file)?) };
                Some(Candidate::new(backward, file, digest))
            })
            .filter(|candidate| {
                let within = |page: &Page| candidate.latest >= page.start.0 && candidate.earliest <= page.end;
                self.pages.iter().any(within)
            })
            .collect();
        candidates.sort_by_key(|candidate| (candidate.earliest, candidate.first));
        let mut read = 0;
        for (place, candidate) in candidates.iter().enumerate() {
            let frontier = Rank(candidate.earliest, 0);
            for page in &mut self.pages {
                if !page.done && page.settle(frontier, read > BUDGET) {
                    page.rest = rest(page, &candidates[place..]);
                }
            }
            if self.pages.iter().any(|page| !page.done && page.wants(candidate)) {
                self.segment(&disk.folder, candidate.first, end);
                read += candidate.bytes;
            }
        }
    }

    /// Reads a segment as far as sequence `end`. One that was removed meanwhile holds nothing.
    fn segment(&mut self, folder: &std::path::Path, first: u64, end: u64) {
        let file = SegmentFile { first, path: segment_path(folder, first), bytes: 0, created: 0 };
        let Some(header) = recovery::readable_header(&file) else { return };
        let Ok(mut records) = recovery::open(&file) else { return };
        let mut decoder = Decoder::new(header, self.view.clone());
        let selection = self.selection.clone();
        self.begin(|_| ItemState::Unknown);
        while let Ok(record) = records.next() {
            let sequence = decoder.sequence(record.offset);
            let sound = match record.kind {
                Kind::Dictionary => decoder.dictionary(record.payload),
                Kind::States => decoder.states_of(record.payload, &selection, |sequence, state| {
                    self.observe(sequence, &state, false);
                }),
                Kind::Batch if sequence >= end => return,
                Kind::Batch => decoder.batch_of(record.payload, &selection, |place, observation| {
                    let sequence = sequence + place;
                    self.observe(sequence, &observation, sequence < end);
                }),
                _ => Some(()),
            };
            if sound.is_none() {
                return;
            }
        }
    }
}

/// The lowest sequence that what is left of a query may have.
fn rest(page: &Page, left: &[Candidate]) -> u64 {
    let mut left: Vec<_> = left.iter().filter(|candidate| candidate.first < page.rest).collect();
    left.sort_by_key(|candidate| candidate.first);
    left.into_iter().find(|candidate| page.wants(candidate)).map_or(page.rest, |found| found.first)
}

/// Of a change of a data set the whole set, and of everything else the observation as it is.
fn whole<'o>(state: &mut ItemState, sequence: u64, observation: &'o Observation) -> Cow<'o, Observation> {
    if !matches!(observation.value.plain(), Value::DataSet(_)) {
        *state = ItemState::Unknown;
        return Cow::Borrowed(observation);
    }
    fold::data_set(state, sequence, observation);
    match state {
        ItemState::Latest((_, whole)) => Cow::Owned(whole.clone()),
        _ => Cow::Borrowed(observation),
    }
}

#[cfg(test)]
mod tests;
