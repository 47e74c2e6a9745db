//! From a tag list of KEPServerEX to a draft of a profile.
//!
//! Two forms are read: the CSV file that is exported from a device, and the project as JSON. What Guideway cannot
//! take over stands in the draft as a comment with its reason.

mod csv;
mod json;
mod logix;
mod melsec;
mod modbus;
mod places;
mod probe;
mod s7;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use guideway_contract::Access;

use super::draft::{Draft, DraftPoint, comment, quoted};
use crate::reading::MAX_BYTES as MAX_PROFILE;
use probe::Probe;
use tag::{Scaling, Tag};

/// Longest file that is read, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;
/// The most points that a profile has.
const MOST_POINTS: usize = 50_000;
/// How often points are read whose tag does not say it.
const EVERY_MS: u64 = 1_000;

/// The protocols that tag lists can be imported for, with what KEPServerEX calls its drivers for them.
const KINDS: [(&str, &[&str]); 6] = [
    ("modbus", &["Modbus TCP/IP Ethernet", "Modbus RTU Serial"]),
    ("s7", &["Siemens TCP/IP Ethernet"]),
    ("ethernet-ip", &["Allen-Bradley ControlLogix Ethernet", "Allen-Bradley Micro800 Ethernet"]),
    ("slmp", &["Mitsubishi Ethernet"]),
    ("ads", &["Beckhoff TwinCAT"]),
    ("opcua", &["OPC UA Client"]),
];

/// What came of a tag list.
#[derive(Debug)]
pub struct Imported {
    /// The profile.
    pub text: String,
    /// The device whose tags they are; empty where the file does not say it.
    pub device: String,
    /// How many tags became points.
    pub taken: usize,
    /// The tags that did not, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// What else somebody should know.
    pub notes: Vec<String>,
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line in the file, where there is one.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What helps.
    pub cure: String,
}

impl Error {
    fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { line: None, what: what.into(), cure: cure.into() }
    }

    fn at(line: u64, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(what, cure) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "{line}: ")?;
        }
        write!(f, "{}", self.what)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "; {}", self.cure) }
    }
}

impl std::error::Error for Error {}

/// How a device's addresses and values are to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Encoding {
    /// Modbus: numbers count from one, so that one is subtracted.
    subtract_one: bool,
    /// Modbus: bits of a register count from zero.
    zero_based_bits: bool,
    /// Modbus: the high byte of a register comes first.
    high_byte_first: bool,
    /// Modbus: the low register of 32 bits comes first.
    low_word_first: bool,
    /// Modbus: the low half of 64 bits comes first.
    low_double_first: bool,
}

/// As KEPServerEX has it where nobody changed it.
impl Default for Encoding {
    fn default() -> Self {
        Self {
            subtract_one: true,
            zero_based_bits: true,
            high_byte_first: true,
            low_word_first: true,
            low_double_first: true,
        }
    }
}

impl Encoding {
    /// As the Modbus adapter calls it.
    fn byte_order(&self) -> &'static str {
        match (self.high_byte_first, self.low_word_first) {
            (true, false) => "ABCD",
            (true, true) => "CDAB",
            (false, false) => "BADC",
            (false, true) => "DCBA",
        }
    }
}

/// A device's tags, as they were read.
#[derive(Debug, Default)]
struct Device {
    name: String,
    kind: &'static str,
    encoding: Encoding,
    /// Further keys of `[adapter]`, with their values as TOML writes them.
    settings: Vec<(&'static str, String)>,
    /// Its address, where the file says it.
    address: String,
    /// What somebody should know.
    notes: Vec<String>,
    tags: Vec<Tag>,
}

/// Makes a draft of a tag list. `kind` is the protocol, which a CSV file does not say; `device` is one of a project's
/// devices, by its name or with its channel's: `Channel1.Device1`.
///
/// # Errors
/// The file cannot be read, or is not of one device of a protocol that Guideway speaks.
pub fn import(bytes: &[u8], kind: Option<&str>, device: Option<&str>) -> Result<Imported, Error> {
    let kind = kind.map(known_kind).transpose()?;
    let text = csv::decoded(bytes)?;
    let device = if text.trim_start().starts_with(['{', '[']) {
        json::device(&text, kind, device)?
    } else {
        if let Some(device) = device {
            let cure = "leave --device out";
            return Err(Error::new(
                format!("a CSV list has no device `{device}`: it is of one device"),
                cure,
            ));
        }
        csv::device(&text, kind)?
    };
    imported(device)
}

/// The names of the protocols, for messages.
fn kinds() -> String {
    KINDS.map(|(kind, _)| kind).join(", ")
}

fn known_kind(kind: &str) -> Result<&'static str, Error> {
    let known = KINDS.iter().map(|(known, _)| *known).find(|known| *known == kind);
    known.ok_or_else(|| {
        Error::new(
            format!("tag lists cannot be imported for `{kind}`"),
            format!("--kind is one of {}", kinds()),
        )
    })
}

