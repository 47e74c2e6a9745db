//! A day of four real machines through the whole gateway, at full speed.
//!
//! The recordings are those of the NIST Smart Manufacturing Systems Test Bed. What comes out at
//! `/sample` is compared, observation by observation, with what a reading of the recordings that
//! shares no code with the gateway says should come out.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use support::gateway::{Gateway, free_port};
use support::schema::assert_valid;
use support::source::Source;
use support::{eventually, shared};

/// Device, recording, whether the testbed's agent.cfg asks for duplicates to be dropped.
const MACHINES: [(&str, &str, bool); 4] = [
    ("GFAgie01", "GFAgie01-20160513-20160514.shdr", false),
    ("Mazak01", "Mazak01-20161129-20161130.shdr", false),
    ("Mazak03", "Mazak03-20190130-20190131.shdr", false),
    ("Hurco01", "Hurco01-20170518-20170519.shdr", true),
];

#[derive(Clone, Debug, PartialEq)]
enum Said {
    Unavailable,
    Number(f64),
    Vector(Vec<f64>),
    Text(String),
    Condition { level: String, code: String, severity: String, qualifier: String, message: String },
}

#[derive(Clone, Debug, PartialEq)]
struct Expected {
    item: String,
    time: String,
    said: Said,
}

struct Item {
    id: String,
    category: String,
    three_d: bool,
    factor: f64,
}

/// Data items of one device by every key that may mean them.
fn items(device: roxmltree::Node<'_, '_>) -> HashMap<String, Item> {
    let mut found = HashMap::new();
    let nodes = || device.descendants().filter(|node| node.has_tag_name_in_any("DataItem"));
    let make = |node: &roxmltree::Node<'_, '_>| {
        let attribute = |name| node.attribute(name).unwrap_or_default();
        let factor = match (attribute("nativeUnits"), attribute("units")) {
            ("DEGREE/MINUTE", "DEGREE/SECOND") => 1.0 / 60.0,
            ("FOOT/MINUTE", "MILLIMETER/SECOND") => 304.8 / 60.0,
            (native, units) => {
                assert!(native.is_empty() || native == units, "a conversion this test does not know");
                1.0
            }
        };
        Item {
            id: attribute("id").into(),
            category: attribute("category").into(),
            three_d: attribute("units").ends_with("_3D"),
            factor,
        }
    };
    for node in nodes() {
        for key in ["id", "name"] {
            if let Some(key) = node.attribute(key) {
                found.entry(key.to_owned()).or_insert_with(|| make(&node));
            }
        }
    }
    found
}

trait AnyNamespace {
    fn has_tag_name_in_any(&self, name: &str) -> bool;
}

