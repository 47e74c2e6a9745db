//! What the chain shows, and what it survives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use guideway_contract::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::row::{MOST_BYTES, ZERO};
use super::*;

fn row(number: usize) -> Row {
    let mut fields = Map::new();
    fields.insert("device".to_owned(), "Mill-1 ä \" \\".into());
    fields.insert("number".to_owned(), number.into());
    fields.insert("arguments".to_owned(), json!({ "level": 12.3, "hash": "x", "on": true }));
    Row { time: Timestamp::now(), what: What::Note, id: format!("id-{number}").into(), fields }
}

/// Appends so many rows.
fn fill(data: &Path, most_in_file: u64, count: usize) -> Stamp {
    let audit = Audit::open_with(data, most_in_file, |_| {}).unwrap();
    for number in 0..count {
        audit.append(&row(number), number % 2 == 0).unwrap();
    }
    audit.settle().unwrap();
    audit.head()
}

fn files(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data.join("audit")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    files
}

/// An audit of five rows in one file, with the file's bytes.
fn small() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 1 << 20, 5);
    let file = files(folder.path()).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    (folder, file, bytes)
}

fn is_whole(data: &Path) -> bool {
    let (read, opened) = (read(data, |_| {}), Audit::open(data, |_| {}));
    assert_eq!(read.is_ok(), opened.is_ok(), "{read:?}");
    read.is_ok()
}

#[test]
fn rows_are_read_as_they_were_written_over_many_files_and_openings() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for round in 0..5 {
        let mut seen = Vec::new();
        let audit = Audit::open_with(folder.path(), 1_500, |record| seen.push(record.row)).unwrap();
        assert_eq!(seen, written);
        for number in 0..7 {
            let row = row(round * 10 + number);
            audit.append(&row, false).unwrap();
            written.push(row);
        }
    }
    let files = files(folder.path());
    assert!(files.len() > 5, "{files:?}");
    assert!(files.iter().all(|path| path.metadata().unwrap().len() <= 1_500));
    let summary = read(folder.path(), |_| {}).unwrap();
    assert_eq!((summary.head.number, summary.files), (35, files.len()));
    // A file that is missing, and one that is cut where another follows.
    let second = std::fs::read(&files[1]).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    assert!(!is_whole(folder.path()));
    std::fs::write(&files[1], &second[..second.len() - 1]).unwrap();
    assert!(!is_whole(folder.path()));
    std::fs::write(&files[1], &second).unwrap();
    assert!(is_whole(folder.path()));
    let last = files.last().unwrap();
    std::fs::rename(last, last.with_extension("gone")).unwrap();
    assert!(!is_whole(folder.path()), "the last file");
}

#[test]
fn a_byte_that_is_changed_is_found_wherever_it_is() {
    let (folder, file, bytes) = small();
    for at in 0..bytes.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= bit;
            std::fs::write(&file, &changed).unwrap();
            // Without its end the last row looks as if it was being written; the head knows better.
            assert!(read(folder.path(), |_| {}).is_err(), "byte {at} ^ {bit:#x}");
        }
    }
    std::fs::write(&file, &bytes).unwrap();
    assert!(is_whole(folder.path()));
}

#[test]
fn lines_that_are_dropped_doubled_swapped_or_cut_off_are_found() {
    let (folder, file, bytes) = small();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let broken = |lines: &[&str], what: &str| {
        std::fs::write(&file, lines.concat()).unwrap();
        assert!(!is_whole(folder.path()), "{what}");
    };
    for at in 0..lines.len() {
        let mut changed = lines.clone();
        changed.remove(at);
        broken(&changed, &format!("without line {at}"));
        let mut changed = lines.clone();
        changed.insert(at, lines[at]);
        broken(&changed, &format!("line {at} twice"));
        broken(&lines[..at], &format!("cut before line {at}"));
        for other in at + 1..lines.len() {
            let mut changed = lines.clone();
            changed.swap(at, other);
            broken(&changed, &format!("lines {at} and {other} swapped"));
        }
    }
    std::fs::write(&file, &bytes).unwrap();
    assert!(is_whole(folder.path()));
}

#[test]
fn a_row_that_is_made_up_anew_is_found_by_the_head() {
    let (folder, file, bytes) = small();
    // Somebody who knows how the chain is made, writes another one with as many rows, or more.
    for count in [5, 6] {
        let other = tempfile::tempdir().unwrap();
        fill(other.path(), 1 << 20, count);
        std::fs::copy(&files(other.path())[0], &file).unwrap();
        assert!(!is_whole(folder.path()), "{count} rows");
    }
    std::fs::write(&file, &bytes).unwrap();
    let head = folder.path().join("audit/head");
    let noted = std::fs::read_to_string(&head).unwrap();
    for spoilt in [
        "",
        "5",
        "x:y",
        "\u{0}\u{0}",
        &format!("6:{ZERO}"),
        &format!("3:{ZERO}"),
        &format!("0:{}", "1".repeat(64)),
    ] {
        std::fs::write(&head, spoilt).unwrap();
        assert!(!is_whole(folder.path()), "{spoilt:?}");
    }
    std::fs::write(&head, [0xff, 0xfe]).unwrap();
    assert!(!is_whole(folder.path()));
    std::fs::remove_file(&head).unwrap();
    assert!(!is_whole(folder.path()), "no head");
    std::fs::write(&head, noted).unwrap();
    assert!(is_whole(folder.path()));
}

