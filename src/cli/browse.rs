//! `guideway browse`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use guideway_contract::{Adapter, Found};
use toml::de::{DeTable, DeValue};

use super::machine::settings_of;
use super::trial::aligned;
use super::{Logging, print, say};
use crate::config::{Log, LogLevel};
use crate::profile::draft;
use crate::protocols::{self, Driver};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to look at: opc.tcp://host:4840, eip://plc, ads://plc, s7://plc, modbus://host:502?range=holding:0-200,
    /// http://agent:5000, mqtt://broker, …
    #[arg(value_name = "URL")]
    url: String,

    /// The protocol, where the URL does not begin with it.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,

    /// A setting of the protocol's [adapter], as a profile writes it: --set slot=2
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Where to begin: an address that browsing has shown.
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    at: String,

    /// How many folders deep to look.
    #[arg(long, default_value_t = 3)]
    depth: usize,

    /// Stop after so many.
    #[arg(long, default_value_t = 2_000)]
    most: usize,

    /// Print a profile to start from, with all that was found.
    #[arg(long)]
    draft: bool,
}

pub(super) fn run(arguments: &Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    logging.start(&Log { level: LogLevel::Error, ..Log::default() })?;
    let driver = driver(arguments)?;
    let Some(mut settings) = driver.plain() else { bail!("{} cannot be browsed", driver.kind()) };
    let mut merged = DeTable::new();
    let mut kept = Vec::new();
    for (key, value) in settings_of(&arguments.set)? {
        let put = settings.set(&merged, key.get_ref(), &value);
        put.map_err(|(what, cure)| anyhow::anyhow!("--set {}: {what} {cure}", key.get_ref()))?;
        kept.push((key.get_ref().to_string(), written(&value)));
        merged.insert(key, value);
    }
    let (place, range) = split_range(&arguments.url);
    settings.set_address(&place).map_err(anyhow::Error::msg)?;
    let at = if arguments.at.is_empty() { range.unwrap_or_default() } else { arguments.at.clone() };
    let mut adapter = settings.adapter();
    let found = super::runtime()?.block_on(walk(&mut *adapter, &at, arguments))?;
    if arguments.draft {
        // What the URL says beside the place is a setting where the protocol has one of that name.
        let query = place.split_once('?').map_or("", |(_, query)| query);
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if driver.config_keys().contains(&key) && kept.iter().all(|(known, _)| known != key) {
                let is_number = value.parse::<f64>().is_ok();
                kept.push((key.to_owned(), if is_number { value.to_owned() } else { format!("{value:?}") }));
            }
        }
        let host = place.split_once('?').map_or(place.as_str(), |(host, _)| host);
        print(draft(driver.kind(), host, &kept, &found).trim_end());
    } else {
        print(table(&found).trim_end());
        say(&format!("{} found", found.len()));
        if found.is_empty() {
            say("nothing answers there: another --at, range, unit or slot may");
        }
    }
    Ok(if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn driver(arguments: &Arguments) -> anyhow::Result<&'static dyn Driver> {
    let scheme = arguments.url.split_once("://").map(|(scheme, _)| scheme);
    let kind = match (&arguments.kind, scheme) {
        (Some(kind), _) => kind.as_str(),
        (None, Some("opc.tcp")) => "opcua",
        (None, Some("http" | "https")) => "mtconnect",
        (None, Some("mqtts")) => "mqtt",
        (None, Some("eip" | "cip" | "logix")) => "ethernet-ip",
        (None, Some("mc")) => "slmp",
        (None, Some(scheme)) => scheme,
        (None, None) => {
            bail!("`{}`: write the protocol in front, such as opc.tcp://…, or --kind", arguments.url)
        }
    };
    let kinds: Vec<_> = protocols::DRIVERS.iter().map(|driver| driver.kind()).collect();
    protocols::driver(kind)
        .with_context(|| format!("there is no protocol `{kind}`; there are {}", kinds.join(", ")))
}

/// A value as TOML writes it.
fn written(value: &crate::reading::Value<'_>) -> String {
    match value.get_ref() {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(set) => set.to_string(),
        other => format!("{:?}", other.as_str().unwrap_or_default()),
    }
}

/// A range of registers is where to browse and no part of the address.
fn split_range(url: &str) -> (String, Option<String>) {
    let Some((place, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (ranges, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| pair.starts_with("range="));
    let place = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
    (place, ranges.first().and_then(|pair| pair.strip_prefix("range=")).map(str::to_owned))
}

/// Folders first in, first out; those that cannot be listed are told and passed over.
async fn walk(adapter: &mut dyn Adapter, at: &str, arguments: &Arguments) -> anyhow::Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    let mut waiting = std::collections::VecDeque::from([(at.to_owned(), 0)]);
    while let Some((address, depth)) = waiting.pop_front() {
        let listed = match adapter.browse(&address).await {
            Ok(listed) => listed,
            Err(end) if depth == 0 => bail!("cannot browse: {end}"),
            Err(end) => {
                say(&format!("{address}: {end}"));
                continue;
            }
        };
        for entry in listed {
            if found.len() >= arguments.most {
                say(&format!(
                    "stopped after {}; --most takes more, --at begins further down",
                    arguments.most
                ));
                return Ok(found);
            }
            if found.iter().any(|known| known.address == entry.address) {
                continue;
            }
            if entry.folder && depth + 1 < arguments.depth {
                waiting.push_back((entry.address.to_string(), depth + 1));
            }
            found.push(entry);
        }
    }
    Ok(found)
}

fn table(found: &[Found]) -> String {
    let mut rows: Vec<[String; 6]> =
        vec![["address", "type", "", "value", "units", "name"].map(str::to_owned)];
    for entry in found {
        let kind = match (&entry.data_type, entry.folder) {
            (Some(data_type), _) => data_type.to_string(),
            (None, true) => "folder".to_owned(),
            (None, false) => "auto".to_owned(),
        };
        let label = [entry.label.as_str(), entry.note.as_str()];
        let label = label.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        let access = if entry.writable { "rw" } else { "" };
        let (address, value) = (entry.address.to_string(), entry.value.clone());
        rows.push([address, kind, access.to_owned(), value, entry.units.to_string(), label]);
    }
    aligned(&rows)
}
