//! Inputs worth keeping from fuzzing, replayed: whatever is in a file, it gives a model, a
//! configuration or findings, and never a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use guideway::config::load_text;
use guideway::device_model::{AgentInfo, DeviceModel, DuplicateIds, Options};

/// The texts of `fuzz/corpus/<target>`, with their names.
fn corpus(target: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "{} has inputs", folder.display());
    let text = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned())
    };
    files.into_iter().map(text).collect()
}

#[test]
fn every_devices_file_of_the_corpus_gives_a_model_or_findings_with_a_place() {
    let options = Options { duplicate_ids: DuplicateIds::Prefix, ..Options::default() };
    for (name, xml) in corpus("devices_xml") {
        let sources = [(PathBuf::from("devices.xml"), xml.clone())];
        match DeviceModel::from_xml(&sources, &options, Some(AgentInfo::default())) {
            Ok(model) => {
                // The same text as a change at run time.
                let _ = model.with_device_xml(Path::new("change"), &xml);
            }
            Err(findings) => assert!(findings.iter().all(|finding| finding.position.line >= 1), "{name}"),
        }
    }
}

#[test]
fn every_configuration_of_the_corpus_is_read_or_gives_findings_with_a_place() {
    for (target, file) in [("agent_cfg", "agent.cfg"), ("guideway_toml", "guideway.toml")] {
        for (name, text) in corpus(target) {
            let findings = match load_text(Path::new(file), &text) {
                Ok((_, findings)) | Err(findings) => findings,
            };
            for finding in findings {
                assert!(finding.line() >= 1 && finding.column() >= 1, "{name}: {finding}");
            }
        }
    }
}