impl AnyNamespace for roxmltree::Node<'_, '_> {
    fn has_tag_name_in_any(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// What a recording should become, and how many of its lines name a key that nobody has.
fn expect(recording: &str, items: &HashMap<String, Item>, filter_duplicates: bool) -> (Vec<Expected>, usize) {
    let mut latest: HashMap<&str, Said> = HashMap::new();
    let (mut expected, mut unmapped) = (Vec::new(), 0);
    for line in recording.lines() {
        let fields: Vec<&str> = line.trim_end_matches('\r').split('|').collect();
        let Some(item) = items.get(fields[1].trim()) else {
            unmapped += 1;
            continue;
        };
        let field = |index: usize| fields.get(index).map_or("", |text| text.trim());
        let value = field(2);
        let said = if value.eq_ignore_ascii_case("UNAVAILABLE") {
            Said::Unavailable
        } else {
            match (item.category.as_str(), item.three_d) {
                ("CONDITION", _) => {
                    let mut level = value.to_ascii_lowercase();
                    level[..1].make_ascii_uppercase();
                    Said::Condition {
                        level,
                        code: field(3).into(),
                        severity: field(4).into(),
                        qualifier: field(5).to_ascii_uppercase(),
                        message: field(6).into(),
                    }
                }
                ("SAMPLE", false) => {
                    value.parse().map_or(Said::Unavailable, |number: f64| Said::Number(number * item.factor))
                }
                ("SAMPLE", true) => {
                    Said::Vector(value.split(' ').map(|part| part.parse().unwrap()).collect())
                }
                _ => Said::Text(value.into()),
            }
        };
        let same = latest.insert(&item.id, said.clone()).unwrap_or(Said::Unavailable) == said;
        if !(filter_duplicates && same) {
            expected.push(Expected { item: item.id.clone(), time: fields[0].into(), said });
        }
    }
    (expected, unmapped)
}

/// What a streams document says, by device, in order of sequence.
fn observed(document: &str, into: &mut HashMap<String, Vec<(u64, Expected)>>) {
    let tree = roxmltree::Document::parse(document).unwrap();
    for device in tree.descendants().filter(|node| node.has_tag_name_in_any("DeviceStream")) {
        let list = into.entry(device.attribute("name").unwrap().to_owned()).or_default();
        for node in device.descendants().filter(|node| node.attribute("sequence").is_some()) {
            let attribute = |name| node.attribute(name).unwrap_or_default();
            let text = node.text().unwrap_or_default();
            let parent = node.parent().unwrap().tag_name().name();
            let name = node.tag_name().name();
            let said = match parent {
                _ if text == "UNAVAILABLE" || name == "Unavailable" => Said::Unavailable,
                "Condition" => Said::Condition {
                    level: name.into(),
                    code: attribute("nativeCode").into(),
                    severity: attribute("nativeSeverity").into(),
                    qualifier: attribute("qualifier").into(),
                    message: text.into(),
                },
                "Samples" if text.contains(' ') => {
                    Said::Vector(text.split(' ').map(|part| part.parse().unwrap()).collect())
                }
                "Samples" => Said::Number(text.parse().unwrap()),
                _ => Said::Text(text.into()),
            };
            let (item, time) = (attribute("dataItemId").into(), attribute("timestamp").into());
            let sequence = attribute("sequence").parse().unwrap();
            list.push((sequence, Expected { item, time, said }));
        }
    }
}

fn next_of(document: &str) -> u64 {
    let at = document.find("nextSequence=\"").unwrap() + 14;
    document[at..].split('"').next().unwrap().parse().unwrap()
}

/// The testbed's own agent.cfg with our ports and paths.
fn adapt(agent_cfg: &str, shared: &Path, http: u16, sources: &[(&str, u16)]) -> String {
    let mut block = String::new();
    let mut adapted = String::new();
    for line in agent_cfg.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_suffix('{') {
            block = name.trim().to_owned();
        }
        let key = trimmed.split('=').next().unwrap_or_default().trim();
        let replaced = match (key, block.as_str()) {
            ("Devices", _) => format!("Devices = {}", shared.join("testbed/Devices.xml").display()),
            ("Port", "") => format!("Port = {http}"),
            ("Port", machine) => match sources.iter().find(|(name, _)| *name == machine) {
                Some((_, port)) => format!("Port = {port}"),
                // A machine that is switched off: nobody listens there.
                None => "Port = 1".into(),
            },
            _ => line.into(),
        };
        adapted.push_str(&replaced);
        adapted.push('\n');
    }
    adapted
}

#[test]
fn the_recordings_come_out_as_they_went_in() {
    let Some(shared) = shared("the_recordings_come_out_as_they_went_in") else { return };
    let testbed = shared.join("testbed");
    let folder = tempfile::tempdir().unwrap();
    let recordings: Vec<(&str, String)> = MACHINES
        .iter()
        .map(|(machine, file, _)| (*machine, std::fs::read_to_string(testbed.join(file)).unwrap()))
        .collect();
    let sources: Vec<(&str, u16)> = recordings
        .iter()
        .map(|(machine, recording)| (*machine, Source::serve(recording.as_str()).port))
        .collect();

    let port = free_port();
    let configuration = folder.path().join("agent.cfg");
    let agent_cfg = std::fs::read_to_string(testbed.join("agent.cfg")).unwrap();
    std::fs::write(&configuration, adapt(&agent_cfg, &shared, port, &sources)).unwrap();
    let begun = Instant::now();
    let gateway = Gateway::start(&configuration, folder.path(), port);
    // The devices as they are shown: with the items that the standard wants and the file lacks.
    let probe = gateway.get("/probe");
    let probe = roxmltree::Document::parse(&probe).unwrap();
    let mut wanted = HashMap::new();
    let mut known = HashMap::new();
    for ((machine, recording), (_, _, filter)) in recordings.iter().zip(MACHINES) {
        let is_it = |node: &roxmltree::Node<'_, '_>| {
            node.has_tag_name_in_any("Device") && node.attribute("name") == Some(machine)
        };
        let device = probe.descendants().find(is_it).unwrap();
        known.insert(*machine, device.descendants().filter(|n| n.has_tag_name_in_any("DataItem")).count());
        wanted.insert(*machine, (expect(recording, &items(device), filter), recording.lines().count()));
    }
    let frames = |machine: &str, health: &serde_json::Value| {
        let adapters = health["adapters"].as_array().unwrap();
        adapters.iter().find(|adapter| adapter["name"] == machine).unwrap()["frames"].as_u64().unwrap()
    };
    let health = eventually("every line was read", Duration::from_secs(120), || {
        let health = gateway.health();
        wanted.iter().all(|(machine, (_, lines))| frames(machine, &health) >= *lines as u64).then_some(health)
    });
    println!("read in {:?}", begun.elapsed());

    // Read everything back; validate every tenth document, and the first and the last.
    let mut streams = HashMap::new();
    let mut next = health["journal"]["firstSequence"].as_u64().unwrap();
    let (mut documents, mut settled) = (0, 0);
    loop {
        let document = gateway.get(&format!("/sample?from={next}&count=5000"));
        observed(&document, &mut streams);
        let after = next_of(&document);
        if documents % 10 == 0 || after == next {
            assert_valid(&shared, &document);
        }
        documents += 1;
        let complete = wanted.iter().all(|(machine, ((expected, _), _))| {
            streams.get(*machine).is_some_and(|list| list.len() >= expected.len())
        });
        settled += usize::from(after == next && complete);
        if settled > 0 {
            break;
        }
        next = after;
    }
    for target in ["/probe", "/current", "/Hurco01/current", "/assets"] {
        assert_valid(&shared, &gateway.get(target));
    }

    for (machine, ((expected, unmapped), lines)) in wanted {
        let mut list = streams.remove(machine).unwrap();
        list.sort_by_key(|(sequence, _)| *sequence);
        // What the gateway says by itself at start comes first: one observation for each item.
        let own = known[machine];
        assert_eq!(list.len(), own + expected.len(), "{machine}: observations in all");
        assert!(list[..own].iter().all(|(_, first)| first.said == Said::Unavailable), "{machine}");
        for ((sequence, got), want) in list[own..].iter().zip(&expected) {
            let same = match (&got.said, &want.said) {
                (Said::Number(got), Said::Number(want)) => (got - want).abs() <= want.abs() * 4e-16,
                (got, want) => got == want,
            };
            assert!(
                same && got.item == want.item && got.time == want.time,
                "{machine}, sequence {sequence}:\n got {got:?}\nwant {want:?}"
            );
        }
        let adapter = health["adapters"].as_array().unwrap().iter().find(|a| a["name"] == machine).unwrap();
        assert_eq!(adapter["faults"]["unmapped"].as_u64(), Some(unmapped as u64), "{machine}");
        assert_eq!(adapter["faults"]["malformed"].as_u64(), Some(0), "{machine}");
        println!(
            "{machine}: {lines} lines, {unmapped} with an unknown key, {} duplicates dropped, {} observations equal",
            lines - unmapped - expected.len(),
            expected.len()
        );
    }
    println!("{documents} documents read");
}
