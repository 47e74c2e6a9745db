//! The newest observations, in memory.
//!
//! Observations live in chunks. Full chunks are shared: a reader takes references under a short
//! lock and looks at them without one, so a slow reader never holds up the writer. Only the chunk
//! that is being filled is read under the lock, and it is small.
//!
//! Sequences are contiguous within a chunk. Between chunks there can be a hole, where the journal
//! was damaged; the ledger says so.

use std::collections::VecDeque;
use std::sync::Arc;

use guideway_contract::{ItemIndex, Observation};

use super::state::States;
use super::{Bounds, ItemState, OutOfRange, Recorded, Selection};

/// Stands for an item that the device model does not have any more. Its observations keep their
/// sequences and nobody is shown them.
pub(super) const NO_ITEM: ItemIndex = ItemIndex(u32::MAX);

/// Observations in a chunk: 48 KiB.
const CHUNK: usize = 1_024;

#[derive(Clone, Default)]
struct Chunk {
    first: u64,
    observations: Vec<Observation>,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.first + self.observations.len() as u64
    }

    /// The observations before `until`, and the sequence of the first.
    fn before(&self, until: u64) -> (u64, &[Observation]) {
        (self.first, &self.observations[..place(until, self.first).min(self.observations.len())])
    }
}

/// The ring and the states at its ends.
pub(super) struct Ring {
    capacity: usize,
    chunks: VecDeque<Arc<Chunk>>,
    head: Chunk,
    /// Observations in front of the oldest chunk that are no longer in the ring.
    skip: usize,
    /// Observations in all chunks, those in front included.
    count: usize,
    next: u64,
    /// The states before the oldest chunk.
    base: States,
    latest: States,
    conditions: Arc<Vec<bool>>,
    /// Whether there are, or were, observations of items that are gone.
    holes: bool,
}

/// What a reader takes out of the lock.
struct View {
    chunks: Vec<Arc<Chunk>>,
    /// What the reader wants of the chunk that is being filled.
    head: Vec<Recorded>,
}

impl Ring {
    pub(super) fn new(capacity: usize, first: u64) -> Self {
        Self {
            capacity: capacity.max(1),
            chunks: VecDeque::new(),
            head: Chunk { first, observations: Vec::new() },
            skip: 0,
            count: 0,
            next: first,
            base: States::default(),
            latest: States::default(),
            conditions: Arc::default(),
            holes: false,
        }
    }

    /// A ring that goes on from known states.
    pub(super) fn from_states(capacity: usize, first: u64, states: States) -> Self {
        Self { base: states.clone(), latest: states, ..Self::new(capacity, first) }
    }

    /// Which items are conditions.
    pub(super) fn set_conditions(&mut self, conditions: Vec<bool>) {
        self.conditions = Arc::new(conditions);
    }

    pub(super) fn bounds(&self) -> Bounds {
        let oldest = self.chunks.front().map_or(&self.head, |chunk| &**chunk);
        Bounds { first: oldest.first + self.skip as u64, next: self.next }
    }

    /// Goes on at a higher sequence; what lies between is lost.
    pub(super) fn jump(&mut self, next: u64) {
        if next > self.next {
            self.seal();
            self.next = next;
            self.head.first = next;
        }
    }

    /// Takes observations that are too old to be in a ring that is still empty into its states; then
    /// [`settle`](Self::settle).
    pub(super) fn pass(&mut self, observations: &[Observation]) {
        self.base.roll(std::iter::once((self.next, observations)), &self.conditions, &Selection::All);
        self.next += observations.len() as u64;
        self.head.first = self.next;
    }

    /// Ends a series of [`pass`](Self::pass).
    pub(super) fn settle(&mut self) {
        self.latest = self.base.clone();
    }

