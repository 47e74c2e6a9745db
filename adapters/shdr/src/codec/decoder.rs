//! Lines to readings.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{AssetChange, Fault, Outlet, PointTable, Quality, Reading, Scope, Timestamp};
use smol_str::SmolStr;

use super::asset::{self, About};
use super::command::{self, Command};
use super::keys::Keys;
use super::time::heartbeat;
use super::value::{self, Options};
use super::{Fields, Times};
use crate::ShdrVersion;
use crate::clock::ClockOffset;

/// What begins a multi-line body, as the last field of a line.
const MULTILINE: &str = "--multiline--";

/// How lines are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether something may follow an item of several fields.
    pub version: ShdrVersion,
    /// ISO times count from the first one, too.
    pub relative_time: bool,
    /// Every value gets the time of its arrival.
    pub ignore_timestamps: bool,
    /// Times are moved by the estimated difference of the clocks.
    pub correct_timestamps: bool,
    /// A native code may carry a conditionId.
    pub condition_ids: bool,
    /// Longest multi-line body in bytes.
    pub max_body_length: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self::from(&crate::Config::new("", 0))
    }
}

impl From<&crate::Config> for Settings {
    fn from(config: &crate::Config) -> Self {
        Self {
            version: config.shdr_version,
            relative_time: config.relative_time,
            ignore_timestamps: config.ignore_timestamps,
            correct_timestamps: config.correct_timestamps,
            condition_ids: config.condition_ids,
            max_body_length: config.max_body_length,
        }
    }
}

/// What a line says besides values.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The source answered a PING and wants one every so often; `None` when it does not say how
    /// often, or nothing sensible.
    Pong(Option<Duration>),
    /// An asset came, changed or went.
    Asset(AssetChange),
    /// The source describes itself or its device.
    Describe {
        /// The device as the source named it; empty for the default one.
        device: SmolStr,
        /// What is described, as the standard writes it.
        name: SmolStr,
        /// How.
        value: String,
    },
}

/// Where the decoder tells what is wrong.
pub trait Faults {
    /// Something is wrong; `detail` costs something and is called only where it is wanted.
    fn fault(&mut self, fault: Fault, detail: impl FnOnce() -> String);
}

impl Faults for &Outlet {
    fn fault(&mut self, fault: Fault, detail: impl FnOnce() -> String) {
        Outlet::fault(self, fault, detail);
    }
}

/// Counts faults by kind, in the order of [`Fault::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally(pub [u64; Fault::ALL.len()]);

impl Tally {
    /// How often that went wrong.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }
}

impl Faults for Tally {
    fn fault(&mut self, fault: Fault, _detail: impl FnOnce() -> String) {
        self.0[fault as usize] += 1;
    }
}

/// Reads the lines of one source.
///
/// It remembers what one line says about the next: the device meant, the version spoken, the
/// beginning of relative time, a multi-line body that has begun. [`Self::start`] forgets all that.
#[derive(Debug)]
pub struct Decoder {
    settings: Settings,
    version: ShdrVersion,
    table: Arc<PointTable>,
    keys: Keys,
    times: Times,
    clock: ClockOffset,
    /// The device that the source named; empty for the default one.
    device: SmolStr,
    scope: Option<Scope>,
    body: Option<Body>,
}

/// A multi-line body on its way.
#[derive(Debug)]
struct Body {
    /// The line that began it, up to the marker.
    head: String,
    /// The line that ends it.
    end: String,
    text: String,
    /// Bytes seen, those included that were thrown away.
    seen: usize,
}

impl Decoder {
    /// A decoder with no points yet.
    pub fn new(settings: Settings) -> Self {
        let mut decoder = Self {
            version: settings.version,
            settings,
            table: Arc::default(),
            keys: Keys::default(),
            times: Times::default(),
            clock: ClockOffset::default(),
            device: SmolStr::default(),
            scope: None,
            body: None,
        };
        decoder.keys.clear(&decoder.table);
        decoder.times.set_relative(decoder.settings.relative_time);
        decoder
    }

    /// Takes up the points, where they are others than before.
    pub fn set_points(&mut self, table: Arc<PointTable>) {
        if !Arc::ptr_eq(&self.table, &table) {
            self.keys.clear(&table);
            self.table = table;
            self.find_device();
        }
    }

