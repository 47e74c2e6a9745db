//! `guideway audit`.

use std::collections::{HashSet, VecDeque};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use guideway_contract::Timestamp;
use serde_json::Value as Json;

use super::{print, say};
use crate::config;
use crate::control::audit::{self, Record, What};

/// Rows of the table unless more are asked for.
const LAST: usize = 50;

/// The trail of everything that was asked of machines.
///
/// Each request and each of its steps is a row of a chain: who asked for what, what the interlock saw, what was written,
/// what was read back, how it ended. A row that was changed, taken out, moved or cut off at the end is found.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look the whole chain over. Exit status: 0 when it is whole, 1 when it is not.
    ///
    /// An end that is missing is seen by the file `head` beside the rows. Whoever could change that too is found out by
    /// a row's hash that was noted elsewhere: answers to requests and the observations of commands carry it.
    ///
    /// Examples:
    ///   guideway audit verify
    ///   guideway audit verify --data-dir /var/lib/guideway --head 1042:9f2c…
    #[command(verbatim_doc_comment)]
    Verify {
        #[command(flatten)]
        place: Place,

        /// A row and its hash, as noted elsewhere: they have to be in the chain.
        #[arg(long, value_name = "ROW:HASH")]
        head: Option<String>,
    },

    /// Show rows, the last fifty unless asked for more.
    ///
    /// Examples:
    ///   guideway audit show --device Press-1 --since 2026-01-31T06:00:00Z
    ///   guideway audit show --id 6f1c --all
    ///   guideway audit show --json --all | jq 'select(.what == "end")'
    #[command(verbatim_doc_comment)]
    Show {
        #[command(flatten)]
        place: Place,

        /// Only rows of requests whose id begins so.
        #[arg(long, value_name = "ID", default_value = "")]
        id: String,

        /// Only requests for this device.
        #[arg(long, value_name = "NAME")]
        device: Option<String>,

        /// Only rows since then.
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Timestamp>,

        /// So many rows, the last ones.
        #[arg(long, value_name = "N", default_value_t = LAST)]
        last: usize,

        /// All rows.
        #[arg(long)]
        all: bool,

        /// As they are written: one JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// Where the audit is.
#[derive(Debug, clap::Args)]
struct Place {
    /// The gateway's data directory. Default: as the configuration says.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,

    /// The configuration that names the data directory.
    #[arg(long, value_name = "FILE", default_value = "guideway.toml")]
    config: PathBuf,
}

impl Place {
    fn find(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.data_dir {
            return Ok(folder.clone());
        }
        // Whoever audits has not the gateway's environment, and its secrets.
        let (gateway, _) = config::load_for_switch(&self.config)
            .map_err(anyhow::Error::msg)
            .context("name the gateway's configuration with --config, or its data with --data-dir")?;
        Ok(gateway.data_dir())
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Verify { place, head } => verify(place, head.as_deref()),
        Command::Show { place, id, device, since, last, all, json } => {
            let filter = Filter { id, device: device.as_deref(), since: *since };
            show(place, &filter, (!*all).then_some(*last), *json)
        }
    }
}

fn verify(place: &Place, head: Option<&str>) -> anyhow::Result<ExitCode> {
    let folder = place.find()?;
    let noted = head.map(|head| {
        let parts = head.split_once(':').and_then(|(row, hash)| Some((row.parse::<u64>().ok()?, hash)));
        parts.ok_or_else(|| anyhow::anyhow!("--head {head}: write ROW:HASH, such as 1042:9f2c…"))
    });
    let noted = noted.transpose()?;
    if !folder.is_dir() {
        say(&format!("guideway: there is no data directory {}; name it with --data-dir", folder.display()));
        return Ok(ExitCode::FAILURE);
    }
    let mut found = None;
    let result = audit::read(&folder, |record| {
        if noted.is_some_and(|(row, _)| row == record.number) {
            found = Some(record.hash);
        }
    });
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => {
            say(&format!("guideway: {error}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some((row, hash)) = noted {
        let is_it = found.as_ref().is_some_and(|found| !hash.is_empty() && found.starts_with(hash));
        if !is_it {
            let what = if found.is_some() { "has another hash" } else { "is not there" };
            say(&format!(
                "guideway: {}: row {row} {what}: this is not the audit that was noted",
                folder.display()
            ));
            return Ok(ExitCode::FAILURE);
        }
    }
    if summary.head.number == 0 {
        print(&format!("no audit in {}: nothing was asked for yet", folder.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    print(&format!(
        "{} rows in {} files, from {} to {}: the chain is whole\nhead {}:{}",
        summary.head.number,
        summary.files,
        time(summary.first),
        time(summary.last),
        summary.head.number,
        summary.head.hash
    ));
    if summary.torn > 0 {
        print(&format!("{} bytes at the end are no whole row yet", summary.torn));
    }
    Ok(ExitCode::SUCCESS)
}

struct Filter<'a> {
    id: &'a str,
    device: Option<&'a str>,
    since: Option<Timestamp>,
}

impl Filter<'_> {
    /// `requests` are the first rows of requests for the device so far.
    fn wants(&self, record: &Record, requests: &mut HashSet<u64>) -> bool {
        let is_device = self.device.is_none_or(|device| {
            let fields = &record.row.fields;
            // As it was asked for, by name or uuid, and what it is called.
            let is_named = ["device", "machine"]
                .iter()
                .any(|key| fields.get(*key).and_then(Json::as_str) == Some(device));
            if is_named && record.row.what == What::Request {
                requests.insert(record.number);
            }
            // Steps do not name the device: they belong to the request that did.
            is_named || fields.get("of").and_then(Json::as_u64).is_some_and(|of| requests.contains(&of))
        });
        is_device
            && record.row.id.starts_with(self.id)
            && self.since.is_none_or(|since| record.row.time.nanos() >= since.nanos())
    }
}

fn show(place: &Place, filter: &Filter<'_>, most: Option<usize>, json: bool) -> anyhow::Result<ExitCode> {
    let folder = place.find()?;
    if !folder.is_dir() {
        anyhow::bail!("there is no data directory {}; name it with --data-dir", folder.display());
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    // Whoever has read enough closes the pipe.
    let mut put = |line: &str| drop(writeln!(out, "{line}"));
    let mut kept: VecDeque<String> = VecDeque::new();
    let mut requests = HashSet::new();
    let result = audit::read(&folder, |record| {
        if !filter.wants(&record, &mut requests) {
            return;
        }
        let line = if json { as_json(&record) } else { as_line(&record) };
        let Some(most) = most else { return put(&line) };
        kept.push_back(line);
        if kept.len() > most {
            kept.pop_front();
        }
    });
    kept.iter().for_each(|line| put(line));
    drop(out);
    if let Err(error) = result {
        say(&format!("guideway: {error}"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(record: &Record) -> String {
    let row = &record.row;
    let mut all = serde_json::Map::new();
    all.insert("row".to_owned(), record.number.into());
    all.insert("time".to_owned(), row.time.to_string().into());
    all.insert("what".to_owned(), row.what.as_str().into());
    all.insert("id".to_owned(), row.id.as_str().into());
    all.extend(row.fields.clone());
    all.insert("hash".to_owned(), record.hash.as_str().into());
    Json::Object(all).to_string()
}

/// `2026-01-31T06:00:00.1Z  request    6f1c…  scheduler (mqtt): Press-1.load {"name":"O1"}`
fn as_line(record: &Record) -> String {
    let row = &record.row;
    let text = |key: &str| row.fields.get(key).and_then(Json::as_str).unwrap_or_default();
    let any = |key: &str| match row.fields.get(key) {
        Some(Json::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let who = || format!("{} ({}): {}.{}", text("requester"), text("face"), text("device"), text("command"));
    let with = |text: String, more: String| if more.is_empty() { text } else { format!("{text}: {more}") };
    let what = match row.what {
        What::Request => format!("{} {}", who(), any("arguments")),
        What::Refused => with(format!("{} ({})", text("reason"), text("face")), text("detail").to_owned()),
        What::Begin => format!("interlock {}", any("interlock")),
        What::Write => format!("{} = {}", text("point"), any("value")),
        What::Written | What::Released => with(any("outcome"), text("cause").to_owned()),
        What::ReadBack => format!("{} = {}, expected {}", text("point"), any("value"), any("expected")),
        What::Release => "release".to_owned(),
        What::End => {
            let reason = text("reason");
            let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            with(format!("{} {}{reason}", who(), text("state")), text("detail").to_owned())
        }
        What::Switch => format!("on = {} by {} {}", any("on"), text("by"), text("reason")),
        What::Start => format!("version {}", text("version")),
        What::Dry | What::Stop | What::Note => Json::Object(row.fields.clone()).to_string(),
    };
    let line = format!("{:<27} {:<9} {:<12} {what}", row.time.to_string(), row.what.as_str(), row.id);
    // What strangers have sent must not speak to the operator's terminal.
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write a time such as 2026-01-31T06:00:00Z".to_owned())
}
