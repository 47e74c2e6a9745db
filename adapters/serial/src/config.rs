//! `[adapter] kind = "serial"` of a profile.

use std::time::Duration;

use guideway_contract::{Issue, duration, size};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::line::SerialLine;
use crate::link;
use crate::point::Decimal;

/// A device that sends text, or answers with text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the device is: a serial line's device file (`/dev/ttyS1`, `COM3`) or `host:port`; an instance
    /// may also say `listen://0.0.0.0:6001`.
    pub address: String,
    /// For devices that connect to the gateway: the address and port to listen at, as in `0.0.0.0:6001`. One
    /// device at a time; a new connection replaces the one before.
    pub listen: String,
    /// The port, where `address` has none.
    pub port: u16,
    /// How long one attempt to connect may take.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the device may take for an answer; after that the session ends.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// The pause between an answer and the next question.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub min_gap: Duration,
    /// For devices that send regularly: after so long without a frame the session ends, and all points with
    /// it. A session then begins with the first frame. Left out, a point keeps its value while the link is
    /// open; a serial line always is, and a TCP connection to a device that only sends and has lost its power
    /// may be for hours.
    #[serde(with = "duration::optional")]
    #[schemars(with = "Option<String>")]
    pub stale: Option<Duration>,
    /// How the serial line is set; unused over TCP.
    pub serial: SerialLine,
    /// Where a frame begins and ends.
    pub frame: Frame,
    /// Longer frames are thrown away and counted.
    #[serde(with = "size")]
    #[schemars(with = "String")]
    pub max_frame: usize,
    /// How characters are encoded.
    pub encoding: Encoding,
    /// Two hexadecimal digits at the end of each frame's text that must be right; frames where they are not
    /// are thrown away and counted.
    pub checksum: Checksum,
    /// What stands between fields; empty: commas if the text has one, else semicolons, else blanks. A point
    /// may say otherwise.
    pub separator: String,
    /// What stands before the fraction of a number: `point` or `comma`. A point may say otherwise.
    pub decimal: Decimal,
    /// Text that is sent after each connect, such as the command that starts continuous sending (`SIR\r\n`).
    pub hello: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            listen: String::new(),
            port: 0,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            min_gap: Duration::ZERO,
            stale: None,
            serial: SerialLine::default(),
            frame: Frame::default(),
            max_frame: 4 << 10,
            encoding: Encoding::default(),
            checksum: Checksum::default(),
            separator: String::new(),
            decimal: Decimal::default(),
            hello: String::new(),
        }
    }
}

impl Config {
    /// Everything that cannot work.
    pub(crate) fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if !self.listen.is_empty() {
            if let Err(error) = link::listening(&self.listen) {
                issues.push(Issue::new("listen", error));
            }
            if !self.address.is_empty() {
                issues.push(Issue::new(
                    "listen",
                    "a device is either connected to (`address`) or waited for (`listen`)",
                ));
            }
        }
        for (key, duration, least) in [
            ("connect_timeout", Some(self.connect_timeout), 10),
            ("timeout", Some(self.timeout), 10),
            ("min_gap", Some(self.min_gap), 0),
            ("stale", self.stale, 100),
        ] {
            let most =
                if key == "stale" { Duration::from_secs(366 * 86_400) } else { Duration::from_secs(600) };
            if duration.is_some_and(|duration| duration < Duration::from_millis(least) || duration > most) {
                issues.push(Issue::new(key, format!("must be from {least}ms to {}s", most.as_secs())));
            }
        }
        self.serial.issues(&mut issues);
        self.frame.issues(self.max_frame, &mut issues);
        if !(16..=1 << 20).contains(&self.max_frame) {
            issues.push(Issue::new("max_frame", "is from 16 B to 1 MiB"));
        }
        issues
    }
}

/// Where a frame begins and ends. At most one of `end`, `length` and `gap`; with none of them a frame is a
/// line, ended by CR, LF or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Frame {
    /// What a frame begins with, such as `"\u0002"`; what comes before it is thrown away. Not with `gap`.
    pub start: String,
    /// What a frame ends with, such as `"\r\n"` or `"\u0003"`.
    pub end: String,
    /// How many bytes a frame has, without its start.
    pub length: Option<usize>,
    /// A frame ends when nothing has come for so long. Over TCP and USB adapters bytes come in bursts: 50ms
    /// is a sensible least.
    #[serde(with = "duration::optional")]
    #[schemars(with = "Option<String>")]
    pub gap: Option<Duration>,
}

impl Frame {
    fn issues(&self, most: usize, issues: &mut Vec<Issue>) {
        let ends = [!self.end.is_empty(), self.length.is_some(), self.gap.is_some()];
        if ends.into_iter().filter(|&set| set).count() > 1 {
            issues.push(Issue::new("frame", "a frame ends in one way: `end`, `length` or `gap`"));
        }
        if !(self.start.is_empty() || ends[0] || ends[1]) {
            issues.push(Issue::new("frame", "`start` needs `end` or `length`"));
        }
        if self.length.is_some_and(|length| length == 0 || length > most) {
            issues.push(Issue::new("frame", "`length` is from 1 to `max_frame`"));
        }
        let (least, longest) = (Duration::from_millis(1), Duration::from_secs(60));
        if self.gap.is_some_and(|gap| gap < least || gap > longest) {
            issues.push(Issue::new("frame", "`gap` is from 1ms to 60s"));
        }
        if self.start.len().max(self.end.len()) > 32 {
            issues.push(Issue::new("frame", "`start` and `end` have at most 32 bytes"));
        }
    }
}

/// How characters are encoded. Bytes that are none of it become U+FFFD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Seven bits a character.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-8.
    #[default]
    Utf8,
}

/// The sum at the end of a frame: two hexadecimal digits over all bytes of the text before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// There is none.
    #[default]
    None,
    /// All bytes combined by exclusive or.
    Xor,
    /// The lowest eight bits of their sum.
    Sum,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.issues(), []);
    }

    #[test]
    fn an_unknown_key_is_refused_and_what_cannot_work_is_found() {
        assert!(serde_json::from_str::<Config>(r#"{"baud":9600}"#).is_err());
        let text = r#"{"listen":"6001","address":"/dev/ttyS1","timeout":"0ms","max_frame":"1 B",
                       "frame":{"start":"x","length":0,"gap":"0ms"},
                       "serial":{"baud":1,"parity":"odd","data_bits":9,"stop_bits":3,"flow":"rtscts"}}"#;
        let keys: Vec<_> = serde_json::from_str::<Config>(text)
            .unwrap()
            .issues()
            .into_iter()
            .map(|issue| issue.key)
            .collect();
        let wanted = [
            "listen",
            "listen",
            "timeout",
            "serial",
            "serial",
            "serial",
            "frame",
            "frame",
            "frame",
            "max_frame",
        ];
        assert_eq!(keys, wanted);
    }
}
