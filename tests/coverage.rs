//! `guideway coverage`: nothing is green that a test has not shown, and a test that has gone is noticed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

fn coverage(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_guideway"))
        .arg("coverage")
        .args(arguments)
        .current_dir(folder)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A report in which every test that a row names has passed.
fn whole() -> String {
    let rows = guideway::coverage::rows().unwrap();
    let cases: String = rows
        .iter()
        .flat_map(|row| &row.tests)
        .map(|test| {
            let (binary, name) = test.split_once(' ').unwrap();
            format!("<testcase classname=\"{binary}\" name=\"{}\"/>\n", name.replace('*', "any"))
        })
        .collect();
    format!(
        "<testsuites timestamp=\"2026-11-23T01:30:59+00:00\"><testsuite name=\"all\">\n{cases}</testsuite></testsuites>\n"
    )
}

#[test]
fn without_a_report_nothing_is_green_and_strict_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["text", "markdown", "json"] {
        let output = coverage(&["--format", format], folder.path());
        assert!(output.status.success(), "{}", err(&output));
        let table = out(&output);
        assert!(table.contains("A9") && table.contains("not run"), "{table}");
        match format {
            "text" => assert!(!table.lines().any(|line| line.trim_start().starts_with("passed")), "{table}"),
            "markdown" => assert!(!table.contains("| passed"), "{table}"),
            _ => {
                let json: serde_json::Value = serde_json::from_str(&table).unwrap();
                assert_eq!(
                    (&json["counts"]["passed"], &json["counts"]["passed in part"]),
                    (&0.into(), &0.into())
                );
                assert_eq!(json["runs"], serde_json::json!([]));
            }
        }
    }
    let strict = coverage(&["--strict"], folder.path());
    assert_eq!(strict.status.code(), Some(1));
    assert!(err(&strict).contains("was not run, or there is no such test"), "{}", err(&strict));
}

#[test]
fn strict_is_content_with_a_whole_report_and_names_the_test_that_has_gone_or_failed() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("junit.xml");
    std::fs::write(&report, whole()).unwrap();
    let strict = ["--results", "junit.xml", "--strict", "--build", "0123abc", "--format", "markdown"];
    let content = coverage(&strict, folder.path());
    assert!(content.status.success(), "{}", err(&content));
    assert!(out(&content).contains("build 0123abc") && out(&content).contains("| A9 |"), "{}", out(&content));
    assert!(out(&content).contains(" 0 failed, 0 not run,"), "{}", out(&content));

    let name = "after_ten_kills_every_sequence_is_there_once_and_says_what_it_said";
    let renamed = whole().replace(name, "after_twelve_kills");
    std::fs::write(&report, renamed).unwrap();
    let refused = coverage(&strict, folder.path());
    assert_eq!(refused.status.code(), Some(1));
    let said = err(&refused);
    let gone = format!("REQ-integrity: guideway::crash {name}: was not run, or there is no such test");
    assert!(said.contains(&gone) && said.contains("rows.toml"), "{said}");
    assert!(out(&refused).contains("| REQ-integrity | "), "the table is there all the same");

    let failed =
        whole().replace(&format!("name=\"{name}\"/>"), &format!("name=\"{name}\"><failure/></testcase>"));
    std::fs::write(&report, failed).unwrap();
    let refused = coverage(&strict, folder.path());
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains(&format!("REQ-integrity: guideway::crash {name}: failed")));
    // Without strict it is a table that says so.
    let told = coverage(&["--results", "junit.xml"], folder.path());
    assert!(told.status.success() && out(&told).contains(&format!("failed: guideway::crash {name}")));
}

#[test]
fn the_report_of_the_last_run_is_found_and_an_old_one_is_called_old() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("target/nextest/default");
    std::fs::create_dir_all(&place).unwrap();
    let report = place.join("junit.xml");
    std::fs::write(&report, whole()).unwrap();
    let table = out(&coverage(&[], folder.path()));
    assert!(table.contains("target/nextest/default/junit.xml, 2026-11-23T01:30:59+00:00"), "{table}");
    assert!(table.contains(concat!("guideway ", env!("CARGO_PKG_VERSION"))), "{table}");
    assert!(!table.contains("older than this program"), "{table}");

    let file = std::fs::File::options().write(true).open(&report).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let table = out(&coverage(&[], folder.path()));
    assert!(table.contains("older than this program: run the tests again"), "{table}");
}

#[test]
fn a_report_that_breaks_off_or_is_not_there_is_refused_with_its_place_and_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let whole = whole();
    std::fs::write(folder.path().join("cut.xml"), &whole[..whole.len() / 2]).unwrap();
    for (report, place) in [("cut.xml", "cut.xml:"), ("none.xml", "none.xml: ")] {
        let refused = coverage(&["--results", report], folder.path());
        assert_eq!(refused.status.code(), Some(1));
        assert!(out(&refused).is_empty() && err(&refused).contains(place), "{}", err(&refused));
        assert!(err(&refused).contains("run the tests"), "{}", err(&refused));
    }
}