    /// A new connection begins: forgets what the one before said.
    pub fn start(&mut self, now: Timestamp) {
        self.version = self.settings.version;
        self.times.clear();
        self.times.set_relative(self.settings.relative_time);
        self.clock.start(now);
        self.device = SmolStr::default();
        self.body = None;
        self.find_device();
    }

    /// The source's clock minus ours, in nanoseconds, as far as it is known.
    pub fn clock_offset(&self) -> Option<i64> {
        self.clock.estimate()
    }

    /// Reads one line, without its end, that arrived at `arrival`. Readings go to the end of
    /// `readings`; they come before the event that is returned.
    pub fn line(
        &mut self,
        line: &[u8],
        arrival: Timestamp,
        readings: &mut Vec<Reading>,
        faults: &mut impl Faults,
    ) -> Option<Event> {
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        let line = match std::str::from_utf8(line) {
            Ok(line) => Cow::Borrowed(line),
            Err(_) => {
                faults.fault(Fault::Malformed, || {
                    format!("not UTF-8, read as Latin-1: {}", line.escape_ascii())
                });
                Cow::Owned(line.iter().map(|byte| char::from(*byte)).collect())
            }
        };
        if self.body.is_some() {
            return self.body_line(&line, arrival, readings, faults);
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return None;
        }
        if let Some((head, end)) = multi_line(line) {
            self.body = Some(Body { head: head.into(), end: end.into(), text: String::new(), seen: 0 });
            return None;
        }
        self.whole_line(line, None, arrival, readings, faults)
    }

    fn whole_line(
        &mut self,
        line: &str,
        body: Option<String>,
        arrival: Timestamp,
        readings: &mut Vec<Reading>,
        faults: &mut impl Faults,
    ) -> Option<Event> {
        if line.starts_with('*') {
            self.command(line, body, faults)
        } else {
            self.values(line, body, arrival, readings, faults)
        }
    }

    fn values(
        &mut self,
        line: &str,
        body: Option<String>,
        arrival: Timestamp,
        readings: &mut Vec<Reading>,
        faults: &mut impl Faults,
    ) -> Option<Event> {
        let mut fields = Fields::new(line);
        let first = fields.next()?;
        if fields.rest().is_none() {
            faults.fault(Fault::Malformed, || format!("no key and value: {line}"));
            return None;
        }
        let read = self.times.read(&first, arrival);
        if !read.valid {
            faults
                .fault(Fault::Timestamp, || format!("`{first}` is not a time; taken is its arrival: {line}"));
        }
        let mut time = read.time;
        if read.from_source {
            self.clock.observe(time, arrival);
            if self.settings.correct_timestamps {
                time = time.shifted(-self.clock.correction());
            }
        }
        if self.settings.ignore_timestamps {
            time = arrival;
        }
        // Fields that belong to an unknown key must not count as unknown keys of their own.
        let mut astray = false;
        while let Some(key) = fields.next() {
            if let Some(target) = self.keys.find(&self.table, self.scope, &key) {
                astray = false;
                let Some(first) = fields.next() else {
                    faults.fault(Fault::Malformed, || format!("key `{key}` without a value: {line}"));
                    break;
                };
                let options = Options {
                    duration: read.duration,
                    condition_ids: self.settings.condition_ids,
                    uuid: uuid(&self.table, self.scope),
                };
                let read = value::read(target, &first, &mut fields, options);
                if let Some(wrong) = read.wrong {
                    faults.fault(Fault::Rejected, || format!("`{key}`: `{first}` {wrong}: {line}"));
                }
                readings.push(Reading {
                    point: target.point,
                    value: read.value,
                    time,
                    quality: Quality::Good,
                });
                if self.version == ShdrVersion::V1 && value::width(target.shape) > 1 {
                    if !fields.is_blank() {
                        faults.fault(Fault::Malformed, || {
                            format!(
                                "fields behind those of `{key}`, which ends a line in SHDR version 1: {line}"
                            )
                        });
                    }
                    break;
                }
            } else if asset::is_command(&key) {
                let about = About { device: &self.device, uuid: uuid(&self.table, self.scope), time };
                match asset::read(&key, &mut fields, body, about) {
                    Ok(change) => return Some(Event::Asset(change)),
                    Err(wrong) => faults.fault(Fault::Malformed, || format!("{wrong}: {line}")),
                }
                return None;
            } else {
                // An unknown key skips one value. In version 2 an unknown item may have more fields:
                // from the third on each is tried alone until a key is known.
                if !(astray && self.version == ShdrVersion::V2) {
                    if !key.is_empty() {
                        faults.fault(Fault::Unmapped, || format!("no data item is known as `{key}`: {line}"));
                    } else if !astray && !fields.is_blank() {
                        faults.fault(Fault::Malformed, || format!("a value without a key: {line}"));
                    }
                    fields.next();
                }
                astray = true;
            }
        }
        None
    }

