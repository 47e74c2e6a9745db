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
        // A full page is read on until it is known whether anything follows.
        self.done =
            self.done || frontier.0 > self.end || self.cut.is_some_and(|cut| cut <= frontier || full(self));
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
mod tests {
    use guideway_contract::DataSet;
    use proptest::prelude::*;

    use super::super::catalog::Catalog;
    use super::super::tests::{Bench, append_all};
    use super::super::{Bounds, Journal, Options, open, testing};
    use super::*;

    fn query(item: u32, limit: usize) -> HistoryQuery {
        let item = ItemIndex(item);
        HistoryQuery { item, from: None, until: None, backward: false, limit, after: None }
    }

    /// All pages of a query, as one.
    fn all(journal: &Journal, query: &HistoryQuery) -> Vec<Recorded> {
        let mut query = query.clone();
        let mut all = Vec::new();
        loop {
            let page = journal.history(&query).unwrap();
            assert!(page.observations.len() <= query.limit);
            all.extend(page.observations);
            query.after = page.next;
            if query.after.is_none() {
                return all;
            }
        }
    }

    /// What a query should give.
    fn expected(history: &[Observation], first: u64, query: &HistoryQuery) -> Vec<Recorded> {
        let mut state = ItemState::Unknown;
        let mut all: Vec<Recorded> = (1..)
            .zip(history)
            .filter(|(_, observation)| observation.item == query.item)
            .map(|(sequence, observation)| (sequence, whole(&mut state, sequence, observation).into_owned()))
            .collect();
        all.retain(|(sequence, observation)| {
            *sequence >= first
                && query.from.is_none_or(|from| observation.time() >= from)
                && query.until.is_none_or(|until| observation.time() < until)
        });
        all.sort_by_key(|(sequence, observation)| (observation.time(), *sequence));
        if query.backward {
            all.reverse();
        }
        all
    }

    /// An observation of item 0 at that second.
    fn at(second: i64) -> Observation {
        let mut observation = testing::number(0, second as f64);
        let time = Timestamp::from_nanos(second * 1_000_000_000, 3);
        observation = Observation::new(observation.item, time, observation.arrival(), observation.value);
        observation
    }

    fn seconds(recorded: &[Recorded]) -> Vec<i64> {
        recorded.iter().map(|(_, observation)| observation.time().nanos() / 1_000_000_000).collect()
    }

    #[derive(Clone, Copy, Debug)]
    enum Where {
        Memory,
        Disk,
        AfterRestart,
        AfterKill,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn every_range_is_given_whole_and_in_order_wherever_it_is_kept(
            history in testing::history(1..300),
            buffer_size in prop_oneof![Just(1_u32), 1_u32..50, Just(1_000)],
            place in prop_oneof![
                Just(Where::Memory), Just(Where::Disk), Just(Where::AfterRestart), Just(Where::AfterKill)
            ],
            (from, until) in (proptest::option::of(0_usize..300), proptest::option::of(0_usize..300)),
            (backward, limit) in (any::<bool>(), 1_usize..20),
        ) {
            let mut bench = Bench::new(buffer_size);
            let (mut writer, mut journal) = match place {
                Where::Memory => {
                    let options = Options { durable: false, ..bench.options };
                    open::open(&options, None, testing::catalog()).unwrap()
                }
                _ => bench.open(),
            };
            append_all(&mut writer, history.chunks(3));
            let mut first = 1;
            match place {
                Where::Memory => first = journal.bounds().first,
                Where::Disk => {}
                Where::AfterRestart => {
                    drop(writer);
                    (writer, journal) = bench.open();
                }
                Where::AfterKill => {
                    let killed = bench.killed();
                    drop(writer);
                    bench = killed;
                    (writer, journal) = bench.open();
                }
            }
            let time = |place: usize| history[place % history.len()].time();
            for item in 0..8 {
                let mut query = query(item, limit);
                query.from = from.map(time);
                query.until = until.map(time);
                query.backward = backward;
                prop_assert_eq!(all(&journal, &query), expected(&history, first, &query));
            }
            drop(writer);
        }

