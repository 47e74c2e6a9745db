//! Recordings of raw values: what a machine said, point by point, in a file that anyone can play.
//!
//! A line of JSON each: a head, then `{"t": seconds, "up": true}` for a session that came up (`false`: that was lost)
//! and `{"t": seconds, "r": [[point, value], …]}` for values that arrived together. Texts, numbers, truth values,
//! null and lists are themselves; `{"bad": cause}`, `{"hex": bytes}`, `{"fields": [[name, value], …]}` and
//! `{"float": "NaN"}` stand for what JSON has not.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use guideway_contract::{
    Adapter, Capabilities, Native, Outlet, Quality, RawBatch, RawReading, SessionEnd, SessionFuture, Signal,
    Timestamp, point_id,
};
use serde_json::{Value, json};
use smol_str::SmolStr;
use tokio::time::Instant;

/// What the head's first key says.
const FORMAT: &str = "guideway-recording-1";
/// A longer line is no line of a recording.
const MOST_LINE: usize = 16 << 20;
/// Values nested deeper are none of a machine.
const DEEPEST: usize = 32;

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    out: W,
    points: Vec<SmolStr>,
    begun: Timestamp,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording of a profile's points.
    ///
    /// # Errors
    /// As the writer.
    pub fn new(mut out: W, profile: &str, points: Vec<SmolStr>) -> io::Result<Self> {
        let begun = Timestamp::now();
        let head = json!({ "format": FORMAT, "profile": profile, "begun": begun.to_string() });
        writeln!(out, "{head}")?;
        Ok(Self { out, points, begun })
    }

    /// Adds a signal; how many values were in it. What is neither raw values nor the state of the connection is
    /// passed over.
    ///
    /// # Errors
    /// As the writer.
    pub fn take(&mut self, signal: &Signal) -> io::Result<usize> {
        let (line, count) = match signal {
            Signal::Connected { at } => (json!({ "t": self.since(*at), "up": true }), 0),
            Signal::Disconnected { at } => (json!({ "t": self.since(*at), "up": false }), 0),
            Signal::Raw(batch) => {
                let named = |reading: &RawReading| {
                    let name = self.points.get(reading.point.index())?;
                    Some(json!([name, to_json(&reading.value)]))
                };
                let readings: Vec<Value> = batch.readings.iter().filter_map(named).collect();
                let count = readings.len();
                (json!({ "t": self.since(batch.arrival), "r": readings }), count)
            }
            _ => return Ok(0),
        };
        writeln!(self.out, "{line}")?;
        Ok(count)
    }

    /// Everything to the file.
    ///
    /// # Errors
    /// As the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a recording")]
    fn since(&self, at: Timestamp) -> f64 {
        ((at.nanos() - self.begun.nanos()).max(0) / 1_000) as f64 / 1e6
    }
}

fn to_json(value: &Native) -> Value {
    match value {
        Native::Bad(cause) => json!({ "bad": &**cause }),
        Native::Null => Value::Null,
        Native::Bool(set) => json!(set),
        Native::Int(number) => json!(number),
        Native::UInt(number) => json!(number),
        Native::Float(number) if number.is_finite() => json!(number),
        Native::Float(number) => json!({ "float": number.to_string() }),
        Native::Text(text) => json!(text),
        Native::Bytes(bytes) => json!({ "hex": value_hex(bytes) }),
        Native::List(values) => Value::Array(values.iter().map(to_json).collect()),
        Native::Record(fields) => {
            let fields = fields.iter().map(|(name, value)| json!([name, to_json(value)]));
            json!({ "fields": fields.collect::<Vec<_>>() })
        }
    }
}

fn value_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_json(value: &Value, depth: usize) -> Option<Native> {
    if depth > DEEPEST {
        return None;
    }
    Some(match value {
        Value::Null => Native::Null,
        Value::Bool(set) => Native::Bool(*set),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Native::Int(number),
            (None, Some(number)) => Native::UInt(number),
            (None, None) => Native::Float(number.as_f64()?),
        },
        Value::String(text) => Native::text(text),
        Value::Array(values) => Native::List(
            values.iter().map(|value| from_json(value, depth + 1)).collect::<Option<Vec<_>>>()?.into(),
        ),
        Value::Object(object) => {
            let (key, value) = object.iter().next()?;
            match (key.as_str(), value) {
                ("bad", Value::String(cause)) => Native::bad(cause),
                ("float", Value::String(text)) => Native::Float(text.parse().ok()?),
                ("hex", Value::String(text)) => {
                    let digits: Option<Vec<u8>> =
                        text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
                    let bytes: Vec<u8> =
                        digits?.chunks(2).map(|pair| pair.iter().fold(0, |a, b| a << 4 | b)).collect();
                    Native::Bytes(bytes.into())
                }
                ("fields", Value::Array(fields)) => {
                    let field = |field: &Value| {
                        Some((SmolStr::new(field.get(0)?.as_str()?), from_json(field.get(1)?, depth + 1)?))
                    };
                    Native::Record(fields.iter().map(field).collect::<Option<Vec<_>>>()?.into())
                }
                _ => return None,
            }
        }
    })
}