#[test]
fn a_head_that_is_behind_is_fine_and_never_names_what_the_disk_may_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let head = || std::fs::read_to_string(folder.path().join("audit/head")).unwrap();
    let audit = Audit::open(folder.path(), |_| {}).unwrap();
    assert_eq!(head(), format!("0:{ZERO}\n"));
    let first = audit.append(&row(1), true).unwrap();
    assert_eq!(head(), format!("1:{}\n", first.hash));
    for number in 2..12 {
        audit.append(&row(number), false).unwrap();
    }
    assert_eq!(head(), format!("1:{}\n", first.hash), "nobody knows whether the disk has more");
    drop(audit);
    let audit = Audit::open(folder.path(), |_| {}).unwrap();
    assert_eq!(head(), format!("11:{}\n", audit.head().hash));
    audit.append(&row(12), false).unwrap();
    audit.settle().unwrap();
    assert_eq!(head(), format!("12:{}\n", audit.head().hash));
}

#[test]
fn a_torn_row_is_taken_away_and_noted() {
    let (folder, file, bytes) = small();
    let next = {
        let other = tempfile::tempdir().unwrap();
        fill(other.path(), 1 << 20, 1);
        std::fs::read(&files(other.path())[0]).unwrap()
    };
    let head = std::fs::read(folder.path().join("audit/head")).unwrap();
    for length in 1..next.len() {
        std::fs::write(&file, [&bytes, &next[..length]].concat()).unwrap();
        std::fs::write(folder.path().join("audit/head"), &head).unwrap();
        assert_eq!(read(folder.path(), |_| {}).unwrap().torn, length as u64);
        drop(Audit::open(folder.path(), |_| {}).unwrap());
        let mut rows = Vec::new();
        let summary = read(folder.path(), |record| rows.push(record.row)).unwrap();
        assert_eq!((summary.torn, rows.len()), (0, 6));
        assert_eq!((rows[5].what, &rows[5].fields["torn"]), (What::Note, &Json::from(length)));
    }
}

#[test]
fn a_second_gateway_does_not_get_the_audit_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), |_| {}).unwrap();
    let other = Audit::open(folder.path(), |_| {}).err().unwrap();
    assert!(matches!(&other, AuditError::Locked(_)), "{other}");
    assert!(other.to_string().contains("another process writes this audit"), "{other}");
    audit.append(&row(1), true).unwrap();
    assert_eq!(read(folder.path(), |_| {}).unwrap().head.number, 1, "reading is allowed");
    drop(audit);
    Audit::open(folder.path(), |_| {}).unwrap();
}

#[test]
fn reading_beside_the_writer_never_finds_anything_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open_with(folder.path(), 20_000, |_| {}).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..1_500 {
                audit.append(&row(number), number % 8 == 0).unwrap();
            }
        });
        let mut looks = 0;
        while !writer.is_finished() {
            read(folder.path(), |_| {}).unwrap_or_else(|error| panic!("{error}"));
            looks += 1;
        }
        assert!(looks > 0);
    });
    assert_eq!(read(folder.path(), |_| {}).unwrap().head.number, 1_500);
}

#[test]
fn a_row_of_any_size_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["a", "ä", "\u{1}", "\"", "\\", "\u{1f600}"] {
        let audit = Audit::open(folder.path(), |_| {}).unwrap();
        let mut large = row(1);
        large.id = text.repeat(10_000).into();
        for number in 0..200 {
            large
                .fields
                .insert(format!("{}{number}", text.repeat(900 / text.len())), text.repeat(5_000).into());
        }
        large.fields.insert("nested".to_owned(), json!({ "a": [text.repeat(300_000)] }));
        audit.append(&large, true).unwrap();
        audit.append(&row(2), true).unwrap();
        drop(audit);
        let mut rows = Vec::new();
        read(folder.path(), |record| rows.push(record.row))
            .unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(rows[rows.len() - 2].fields["cut"], true);
    }
    assert!(
        std::fs::read_to_string(&files(folder.path())[0])
            .unwrap()
            .lines()
            .all(|line| line.len() < MOST_BYTES)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_and_whatever_is_spoilt_is_found(
        texts in proptest::collection::vec((".{0,20}", ".{0,60}"), 1..12),
        at in any::<prop::sample::Index>(),
        length in 1_usize..40,
        with in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open_with(folder.path(), 900, |_| {}).unwrap();
        let mut written = Vec::new();
        for (name, text) in &texts {
            let mut row = row(1);
            row.fields.insert(format!("x{name}"), text.as_str().into());
            audit.append(&row, false).unwrap();
            written.push(row);
        }
        audit.settle().unwrap();
        drop(audit);
        let mut seen = Vec::new();
        read(folder.path(), |record| seen.push(record.row)).unwrap();
        prop_assert_eq!(seen, written);
        let files = files(folder.path());
        let file = &files[at.index(files.len())];
        let bytes = std::fs::read(file).unwrap();
        let from = at.index(bytes.len());
        let to = (from + length).min(bytes.len());
        let spoilt = [&bytes[..from], &with[..], &bytes[to..]].concat();
        prop_assume!(spoilt != bytes);
        std::fs::write(file, &spoilt).unwrap();
        let read = read(folder.path(), |_| ());
        prop_assert!(read.is_err());
    }
}
