//! `guideway audit`, as an auditor uses it, and the chain as a program reads it that knows its description only.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use guideway::control::audit::{Audit, Row, What};
use guideway_contract::Timestamp;
use serde_json::{Value as Json, json};

fn ran(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guideway"));
    command.args(["audit", arguments[0], "--data-dir"]).arg(data).args(&arguments[1..]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// What the program says that knows the description only.
fn oracle(data: &Path) -> (Option<i32>, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join(".venv/bin/python"));
    command.arg(root.join("tests/peers/audit_oracle.py")).arg(data.join("audit"));
    let Output { status, stdout, stderr } = command.output().expect("scripts/test installs the peers");
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// An audit of two requests, and where its rows are.
fn audit() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), |_| {}).unwrap();
    let mut requests = HashMap::<&str, u64>::new();
    for (what, id, fields) in [
        (What::Start, "", json!({ "version": "1" })),
        (
            What::Request,
            "job-1",
            json!({ "requester": "scheduler", "face": "mqtt", "device": "Mill-1", "command": "load", "arguments": { "name": "Ä1" } }),
        ),
        // By its uuid, while the other one runs.
        (
            What::Request,
            "job-2",
            json!({ "requester": "otto", "face": "opcua", "device": "u-2", "machine": "Press-1", "command": "stop", "arguments": {} }),
        ),
        (What::Write, "job-1", json!({ "step": 1, "point": "name", "value": "Ä1" })),
        (
            What::End,
            "job-1",
            json!({ "requester": "scheduler", "face": "mqtt", "device": "Mill-1", "command": "load", "state": "timed-out", "reason": "no-answer" }),
        ),
        (
            What::End,
            "job-2",
            json!({ "requester": "otto", "face": "opcua", "device": "u-2", "machine": "Press-1", "command": "stop", "state": "done" }),
        ),
        (What::Stop, "", json!({})),
    ] {
        let Json::Object(mut fields) = fields else { unreachable!() };
        if matches!(what, What::Write | What::End) {
            fields.insert("of".into(), requests[id].into());
        }
        let row = Row { time: Timestamp::now(), what, id: id.into(), fields };
        let stamp = audit.append(&row, true).unwrap();
        if what == What::Request {
            requests.insert(id, stamp.number);
        }
    }
    let file = folder.path().join("audit/audit-00000001.jsonl");
    (folder, file)
}

#[test]
fn a_whole_chain_is_told_so_and_the_description_is_enough_to_see_it() {
    let (folder, _) = audit();
    let (status, said) = ran(folder.path(), &["verify"]);
    assert!(status == Some(0) && said.contains("7 rows in 1 files"), "{said}");
    let head = said.lines().find_map(|line| line.strip_prefix("head ")).unwrap().to_owned();
    let (status, said) = oracle(folder.path());
    assert_eq!((status, said.trim().replace(' ', ":")), (Some(0), head.clone()));
    for (noted, status) in [
        (head.as_str(), Some(0)),
        (&head[..12], Some(0)),
        ("7:00", Some(1)),
        ("8:00", Some(1)),
        ("x", Some(1)),
    ] {
        let (ended, said) = ran(folder.path(), &["verify", "--head", noted]);
        assert_eq!(ended, status, "{noted}: {said}");
    }
    let empty = tempfile::tempdir().unwrap();
    let (status, said) = ran(empty.path(), &["verify"]);
    assert!(status == Some(0) && said.contains("no audit"), "{said}");
}

#[test]
fn what_was_touched_is_named_by_file_and_line() {
    let (folder, file) = audit();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let cut = lines[..6].concat();
    for (what, spoilt, said) in [
        ("changed", text.replacen("otto", "anna", 1), "audit-00000001.jsonl:3: its hash"),
        ("missing", [&lines[..2], &lines[3..]].concat().concat(), "audit-00000001.jsonl:3: this is row 4"),
        ("cut", cut, "the audit ends with row 6, and row 7 was written"),
        ("text", text.replacen("{\"row\":3", "\u{7f}{\"row\":3", 1), "audit-00000001.jsonl:3:"),
    ] {
        std::fs::write(&file, spoilt).unwrap();
        for command in ["verify", "show"] {
            let (status, output) = ran(folder.path(), &[command]);
            assert!(status == Some(1) && output.contains(said), "{what}: {output}");
            assert!(output.contains("move it away and start anew"), "with its cure: {output}");
        }
        assert_eq!(oracle(folder.path()).0, Some(1), "{what}");
    }
    std::fs::write(&file, text).unwrap();
    assert_eq!((ran(folder.path(), &["verify"]).0, oracle(folder.path()).0), (Some(0), Some(0)));
}

#[test]
fn rows_are_shown_by_request_device_and_time() {
    let (folder, _) = audit();
    let show = |arguments: &[&str]| {
        let (status, said) = ran(folder.path(), &[&["show"], arguments].concat());
        assert_eq!(status, Some(0), "{said}");
        said
    };
    let all = show(&[]);
    assert_eq!(all.lines().count(), 7, "{all}");
    assert!(
        all.contains("scheduler (mqtt): Mill-1.load {\"name\":\"Ä1\"}") && all.contains("name = Ä1"),
        "{all}"
    );
    assert!(all.contains("timed-out (no-answer)"), "{all}");
    let mill = show(&["--device", "Mill-1"]);
    assert!(mill.lines().count() == 3 && mill.contains("name = Ä1"), "what was written is shown: {mill}");
    for called in ["Press-1", "u-2"] {
        assert_eq!(show(&["--device", called]).lines().count(), 2, "{called}");
    }
    assert_eq!(show(&["--id", "job-2"]).lines().count(), 2);
    assert_eq!(show(&["--last", "1"]).lines().count(), 1);
    assert_eq!(show(&["--since", "2100-01-01T00:00:00Z"]), "");
    for line in show(&["--json", "--all"]).lines() {
        let row: Json = serde_json::from_str(line).unwrap();
        assert!(row["hash"].as_str().is_some_and(|hash| hash.len() == 64), "{row}");
    }
}

#[test]
fn an_auditor_without_the_gateways_secrets_looks_at_the_same_audit() {
    let (folder, _) = audit();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(elsewhere.path().join("guideway-data")).unwrap();
    let said = |command: &str| {
        let mut guideway = Command::new(env!("CARGO_BIN_EXE_guideway"));
        guideway.args(["audit", command]).current_dir(elsewhere.path()).env_remove("STATE_DIRECTORY");
        let Output { status, stdout, stderr } = guideway.output().unwrap();
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    };
    for command in ["verify", "show"] {
        let (status, said) = said(command);
        assert!(status == Some(1) && said.contains("--config") && said.contains("--data-dir"), "{said}");
    }
    let text = format!(
        "[gateway]\ndata_dir = {:?}\n[control]\n[[control.requester]]\nname = \"a\"\nroles = [\"b\"]\nsecret = \"$NOBODY_HAS_SET_THIS\"\n",
        folder.path()
    );
    std::fs::write(elsewhere.path().join("guideway.toml"), text).unwrap();
    let (status, verified) = said("verify");
    assert!(status == Some(0) && verified.contains("7 rows in 1 files"), "{verified}");
    assert_eq!(said("show").1.lines().count(), 7);
}