    /// Appends one observation and lets the oldest go where there is no room.
    pub(super) fn push(&mut self, observation: Observation) {
        if observation.item != NO_ITEM {
            let condition = self.conditions.get(observation.item.index()).copied().unwrap_or(false);
            self.latest.apply(self.next, &observation, condition);
        } else {
            self.holes = true;
        }
        self.head.observations.push(observation);
        self.next += 1;
        self.count += 1;
        if self.head.observations.len() >= CHUNK.min(self.capacity) {
            self.seal();
        }
        if self.count - self.skip > self.capacity {
            self.skip += 1;
            self.evict();
        }
    }

    /// Ends the chunk that is being filled.
    fn seal(&mut self) {
        if !self.head.observations.is_empty() {
            let full = std::mem::take(&mut self.head);
            self.head.first = full.end();
            // The next chunk will be as long; growing it step by step would copy it several times.
            self.head.observations.reserve_exact(full.observations.len());
            self.chunks.push_back(Arc::new(full));
        }
    }

    /// Folds the oldest chunk into the base once nothing of it is in the ring any more.
    fn evict(&mut self) {
        while let Some(oldest) = self.chunks.front()
            && self.skip >= oldest.observations.len()
        {
            self.base.roll(std::iter::once(oldest.before(u64::MAX)), &self.conditions, &Selection::All);
            self.skip -= oldest.observations.len();
            self.count -= oldest.observations.len();
            self.chunks.pop_front();
        }
    }

    /// The chunks with sequences from `from` on and before `until`, and the selected observations of
    /// the head, unless `limit` is reached before them.
    fn view(
        &self,
        from: u64,
        until: u64,
        limit: usize,
        whole: bool,
        wanted: impl Fn(&Observation) -> bool,
    ) -> View {
        let begin = self.chunks.partition_point(|chunk| chunk.end() <= from);
        let end = self.chunks.partition_point(|chunk| chunk.first < until);
        // The first chunk may hold up to a chunk of observations before `from`.
        let enough = limit.saturating_add(CHUNK);
        let whole = whole && !self.holes;
        let mut held = 0;
        let mut chunks = Vec::new();
        for chunk in self.chunks.range(begin.min(end)..end) {
            if whole && held >= enough {
                return View { chunks, head: Vec::new() };
            }
            held += chunk.observations.len();
            chunks.push(chunk.clone());
        }
        let mut head = Vec::new();
        if !whole || held < enough {
            collect(&self.head, from, until, limit, wanted, &mut head);
        }
        View { chunks, head }
    }
}

/// What the ring holds of selected items, to be looked at without the lock.
pub(super) struct Held {
    pub(super) bounds: Bounds,
    base: States,
    chunks: Vec<Arc<Chunk>>,
    head: Vec<Recorded>,
}

impl Held {
    /// The state of an item before the first observation that [`each`](Self::each) gives.
    pub(super) fn state(&self, item: ItemIndex) -> ItemState {
        self.base.get(item).clone()
    }

    /// Gives the selected observations in order, also some in front of `bounds`. The selection is the
    /// one that was held.
    pub(super) fn each(&self, selection: &Selection, mut each: impl FnMut(u64, &Observation)) {
        for chunk in &self.chunks {
            for (sequence, observation) in (chunk.first..).zip(&chunk.observations) {
                if wanted(selection, observation) {
                    each(sequence, observation);
                }
            }
        }
        for (sequence, observation) in &self.head {
            each(*sequence, observation);
        }
    }
}

/// Adds a chunk's selected observations until there are `limit`; true when that is reached.
fn collect(
    chunk: &Chunk,
    from: u64,
    until: u64,
    limit: usize,
    wanted: impl Fn(&Observation) -> bool,
    found: &mut Vec<Recorded>,
) -> bool {
    let skip = place(from, chunk.first).min(chunk.observations.len());
    let end = place(until, chunk.first).clamp(skip, chunk.observations.len());
    for (sequence, observation) in (chunk.first + skip as u64..).zip(&chunk.observations[skip..end]) {
        if found.len() >= limit {
            return true;
        }
        if wanted(observation) {
            found.push((sequence, observation.clone()));
        }
    }
    found.len() >= limit
}