/// Something that a recording says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Up,
    Down,
    Values(Vec<(SmolStr, Native)>),
}

/// `replay:FILE`, `replay:FILE?speed=10&loop`
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    path: PathBuf,
    speed: f64,
    again: bool,
}

impl Replay {
    /// Reads an address; `None` for one of a machine.
    pub fn parse(address: &str, base: &Path) -> Option<Result<Self, String>> {
        let rest = address.trim().strip_prefix("replay:")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut replay = Self { path: base.join(path), speed: 1.0, again: false };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                None if option == "loop" => replay.again = true,
                Some(("speed", factor)) => match factor.parse::<f64>() {
                    Ok(factor) if factor.is_finite() && factor > 0.0 => replay.speed = factor,
                    _ => return Some(Err(format!("`{factor}` is no speed; write a factor such as 10"))),
                },
                _ => return Some(Err(format!("`{option}` is unknown; there are `speed=FACTOR` and `loop`"))),
            }
        }
        if !replay.path.is_file() {
            return Some(Err(format!(
                "there is no recording `{}`; `guideway record` makes one",
                replay.path.display()
            )));
        }
        Some(Ok(replay))
    }

    /// An adapter that says what was recorded of these points.
    pub(crate) fn adapter(&self, points: Vec<SmolStr>) -> Box<dyn Adapter> {
        Box::new(Playback { replay: self.clone(), points, said: None, next: 0, begun: None })
    }
}

/// Says what was recorded.
struct Playback {
    replay: Replay,
    points: Vec<SmolStr>,
    said: Option<Vec<(f64, Said)>>,
    next: usize,
    /// When the recording's second 0 was.
    begun: Option<Instant>,
}

impl Playback {
    fn load(&mut self) -> Result<(), String> {
        if self.said.is_none() {
            self.said = Some(read(&self.replay.path)?);
        }
        Ok(())
    }

    async fn play(&mut self, outlet: &Outlet) -> SessionEnd {
        let cancel = outlet.cancelled().clone();
        if let Err(cause) = self.load() {
            return SessionEnd::NotConnected { endpoint: self.endpoint(), cause };
        }
        let mut up = false;
        loop {
            let begun = *self.begun.get_or_insert_with(Instant::now);
            let next = self.said.as_ref().and_then(|said| said.get(self.next)).cloned();
            let Some((time, said)) = next else {
                if self.replay.again && self.next > 0 {
                    (self.next, self.begun) = (0, None);
                    if up {
                        return SessionEnd::Lost("the recording is at its end and begins again".into());
                    }
                    continue;
                }
                cancel.cancelled().await;
                return SessionEnd::Stopped;
            };
            let due = begun + Duration::try_from_secs_f64(time / self.replay.speed).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = cancel.cancelled() => return SessionEnd::Stopped,
            }
            self.next += 1;
            match said {
                Said::Down => return SessionEnd::Lost("the recording says so".into()),
                Said::Up | Said::Values(_) if !up => {
                    up = true;
                    outlet.connected().await;
                }
                _ => {}
            }
            if let Said::Values(values) = said {
                let now = Timestamp::now();
                let reading = |(name, value): &(SmolStr, Native)| {
                    let point = point_id(self.points.iter().position(|known| known == name)?);
                    let quality = if value.is_bad() { Quality::Bad } else { Quality::Good };
                    Some(RawReading { point, value: value.clone(), time: now, quality })
                };
                let readings = values.iter().filter_map(reading).collect();
                outlet.raw(RawBatch { arrival: now, readings }).await;
            }
        }
    }
}

