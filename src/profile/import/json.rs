//! A KEPServerEX project as JSON: channels, their devices, their groups of tags.

use guideway_contract::Access;
use serde_json::Value;

use super::tag::{Linear, Scaling, Tag, Type};
use super::{Device, Encoding, Error, KINDS};

const NAME: &str = "common.ALLTYPES_NAME";
const DRIVER: &str = "servermain.MULTIPLE_TYPES_DEVICE_DRIVER";
const ID: &str = "servermain.DEVICE_ID_STRING";
/// Devices that are named where one has to be chosen.
const MOST_NAMED: usize = 50;

/// A device, before it is read.
struct Found<'v> {
    channel: &'v str,
    name: &'v str,
    driver: &'v str,
    value: &'v Value,
}

impl Found<'_> {
    fn path(&self) -> String {
        if self.channel.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.channel, self.name) }
    }
}

/// The tags of a project's device.
pub(super) fn device(text: &str, kind: Option<&'static str>, wanted: Option<&str>) -> Result<Device, Error> {
    let project: Value = serde_json::from_str(text).map_err(|error| {
        let line = u64::try_from(error.line()).unwrap_or_default();
        Error::at(line, format!("not JSON: {error}"), "save the project anew (File > Save As > JSON)")
    })?;
    let root = project.get("project").unwrap_or(&project);
    let mut found = Vec::new();
    for channel in list(root, "channels") {
        for device in list(channel, "devices") {
            let driver = Some(text_of(device, DRIVER)).filter(|driver| !driver.is_empty());
            found.push(Found {
                channel: text_of(channel, NAME),
                name: text_of(device, NAME),
                driver: driver.unwrap_or_else(|| text_of(channel, DRIVER)),
                value: device,
            });
        }
    }
    let chosen = choose(&found, wanted)?;
    let kind = match kind {
        Some(kind) => kind,
        None => kind_of(chosen)?,
    };
    let mut device = Device {
        name: chosen.path(),
        kind,
        encoding: encoding(chosen.value),
        settings: Vec::new(),
        address: String::new(),
        notes: Vec::new(),
        tags: Vec::new(),
    };
    identify(&mut device, chosen);
    collect(chosen.value, "", &mut device.tags);
    Ok(device)
}

fn choose<'f, 'v>(found: &'f [Found<'v>], wanted: Option<&str>) -> Result<&'f Found<'v>, Error> {
    let all = || {
        let named: Vec<String> = found
            .iter()
            .take(MOST_NAMED)
            .map(|device| format!("{} ({}, {} tags)", device.path(), device.driver, count(device.value)))
            .collect();
        let more = if found.len() > MOST_NAMED { ", …" } else { "" };
        format!("{}{more}", named.join(", "))
    };
    if found.is_empty() {
        let cure = "give a project that was saved as JSON (File > Save As > JSON), or a device's tags as CSV";
        return Err(Error::new("there is no device in `project.channels`", cure));
    }
    let Some(wanted) = wanted else {
        return match found {
            [one] => Ok(one),
            _ => {
                let what = format!("the project has {} devices", found.len());
                Err(Error::new(what, format!("choose one with --device: {}", all())))
            }
        };
    };
    let by = |is: &dyn Fn(&Found<'_>) -> bool| found.iter().filter(|device| is(device)).collect::<Vec<_>>();
    let mut those = by(&|device| device.path() == wanted);
    if those.is_empty() {
        those = by(&|device| device.name == wanted);
    }
    match those[..] {
        [one] => Ok(one),
        [] => {
            Err(Error::new(format!("the project has no device `{wanted}`"), format!("there are {}", all())))
        }
        _ => {
            let what = format!("several channels have a device `{wanted}`");
            Err(Error::new(what, format!("name the channel too: {}", all())))
        }
    }
}

fn kind_of(device: &Found<'_>) -> Result<&'static str, Error> {
    let known = KINDS.iter().find(|(_, drivers)| drivers.contains(&device.driver));
    known.map(|(kind, _)| *kind).ok_or_else(|| {
        let drivers: Vec<&str> = KINDS.iter().flat_map(|(_, drivers)| drivers.iter().copied()).collect();
        let what = format!("{}: tags of the driver `{}` cannot be imported", device.path(), device.driver);
        let cure = format!("there are {}; if it speaks like one of them, say --kind", drivers.join(", "));
        Error::new(what, cure)
    })
}

/// What a driver's own settings say; their keys begin with the driver's name.
fn own<'v>(device: &'v Value, key: &str) -> Option<&'v Value> {
    let entries = device.as_object()?;
    entries.iter().find(|(name, _)| name.rsplit('.').next() == Some(key)).map(|(_, value)| value)
}

fn encoding(device: &Value) -> Encoding {
    let set = |key: &str| own(device, key).and_then(is_set).unwrap_or(true);
    Encoding {
        subtract_one: set("DEVICE_ZERO_BASED_ADDRESSING"),
        zero_based_bits: set("DEVICE_ZERO_BASED_BIT_ADDRESSING"),
        high_byte_first: set("DEVICE_MODBUS_BYTE_ORDER"),
        low_word_first: set("DEVICE_FIRST_WORD_LOW"),
        low_double_first: set("DEVICE_FIRST_DWORD_LOW"),
    }
}

