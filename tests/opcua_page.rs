//! The programs in docs/opcua.md, as they stand there, against `guideway demo`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::demo::Demo;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The page's first program in that language.
fn program(language: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/opcua.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

/// What the program needs; `None`, and a word about it, where scripts/test has not put it there.
#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
fn installed(path: &str) -> Option<PathBuf> {
    let path = root().join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "scripts/test installs {}", path.display());
    println!("SKIPPED: there is no {}; scripts/test installs it", path.display());
    None
}

/// Runs a program and gives what it printed.
fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_python_program_lists_the_machines_and_follows_a_data_item() {
    let Some(python) = installed(".venv/bin/python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let text = program("python");
    assert!(text.contains("opc.tcp://127.0.0.1:4840"));
    let text = text.replace("127.0.0.1:4840", &demo.opcua.to_string()).replace("sleep(10)", "sleep(5)");
    let mut command = Command::new(python);
    command.args(["-c", &text]);
    let said = said(command);
    for machine in ["Mill", "Lathe", "RobotCell"] {
        assert!(said.lines().any(|line| line == machine), "{machine} is not in\n{said}");
    }
    assert!(said.contains("guideway-sim-mill/mill_exec"), "its value is told at once:\n{said}");
}

#[test]
fn the_javascript_program_lists_the_machines() {
    let Some(modules) = installed("tests/peers/node_modules/node-opcua-client") else { return };
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let text = program("js");
    assert!(text.contains("opc.tcp://127.0.0.1:4840"));
    let text = text.replace("127.0.0.1:4840", &demo.opcua.to_string());
    let mut command = Command::new("node");
    // It keeps its certificates in its home.
    command.args(["-e", &text]).env("NODE_PATH", modules.parent().unwrap()).env("HOME", folder.path());
    let said = said(command);
    for machine in ["Mill", "Lathe", "RobotCell"] {
        assert!(said.contains(machine), "{machine} is not in\n{said}");
    }
}