fn imported(mut device: Device) -> Result<Imported, Error> {
    if device.kind == "modbus" {
        device.settings.push(("byte_order", format!("\"{}\"", device.encoding.byte_order())));
    }
    let mut probe = Probe::new(device.kind, &device.settings)?;
    device.settings.retain(|(key, _)| probe.has_taken(key));
    let mut groups: BTreeMap<u64, String> = BTreeMap::new();
    let mut points = Vec::with_capacity(device.tags.len());
    for tag in &device.tags {
        let period = tag.period_ms.filter(|period| *period > 0).unwrap_or(EVERY_MS);
        let group = groups.entry(period).or_insert_with(|| group(period)).clone();
        points.push(point(tag, group, &device, &mut probe));
    }
    let left_out: Vec<(String, String)> =
        points.iter().filter_map(|point| Some((point.label.clone(), point.left_out.clone()?))).collect();
    let taken = points.len() - left_out.len();
    if taken > MOST_POINTS {
        let cure = "export its groups one by one, and make a profile of each";
        return Err(Error::new(format!("{taken} tags: a profile has at most {MOST_POINTS} points"), cure));
    }
    if groups.is_empty() {
        groups.insert(EVERY_MS, group(EVERY_MS));
    }
    let draft = Draft {
        head: head(&device, taken, left_out.len()),
        kind: device.kind.to_owned(),
        settings: device.settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        groups: groups.into_iter().map(|(period, name)| (name, period_text(period))).collect(),
        points,
    };
    let text = draft.text();
    if text.len() as u64 > MAX_PROFILE {
        let what = format!("the profile would have {} bytes, at most {MAX_PROFILE} are read", text.len());
        return Err(Error::new(what, "export the device's groups one by one, and make a profile of each"));
    }
    Ok(Imported { text, device: device.name, taken, left_out, notes: device.notes })
}

fn head(device: &Device, taken: usize, left_out: usize) -> Vec<String> {
    let of = if device.name.is_empty() { String::new() } else { format!(" of {}", comment(&device.name)) };
    let address = if device.address.is_empty() { "ADDRESS" } else { device.address.as_str() };
    let mut head = vec![
        format!("A draft of the tags{of} in KEPServerEX: {taken} taken, {left_out} not (see the comments)."),
        "Give the items their places and types, take away what is not needed, then:".into(),
        format!("guideway check THIS.toml; guideway try THIS.toml {}", comment(address)),
    ];
    head.extend(device.notes.iter().cloned());
    head
}

fn group(period: u64) -> String {
    format!("every_{}", period_text(period))
}

fn period_text(period: u64) -> String {
    if period.is_multiple_of(1_000) { format!("{}s", period / 1_000) } else { format!("{period}ms") }
}

/// The point that a tag becomes; what cannot be taken over stands as a comment.
fn point(tag: &Tag, group: String, device: &Device, probe: &mut Probe) -> DraftPoint {
    let about = match tag.units.as_str() {
        "" => tag.description.clone(),
        units if tag.description.is_empty() => format!("in {units}"),
        units => format!("{}, in {units}", tag.description),
    };
    let mut point = DraftPoint {
        label: tag.name.clone(),
        address: tag.address.clone(),
        group,
        data_type: String::new(),
        access: tag.access,
        about,
        ..DraftPoint::default()
    };
    if let Err(why) = fill(&mut point, tag, device, probe) {
        point.left_out = Some(why);
    }
    point
}

fn fill(point: &mut DraftPoint, tag: &Tag, device: &Device, probe: &mut Probe) -> Result<(), String> {
    let mut notes = Vec::new();
    if tag.address.is_empty() {
        return Err("it has no address".into());
    }
    let place = places::convert(device.kind, &tag.address, tag.data_type.clone()?, &device.encoding)?;
    point.address.clone_from(&place.address);
    point.data_type = place.data_type();
    point.own = place.own;
    point.scale = place.scale;
    notes.extend(place.note);
    match &tag.scaling {
        Scaling::None => {}
        Scaling::SquareRoot => return Err("square-root scaling: points have linear scaling only".into()),
        Scaling::Unreadable(why) => return Err(why.clone()),
        Scaling::Linear(linear) => {
            let (scale, offset) = linear.scale_and_offset()?;
            let scale = scale * place.scale.unwrap_or(1.0);
            if !scale.is_finite() || scale == 0.0 {
                return Err("the scaling cannot be used: its factor is no number but 0".into());
            }
            point.scale = (scale != 1.0).then_some(scale);
            point.offset = (offset != 0.0).then_some(offset);
            notes.extend(linear.clamp_note());
            if tag.access.writes() && (point.scale.is_some() || point.offset.is_some()) {
                notes.push("commands write the raw value".into());
            }
        }
    }
    if point.address.contains("${") {
        return Err("`${` in a profile stands for a parameter".into());
    }
    let mut issues = probe.issues(point);
    if tag.access == Access::ReadWrite
        && !issues.is_empty()
        && issues.iter().all(|issue| issue.key == "access")
    {
        point.access = Access::Read;
        issues = probe.issues(point);
        notes.push("was R/W, can only be read".into());
    }
    point.note = notes.join("; ");
    match issues.into_iter().next() {
        None => Ok(()),
        Some(issue) => Err(issue.what),
    }
}
