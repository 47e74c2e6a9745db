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
    append_all(&mut writer, (0..500).map(|n| [at(n), testing::number(1, 0.0)]).collect::<Vec<_>>().iter());
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
