//! `guideway import`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::{print, say};
use crate::profile::import::{self, MAX_BYTES};

/// Reasons that are told; all of them stand in the draft.
const MOST_TOLD: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A device's tags as CSV, or a project as JSON.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The protocol: modbus, s7, ethernet-ip, slmp, ads or opcua. A project says it itself by the driver's name.
    #[arg(long, value_name = "PROTOCOL")]
    kind: Option<String>,

    /// Which device of a project: Device1, or Channel1.Device1.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = arguments.file.display();
    let file = std::fs::File::open(&arguments.file).with_context(|| format!("cannot read {path}"))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {path}"))?;
    let imported = match import::import(&bytes, arguments.kind.as_deref(), arguments.device.as_deref()) {
        Ok(imported) => imported,
        Err(error) if error.line.is_some() => bail!("{path}:{error}"),
        Err(error) => bail!("{path}: {error}"),
    };
    print(imported.text.trim_end());
    let of = if imported.device.is_empty() { String::new() } else { format!("{}: ", imported.device) };
    say(&format!("{of}{} tags taken, {} not", imported.taken, imported.left_out.len()));
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, why) in &imported.left_out {
        reasons.entry(why).or_default().push(name);
    }
    for (why, names) in reasons.iter().take(MOST_TOLD) {
        match names[..] {
            [name] => say(&format!("  {name}: {why}")),
            [name, ..] => say(&format!("  {name} and {} more: {why}", names.len() - 1)),
            [] => {}
        }
    }
    if reasons.len() > MOST_TOLD {
        say(&format!("  and {} more reasons: see the comments in the draft", reasons.len() - MOST_TOLD));
    }
    for note in &imported.notes {
        say(&format!("note: {note}"));
    }
    Ok(if imported.taken == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