/// Where the device is, and what of that belongs to its kind.
fn identify(device: &mut Device, found: &Found<'_>) {
    let value = found.value;
    let id = text_of(value, ID);
    let number = |key: &str| own(value, key).and_then(Value::as_u64);
    let mut set = |key: &'static str, number: Option<u64>| {
        device.settings.extend(number.map(|number| (key, number.to_string())));
    };
    let (host, rest) = id.strip_prefix('<').and_then(|id| id.split_once('>')).unwrap_or((id, ""));
    match device.kind {
        "modbus" => {
            set("port", number("DEVICE_ETHERNET_PORT_NUMBER"));
            let is_serial = found.driver.contains("Serial");
            let unit = if is_serial { id } else { rest.trim_start_matches('.') };
            set("unit", unit.parse().ok().or_else(|| number("DEVICE_ID_DECIMAL")));
            if is_serial {
                device
                    .notes
                    .push("The serial line's settings are not taken over; see [adapter] serial.".into());
                return;
            }
        }
        "s7" => {
            set("port", number("DEVICE_COMMUNICATIONS_PORT_NUMBER"));
            set("rack", number("DEVICE_S7_COMMUNICATIONS_CPU_RACK"));
            set("slot", number("DEVICE_S7_COMMUNICATIONS_CPU_SLOT"));
        }
        "ethernet-ip" => {
            set("port", number("DEVICE_PORT_NUMBER"));
            let route = rest.trim_start_matches(',');
            if found.driver.contains("Micro800") {
                device.settings.push(("slot", "\"none\"".into()));
            } else if !route.is_empty() {
                device.settings.push(("path", super::quoted(route)));
            }
        }
        "slmp" => {
            set("port", number("DEVICE_PORT_NUMBER"));
            device.notes.push(
                "The controller has to speak SLMP (MC protocol 3E, binary, TCP); of an FX5 write series = \"iq-f\"."
                    .into(),
            );
        }
        // The AMS net id is set in the profile, the server's URL in the instance.
        _ => {}
    }
    if matches!(device.kind, "modbus" | "s7" | "ethernet-ip" | "slmp") {
        host.split(':').next().unwrap_or_default().trim().clone_into(&mut device.address);
    }
}

fn count(device: &Value) -> usize {
    list(device, "tags").len() + list(device, "tag_groups").iter().map(count).sum::<usize>()
}

/// The tags of a group and of those in it. JSON is not read deeper than 128 levels.
fn collect(group: &Value, prefix: &str, tags: &mut Vec<Tag>) {
    let path = |value: &Value| {
        let name = text_of(value, NAME);
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
    };
    tags.extend(list(group, "tags").iter().map(|value| tag(path(value), value)));
    for inner in list(group, "tag_groups") {
        collect(inner, &path(inner), tags);
    }
}

fn tag(name: String, value: &Value) -> Tag {
    let data_type = match value.get("servermain.TAG_DATA_TYPE") {
        None | Some(Value::Null) => Type::numbered(-1),
        Some(number) => match number.as_i64() {
            Some(number) => Type::numbered(number),
            None => Type::parse(number.as_str().unwrap_or("?")),
        },
    };
    let access = value.get("servermain.TAG_READ_WRITE_ACCESS");
    let access = if access.and_then(is_set) == Some(true) { Access::ReadWrite } else { Access::Read };
    Tag {
        name,
        address: text_of(value, "servermain.TAG_ADDRESS").trim().to_owned(),
        data_type,
        access,
        period_ms: value.get("servermain.TAG_SCAN_RATE_MILLISECONDS").and_then(Value::as_u64),
        scaling: scaling(value),
        units: text_of(value, "servermain.TAG_SCALING_UNITS").trim().to_owned(),
        description: text_of(value, "common.ALLTYPES_DESCRIPTION").trim().to_owned(),
    }
}

fn scaling(tag: &Value) -> Scaling {
    let of = |key: &str| tag.get(format!("servermain.TAG_SCALING_{key}"));
    match of("TYPE").map_or(Some(0), Value::as_i64) {
        Some(0) => return Scaling::None,
        Some(1) => {}
        Some(2) => return Scaling::SquareRoot,
        _ => return Scaling::Unreadable("a scaling that is not known".into()),
    }
    let number = |key: &str| of(key).and_then(Value::as_f64);
    let pair = |low: &str, high: &str| Some((number(low)?, number(high)?));
    let (Some(raw), Some(scaled)) = (pair("RAW_LOW", "RAW_HIGH"), pair("SCALED_LOW", "SCALED_HIGH")) else {
        return Scaling::Unreadable("linear scaling whose four numbers cannot be read".into());
    };
    let set = |key: &str| of(key).and_then(is_set).unwrap_or(false);
    let clamp = (set("CLAMP_LOW"), set("CLAMP_HIGH"));
    Scaling::Linear(Linear { raw, scaled, clamp, negate: set("NEGATE_VALUE") })
}

/// `true` and 1 are set.
fn is_set(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_i64().map(|number| number != 0))
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