        #[test]
        fn a_page_that_is_cut_goes_on_where_it_was_cut(
            history in testing::history(1..100),
            (length, limit, backward) in (0_usize..10, 1_usize..10, any::<bool>()),
        ) {
            let bench = Bench::new(20);
            let (mut writer, journal) = bench.open();
            append_all(&mut writer, history.chunks(3));
            let query = HistoryQuery { backward, ..query(6, limit) };
            let whole = all(&journal, &query);
            let mut page = journal.history(&query).unwrap();
            let after = page.cut(length);
            let mut found = page.observations;
            prop_assert!(found.len() <= length);
            if after.is_some() {
                found.extend(all(&journal, &HistoryQuery { after, ..query }));
            }
            prop_assert_eq!(found, whole);
        }
    }

    #[test]
    fn several_items_are_read_at_once_each_in_its_own_direction() {
        let bench = Bench::new(10);
        let (mut writer, journal) = bench.open();
        let history: Vec<_> = (0..2_000).map(|n| testing::number(n % 6, f64::from(n))).collect();
        append_all(&mut writer, history.chunks(10));
        let queries: Vec<_> =
            (0..12).map(|n| HistoryQuery { backward: n % 2 == 1, ..query(n % 6, 5 + n as usize) }).collect();
        let pages = journal.histories(&queries);
        for (query, page) in queries.iter().zip(pages) {
            assert_eq!(page, journal.history(query));
            assert_eq!(page.unwrap().observations[..], expected(&history, 1, query)[..query.limit]);
        }
    }

    #[test]
    fn a_full_page_says_whether_anything_follows() {
        for buffer_size in [1, 100] {
            let bench = Bench::new(buffer_size);
            let (mut writer, journal) = bench.open();
            append_all(&mut writer, (1..=50).map(|second| [at(second)]).collect::<Vec<_>>().iter());
            for backward in [false, true] {
                let page = |limit| journal.history(&HistoryQuery { backward, ..query(0, limit) }).unwrap();
                assert!(page(50).next.is_none());
                assert!(page(49).next.is_some());
                assert!(page(51).next.is_none());
            }
        }
    }

    #[test]
    fn what_comes_after_the_first_page_is_not_part_of_the_answer() {
        let bench = Bench::new(5);
        let (mut writer, journal) = bench.open();
        append_all(&mut writer, [[at(1), at(3), at(5), at(7)]].iter());
        let page = journal.history(&query(0, 2)).unwrap();
        assert_eq!(seconds(&page.observations), [1, 3]);
        append_all(&mut writer, [[at(4), at(2), at(8)]].iter());
        let rest = all(&journal, &HistoryQuery { after: page.next, ..query(0, 2) });
        assert_eq!(seconds(&rest), [5, 7]);
        assert_eq!(seconds(&all(&journal, &query(0, 2))), [1, 2, 3, 4, 5, 7, 8]);
    }

    #[test]
    fn a_continuation_says_when_retention_has_removed_what_follows() {
        let mut bench = Bench::new(5);
        bench.options.retention_bytes = 20_000;
        let (mut writer, journal) = bench.open();
        let batch = |from: i64| (from..from + 20).map(at).collect::<Vec<_>>();
        append_all(&mut writer, (0..20).map(|n| batch(20 * n)).collect::<Vec<_>>().iter());
        let early = journal.history(&query(0, 10)).unwrap();
        let late = journal.history(&HistoryQuery { from: Some(at(390).time()), ..query(0, 1) }).unwrap();
        let newest_first = HistoryQuery { backward: true, ..query(0, 10) };
        let backward = journal.history(&newest_first).unwrap();
        assert_eq!(seconds(&early.observations), (0..10).collect::<Vec<_>>());
        let mut next = 20;
        while journal.history(&query(0, 1)).unwrap().observations[0].0 == 1 {
            append_all(&mut writer, [batch(20 * next)].iter());
            next += 1;
        }
        let go_on = |query: HistoryQuery, after| journal.history(&HistoryQuery { after, ..query });
        assert_eq!(go_on(query(0, 10), early.next), Err(HistoryGone));
        assert_eq!(go_on(newest_first, backward.next), Err(HistoryGone));
        let late = go_on(HistoryQuery { from: Some(at(390).time()), ..query(0, 20) }, late.next).unwrap();
        assert_eq!(seconds(&late.observations), (391..400).collect::<Vec<_>>());
    }

