//! How a serial line is set.

use guideway_contract::Issue;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a serial line is set; the same at both of its ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SerialLine {
    /// Bits a second.
    pub baud: u32,
    /// Parity bit.
    pub parity: Parity,
    /// Bits of a character, 5 to 8.
    pub data_bits: u8,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
    /// Flow control.
    pub flow: Flow,
}

impl Default for SerialLine {
    fn default() -> Self {
        Self { baud: 9_600, parity: Parity::None, data_bits: 8, stop_bits: 1, flow: Flow::None }
    }
}

impl SerialLine {
    pub(crate) fn issues(&self, issues: &mut Vec<Issue>) {
        if !(50..=4_000_000).contains(&self.baud) {
            issues.push(Issue::new("serial", format!("baud = {} is out of range (50-4000000)", self.baud)));
        }
        if !(5..=8).contains(&self.data_bits) {
            issues.push(Issue::new("serial", "data_bits is from 5 to 8"));
        }
        if !(1..=2).contains(&self.stop_bits) {
            issues.push(Issue::new("serial", "stop_bits is 1 or 2"));
        }
    }
}

/// The parity bit of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// None.
    None,
    /// The number of ones is even.
    Even,
    /// The number of ones is odd.
    Odd,
}

/// The flow control of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// None.
    None,
    /// By the characters DC1 and DC3.
    Xonxoff,
    /// By the wires RTS and CTS.
    Rtscts,
}
