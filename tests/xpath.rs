//! What `path` selects is what another XPath engine (libxml2, by lxml) selects.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use support::gateway::{Gateway, free_port};
use support::http;

const EXPRESSIONS: [&str; 20] = [
    "//DataItem",
    "//Device",
    "//Device[@name='Mill']",
    "//Linear",
    "//Axes//Linear[@name='X']//DataItem[@type='POSITION']",
    "//DataItem[@category='CONDITION']",
    "//Controller | //Door",
    "//DataItem[@category=\"SAMPLE\" and @subType=\"ACTUAL\"]",
    "//DataItem[@category='EVENT' or @type='LOAD']",
    "//DataItem[not(@units)]",
    "//DataItem[starts-with(@type, 'P')]",
    "//DataItem[contains(@id, 'load')]",
    "//Path/DataItems/DataItem[1]",
    "//Path/DataItems/DataItem[position() < 3]",
    "//Path/DataItems/DataItem[last()]",
    "//Linear/DataItems",
    "//Components/*[@id]",
    "//DataItem[../../@name='X']",
    "//DataItem[@type='EXECUTION']/../..",
    "//*[DataItems/DataItem/@type='LOAD']",
];

/// The Python that scripts/test has set up. `None`, said clearly, where it is absent.
fn python() -> Option<std::path::PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "scripts/test sets up .venv");
    println!("SKIPPED: there is no .venv; scripts/test sets it up");
    None
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_path_selects_what_libxml2_selects() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let fleet = guideway_simulator::Fleet::standard();
    let mut configuration = format!(
        "[mtconnect]\naddress = \"127.0.0.1\"\nport = {port}\n[model]\nagent_device = false\ndevices = ["
    );
    for machine in &fleet.machines {
        std::fs::write(folder.path().join(format!("{}.xml", machine.name())), machine.device_xml()).unwrap();
        configuration.push_str(&format!("\"{}.xml\", ", machine.name()));
    }
    configuration.push_str("]\n");
    let path = folder.path().join("guideway.toml");
    std::fs::write(&path, configuration).unwrap();
    let gateway = Gateway::start(&path, folder.path(), port);

    let probe = folder.path().join("probe.xml");
    std::fs::write(&probe, gateway.get("/probe")).unwrap();
    let mut oracle = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/xpath_oracle.py"))
        .arg(&probe)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    oracle.stdin.take().unwrap().write_all(EXPRESSIONS.join("\n").as_bytes()).unwrap();
    let output = oracle.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();

    let mut compared = 0;
    for (expression, ids) in EXPRESSIONS.iter().zip(answers.lines()) {
        let wanted: BTreeSet<&str> = ids.split_whitespace().collect();
        assert!(!wanted.is_empty(), "{expression} selects something");
        let answer = http::get(gateway.address, &format!("/current?path={}", encoded(expression)));
        assert_eq!(answer.status, 200, "{expression}: {}", answer.body);
        let tree = roxmltree::Document::parse(&answer.body).unwrap();
        let got: BTreeSet<&str> =
            tree.descendants().filter_map(|node| node.attribute("dataItemId")).collect();
        assert_eq!(got, wanted, "{expression}");
        compared += 1;
    }
    assert_eq!(compared, EXPRESSIONS.len());
    println!("{compared} expressions select the same data items");
}