    fn command(&mut self, line: &str, body: Option<String>, faults: &mut impl Faults) -> Option<Event> {
        let (name, value) = match command::read(line) {
            Command::Nothing => return None,
            Command::Pong(text) => {
                let interval = heartbeat(text);
                if interval.is_none() {
                    faults.fault(Fault::Malformed, || {
                        format!("a PONG without milliseconds from 10 to 1800000: {line}")
                    });
                }
                return Some(Event::Pong(interval));
            }
            Command::Malformed => {
                faults.fault(Fault::Malformed, || format!("not of the form `* name: value`: {line}"));
                return None;
            }
            Command::Unknown(name) => {
                faults.fault(Fault::Unmapped, || format!("no command is called `{name}`: {line}"));
                return None;
            }
            Command::Known(name, value) => (name, body.unwrap_or_else(|| value.into())),
        };
        match name {
            "device" => {
                self.device = value.trim_ascii().into();
                if !self.find_device() {
                    faults.fault(Fault::Unmapped, || format!("no device is known as `{value}`"));
                }
                return None;
            }
            "relativeTime" => self.times.set_relative(command::is_true(&value)),
            "shdrVersion" => match value.parse::<u8>().map(ShdrVersion::try_from) {
                Ok(Ok(version)) => self.version = version,
                _ => faults.fault(Fault::Malformed, || format!("the SHDR version is 1 or 2: {line}")),
            },
            // Our scheduling is not the source's to choose.
            "realTime" => {}
            _ => {
                return Some(Event::Describe { device: self.device.clone(), name: name.into(), value });
            }
        }
        None
    }

    /// Finds the device that was named. Where there is but one device, any name means it; where
    /// there are several, an unknown name means none of them. Whether the name is known is told.
    fn find_device(&mut self) -> bool {
        let named = self.table.scope(&self.device);
        self.scope = if self.device.is_empty() || self.table.scopes() == 1 {
            self.table.default_scope()
        } else {
            named
        };
        self.device.is_empty() || named.is_some()
    }

    fn body_line(
        &mut self,
        line: &str,
        arrival: Timestamp,
        readings: &mut Vec<Reading>,
        faults: &mut impl Faults,
    ) -> Option<Event> {
        let cap = self.settings.max_body_length;
        let body = self.body.as_mut()?;
        let ended = line.trim_ascii() == body.end;
        let fits = body.seen <= cap;
        if !ended {
            body.seen = body.seen.saturating_add(line.len() + 1);
            if body.seen <= cap {
                if !body.text.is_empty() {
                    body.text.push('\n');
                }
                body.text.push_str(line);
                return None;
            }
            body.text = String::new();
            let (head, end) = (&body.head, &body.end);
            if fits {
                faults.fault(Fault::Oversized, || {
                    format!("a multi-line body of more than {cap} bytes: {head}{end}")
                });
            } else if body.seen > cap.saturating_mul(2) {
                // Its end will not come any more: better some lines that are none than silence.
                self.body = None;
            }
            return None;
        }
        let Body { head, text, .. } = self.body.take()?;
        if !fits {
            return None;
        }
        if head.starts_with('*') || Fields::new(&head).nth(1).is_some_and(|key| asset::is_command(&key)) {
            return self.whole_line(&head, Some(text), arrival, readings, faults);
        }
        self.whole_line(&(head + &text), None, arrival, readings, faults)
    }
}

fn uuid(table: &PointTable, scope: Option<Scope>) -> Option<&str> {
    table.uuid(scope?)
}

/// Splits a line whose last field begins a multi-line body.
fn multi_line(line: &str) -> Option<(&str, &str)> {
    let mark = if line.starts_with('*') { b':' } else { b'|' };
    let at = memchr::memrchr(mark, line.as_bytes())?;
    let end = line[at + 1..].trim_ascii();
    end.starts_with(MULTILINE).then(|| (&line[..=at], end))
}
