//! What a point has beside the common keys.

use schemars::JsonSchema;
use serde::Deserialize;

/// What a point of this protocol has beside `addr`, `type`, `group` and `access`.
///
/// Types: `auto` (a number where it is one; texts with leading zeros stay texts), `f64`, `f32`, `i8` to
/// `i64`, `u8` to `u64`, `bool`, `string[N]`, and `fields` (a list of texts).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {
    /// A regular expression that must find something in a frame for it to be for this point.
    #[serde(rename = "match")]
    pub matches: Option<String>,
    /// The text that asks for this point, with its end, as in `"SI\r\n"`; it is sent each time the point's
    /// group is due. Points with the same text are asked for once. Empty: the point listens, and its group
    /// says nothing.
    pub query: String,
    /// What stands between fields, where not as the adapter's `separator`; `" "` is any number of blanks.
    pub separator: Option<String>,
    /// What stands before the fraction, where not as the adapter's `decimal`.
    pub decimal: Option<Decimal>,
    /// Whether a number may be followed by something else, as in `12.34kg`, which is dropped.
    pub strip_units: bool,
    /// The base of whole numbers, 2 to 36; 16 takes `0x` in front.
    pub radix: Option<u32>,
    /// Words that are true, whatever their case. Left out: 1, true, on, yes, ok, pass, good.
    pub true_words: Vec<String>,
    /// Words that are false, whatever their case. Left out: 0, false, off, no, ng, fail, bad.
    pub false_words: Vec<String>,
    /// What a command sends, with `{value}` where the value goes, or `{value:.3}` for so many digits after
    /// the point. Left out: the point cannot be written. For a bool the first of `true_words` or
    /// `false_words` is sent, else 1 or 0.
    pub write: String,
    /// A regular expression that finds the device's yes to a write. Left out: the device says nothing, and
    /// whether a write is done is unknown until something is read back.
    pub ack: Option<String>,
    /// A regular expression that finds the device's no to a write.
    pub nak: Option<String>,
}

/// What stands before the fraction of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decimal {
    /// `12.5`
    #[default]
    Point,
    /// `12,5`
    Comma,
}
