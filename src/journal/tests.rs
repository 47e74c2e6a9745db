//! The journal as a whole: what survives a restart, a kill, a power loss and damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guideway_contract::{ItemIndex, Observation, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

use super::catalog::Catalog;
use super::open::{System, on_disk};
use super::testing::{self, CATALOG_SIZE, number};
use super::*;

const SAME_BOOT: [u8; 16] = [1; 16];
const OTHER_BOOT: [u8; 16] = [2; 16];

/// A journal's folder and how it is opened.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) options: Options,
    pub(super) system: System,
    catalog: Catalog,
}

impl Bench {
    pub(super) fn new(buffer_size: u32) -> Self {
        Self {
            folder: folder(),
            options: Options {
                buffer_size,
                sync_interval: std::time::Duration::from_secs(3_600),
                ..Options::default()
            },
            system: System { boot: SAME_BOOT, segment_bytes: 2_000 },
            catalog: testing::catalog(),
        }
    }

    pub(super) fn open(&self) -> (Writer, Journal) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(Writer, Journal), OpenError> {
        on_disk(&self.options, self.folder.path(), self.catalog.clone(), &self.system)
    }

    /// What is on disk now, as another process finds it after this one was killed.
    pub(super) fn killed(&self) -> Self {
        let other = Self {
            folder: folder(),
            options: self.options.clone(),
            system: System { ..self.system },
            catalog: self.catalog.clone(),
        };
        copy(&self.folder.path().join("journal"), &other.folder.path().join("journal"));
        fs::copy(self.folder.path().join("instances"), other.folder.path().join("instances")).unwrap();
        other
    }

