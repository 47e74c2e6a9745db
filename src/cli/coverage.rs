//! `guideway coverage`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use super::{print, say};
use crate::coverage::{self, Heading, Results, Table};

/// Where cargo-nextest leaves its report, below the build folder.
const REPORT: &str = "nextest/default/junit.xml";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A report of the tests, JUnit XML as cargo-nextest writes it; may be given several times, and of a
    /// test in several the worst counts. Default: nextest/default/junit.xml in target or in
    /// $CARGO_TARGET_DIR, if there is one.
    #[arg(long, value_name = "JUNIT.xml", num_args = 1..)]
    results: Vec<PathBuf>,

    /// How the table looks.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// What was built and tested, for the table's heading: a commit, such as "$(git describe --always --dirty)".
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    build: String,

    /// Exit with 1 when a test that a row names failed, was skipped, was not run or does not exist.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut results = Results::default();
    let reports = match arguments.results.as_slice() {
        [] => found(),
        named => named.to_vec(),
    };
    let mut notes = Vec::new();
    for report in &reports {
        results.add_file(report)?;
        if is_older_than_this_program(report) {
            notes.push(format!(
                "{} is older than this program: run the tests again (scripts/test).",
                report.display()
            ));
        }
    }
    let heading = Heading {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: arguments.build.clone(),
        notes,
        ..Heading::default()
    };
    let table = Table::new(coverage::rows()?, &results, heading);
    match arguments.format {
        Format::Text => print(coverage::text(&table).trim_end()),
        Format::Markdown => print(coverage::markdown(&table).trim_end()),
        Format::Json => print(&format!("{:#}", coverage::json(&table))),
    }
    if !arguments.strict {
        return Ok(ExitCode::SUCCESS);
    }
    let findings = table.findings();
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for finding in &findings {
        say(finding);
    }
    say(&format!(
        "guideway: {} of the tests that rows of src/coverage/rows.toml name did not pass. A test that has \
         another name now is put right there; `cargo nextest list --workspace` has all names.",
        findings.len()
    ));
    Ok(ExitCode::FAILURE)
}

/// The report of the last run of the tests in this folder: one, the newer where there are two.
fn found() -> Vec<PathBuf> {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folders = named.into_iter().chain([PathBuf::from("target")]);
    let reports = folders.map(|folder| folder.join(REPORT)).filter(|report| report.is_file());
    reports.max_by_key(|report| written(report)).into_iter().collect()
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn is_older_than_this_program(report: &Path) -> bool {
    let program = std::env::current_exe().ok().and_then(|program| written(&program));
    written(report).zip(program).is_some_and(|(report, program)| report < program)
}