/// As [`collect`], newest first, with sequences up to `from`.
fn collect_back(
    chunk: &Chunk,
    from: u64,
    limit: usize,
    selection: &Selection,
    found: &mut Vec<Recorded>,
) -> bool {
    let end = place(from.saturating_add(1), chunk.first).min(chunk.observations.len());
    for (place, observation) in chunk.observations[..end].iter().enumerate().rev() {
        if found.len() >= limit {
            return true;
        }
        if wanted(selection, observation) {
            found.push((chunk.first + place as u64, observation.clone()));
        }
    }
    found.len() >= limit
}

fn wanted(selection: &Selection, observation: &Observation) -> bool {
    observation.item != NO_ITEM && selection.contains(observation.item)
}

/// The place of a sequence in a chunk that begins at `first`.
fn place(sequence: u64, first: u64) -> usize {
    usize::try_from(sequence.saturating_sub(first)).unwrap_or(usize::MAX)
}

/// The lock around the ring.
pub(super) struct SharedRing(parking_lot::RwLock<Ring>);

impl SharedRing {
    pub(super) fn new(ring: Ring) -> Self {
        Self(parking_lot::RwLock::new(ring))
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.0.read().bounds()
    }

    pub(super) fn latest(&self) -> States {
        self.0.read().latest.clone()
    }

    /// Makes a change that readers see at once. Keep it short.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Ring) -> T) -> T {
        change(&mut self.0.write())
    }

    /// See [`Journal::read`](super::Journal::read).
    pub(super) fn read(
        &self,
        from: u64,
        until: Option<u64>,
        limit: usize,
        selection: &Selection,
    ) -> Result<(Vec<Recorded>, u64), OutOfRange> {
        let whole = *selection == Selection::All;
        self.read_where(from, until, limit, whole, |observation| wanted(selection, observation))
    }

    /// `whole` says that (nearly) everything is wanted.
    fn read_where(
        &self,
        from: u64,
        until: Option<u64>,
        limit: usize,
        whole: bool,
        wanted: impl Fn(&Observation) -> bool + Copy,
    ) -> Result<(Vec<Recorded>, u64), OutOfRange> {
        let (view, until) = {
            let ring = self.0.read();
            let bounds = in_range(from, ring.bounds())?;
            let until = until.map_or(bounds.next, |until| until.min(bounds.next));
            if limit == 0 || until <= from {
                return Ok((Vec::new(), from));
            }
            (ring.view(from, until, limit, whole, wanted), until)
        };
        if view.chunks.is_empty() {
            let next = reached(&view.head, limit, until);
            return Ok((view.head, next));
        }
        let mut found = Vec::new();
        let full = view.chunks.iter().any(|chunk| collect(chunk, from, until, limit, wanted, &mut found));
        if !full {
            let rest = limit - found.len();
            found.extend(view.head.into_iter().take(rest));
        }
        let next = reached(&found, limit, until);
        Ok((found, next))
    }

    /// Up to `limit` observations from `from` on, those of items that are gone included.
    pub(super) fn read_all(&self, from: u64, limit: usize) -> Result<Vec<Recorded>, OutOfRange> {
        self.read_where(from, None, limit, true, |_| true).map(|(found, _)| found)
    }

    /// See [`Journal::read_back`](super::Journal::read_back).
    pub(super) fn read_back(
        &self,
        from: u64,
        limit: usize,
        selection: &Selection,
    ) -> Result<(Vec<Recorded>, u64), OutOfRange> {
        let mut found = Vec::new();
        let (chunks, first) = {
            let ring = self.0.read();
            let bounds = in_range(from, ring.bounds())?;
            if limit == 0 {
                return Ok((found, from));
            }
            if collect_back(&ring.head, from, limit, selection, &mut found) {
                let next = found.last().map_or(from, |last| last.0 - 1);
                return Ok((found, next));
            }
            let end = ring.chunks.partition_point(|chunk| chunk.first <= from);
            (ring.chunks.range(..end).cloned().collect::<Vec<_>>(), bounds.first)
        };
        for chunk in chunks.iter().rev() {
            if collect_back(chunk, from, limit, selection, &mut found) {
                break;
            }
        }
        // The oldest chunk also holds what is no longer in the ring.
        let full = found.len() >= limit;
        found.truncate(found.partition_point(|recorded| recorded.0 >= first));
        let next = match found.last() {
            Some(last) if full && found.len() >= limit => last.0 - 1,
            _ => first - 1,
        };
        Ok((found, next))
    }

    /// What the ring holds of selected items.
    pub(super) fn hold(&self, selection: &Selection) -> Held {
        let mut head = Vec::new();
        let ring = self.0.read();
        let is_wanted = |observation: &Observation| wanted(selection, observation);
        collect(&ring.head, 0, u64::MAX, usize::MAX, is_wanted, &mut head);
        let chunks = ring.chunks.iter().cloned().collect();
        Held { bounds: ring.bounds(), base: ring.base.clone(), chunks, head }
    }

    /// The states of selected items (others may be older) after `at`, or now; where the ring stood;
    /// and how many items there are.
    pub(super) fn states(
        &self,
        at: Option<u64>,
        selection: &Selection,
    ) -> Result<(States, Bounds, usize), OutOfRange> {
        let (mut states, chunks, head, bounds, conditions) = {
            let ring = self.0.read();
            let bounds = ring.bounds();
            let Some(at) = at else {
                return Ok((ring.latest.clone(), bounds, ring.conditions.len()));
            };
            if at < bounds.first || at >= bounds.next {
                return Err(OutOfRange { asked: at, bounds });
            }
            if at + 1 == bounds.next {
                return Ok((ring.latest.clone(), bounds, ring.conditions.len()));
            }
            let end = ring.chunks.partition_point(|chunk| chunk.first <= at);
            let chunks: Vec<_> = ring.chunks.range(..end).cloned().collect();
            let head = (ring.head.first <= at).then(|| ring.head.clone());
            (ring.base.clone(), chunks, head, bounds, ring.conditions.clone())
        };
        let until = at.map_or(bounds.next, |at| at + 1);
        let chunks = chunks.iter().map(|chunk| &**chunk).chain(&head);
        states.roll(chunks.map(|chunk| chunk.before(until)), &conditions, selection);
        Ok((states, bounds, conditions.len()))
    }
}

