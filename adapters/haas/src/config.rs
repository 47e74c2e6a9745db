//! `[adapter] kind = "haas"` of a profile, and what its points have beside the common keys.

use std::time::Duration;

use guideway_contract::{Issue, duration};
use schemars::JsonSchema;
use serde::Deserialize;

/// A Haas control with machine data collection switched on (setting 143).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the machine is: `host`, `host:port`, or the device file of a serial line (`/dev/ttyS1`, `COM3`).
    pub address: String,
    /// TCP port, as setting 143 of the control says.
    pub port: u16,
    /// How long it may take until the control has answered its first question. That question is asked again
    /// meanwhile: many controls leave the first one of a connection unanswered.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the control may take for one answer; after that the connection is made anew.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// The pause between an answer and the next question.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub min_gap: Duration,
    /// How the serial line is set; unused over TCP.
    pub serial: SerialLine,
    /// How a write is known to be done. `reply`: the control answers `!`. `read_back`: it answers nothing of
    /// use, so the variable is read after each write; a write is done when it has the value.
    pub acknowledge: Acknowledge,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 5051,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            min_gap: Duration::from_millis(50),
            serial: SerialLine::default(),
            acknowledge: Acknowledge::default(),
        }
    }
}

impl Config {
    /// Everything that cannot work.
    pub(crate) fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.port == 0 {
            issues.push(Issue::new("port", "0 is out of range (1-65535)"));
        }
        for (key, duration, least) in [
            ("connect_timeout", self.connect_timeout, 100),
            ("timeout", self.timeout, 100),
            ("min_gap", self.min_gap, 0),
        ] {
            if duration < Duration::from_millis(least) || duration > Duration::from_secs(60) {
                issues.push(Issue::new(key, format!("must be from {least}ms to 60s")));
            }
        }
        if !(300..=4_000_000).contains(&self.serial.baud) {
            issues.push(Issue::new(
                "serial",
                format!("baud {} is out of range (300-4000000)", self.serial.baud),
            ));
        }
        if !(5..=8).contains(&self.serial.data_bits) {
            issues.push(Issue::new("serial", "data_bits is from 5 to 8"));
        }
        if !(1..=2).contains(&self.serial.stop_bits) {
            issues.push(Issue::new("serial", "stop_bits is 1 or 2"));
        }
        issues
    }
}

/// How a serial line is set; the same at both of its ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SerialLine {
    /// Bits a second (setting 11 of the control).
    pub baud: u32,
    /// Parity bit (setting 12).
    pub parity: Parity,
    /// Bits of a character, 5 to 8 (setting 37).
    pub data_bits: u8,
    /// Stop bits, 1 or 2 (setting 13).
    pub stop_bits: u8,
    /// Flow control (setting 14).
    pub flow: Flow,
}

impl Default for SerialLine {
    fn default() -> Self {
        Self { baud: 9_600, parity: Parity::Even, data_bits: 7, stop_bits: 1, flow: Flow::Xonxoff }
    }
}

/// The parity bit of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// None.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// The flow control of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// None.
    None,
    /// By the characters DC1 and DC3.
    Xonxoff,
    /// By the wires RTS and CTS.
    Rtscts,
}

/// How a write is known to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledge {
    /// The control answers `!`, or `?` and why not.
    #[default]
    Reply,
    /// The variable is read after the write.
    ReadBack,
}

/// What a point of this protocol has beside `addr` (`Q104`, `Q600 5021`, `E10600`), `type`, `group` and
/// `access`.
///
/// Types: `auto`, `f64`, `f32`, `i8` to `i64`, `u8` to `u64`, `bool`, `string[N]`, and `fields` (the reply's
/// fields as a list of texts, the keyword first).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {
    /// Keywords, of which the reply must start with one; needed only for Q codes that are not known here.
    /// Known are Q100, Q101, Q102, Q104, Q200, Q201, Q300, Q301, Q303, Q304, Q402, Q403, Q500 and Q600. Fewer
    /// keywords than the question has choose: with `["PROGRAM"]` a point of Q500 keeps its value while the
    /// reply is `STATUS, BUSY`.
    pub expect: Vec<String>,
    /// Which of the reply's comma-separated fields, 0 being the keyword; -1 is the whole reply. Left out: the
    /// value, which is field 1, or the last field of `Q600`.
    pub field: Option<i32>,
    /// How the field is written. `hms`: `HHHHH:MM:SS`, read as seconds.
    pub format: Option<Format>,
}

/// How a field is written, where not as a number or text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Hours, minutes and seconds with colons between.
    Hms,
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
        assert!(serde_json::from_str::<Config>(r#"{"adress":"mill"}"#).is_err());
        assert!(serde_json::from_str::<Point>(r#"{"expects":["MODE"]}"#).is_err());
        let text =
            r#"{"port":0,"timeout":"1ms","serial":{"baud":1,"parity":"odd","data_bits":9,"stop_bits":3}}"#;
        let keys: Vec<_> = serde_json::from_str::<Config>(text)
            .unwrap()
            .issues()
            .into_iter()
            .map(|issue| issue.key)
            .collect();
        assert_eq!(keys, ["port", "timeout", "serial", "serial", "serial"]);
    }
}