    #[test]
    fn in_memory_a_continuation_says_when_the_ring_has_let_go_what_follows() {
        let options = Options { buffer_size: 10, durable: false, ..Options::default() };
        let (mut writer, journal) = open::open(&options, None, testing::catalog()).unwrap();
        append_all(&mut writer, [(0..10).map(at).collect::<Vec<_>>()].iter());
        let page = journal.history(&query(0, 5)).unwrap();
        append_all(&mut writer, [vec![at(10); 5]].iter());
        let go_on = || journal.history(&HistoryQuery { after: page.next, ..query(0, 5) });
        assert_eq!(seconds(&go_on().unwrap().observations), [5, 6, 7, 8, 9]);
        append_all(&mut writer, [[at(11)]].iter());
        assert_eq!(go_on(), Err(HistoryGone));
    }

    #[test]
    fn large_sets_make_pages_short_but_none_is_left_out() {
        let bench = Bench::new(10);
        let (mut writer, journal) = bench.open();
        let text = "x".repeat(1 << 18);
        let set = |key: usize| {
            let entry = Entry { key: format!("k{key}").into(), cell: Cell::Text(text.as_str().into()) };
            let value = Value::DataSet(Arc::new(DataSet::new(None, vec![entry])));
            Observation::new(ItemIndex(6), at(1).time(), at(1).arrival(), value)
        };
        append_all(&mut writer, (0..20).map(|key| [set(key)]).collect::<Vec<_>>().iter());
        let page = journal.history(&query(6, 1_000)).unwrap();
        let length = page.observations.len();
        assert!((1..10).contains(&length), "{length} sets");
        let found = all(&journal, &query(6, 1_000));
        let keys = found.iter().map(|(_, observation)| match &observation.value {
            Value::DataSet(set) => set.len(),
            other => panic!("{other:?}"),
        });
        assert!(keys.eq(1..=20));
    }

    #[test]
    fn full_and_closed_segments_have_a_digest_and_one_that_was_cut_off_is_made() {
        let bench = Bench::new(10);
        let (mut writer, journal) = bench.open();
        append_all(
            &mut writer,
            (0..500).map(|n| [at(n), testing::number(1, 0.0)]).collect::<Vec<_>>().iter(),
        );
        let Bounds { next, .. } = journal.bounds();
        drop((writer, journal));
        let (_writer, journal) = bench.open();
        let shared = &journal.shared;
        let (files, newest) = shared.disk.as_ref().unwrap().until(next);
        assert!(files.len() > 3);
        assert_eq!(newest, files.last().map(|file| file.first));
        for file in &files {
            let written = digest::Digest::of_file(file).expect("a digest");
            assert_eq!(Some(&written), digest::Digest::made(file).as_ref());
            assert!(written.may_hold(digest::mark("machine-0", "item-0")));
            assert!(!written.may_hold(digest::mark("machine-1", "item-3")));
        }
        // Without one.
        let file = &files[1];
        let bytes = std::fs::read(&file.path).unwrap();
        std::fs::write(&file.path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(digest::Digest::of_file(file), None);
        assert_eq!(all(&journal, &query(0, 100)).len(), 500);
    }

    #[test]
    fn a_segment_that_holds_nothing_for_a_query_is_not_opened() {
        let bench = Bench::new(10);
        let (mut writer, journal) = bench.open();
        append_all(&mut writer, (0..500).map(|n| [at(n)]).collect::<Vec<_>>().iter());
        let (files, _) = journal.shared.disk.as_ref().unwrap().until(u64::MAX);
        // Fills the cache of digests.
        assert_eq!(journal.history(&query(0, 1_000)).unwrap().observations.len(), 500);
        // What lies in the middle cannot be read any more; the ends are found all the same.
        for file in &files[1..files.len() - 1] {
            std::fs::remove_file(&file.path).unwrap();
        }
        let page = |from, until| {
            let query =
                HistoryQuery { from: Some(at(from).time()), until: Some(at(until).time()), ..query(0, 9) };
            seconds(&journal.history(&query).unwrap().observations)
        };
        assert_eq!(page(0, 5), [0, 1, 2, 3, 4]);
        assert_eq!(page(498, 600), [498, 499]);
        assert_eq!(page(200, 202), [0_i64; 0]);
    }

    #[test]
    fn an_item_that_is_not_in_the_model_has_no_history() {
        let Catalog::Fixed(_) = testing::catalog() else { panic!("a fixed catalogue") };
        let bench = Bench::new(10);
        let (mut writer, journal) = bench.open();
        append_all(&mut writer, [[at(1)]].iter());
        let page = journal.history(&query(1_000_000, 10)).unwrap();
        assert_eq!((page.observations, page.next), (Vec::new(), None));
    }
}