    pub(super) fn segments(&self) -> Vec<PathBuf> {
        let mut segments: Vec<_> = fs::read_dir(self.folder.path().join("journal"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
            .collect();
        segments.sort();
        segments
    }
}

/// In memory where that is possible: these tests sync often, and no power is lost.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn append(writer: &mut Writer, history: &[Observation]) -> std::ops::Range<u64> {
    writer.append(&mut history.to_vec())
}

pub(super) fn append_all<'h>(
    writer: &mut Writer,
    batches: impl IntoIterator<Item = &'h (impl AsRef<[Observation]> + ?Sized + 'h)>,
) {
    for batch in batches {
        append(writer, batch.as_ref());
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<Observation> {
    range.map(|n| number(n % 6, f64::from(n) / 8.0)).collect()
}

fn ring(journal: &Journal) -> Vec<Recorded> {
    let Bounds { first, .. } = journal.bounds();
    journal.read(first, None, usize::MAX, &Selection::All).unwrap().0
}

fn states(journal: &Journal, at: Option<u64>) -> Vec<ItemState> {
    let mut items = journal.snapshot(at).unwrap().items;
    items.truncate(CATALOG_SIZE);
    items
}

/// Everything a durable reader gets from `from` on: observations, and the gaps between them.
fn catch_up(journal: &Journal, name: &str, mut from: u64, limit: usize) -> (Vec<Recorded>, Vec<Gap>) {
    let (mut all, mut gaps) = (Vec::new(), Vec::new());
    loop {
        match journal.stretch(name, from, limit) {
            Stretch::Observations(found) => {
                for (expected, recorded) in (from..).zip(found) {
                    assert_eq!(recorded.0, expected);
                    from = recorded.0 + 1;
                    all.push(recorded);
                }
            }
            Stretch::Gap(gap) => {
                assert_eq!(gap.from, from);
                from = gap.to + 1;
                gaps.push(gap);
            }
            Stretch::End => return (all, gaps),
        }
    }
}

fn sequences(recorded: &[Recorded]) -> Vec<u64> {
    recorded.iter().map(|recorded| recorded.0).collect()
}

fn asset(id: &str) -> Asset {
    Asset {
        id: id.into(),
        asset_type: "CuttingTool".into(),
        device_uuid: "machine-0".into(),
        time: Timestamp::EPOCH,
        removed: false,
        body: "<CuttingTool/>".into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_restart_brings_everything_back(
        batches in proptest::collection::vec(testing::history(0..40), 1..20),
        buffer_size in 1_u32..200,
        in_order in any::<bool>(),
    ) {
        let bench = Bench::new(buffer_size);
        let (mut writer, journal) = bench.open();
        append_all(&mut writer, batches.iter());
        writer.put_asset(asset("a"));
        writer.put_asset(asset("b"));
        writer.remove_asset("a", Timestamp::EPOCH).unwrap();
        journal.acknowledge("broker", 3);
        writer.flush().unwrap();
        let other = if in_order { None } else { Some(bench.killed()) };
        let next = journal.bounds().next;
        drop(writer);
        let (mut again, back) = other.as_ref().unwrap_or(&bench).open();

        if next > 1 {
            prop_assert_eq!(back.instance_id(), journal.instance_id());
        }
        prop_assert_eq!(back.bounds(), journal.bounds());
        prop_assert_eq!(ring(&back), ring(&journal));
        for at in journal.bounds().first..next {
            prop_assert_eq!(states(&back, Some(at)), states(&journal, Some(at)));
        }
        prop_assert_eq!(states(&back, None), states(&journal, None));
        let all = AssetQuery { removed: true, ..AssetQuery::default() };
        prop_assert_eq!(back.assets(&all), journal.assets(&all));
        if next >= 3 {
            prop_assert_eq!(back.cursor("broker"), 3);
        }
        prop_assert_eq!(back.ledger(), []);
        let appended = again.append(&mut numbers(0..1));
        prop_assert_eq!(appended, next..next + 1);
    }

    #[test]
    fn whatever_is_cut_off_what_is_left_is_a_prefix(
        history in testing::history(1..60),
        cut in 1_usize..3_000,
    ) {
        let mut bench = Bench::new(1_000);
        bench.system.segment_bytes = 1 << 20;
        let (mut writer, journal) = bench.open();
        append_all(&mut writer, history.chunks(3));
        let killed = bench.killed();
        let newest = killed.segments().pop().unwrap();
        let bytes = fs::read(&newest).unwrap();
        // Header and checkpoint come into being at once, and before any observation.
        fs::write(&newest, &bytes[..bytes.len().saturating_sub(cut).max(90)]).unwrap();
        let (mut again, back) = killed.open();
        let left = ring(&back);
        prop_assert_eq!(&left[..], &ring(&journal)[..left.len()]);
        prop_assert_eq!(back.bounds().next, left.len() as u64 + 1);
        prop_assert_eq!(back.instance_id(), journal.instance_id());
        if let Some(last) = left.last() {
            prop_assert_eq!(states(&back, None), states(&journal, Some(last.0)));
        }
        // And it goes on as if nothing else had been.
        append(&mut again, &history);
        let (all, gaps) = catch_up(&back, "reader", 1, 7);
        prop_assert_eq!(all.len(), left.len() + history.len());
        prop_assert_eq!(gaps, []);
    }

    #[test]
    fn a_flipped_bit_is_never_taken_for_an_observation_and_no_sequence_comes_twice(
        history in testing::history(20..120),
        file in 0_usize..4,
        at in 0_usize..4_000,
        bit in 0_u8..8,
        in_order in any::<bool>(),
    ) {
        let bench = Bench::new(64);
        let (mut writer, journal) = bench.open();
        append_all(&mut writer, history.chunks(5));
        let next = journal.bounds().next;
        let killed = if in_order {
            drop(writer);
            bench.killed()
        } else {
            bench.killed()
        };
        let segments = killed.segments();
        let path = &segments[file % segments.len()];
        let mut bytes = fs::read(path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        fs::write(path, bytes).unwrap();
        let (mut again, back) = killed.open();
        if back.instance_id() == journal.instance_id() {
            prop_assert!(back.bounds().next >= next, "{:?} after {next}", back.bounds());
            let from = again.append(&mut numbers(0..10)).start;
            let (all, gaps) = catch_up(&back, "reader", 1, 11);
            let mut expected = 1;
            for (sequence, observation) in &all {
                let gap = gaps.iter().find(|gap| gap.from == expected);
                prop_assert!(*sequence == expected || gap.is_some_and(|gap| gap.to + 1 == *sequence));
                expected = sequence + 1;
                if *sequence < from {
                    prop_assert_eq!(observation, &history[*sequence as usize - 1]);
                }
            }
            for gap in gaps {
                prop_assert!(back.ledger().iter().any(|known| known.from <= gap.from && gap.to <= known.to));
            }
        } else {
            // Nothing could be read.
            prop_assert_eq!(segments.len(), 1);
            prop_assert!(back.health().set_aside.is_some());
        }
    }

    #[test]
    fn a_durable_reader_gets_everything_in_order_from_disk_and_memory(
        batches in proptest::collection::vec(testing::history(1..40), 1..20),
        buffer_size in 1_u32..50,
        limit in 1_usize..60,
        from in 1_u64..300,
    ) {
        let bench = Bench::new(buffer_size);
        let (mut writer, journal) = bench.open();
        let mut all = Vec::new();
        let mut seen = Vec::new();
        for batch in &batches {
            append(&mut writer, batch);
            all.extend(batch.iter().cloned());
            // One reader follows while more is written.
            let (found, gaps) = catch_up(&journal, "live", seen.len() as u64 + 1, limit);
            prop_assert_eq!(gaps, []);
            seen.extend(found);
        }
        let all: Vec<Recorded> = (1..).zip(all).collect();
        prop_assert_eq!(&seen, &all);
        let from = from.min(all.len() as u64);
        let (late, _) = catch_up(&journal, "late", from, limit);
        prop_assert_eq!(&late, &all[from as usize - 1..]);
        prop_assert_eq!(journal.ledger(), []);
    }
}

#[test]
fn a_second_process_is_refused() {
    let bench = Bench::new(10);
    let (writer, _journal) = bench.open();
    let error = bench.try_open().err().unwrap();
    assert!(matches!(&error, OpenError::InUse(path) if path == bench.folder.path()), "{error}");
    drop(writer);
    bench.open();
}

#[test]
fn what_retention_removes_is_a_gap_for_each_reader_and_in_the_ledger() {
    let mut bench = Bench::new(10);
    bench.options.retention_bytes = 10_000;
    let (mut writer, journal) = bench.open();
    assert_eq!(journal.cursor("broker"), 1);
    for start in 0..200 {
        append(&mut writer, &numbers(start * 10..start * 10 + 10));
    }
    assert!(journal.stats().bytes <= 12_500, "{}", journal.stats().bytes);
    let oldest = journal.cursor("another");
    assert!(oldest > 1);
    for _ in 0..2 {
        let (found, gaps) = catch_up(&journal, "broker", journal.cursor("broker"), 100);
        assert_eq!(sequences(&found), (oldest..=2_000).collect::<Vec<_>>());
        assert_eq!(gaps.len(), 1);
        assert_eq!((gaps[0].from, gaps[0].to, gaps[0].cause), (1, oldest - 1, GapCause::Retention));
    }
    assert_eq!(journal.ledger().len(), 1, "a gap that is met again is the same gap");
    let other = bench.killed();
    drop(writer);
    assert!(other.open().1.bounds().next == 2_001);
    assert_eq!(bench.open().1.ledger(), journal.ledger());
}

#[test]
fn what_is_too_old_goes_but_never_the_newest_segment() {
    let bench = Bench::new(10);
    let (mut writer, journal) = bench.open();
    for start in 0..150 {
        append(&mut writer, &numbers(start * 10..start * 10 + 10));
    }
    let disk = journal.shared.disk.as_ref().unwrap();
    assert!(disk.size().1 > 2);
    disk.retain(Timestamp::now());
    assert!(disk.size().1 > 2);
    disk.retain(Timestamp::now().shifted(31 * 86_400 * 1_000_000_000));
    assert_eq!(disk.size().1, 1);
    assert_eq!(bench.segments().len(), 1);
}

#[test]
fn items_that_are_gone_from_the_model_leave_holes_that_the_ledger_explains() {
    let mut bench = Bench::new(100);
    let (mut writer, journal) = bench.open();
    append(&mut writer, &numbers(0..30));
    let instance_id = journal.instance_id();
    drop(writer);
    // item-1 is gone, the others have other places.
    let Catalog::Fixed(items) = &bench.catalog else { panic!() };
    let kept = items.iter().rev().filter(|item| item.id != "item-1").cloned().collect();
    bench.catalog = Catalog::Fixed(Arc::new(kept));
    for _ in 0..2 {
        let (writer, journal) = bench.open();
        assert_eq!(journal.instance_id(), instance_id);
        let (found, next) = journal.read(1, None, 100, &Selection::All).unwrap();
        assert_eq!(next, 31);
        let expected: Vec<u64> = (1..31).filter(|sequence| sequence % 6 != 2).collect();
        assert_eq!(sequences(&found), expected);
        assert_eq!(found[0].1.item, ItemIndex(8), "item-0 is found by its name");
        let gap = &journal.ledger()[0];
        assert_eq!((gap.from, gap.to, gap.count, gap.cause), (2, 26, 5, GapCause::ItemRemoved));
        assert_eq!(journal.ledger().len(), 1);
        drop(writer);
    }
    let (_writer, journal) = bench.open();
    let (found, gaps) = catch_up(&journal, "broker", 1, 100);
    assert_eq!(found.len(), 25);
    assert_eq!(gaps.len(), 5);
}

#[test]
fn after_a_power_loss_no_sequence_comes_again_and_the_ring_is_kept() {
    let bench = Bench::new(100);
    let (mut writer, journal) = bench.open();
    append(&mut writer, &numbers(0..30));
    let mut killed = bench.killed();
    // The last 20 had not reached the disk.
    append(&mut writer, &numbers(30..50));
    killed.system.boot = OTHER_BOOT;
    for _ in 0..2 {
        let (mut again, back) = killed.open();
        assert_eq!(back.instance_id(), journal.instance_id());
        let bounds = back.bounds();
        assert!(bounds.next > journal.bounds().next);
        assert!(bounds.next < 1_000_000);
        let gap = &back.ledger()[0];
        assert_eq!((gap.from, gap.cause), (31, GapCause::PowerLoss));
        assert_eq!(back.ledger().iter().filter(|gap| gap.reader == "journal").count(), 1);
        assert_eq!(bounds.first, 1);
        assert_eq!(states(&back, Some(30)), states(&journal, Some(30)));
        append(&mut again, &numbers(50..52));
        let (found, gaps) = catch_up(&back, "broker", 1, 100);
        assert_eq!(sequences(&found)[..30], (1..31).collect::<Vec<_>>());
        assert_eq!(found[30].0, gap.to + 1);
        assert_eq!(gaps[0].cause, GapCause::PowerLoss);
        // From here on it ends in order.
    }
}

#[test]
fn a_journal_of_another_format_is_set_aside_and_a_new_instance_begins() {
    let bench = Bench::new(100);
    let (mut writer, journal) = bench.open();
    append(&mut writer, &numbers(0..30));
    drop(writer);
    let path = bench.segments().pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 99;
    let crc = crc32fast::hash(&bytes[..segment::HEADER - 4]);
    bytes[segment::HEADER - 4..segment::HEADER].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let (_writer, back) = bench.open();
    assert!(back.instance_id() > journal.instance_id());
    assert_eq!(back.bounds(), Bounds { first: 1, next: 1 });
    let aside = back.health().set_aside.unwrap();
    assert!(aside.file_name().unwrap().to_string_lossy().starts_with("journal.unreadable-"));
    assert!(aside.join(path.file_name().unwrap()).exists());
}

#[test]
fn a_damaged_segment_in_the_middle_costs_only_what_it_held() {
    let bench = Bench::new(10_000);
    let (mut writer, journal) = bench.open();
    for start in 0..100 {
        append(&mut writer, &numbers(start * 10..start * 10 + 10));
    }
    let killed = bench.killed();
    let segments = killed.segments();
    let mut bytes = fs::read(&segments[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&segments[1], bytes).unwrap();
    let third: u64 = segments[2].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let (_again, back) = killed.open();
    assert_eq!(back.bounds(), Bounds { first: third, next: 1_001 });
    assert_eq!(states(&back, None), states(&journal, None));
    let gap = &back.ledger()[0];
    assert_eq!((gap.reader.as_str(), gap.to, gap.cause), ("journal", third - 1, GapCause::Corruption));
    let (found, gaps) = catch_up(&back, "broker", 1, 64);
    assert_eq!(found.len() as u64, 1_000 - gap.count);
    assert_eq!((gaps[0].from, gaps[0].to), (gap.from, gap.to));
}

#[test]
fn while_the_disk_refuses_everything_goes_on_in_memory_and_the_ledger_says_so() {
    let bench = Bench::new(100);
    let (mut writer, journal) = bench.open();
    let (folder, away) = (bench.folder.path().join("journal"), bench.folder.path().join("away"));
    fs::rename(&folder, &away).unwrap();
    append(&mut writer, &numbers(0..10));
    append(&mut writer, &numbers(10..20));
    assert_eq!(ring(&journal).len(), 20);
    assert!(journal.health().problem.unwrap().contains("/journal/00000000"));
    assert_eq!(journal.stats().not_written, 20);
    fs::rename(&away, &folder).unwrap();
    // The second failure asked for a pause, so it can take a few batches.
    let mut written = 20;
    while journal.health().problem.is_some() {
        written = append(&mut writer, &numbers(0..1)).start;
        assert!(written < 50_000_000);
    }
    assert_eq!(journal.ledger().len(), 1);
    let gap = &journal.ledger()[0];
    assert_eq!((gap.from, gap.to, gap.cause), (1, written - 1, GapCause::WriteFailed));
    let killed = bench.killed();
    let (_again, back) = killed.open();
    assert_eq!(back.bounds(), Bounds { first: written, next: written + 1 });
    assert_eq!(states(&back, None), states(&journal, None));
}

#[test]
fn after_a_kill_while_the_disk_refused_no_sequence_comes_again() {
    let bench = Bench::new(100);
    let (mut writer, _journal) = bench.open();
    append(&mut writer, &numbers(0..10));
    let killed = bench.killed();
    fs::remove_file(killed.folder.path().join("journal").join(active::INTACT)).unwrap();
    let (_again, back) = killed.open();
    assert!(back.bounds().next > 1 << 32);
    assert_eq!(back.ledger()[0].cause, GapCause::WriteFailed);
}

#[test]
fn with_an_interval_of_zero_every_batch_is_synced() {
    let mut bench = Bench::new(100);
    bench.options.sync_interval = std::time::Duration::ZERO;
    let (mut writer, journal) = bench.open();
    append(&mut writer, &numbers(0..10));
    append(&mut writer, &numbers(0..10));
    assert_eq!(journal.stats().sync_lag, std::time::Duration::ZERO);
}

#[test]
fn observations_of_unknown_items_are_left_out_and_counted() {
    let bench = Bench::new(100);
    let (mut writer, journal) = bench.open();
    assert_eq!(append(&mut writer, &[number(0, 1.0), number(4_000_000_000, 1.0), number(1, 1.0)]), 1..3);
    assert_eq!(journal.stats().unknown_items, 1);
}

#[test]
fn a_reader_is_told_of_what_is_new() {
    let (mut writer, journal) = open::open(&Options::default(), None, testing::catalog()).unwrap();
    let mut changes = journal.changes();
    assert!(!changes.has_changed().unwrap());
    append(&mut writer, &numbers(0..10));
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), 11);
}

#[test]
fn the_fuzz_corpus_is_read_without_panic_and_its_sound_segment_wholly() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/journal_segment");
    let mut seen = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let summary = inspect(&bytes);
        inspect_unchecked(&bytes);
        if path.ends_with("sound") {
            let expected = SegmentSummary { first: 1, states: 0, observations: 60, sound: true };
            assert_eq!(summary, Some(expected));
        }
        seen += 1;
    }
    assert!(seen >= 3);
}