/// Where a reader goes on: behind the last one when it has its fill, else where it was to stop.
fn reached(found: &[Recorded], limit: usize, until: u64) -> u64 {
    match found.last() {
        Some(last) if found.len() >= limit => last.0 + 1,
        _ => until,
    }
}

fn in_range(from: u64, bounds: Bounds) -> Result<Bounds, OutOfRange> {
    if from < bounds.first || from > bounds.next {
        return Err(OutOfRange { asked: from, bounds });
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{self, CATALOG_SIZE};
    use super::super::{ItemState, fold};
    use super::*;

    fn filled(capacity: usize, history: &[Observation]) -> SharedRing {
        let mut ring = Ring::new(capacity, 1);
        ring.set_conditions(testing::catalog().view().conditions());
        history.iter().cloned().for_each(|observation| ring.push(observation));
        SharedRing::new(ring)
    }

    fn naive_states(history: &[Observation], at: u64) -> Vec<ItemState> {
        let conditions = testing::catalog().view().conditions();
        let mut states = vec![ItemState::Unknown; CATALOG_SIZE];
        for (sequence, observation) in (1..=at).zip(history) {
            let state = &mut states[observation.item.index()];
            if conditions[observation.item.index()] {
                fold::condition(state, sequence, observation);
            } else if matches!(observation.value.plain(), guideway_contract::Value::DataSet(_)) {
                fold::data_set(state, sequence, observation);
            } else {
                *state = ItemState::Latest((sequence, observation.clone()));
            }
        }
        states
    }

    proptest! {
        // Each case looks at every sequence.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_state_at_any_sequence_is_what_a_naive_fold_gives(
            history in testing::history(1..120),
            capacity in 1_usize..64,
        ) {
            let ring = filled(capacity, &history);
            let bounds = ring.bounds();
            for at in bounds.first..bounds.next {
                let (states, ..) = ring.states(Some(at), &Selection::All).unwrap();
                let states = states.to_vec(CATALOG_SIZE, &Selection::All);
                prop_assert_eq!(&states[..CATALOG_SIZE], naive_states(&history, at));
            }
            prop_assert!(ring.states(Some(bounds.next), &Selection::All).is_err());
            prop_assert!(ring.states(Some(bounds.first - 1), &Selection::All).is_err());
        }

        #[test]
        fn reading_gives_what_a_filter_over_the_history_gives(
            history in testing::history(1..120),
            capacity in 1_usize..64,
            from in 0_u64..130,
            until in proptest::option::of(0_u64..130),
            limit in 0_usize..50,
            items in proptest::option::of(proptest::collection::vec(0..CATALOG_SIZE as u32, 0..4)),
        ) {
            let ring = filled(capacity, &history);
            let Bounds { first, next } = ring.bounds();
            prop_assert_eq!(next - first, history.len().min(capacity) as u64);
            let selection = items.map_or(Selection::All, |items| {
                Selection::of(items.into_iter().map(ItemIndex))
            });
            let all: Vec<Recorded> = (1..).zip(history.iter().cloned()).collect();
            let within = |sequence: u64| (first..next).contains(&sequence);
            let expected: Vec<_> = all
                .iter()
                .filter(|(sequence, o)| within(*sequence) && *sequence >= from && selection.contains(o.item))
                .filter(|(sequence, _)| until.is_none_or(|until| *sequence < until))
                .take(limit)
                .cloned()
                .collect();
            let back: Vec<_> = all
                .iter()
                .rev()
                .filter(|(sequence, o)| within(*sequence) && *sequence <= from && selection.contains(o.item))
                .take(limit)
                .cloned()
                .collect();
            if from < first || from > next {
                prop_assert!(ring.read(from, until, limit, &selection).is_err());
                prop_assert!(ring.read_back(from, limit, &selection).is_err());
            } else {
                let (found, go_on) = ring.read(from, until, limit, &selection).unwrap();
                let full = limit > 0 && found.len() == limit;
                let stop = until.unwrap_or(next).min(next).max(from);
                let whole = if limit == 0 { from } else { stop };
                prop_assert_eq!(go_on, if full { found[limit - 1].0 + 1 } else { whole });
                prop_assert_eq!(found, expected);
                let (found, go_on) = ring.read_back(from, limit, &selection).unwrap();
                let full = limit > 0 && found.len() == limit;
                let whole = if limit == 0 { from } else { first - 1 };
                prop_assert_eq!(go_on, if full { found[limit - 1].0 - 1 } else { whole });
                prop_assert_eq!(found, back);
            }
        }
    }

    #[test]
    fn a_hole_in_the_sequence_takes_no_room_and_reading_goes_on_behind_it() {
        let mut ring = Ring::new(10, 1);
        let observation = || testing::number(0, 1.0);
        (0..4).for_each(|_| ring.push(observation()));
        ring.jump(1_000_000);
        (0..4).for_each(|_| ring.push(observation()));
        let ring = SharedRing::new(ring);
        assert_eq!(ring.bounds(), Bounds { first: 1, next: 1_000_004 });
        let (found, next) = ring.read(3, None, 3, &Selection::All).unwrap();
        let sequences: Vec<_> = found.iter().map(|recorded| recorded.0).collect();
        assert_eq!(sequences, [3, 4, 1_000_000]);
        assert_eq!(next, 1_000_001);
        let (found, _) = ring.read(500, None, 1, &Selection::All).unwrap();
        assert_eq!(found[0].0, 1_000_000);
        let (found, _) = ring.read_back(500_000, 1, &Selection::All).unwrap();
        assert_eq!(found[0].0, 4);
    }
}
