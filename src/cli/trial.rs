//! `guideway try`.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{AdapterId, ItemIndex, Level, RawReading, Signal, Value};
use tokio::time::Instant;

use super::machine::{AtWork, Which};
use super::{Logging, print, say};
use crate::config::{Log, LogLevel};
use crate::device_model::{DeviceIndex, DeviceModel, Options};
use crate::pipeline::{AdapterRules, Pipeline, Reason};
use crate::profile::Machine;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,

    /// How long to wait for points that have not been read.
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = super::duration)]
    time: Duration,

    /// Go on until Ctrl-C, and keep the table up to date.
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(arguments: &Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    // The terminal belongs to the table.
    logging.start(&Log { level: LogLevel::Error, ..Log::default() })?;
    let machine = arguments.which.machine()?;
    super::runtime()?.block_on(trial(arguments, machine))
}

/// What has been seen.
struct Seen {
    machine: Machine,
    model: Option<Arc<DeviceModel>>,
    pipeline: Option<Pipeline>,
    raw: Vec<Option<RawReading>>,
    /// The last value of each item; of a condition what is active.
    items: BTreeMap<ItemIndex, Vec<Value>>,
    state: String,
}

async fn trial(arguments: &Arguments, machine: Machine) -> anyhow::Result<ExitCode> {
    let mut seen = Seen::new(machine);
    let adapter = seen.machine.adapter();
    say(&format!("connecting to {} …", adapter.endpoint()));
    let keys = seen.pipeline.as_ref().map(|pipeline| pipeline.routes_by_key(AdapterId(0)).points);
    let mut at_work = AtWork::start(adapter, keys.unwrap_or_default());
    let deadline = Instant::now() + arguments.time;
    let redraws = arguments.watch && std::io::stdout().is_terminal();
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            signal = at_work.next() => match signal {
                Some(signal) => seen.take(signal),
                None => break,
            },
            _ = ticks.tick() => {
                if let Some(error) = at_work.health.last_error() {
                    seen.state = error;
                }
                if redraws {
                    let table = seen.table();
                    let mut terminal = std::io::stdout().lock();
                    // A terminal that is gone is no reason to stop.
                    let _ = write!(terminal, "\x1b[2J\x1b[H{table}").and_then(|()| terminal.flush());
                }
            }
            _ = tokio::signal::ctrl_c() => break,
            () = tokio::time::sleep_until(deadline), if !arguments.watch => break,
        }
        if !arguments.watch && seen.is_complete() {
            break;
        }
    }
    at_work.stop().await;
    print(seen.table().trim_end());
    let is_good = seen.state == "connected" && seen.failures() == 0;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Seen {
    fn new(machine: Machine) -> Self {
        let options = Options { agent_device: false, ..Options::default() };
        let document = machine.device.clone().map(|xml| [(PathBuf::from("device"), xml)]);
        let model =
            document.and_then(|document| DeviceModel::from_xml(&document, &options, None).ok()).map(Arc::new);
        let pipeline = model.clone().map(|model| {
            let rules = AdapterRules {
                devices: vec![DeviceIndex(0)],
                upcase: false,
                convert: true,
                filter_duplicates: true,
                auto_available: machine.follows_link,
            };
            let mut pipeline = Pipeline::new(model, vec![rules]);
            pipeline.set_mapping(AdapterId(0), machine.mapping.clone());
            pipeline
        });
        let raw = vec![None; machine.mapping.points().len()];
        Self { machine, model, pipeline, raw, items: BTreeMap::new(), state: "not connected".into() }
    }

    fn take(&mut self, signal: Signal) {
        let mut out = Vec::new();
        match (signal, &mut self.pipeline) {
            (Signal::Connected { at }, pipeline) => {
                self.state = "connected".into();
                if let Some(pipeline) = pipeline {
                    pipeline.connected(AdapterId(0), at, &mut out);
                }
            }
            (Signal::Disconnected { at }, Some(pipeline)) => {
                pipeline.disconnected(AdapterId(0), at, &mut out);
            }
            (Signal::Raw(batch), pipeline) => {
                for reading in &batch.readings {
                    if let Some(known) = self.raw.get_mut(reading.point.index()) {
                        *known = Some(reading.clone());
                    }
                }
                if let Some(pipeline) = pipeline {
                    pipeline.raw(AdapterId(0), batch, &mut out);
                }
            }
            (Signal::Readings(batch), Some(pipeline)) => pipeline.readings(AdapterId(0), batch, &mut out),
            _ => {}
        }
        for observation in out {
            let known = self.items.entry(observation.item).or_default();
            match observation.value {
                Value::Condition(condition) => {
                    let is_other = |value: &Value| match value {
                        Value::Condition(known) => known.key() != condition.key(),
                        _ => false,
                    };
                    known
                        .retain(|value| is_other(value) && !(is_normal(value) || condition.key().is_empty()));
                    // Normal for one code leaves the others; alone it stands for the whole.
                    if condition.level != Level::Normal || known.is_empty() {
                        known.push(Value::Condition(condition));
                    }
                }
                value => *known = vec![value],
            }
        }
    }

    /// Whether every point that is read has been.
    fn is_complete(&self) -> bool {
        let accesses = self.machine.accesses();
        !self.raw.is_empty()
            && self.raw.iter().zip(accesses).all(|(raw, access)| raw.is_some() || !access.reads())
    }

    /// Points that could not be read or have not been.
    fn failures(&self) -> usize {
        let accesses = self.machine.accesses();
        let points = self.raw.iter().zip(accesses).filter(|(_, access)| access.reads());
        let is_wrong = |raw: &Option<RawReading>| raw.as_ref().is_none_or(|reading| reading.value.is_bad());
        points.filter(|(raw, _)| is_wrong(raw)).count()
    }

    fn table(&self) -> String {
        let mut rows: Vec<[String; 4]> = vec![["point", "address", "raw", "value"].map(str::to_owned)];
        let rules = self.machine.mapping.points();
        for ((rule, address), (raw, access)) in
            rules.iter().zip(self.machine.addresses()).zip(self.raw.iter().zip(self.machine.accesses()))
        {
            let (raw, value) = match raw {
                Some(reading) if reading.value.is_bad() => {
                    ("-".to_owned(), format!("FAILED {}", reading.value))
                }
                Some(reading) => (reading.value.to_string(), rule.apply(reading.value.clone()).to_string()),
                None if !access.reads() => ("-".to_owned(), "(only written)".to_owned()),
                None if self.state == "connected" => ("-".to_owned(), "FAILED not read yet".to_owned()),
                None => ("-".to_owned(), "FAILED not connected".to_owned()),
            };
            rows.push([rule.name.to_string(), address, raw, value]);
        }
        let mut text = format!("{}: {}\n\n{}", self.machine.kind, self.state, aligned(&rows));
        let Some(model) = &self.model else { return text };
        let mut rows: Vec<[String; 4]> = vec![["item", "type", "value", "units"].map(str::to_owned)];
        for item in model.items().iter().filter(|item| !item.name.is_empty()) {
            let value = self.items.get(&item.index).map_or("UNAVAILABLE".to_owned(), |values| {
                values.iter().map(shown).collect::<Vec<_>>().join("; ")
            });
            let kind = if item.sub_type.is_empty() {
                item.item_type.to_string()
            } else {
                format!("{}.{}", item.item_type, item.sub_type)
            };
            rows.push([item.name.to_string(), kind, value, item.units.to_string()]);
        }
        text.push('\n');
        text.push_str(&aligned(&rows));
        if let Some(pipeline) = &self.pipeline
            && let Some(tally) = pipeline.counters().adapter(AdapterId(0))
        {
            for reason in [Reason::Uncomputed, Reason::Rejected, Reason::Invalid] {
                if let Some(example) = tally.examples().get(&reason) {
                    text.push_str(&format!("\n{}: {example}", reason.as_str()));
                }
            }
        }
        let faults = self.failures();
        text.push_str(&format!("\n{faults} of {} points failed\n", self.raw.len()));
        text
    }
}

