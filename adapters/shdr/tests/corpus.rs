//! Replays what fuzzing has collected, without a fuzzer.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails the test")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use guideway_contract::{PointTable, Shape, Timestamp};
use guideway_shdr::ShdrVersion;
use guideway_shdr::codec::{Decoder, Fields, Line, Lines, Settings, Tally, Times, data_set, number, table};

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let corpus: Vec<_> = files
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).unwrap()))
        .collect();
    assert!(corpus.len() > 3, "{} is nearly empty", folder.display());
    corpus
}

/// What the bytes of a connection give when they come in pieces of `size`.
fn read(version: ShdrVersion, bytes: &[u8], size: usize) -> String {
    let mut builder = PointTable::builder();
    for device in ["mill", "lathe"] {
        let scope = builder.device([device]);
        for (key, shape) in [
            ("a", Shape::Number),
            ("b", Shape::Text),
            ("c", Shape::Vector3),
            ("d", Shape::TimeSeries),
            ("e", Shape::DataSet),
            ("f", Shape::Table),
            ("g", Shape::Condition),
            ("h", Shape::Message),
            ("i", Shape::AssetEvent),
        ] {
            builder.point(scope, key, shape, []);
        }
    }
    let arrival = Timestamp::from_nanos(1_700_000_000_000_000_000, 6);
    let mut decoder = Decoder::new(Settings { version, max_body_length: 200, ..Settings::default() });
    decoder.set_points(Arc::new(builder.build()));
    decoder.start(arrival);
    let mut lines = Lines::new(100);
    let (mut readings, mut faults) = (Vec::new(), Tally::default());
    let mut events = Vec::new();
    for piece in bytes.chunks(size) {
        lines.push(piece, |line| match line {
            Line::Bytes(line) => events.extend(decoder.line(line, arrival, &mut readings, &mut faults)),
            Line::Oversized => events.clear(),
        });
    }
    format!("{readings:?} {events:?} {faults:?}")
}

#[test]
fn every_stream_of_the_corpus_reads_the_same_in_pieces_of_any_size() {
    for (name, bytes) in corpus("shdr_stream") {
        // The first byte is the target's settings.
        for version in [ShdrVersion::V1, ShdrVersion::V2] {
            let whole = read(version, &bytes[1..], usize::MAX);
            for size in [1, 7, 64] {
                assert_eq!(read(version, &bytes[1..], size), whole, "{name}");
            }
        }
    }
}

#[test]
fn every_text_of_the_corpus_is_read_or_refused() {
    for (name, bytes) in corpus("shdr_sets") {
        let text = String::from_utf8_lossy(&bytes);
        let mut times = Times::default();
        for field in Fields::new(&text) {
            let _ = times.read(&field, Timestamp::EPOCH);
            assert!(number(&field).is_none_or(f64::is_finite), "{name}");
        }
        for set in [data_set(&text), table(&text)].into_iter().flatten() {
            let keys: Vec<_> = set.entries().iter().map(|entry| entry.key.as_str()).collect();
            assert!(keys.is_sorted() && keys.iter().all(|key| !key.is_empty()), "{name}: {keys:?}");
            assert!(!keys.iter().any(|key| key.contains(char::is_whitespace)), "{name}: {keys:?}");
        }
    }
}
