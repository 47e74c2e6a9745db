//! `guideway control off`, `on` and `status`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use guideway_contract::Timestamp;

use super::super::{print, say};
use crate::config;
use crate::control::switch::{self, Written};

/// The exit status of `status` when control is off.
const EXIT_OFF: u8 = 3;

/// Which gateway is meant.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The gateway's configuration, which says where its data is. Only that is looked at.
    #[arg(long, value_name = "FILE", default_value = "guideway.toml", conflicts_with = "data_dir")]
    config: PathBuf,

    /// The gateway's data directory itself.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl Place {
    /// The file in the data directory, and the one that the configuration names beside it.
    fn files(&self) -> anyhow::Result<(PathBuf, Option<PathBuf>)> {
        let (folder, other) = match &self.data_dir {
            Some(folder) => (folder.clone(), None),
            None => {
                let read = config::load_for_switch(&self.config).map_err(anyhow::Error::msg);
                let (gateway, other) = read
                    .context("name the gateway's configuration with --config, or its data with --data-dir")?;
                (gateway.data_dir(), other)
            }
        };
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        // A file beside the real data would stop nothing, and somebody would believe that it does.
        if !folder.is_dir() {
            bail!(
                "there is no folder {}: no gateway has its data there; name it with --data-dir",
                folder.display()
            );
        }
        Ok((switch::path_in(&folder), other))
    }
}

pub(super) fn off(place: &Place, reason: &str) -> anyhow::Result<ExitCode> {
    let (path, _) = place.files()?;
    let written = Written { by: who().into(), reason: reason.to_owned(), time: Timestamp::now() };
    switch::write(&path, &written).with_context(|| {
        format!(
            "CONTROL IS NOT OFF: cannot write {}; run this as the user that the gateway runs as",
            path.display()
        )
    })?;
    print(&format!("control is off: {}", path.display()));
    // The journal is made at the first start.
    if !path.with_file_name("lock").exists() {
        say(
            "note: no journal is in this folder; if the gateway has its data elsewhere, name that with --data-dir",
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn on(place: &Place) -> anyhow::Result<ExitCode> {
    let (path, other) = place.files()?;
    let removed = switch::remove(&path)
        .with_context(|| format!("control is still off: cannot remove {}", path.display()))?;
    if let Some(other) = other
        && let Some(written) = switch::read(&other)
    {
        print(&format!("control is still off: {} is there too{}", other.display(), because(&written)));
        return Ok(ExitCode::FAILURE);
    }
    print(if removed { "control is on" } else { "control was on already" });
    Ok(ExitCode::SUCCESS)
}

pub(super) fn status(place: &Place) -> anyhow::Result<ExitCode> {
    let (path, other) = place.files()?;
    let found: Vec<(&Path, Written)> = [Some(&path), other.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|path| Some((path.as_path(), switch::read(path)?)))
        .collect();
    if found.is_empty() {
        print("control is on");
        return Ok(ExitCode::SUCCESS);
    }
    for (path, written) in found {
        let Written { by, time, .. } = &written;
        print(&format!("control is off since {time} by {by}{}\n  {}", because(&written), path.display()));
    }
    Ok(ExitCode::from(EXIT_OFF))
}

fn because(written: &Written) -> String {
    if written.reason.is_empty() { String::new() } else { format!(": {}", written.reason) }
}

/// Who runs this; who has become root is still who they were.
fn who() -> String {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    let name = names.iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.trim().is_empty()));
    name.unwrap_or_else(|| "command line".to_owned())
}