fn is_normal(value: &Value) -> bool {
    matches!(value, Value::Condition(condition) if condition.level == Level::Normal)
}

/// A value in one line.
pub(super) fn shown(value: &Value) -> String {
    match value.plain() {
        Value::Unavailable => "UNAVAILABLE".to_owned(),
        Value::Number(number) => guideway_contract::Native::Float(*number).to_string(),
        Value::Text(text) => text.to_string(),
        Value::Vector3(numbers) => format!("{} {} {}", numbers[0], numbers[1], numbers[2]),
        Value::TimeSeries(series) => format!("{} samples", series.values.len()),
        Value::DataSet(set) => {
            let entries = set.entries().iter().take(8).map(|entry| entry.key.as_str());
            format!("{} entries: {}", set.len(), entries.collect::<Vec<_>>().join(" "))
        }
        Value::Condition(condition) => {
            format!("{:?} {} {}", condition.level, condition.native_code, condition.message)
        }
        Value::Message(message) => message.text.to_string(),
        Value::AssetEvent(event) => format!("{} {}", event.asset_type, event.asset_id),
        Value::Annotated(_) => String::new(),
    }
}

/// What is too long loses its middle: of a path the end says most.
fn shortened(text: String, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text;
    }
    let (head, tail) = (most / 3, most - most / 3 - 1);
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

/// Rows under each other, columns cut to what a terminal shows.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    const WIDEST: usize = 60;
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count().min(WIDEST)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            let cell: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let cell = shortened(cell, WIDEST);
            text.push_str(&format!("{cell:width$}  "));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
