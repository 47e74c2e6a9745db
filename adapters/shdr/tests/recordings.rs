//! The recordings of the NIST test bed, read whole. Skipped where they are not at hand.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]
#![expect(clippy::print_stderr, reason = "the counts are for those who read the test's output")]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guideway_contract::{Fault, PointTable, Shape, Timestamp, Value};
use guideway_shdr::codec::{Decoder, Line, Lines, Settings, Tally};

const MACHINES: [&str; 4] = ["GFAgie01", "Hurco01", "Mazak01", "Mazak03"];

fn testbed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testbed");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no recordings at {}", folder.display());
        return None;
    }
    Some(folder)
}

fn recording(folder: &Path, machine: &str) -> String {
    let file = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(machine) && name.ends_with(".shdr")
    });
    fs::read_to_string(file.unwrap()).unwrap()
}

/// The attributes of a start tag.
fn attributes(tag: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    let mut rest = tag;
    while let Some((name, value)) = rest.split_once('=') {
        let quote = &value[..1];
        let Some((value, after)) = value[1..].split_once(quote) else { break };
        found.insert(name.rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default(), value);
        rest = after;
    }
    found
}

/// The points of one device, read from the devices file as far as this test needs it.
fn points(devices: &str, machine: &str) -> PointTable {
    let mut builder = PointTable::builder();
    for device in devices.split("<Device ").skip(1) {
        let (tag, content) = device.split_once('>').unwrap();
        if attributes(tag).get("name") != Some(&machine) {
            continue;
        }
        let scope = builder.device([machine]);
        for item in content.split("<DataItem ").skip(1) {
            let (tag, content) = item.split_once('>').unwrap();
            let attributes = attributes(tag);
            let units = attributes.get("units").copied().unwrap_or_default();
            let shape = match (attributes["category"], attributes["type"]) {
                ("CONDITION", _) => Shape::Condition,
                (_, "MESSAGE") => Shape::Message,
                _ if units.ends_with("_3D") => Shape::Vector3,
                ("SAMPLE", _) => Shape::Number,
                _ => Shape::Text,
            };
            let source = content
                .split_once("</DataItem>")
                .filter(|_| !tag.ends_with('/'))
                .and_then(|(content, _)| content.split_once("<Source>")?.1.split_once("</Source>"))
                .map_or("", |(source, _)| source.trim());
            let name = attributes.get("name").copied().unwrap_or_default();
            builder.point(scope, attributes["id"], shape, [name, source]);
        }
        // The gateway adds these to every device that lacks them.
        for suffix in ["asset_chg", "asset_rem"] {
            builder.point(scope, &format!("{machine}_{suffix}"), Shape::AssetEvent, []);
        }
    }
    builder.build()
}

#[test]
fn every_line_of_the_recordings_is_read_or_its_key_is_not_in_the_model() {
    let Some(folder) = testbed() else { return };
    let devices = fs::read_to_string(folder.join("Devices.xml")).unwrap();
    for machine in MACHINES {
        let text = recording(&folder, machine);
        let table = Arc::new(points(&devices, machine));
        let scope = table.default_scope().unwrap();
        let arrival = Timestamp::now();
        let mut decoder = Decoder::new(Settings::default());
        decoder.set_points(table.clone());
        decoder.start(arrival);
        let (mut readings, mut faults) = (Vec::new(), Tally::default());
        let mut lines = Lines::new(4 << 20);
        lines.push(text.as_bytes(), |line| {
            let Line::Bytes(line) = line else { panic!("a line over the cap") };
            assert_eq!(decoder.line(line, arrival, &mut readings, &mut faults), None);
        });

        // The same counted in the plainest way: each line of a recording has one key.
        let (mut known, mut unknown, mut unavailable) = (Vec::new(), HashSet::new(), 0);
        let mut unmapped = 0;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut fields = line.split('|').map(str::trim);
            let (time, key, value) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
            if table.find(scope, key).is_none() {
                unmapped += 1;
                unknown.insert(key.to_owned());
                continue;
            }
            unavailable += usize::from(value.eq_ignore_ascii_case("unavailable"));
            known.push((time.to_owned(), value.to_owned()));
        }
        eprintln!("{machine}: {} readings, {faults:?}, unmapped keys: {unknown:?}", readings.len());
        assert_eq!(readings.len(), known.len(), "{machine}");
        assert_eq!(faults.of(Fault::Unmapped), unmapped, "{machine}");
        assert_eq!(faults.of(Fault::Malformed) + faults.of(Fault::Timestamp), 0, "{machine}");
        let mut said_nothing = 0;
        for (reading, (time, value)) in readings.iter().zip(&known) {
            assert_eq!(&reading.time.to_string(), time, "{machine}");
            match &reading.value {
                Value::Number(number) => assert_eq!(value.parse(), Ok(*number), "{machine}"),
                Value::Text(text) => assert_eq!(text, value, "{machine}"),
                Value::Unavailable => said_nothing += 1,
                Value::Vector3(place) => {
                    let expected: Vec<f64> =
                        value.split_whitespace().map(|number| number.parse().unwrap()).collect();
                    assert_eq!(place.as_slice(), expected, "{machine}");
                }
                Value::Condition(condition) => {
                    assert!(format!("{:?}", condition.level).eq_ignore_ascii_case(value), "{machine}");
                }
                other => panic!("{machine}: {other:?}"),
            }
        }
        assert_eq!(said_nothing, unavailable, "{machine}");
    }
}