impl Adapter for Playback {
    fn protocol(&self) -> &'static str {
        "replay"
    }

    fn endpoint(&self) -> String {
        format!("replay:{}", self.replay.path.display())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { subscribed: true, ..Capabilities::default() }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(self.play(outlet))
    }
}

fn read(path: &Path) -> Result<Vec<(f64, Said)>, String> {
    let file =
        std::fs::File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    parse(BufReader::new(file)).map_err(|what| format!("{}:{what}", path.display()))
}

fn parse(text: impl BufRead) -> Result<Vec<(f64, Said)>, String> {
    let mut said = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = line.map_err(|error| format!("{number}: {error}"))?;
        let wrong = |what: &str| format!("{number}: {what}");
        if line.len() > MOST_LINE {
            return Err(wrong("a line of more than 16 MiB"));
        }
        let value: Value = match serde_json::from_str(&line) {
            Ok(value) => value,
            // The recorder may have been killed while it wrote.
            Err(_) if number > 1 => continue,
            Err(_) => return Err(wrong("this is no recording")),
        };
        if number == 1 {
            if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
                return Err(wrong("this is no recording of raw values; SHDR is played by `guideway replay`"));
            }
            continue;
        }
        let time = value.get("t").and_then(Value::as_f64).ok_or_else(|| wrong("`t` is missing"))?;
        let what = match (value.get("up").and_then(Value::as_bool), value.get("r").and_then(Value::as_array))
        {
            (Some(true), _) => Said::Up,
            (Some(false), _) => Said::Down,
            (None, Some(readings)) => {
                let named =
                    |pair: &Value| Some((SmolStr::new(pair.get(0)?.as_str()?), from_json(pair.get(1)?, 0)?));
                Said::Values(readings.iter().filter_map(named).collect())
            }
            (None, None) => return Err(wrong("neither `up` nor `r` is there")),
        };
        said.push((time, what));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use guideway_contract::{PointTable, kit};

    use super::*;

    fn values() -> Vec<Native> {
        vec![
            Native::Null,
            Native::Bool(true),
            Native::Int(-3),
            Native::UInt(u64::MAX),
            Native::Float(0.1),
            Native::text("a\"b"),
            Native::Bytes([0, 255].into()),
            Native::List([Native::Int(1), Native::bad("x")].into()),
            Native::Record([("f".into(), Native::Float(f64::INFINITY))].into()),
        ]
    }

    fn recorded() -> Vec<u8> {
        let mut text = Vec::new();
        let points = (0..values().len()).map(|at| SmolStr::from(format!("p{at}"))).collect();
        let mut recorder = Recorder::new(&mut text, "p", points).unwrap();
        let now = Timestamp::now();
        recorder.take(&Signal::Connected { at: now }).unwrap();
        let readings = values().into_iter().enumerate();
        let readings = readings.map(|(at, value)| RawReading::good(point_id(at), value, now)).collect();
        assert_eq!(recorder.take(&Signal::Raw(RawBatch { arrival: now, readings })).unwrap(), 9);
        recorder.take(&Signal::Disconnected { at: now }).unwrap();
        text
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        let said = parse(recorded().as_slice()).unwrap();
        let Said::Values(read) = &said[1].1 else { panic!("{said:?}") };
        assert_eq!(read.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), values());
        assert_eq!((&said[0].1, &said[2].1), (&Said::Up, &Said::Down));
    }

    #[tokio::test]
    async fn a_recording_is_played_as_a_machine() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.rec"), recorded()).unwrap();
        let replay = Replay::parse("replay:a.rec?speed=10&loop", folder.path()).unwrap().unwrap();
        let mut running = kit::Running::with(
            replay.adapter(vec!["p2".into(), "p5".into()]),
            PointTable::default(),
            Duration::from_millis(1),
        );
        for _ in 0..2 {
            assert_eq!(running.latest(0).await.value, Native::Int(-3));
            running.disconnected(Duration::from_secs(5)).await;
        }
        running.stop().await;
    }

    #[test]
    fn an_address_that_cannot_be_played_says_why() {
        let parse = |address: &str| Replay::parse(address, Path::new("/nonexistent"));
        assert!(parse("plc:502").is_none());
        assert!(parse("replay:x").unwrap().unwrap_err().contains("no recording"));
        assert!(parse("replay:x?speed=0").unwrap().unwrap_err().contains("no speed"));
        assert!(parse("replay:x?fast").unwrap().unwrap_err().contains("unknown"));
    }
}
