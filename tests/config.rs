//! Whole configuration files: those of the documentation, the examples, and the test bed's own.
#![expect(clippy::print_stdout, reason = "what a test found or skipped belongs into its output")]
#![expect(clippy::unwrap_used, reason = "that is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use guideway::config::{self, Configuration, Finding, Report, Severity};
use proptest::prelude::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// A folder with the examples' devices in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root().join("examples/Devices.xml"), folder.path().join("Devices.xml")).unwrap();
    folder
}

fn load(folder: &tempfile::TempDir, text: &str) -> Result<(Configuration, Vec<Finding>), Vec<Finding>> {
    config::load_text(&folder.path().join("guideway.toml"), text)
}

fn check(folder: &tempfile::TempDir, name: &str, text: &str) -> Report {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    config::check(&path)
}

/// The code blocks of a Markdown text in that language.
fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = markdown.split(&fence).skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap_or_default()).collect()
}

fn documentation() -> String {
    fs::read_to_string(root().join("docs/configuration.md")).unwrap()
}

#[test]
fn the_agent_cfg_of_the_test_bed_loads_with_warnings_only() {
    let testbed = root().join("../shared/testbed");
    let Ok(text) = fs::read_to_string(testbed.join("agent.cfg")) else {
        return println!("SKIPPED: {} is not there", testbed.display());
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.cfg");
    fs::copy(testbed.join("Devices.xml"), folder.path().join("Devices.xml")).unwrap();
    fs::write(&path, text.replace("/etc/mtconnect/agent/Devices.xml", "Devices.xml")).unwrap();

    let (read, _) = config::load(&path).unwrap();
    let names: Vec<_> = read.adapters.shdr.iter().map(|adapter| adapter.common.name.as_str()).collect();
    let expected = ["GFAgie01", "Mazak01", "Mazak03", "Hurco01", "Hurco02", "Hurco03", "Hurco04", "Hurco06"];
    assert_eq!(names, expected);
    assert_eq!(read.journal.buffer_size, 1 << 20);
    assert_eq!(read.mtconnect.files.len(), 4);
    assert_eq!(read.mtconnect.streams.namespaces[0].urn, "urn:nist.gov:NistStreams:1.3");
    assert!(!read.adapters.shdr[0].common.upcase);
    assert!(
        !read.adapters.shdr[0].common.filter_duplicates && read.adapters.shdr[3].common.filter_duplicates
    );

    let report = config::check(&path);
    println!("{}", report.render(false));
    assert_eq!(report.errors(), 0);
    for told in ["`AllowPut` has no effect", "`MonitorConfigFiles` has no effect"] {
        assert!(texts(&report.findings).iter().any(|text| text.contains(told)), "{told}");
    }
}

#[test]
fn every_example_of_the_documentation_is_right() {
    let documentation = documentation();
    // Every process has a PATH, and few have the variable of the example.
    let documentation = documentation.replace("$PLANT_PASSWORD", "$PATH");
    let tomls = blocks(&documentation, "toml");
    let cfgs = blocks(&documentation, "cfg");
    assert!(tomls.len() >= 5 && !cfgs.is_empty());
    for (name, text) in
        tomls.iter().map(|text| ("guideway.toml", text)).chain(cfgs.iter().map(|text| ("agent.cfg", text)))
    {
        let folder = folder();
        if text.contains("[[adapter.shdr]]") && !text.contains("name = \"Lathe\"") {
            only_the_mill(&folder);
        }
        let report = check(&folder, name, text);
        assert!(report.findings.is_empty(), "{}", report.render(false));
    }
}

/// The hash of some password, with its dollar signs doubled as a configuration wants it.
const QUOTED_HASH: &str = concat!(
    "\"$$argon2id$$v=19$$m=19456,t=2,p=1$$c29tZXNhbHRzb21lc2FsdA",
    "$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""
);

/// A secret that is long enough.
const CONTROL_SECRET: &str = "\"0123456789abcdef0123456789abcdef\"";

#[test]
fn every_example_of_the_other_pages_is_right() {
    let page = |name: &str| {
        fs::read_to_string(root().join(name))
            .unwrap()
            .replace("$MQTT_PASSWORD", "$PATH")
            .replace("$SCHEDULER_SECRET", "$PATH")
    };
    let (readme, shdr, mqtt) = (page("README.md"), page("docs/shdr.md"), page("docs/mqtt.md"));
    let control = page("docs/control.md");
    // The list that leads to the example indents it.
    let control = control.replace("\n   ", "\n");
    let opcua = page("docs/opcua.md").replace("\"$ANNA_HASH\"", QUOTED_HASH);
    let opcua = blocks(&opcua, "toml");
    let mqtt = blocks(&mqtt, "toml");
    let template = mqtt.iter().find(|block| block.starts_with("layout")).unwrap();
    let examples = [
        blocks(&readme, "toml").join("\n"),
        blocks(&shdr, "toml").join("\n"),
        mqtt[0].to_owned(),
        blocks(&control, "toml")[0].to_owned(),
        format!("[[mqtt]]\nname = \"a\"\nurl = \"mqtt://broker\"\n{template}"),
    ];
    for mut text in examples.into_iter().chain(opcua.iter().map(|block| block.to_string())) {
        let folder = folder();
        only_the_mill(&folder);
        if !text.contains("[[adapter.shdr]]") {
            text.push_str("\n[[adapter.shdr]]\nhost = \"mill\"\n");
        }
        let authority = rcgen::generate_simple_self_signed(["plant".to_owned()]).unwrap().cert.pem();
        fs::create_dir(folder.path().join("certificates")).unwrap();
        fs::create_dir(folder.path().join("nodesets")).unwrap();
        fs::write(folder.path().join("certificates/plant-ca.pem"), authority).unwrap();
        let report = check(&folder, "guideway.toml", &text);
        assert!(report.findings.is_empty(), "{text}\n{}", report.render(false));
    }
}

/// Most examples have one machine.
fn only_the_mill(folder: &tempfile::TempDir) {
    let path = folder.path().join("Devices.xml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, lathe) = text.split_once("    <Device id=\"lathe\"").unwrap();
    let (_, after) = lathe.split_once("</Device>\n").unwrap();
    fs::write(&path, format!("{before}{after}")).unwrap();
}

#[test]
fn the_example_files_are_right() {
    for name in ["guideway.toml", "agent.cfg"] {
        let report = config::check(&root().join("examples").join(name));
        assert!(report.findings.is_empty(), "{}", report.render(false));
    }
}

/// The tables of the reference: for each section its rows of key and default.
fn reference(documentation: &str) -> Vec<(String, Vec<(String, String)>)> {
    let (_, reference) = documentation.split_once("## Reference").unwrap();
    let (reference, _) = reference.split_once("## agent.cfg").unwrap();
    let sections = reference.split("\n### `").skip(1);
    sections
        .map(|section| {
            let (heading, body) = section.split_once('`').unwrap();
            let rows = body.lines().filter(|line| line.starts_with("| `"));
            let row = |line: &str| {
                let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
                let key = cells.next().unwrap_or_default().trim_matches('`').to_owned();
                (key, cells.next().unwrap_or_default().to_owned())
            };
            (heading.to_owned(), rows.map(row).collect())
        })
        .collect()
}

/// The least that a section needs besides the key in question.
fn needed(section: &str, key: &str) -> String {
    let needed: &[(&str, &str)] = match section {
        "[[device]]" => &[("name", "\"Mill\"")],
        "[[adapter.shdr]]" => &[("host", "\"mill\"")],
        "[[mqtt]]" => &[("name", "\"shop\""), ("url", "\"mqtt://broker\"")],
        "[[control.requester]]" => &[("name", "\"twin\""), ("roles", "[\"r\"]"), ("secret", CONTROL_SECRET)],
        "[[control.permit]]" => &[("role", "\"r\""), ("devices", "[\"*\"]"), ("commands", "[\"*\"]")],
        "[[control.mqtt]]" => &[("name", "\"shop\""), ("url", "\"mqtt://broker\"")],
        "[[opcua.users]]" => &[("name", "\"anna\""), ("password", QUOTED_HASH)],
        _ => &[],
    };
    let lines = needed.iter().filter(|(needed, _)| *needed != key);
    lines.map(|(key, value)| format!("{key} = {value}\n")).collect()
}

#[test]
fn every_default_in_the_documentation_is_that_of_the_code() {
    let folder = folder();
    let mut compared = 0;
    for (section, rows) in reference(&documentation()) {
        for (key, default) in rows {
            let literal = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            let Some(literal) = literal.filter(|literal| !literal.contains('`')) else {
                continue; // in words
            };
            let without = format!("{section}\n{}", needed(&section, &key));
            let with = format!("{without}{key} = {literal}\n");
            let shown = |text: &str| match load(&folder, text) {
                Ok((read, _)) => format!("{read:#?}"),
                Err(findings) => panic!("{text}\n{:#?}", texts(&findings)),
            };
            assert_eq!(shown(&with), shown(&without), "{section} {key}");
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared} defaults were found");
}

/// The keys that a section takes, as the finding about an unknown one lists them.
fn keys_of(folder: &tempfile::TempDir, section: &str) -> Vec<String> {
    let text = format!("{section}\n{}zz_bogus_zz = 1\n", needed(section, ""));
    let findings = load(folder, &text).expect_err("an unknown key is refused");
    let bogus = findings.iter().find(|finding| finding.what.contains("zz_bogus_zz")).unwrap();
    bogus.cure.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_is_documented_and_nothing_else() {
    let folder = folder();
    for (section, rows) in reference(&documentation()) {
        let mut documented: Vec<_> =
            rows.iter().map(|(key, _)| key.split('.').next().unwrap_or_default().to_owned()).collect();
        documented.dedup();
        documented.sort();
        let mut known = keys_of(&folder, &section);
        known.sort();
        assert_eq!(documented, known, "{section}");
    }
    let findings = load(&folder, "[zz_bogus_zz]\n").expect_err("an unknown section is refused");
    let cure = &findings.iter().find(|finding| finding.what.contains("zz_bogus_zz")).unwrap().cure;
    for (section, _) in reference(&documentation()) {
        let name = section.trim_matches(['[', ']']).split('.').next().unwrap_or_default().to_owned();
        assert!(cure.contains(&format!("`{name}`")), "{section}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let folder = folder();
    let text = r#"
[model]
devices = ["Devices.xml", "more.xml"]

[journal]
buffer_size = 0

[mtconnect]
json_version = 3
files = [{ location = "probe", path = "x" }]

[[adapter.shdr]]
name = "Mill"
host = ""

[[adapter.shdr]]
name = "Mill"
host = "mill:7878"
devices = ["Mil"]

[[mqtt]]
name = "plant"
url = "http://broker"
qos = 3
username = "u"
password = "secret"
layout = "template"
"#;
    let report = check(&folder, "guideway.toml", text);
    let shown = report.render(false);
    for expected in [
        "there is no file",
        "buffer_size 0 is out of range (1-16777216)",
        "json_version 3 is neither 1 nor 2",
        "location `probe` is no path",
        "adapter \"Mill\": host is empty",
        "adapter \"Mill\" is there twice, first in line",
        "host `mill:7878` has a port in it",
        "`http` is not a scheme of MQTT",
        "mqtt \"plant\": qos: 3",
        "the password stands in the file",
        "mqtt \"plant\": template.topic",
    ] {
        assert!(shown.contains(expected), "{expected:?} is not in\n{shown}");
    }
    assert!(shown.contains(":6:15"), "{shown}");
    assert!(report.findings.iter().all(|finding| finding.line() > 1), "{shown}");
}

#[test]
fn a_device_that_is_not_in_the_devices_files_is_told_where_it_is_named() {
    let folder = folder();
    let text = "[[adapter.shdr]]\nname = 'a'\nhost = 'h'\ndevices = ['Mill', 'Late']\n";
    let report = check(&folder, "guideway.toml", text);
    let shown = texts(&report.findings);
    assert!(shown[0].contains(":4:20: error: adapter \"a\": there is no device `Late`"), "{shown:?}");
    assert!(shown[0].contains("did you mean `Lathe`?"), "{shown:?}");

    let report = check(&folder, "guideway.toml", "[[adapter.shdr]]\nhost = 'h'\n");
    let shown = texts(&report.findings);
    assert!(
        shown[0].contains(":1:1: error: adapter \"h:7878\": which device it feeds is not said"),
        "{shown:?}"
    );

    let report = check(&folder, "guideway.toml", "[[adapter.shdr]]\nname = 'Mill'\nhost = 'h'\n");
    assert_eq!(report.errors(), 0);
    assert!(report.findings[0].what.contains("no adapter feeds `Lathe`"), "{:?}", texts(&report.findings));
}

#[test]
fn what_is_wrong_in_a_devices_file_is_shown_there() {
    let folder = folder();
    let path = folder.path().join("Devices.xml");
    let text = fs::read_to_string(&path).unwrap().replace("id=\"lathe_execution\"", "id=\"mill_execution\"");
    fs::write(&path, text).unwrap();
    let report = check(&folder, "agent.cfg", "Adapters { Mill { } Lathe { Port = 2 } }");
    assert!(report.errors() > 0);
    let finding = report.findings.iter().find(|finding| finding.severity == Severity::Error).unwrap();
    assert_eq!(finding.path(), path);
    assert!(finding.line() > 50, "{finding}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_a_cure() {
    let folder = folder();
    let missing = texts(&config::load(&folder.path().join("none.toml")).expect_err("missing"));
    assert!(missing[0].contains("cannot read") && missing[0].contains("demo"), "{missing:?}");
    assert!(texts(&config::load(folder.path()).expect_err("a folder"))[0].contains("is a folder"));
    let latin = folder.path().join("latin.toml");
    fs::write(&latin, b"# ok\n# \xe4\n").unwrap();
    assert!(texts(&config::load(&latin).expect_err("not UTF-8"))[0].contains("not UTF-8 in line 2"));
    let xml = folder.path().join("Devices.xml");
    assert!(texts(&config::load(&xml).expect_err("XML"))[0].contains("[model] devices"));
}

#[test]
fn paths_are_relative_to_the_file_and_the_devices_file_has_a_default() {
    let folder = folder();
    let (read, _) = load(&folder, "[gateway]\ndata_dir = 'data'\n[log]\nfile = 'g.log'\n").unwrap();
    assert_eq!(read.model.devices, [folder.path().join("Devices.xml")]);
    assert_eq!(read.gateway.data_dir, Some(folder.path().join("data")));
    assert_eq!(read.log.file, Some(folder.path().join("g.log")));
    let (read, _) = load(&folder, "[gateway]\ndata_dir = '/var/lib/x'\n").unwrap();
    assert_eq!(read.gateway.data_dir, Some(PathBuf::from("/var/lib/x")));
}

#[test]
fn a_secret_out_of_the_environment_is_no_secret_in_the_file() {
    let folder = folder();
    let text = "[[mqtt]]\nname = 'a'\nurl = 'mqtts://b'\nusername = 'u'\n";
    let (_, warnings) = load(&folder, &format!("{text}password = '$PATH'\n")).unwrap();
    assert!(!texts(&warnings).iter().any(|text| text.contains("stands in the file")), "{warnings:?}");
    let (read, _) = load(&folder, &format!("{text}password = '$$dollar'\n")).unwrap();
    // The destination takes `$$` for a dollar sign itself.
    assert_eq!(read.mqtt[0].password.as_deref(), Some("$$dollar"));
}

/// Every line of the example in which a key may be put, with the section it is in.
fn bogus_places(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate();
    lines.filter(|(_, line)| line.starts_with('[')).map(|(number, _)| number + 1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_right_file_with_one_bogus_key_is_refused_and_the_key_named(
        key in "[a-z][a-z_]{2,12}",
        place in any::<prop::sample::Index>(),
    ) {
        let path = root().join("examples/guideway.toml");
        let text = fs::read_to_string(&path).unwrap();
        let places = bogus_places(&text);
        let line = places[place.index(places.len())];
        let key = format!("zz_{key}");
        let mut lines: Vec<&str> = text.lines().collect();
        let bogus = format!("{key} = 1");
        lines.insert(line, &bogus);
        let findings = config::load_text(&path, lines.join("\n")).expect_err("an unknown key is refused");
        prop_assert_eq!(findings.len(), 1, "{:?}", texts(&findings));
        prop_assert!(findings[0].what.contains(&key), "{}", findings[0]);
        prop_assert_eq!(findings[0].line() as usize, line + 1);
    }

    #[test]
    fn a_bogus_key_in_agent_cfg_is_a_warning_that_names_it(key in "[A-Z][a-z]{3,9}", top in any::<bool>()) {
        let path = root().join("examples/agent.cfg");
        let text = fs::read_to_string(&path).unwrap();
        let key = format!("Zz{key}");
        let at = if top { "ReconnectInterval = 10000" } else { "    Host = mill.shop.example" };
        let text = text.replacen(at, &format!("{at}\n{key} = 1"), 1);
        let (_, findings) = config::load_text(&path, text).expect("a warning only");
        prop_assert_eq!(findings.len(), 1);
        prop_assert!(findings[0].what.contains(&key), "{}", findings[0]);
    }

    #[test]
    fn a_broken_file_is_told_and_never_a_panic(cut in any::<prop::sample::Index>(), junk in "\\PC{0,6}") {
        for name in ["examples/guideway.toml", "examples/agent.cfg"] {
            let path = root().join(name);
            let mut text = fs::read_to_string(&path).unwrap();
            let mut at = cut.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.replace_range(at..text.floor_char_boundary((at + 5).min(text.len())).max(at), &junk);
            let findings = match config::load_text(&path, text) {
                Ok((_, findings)) | Err(findings) => findings,
            };
            Report { findings }.render(false);
        }
    }
}
