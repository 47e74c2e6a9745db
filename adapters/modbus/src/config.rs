//! What a Modbus machine, its points and a shared line need to be told.

use std::time::Duration;

use guideway_contract::{HostPort, Issue, duration, serial_path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How requests and replies are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Modbus TCP: a header with a transaction id.
    Tcp,
    /// Modbus RTU: unit and checksum, on a serial line or through a serial server that passes bytes on.
    Rtu,
}

/// How the four bytes of a 32-bit value lie in its two registers; A is the highest byte.
///
/// 64-bit values follow the same rule over four registers, strings and 16-bit values within each register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ByteOrder {
    /// Highest register first, high byte first: as the standard has single registers.
    #[default]
    ABCD,
    /// Lowest register first, high byte first; often called word-swapped.
    CDAB,
    /// Highest register first, low byte first in every register, also of 16-bit values and texts.
    BADC,
    /// Lowest register first, low byte first in every register, also of 16-bit values and texts.
    DCBA,
}

impl ByteOrder {
    /// Whether the low byte comes first in each register.
    pub const fn swaps_bytes(self) -> bool {
        matches!(self, Self::BADC | Self::DCBA)
    }

    /// Whether the lowest register comes first.
    pub const fn swaps_words(self) -> bool {
        matches!(self, Self::CDAB | Self::DCBA)
    }
}

/// Which half of a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HalfByte {
    /// Bits 8 to 15.
    High,
    /// Bits 0 to 7.
    #[default]
    Low,
}

/// The parity bit of a serial line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// No parity bit.
    None,
    /// The number of ones is even: what the Modbus standard asks for.
    #[default]
    Even,
    /// The number of ones is odd.
    Odd,
}

/// A serial line's settings. They must be those of every unit on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Serial {
    /// Bits per second.
    pub baud: u32,
    /// `none`, `even` or `odd`.
    pub parity: Parity,
    /// 8: RTU frames are bytes of 8 bits.
    pub data_bits: u8,
    /// 1 or 2. With `parity = "none"` the standard asks for 2, most units take 1.
    pub stop_bits: u8,
}

impl Default for Serial {
    fn default() -> Self {
        Self { baud: 19_200, parity: Parity::Even, data_bits: 8, stop_bits: 1 }
    }
}

impl Serial {
    fn check(&self, issues: &mut Vec<Issue>) {
        if !(50..=4_000_000).contains(&self.baud) {
            issues.push(Issue::new("serial", format!("baud = {} is out of range (50-4000000)", self.baud)));
        }
        if self.data_bits != 8 {
            issues.push(Issue::new("serial", "data_bits must be 8: RTU frames are bytes of 8 bits"));
        }
        if !matches!(self.stop_bits, 1 | 2) {
            issues.push(Issue::new("serial", "stop_bits is 1 or 2"));
        }
    }

    /// How long one character takes: start bit, data, parity, stop bits.
    pub(crate) fn character(&self) -> Duration {
        let bits = 1
            + u32::from(self.data_bits)
            + u32::from(self.parity != Parity::None)
            + u32::from(self.stop_bits);
        Duration::from_secs(1) * bits / self.baud.max(1)
    }

    /// The silence between two frames: 3.5 characters, fixed at 1.75 ms above 19,200 bit/s (Modbus over serial line
    /// 1.02, clause 2.5.1.1).
    pub(crate) fn silence(&self) -> Duration {
        if self.baud > 19_200 { Duration::from_micros(1_750) } else { self.character() * 7 / 2 }
    }
}

/// `[adapter]` of a profile with `kind = "modbus"`, and the same keys of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Host name or address of the machine or its gateway, or the device file of a serial line (`/dev/ttyS1`). The
    /// instance's `address` overrides it; an instance on a `bus` needs none.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Unit (slave) number. On serial lines 1 to 247. Machines with Ethernet of their own mostly ignore it; 1 and 255
    /// are usual.
    pub unit: u8,
    /// `tcp` or `rtu`. Default: `tcp` for a host, `rtu` for a device file. `rtu` with a host is for serial servers that
    /// pass bytes on without translating them.
    pub framing: Option<Framing>,
    /// Settings of the serial line, when `address` is a device file.
    pub serial: Serial,
    /// How long to wait for a connection.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long to wait for one reply. When it is over, the session is: an answer that comes later cannot be told from
    /// the answer to a later question.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Where the bytes of values longer than 8 bits lie: `ABCD`, `CDAB`, `BADC` or `DCBA`; each point may differ.
    pub byte_order: ByteOrder,
    /// The most registers in one request, 1 to 125. Some machines take fewer than the standard's 125.
    pub max_registers: u16,
    /// The most coils or discrete inputs in one request, 1 to 2000.
    pub max_coils: u16,
    /// Registers (or coils) that nobody asked for are read along when there are no more than so many between two
    /// points, to save a request. 0 = never.
    pub max_gap: u16,
    /// The pause between a reply and the next request, for machines that cannot follow. On serial lines never less than
    /// 3.5 characters.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub min_gap: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 502,
            unit: 1,
            framing: None,
            serial: Serial::default(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            byte_order: ByteOrder::default(),
            max_registers: 125,
            max_coils: 2000,
            max_gap: 8,
            min_gap: Duration::ZERO,
        }
    }
}

impl Config {
    /// How requests are wrapped.
    pub fn framing(&self) -> Framing {
        self.framing.unwrap_or_else(|| natural_framing(&self.address))
    }

    pub(crate) fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        for (key, number, most) in
            [("max_registers", self.max_registers, 125), ("max_coils", self.max_coils, 2000)]
        {
            if !(1..=most).contains(&number) {
                issues.push(Issue::new(key, format!("{number} is out of range (1-{most})")));
            }
        }
        if !self.address.is_empty() && serial_path(&self.address).is_none() {
            match HostPort::parse(&self.address, &[]) {
                Err(why) => issues.push(Issue::new("address", why)),
                Ok(HostPort { port: Some(port), host }) => {
                    let what =
                        format!("`{}`: write `address = \"{host}\"` and `port = {port}`", self.address);
                    issues.push(Issue::new("address", what));
                }
                Ok(_) => {}
            }
        }
        if self.port == 0 {
            issues.push(Issue::new("port", "0 is out of range (1-65535)"));
        }
        if self.framing() == Framing::Rtu && !(1..=247).contains(&self.unit) {
            issues.push(Issue::new("unit", format!("{} is no unit on a serial line (1-247)", self.unit)));
        }
        if self.framing() == Framing::Tcp && serial_path(&self.address).is_some() {
            issues.push(Issue::new("framing", "a serial line has `rtu` framing"));
        }
        for (key, time) in [("timeout", self.timeout), ("connect_timeout", self.connect_timeout)] {
            check_timeout(key, time, &mut issues);
        }
        if self.min_gap > Duration::from_secs(10) {
            issues.push(Issue::new("min_gap", "is longer than 10s"));
        }
        self.serial.check(&mut issues);
        issues
    }
}

/// What a point has beside `addr`, `type`, `group` and `access`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Point {
    /// Where this point's bytes lie, if not as `[adapter] byte_order` says.
    pub byte_order: Option<ByteOrder>,
    /// The unit that has this point, if not `[adapter] unit`: for gateways whose units make up one machine. All of
    /// them must answer for the machine to be connected.
    pub unit: Option<u8>,
    /// For `u8` and `i8`: which half of the register, `low` (default) or `high`.
    pub byte: Option<HalfByte>,
    /// Whether a single coil or register is written with function 5 or 6 (default) or, when false, with 15 or 16, for
    /// machines that have only these.
    pub write_single: Option<bool>,
}

/// A line that several units share: `[bus.NAME]` in guideway.toml.
///
/// An RS-485 converter that needs its direction switched by the kernel must be set up before Guideway starts (device
/// tree, or the driver's own tool); converters that switch by themselves need nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BusConfig {
    /// The device file of a serial line, or `host:port` of a serial server or Modbus gateway (port 502 if not said).
    pub address: String,
    /// `tcp` or `rtu`. Default: `rtu` for a device file, `tcp` for a host.
    #[serde(default)]
    pub framing: Option<Framing>,
    /// Settings of the serial line.
    #[serde(default)]
    pub serial: Serial,
    /// The pause between a reply and the next request, for units that release the line late. On serial lines never less
    /// than 3.5 characters.
    #[serde(default, with = "duration")]
    #[schemars(with = "String")]
    pub turnaround: Duration,
    /// How long to wait for a connection to a host.
    #[serde(default = "connect_timeout", with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
}

fn connect_timeout() -> Duration {
    Duration::from_secs(5)
}

impl BusConfig {
    /// A line at `address` with everything else as it is by default.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            framing: None,
            serial: Serial::default(),
            turnaround: Duration::ZERO,
            connect_timeout: connect_timeout(),
        }
    }

    /// How requests are wrapped.
    pub fn framing(&self) -> Framing {
        self.framing.unwrap_or_else(|| natural_framing(&self.address))
    }

    /// Everything wrong with it.
    pub fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.address.is_empty() {
            issues.push(Issue::new("address", "is missing: write a device file or HOST:PORT"));
        } else if serial_path(&self.address).is_some() {
            if self.framing() == Framing::Tcp {
                issues.push(Issue::new("framing", "a serial line has `rtu` framing"));
            }
        } else if let Err(why) = HostPort::parse(&self.address, crate::SCHEMES) {
            issues.push(Issue::new("address", why));
        }
        if self.turnaround > Duration::from_secs(10) {
            issues.push(Issue::new("turnaround", "is longer than 10s"));
        }
        check_timeout("connect_timeout", self.connect_timeout, &mut issues);
        self.serial.check(&mut issues);
        issues
    }
}

fn natural_framing(address: &str) -> Framing {
    if serial_path(address).is_some() { Framing::Rtu } else { Framing::Tcp }
}

fn check_timeout(key: &'static str, time: Duration, issues: &mut Vec<Issue>) {
    if time < Duration::from_millis(10) || time > Duration::from_secs(60) {
        issues.push(Issue::new(key, "is from 10ms to 60s"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_unknown_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"max_regs": 10}"#).is_err());
        assert!(serde_json::from_str::<Point>(r#"{"scale": 10}"#).is_err());
        assert!(serde_json::from_str::<BusConfig>(r#"{"address": "/dev/ttyS1", "rs485": true}"#).is_err());
    }

    #[test]
    fn a_bus_needs_only_an_address() {
        let bus: BusConfig =
            serde_json::from_str(r#"{"address": "/dev/ttyS1", "turnaround": "20ms"}"#).unwrap();
        assert_eq!((bus.framing(), bus.turnaround), (Framing::Rtu, Duration::from_millis(20)));
        assert_eq!(bus.check(), []);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let config = Config {
            address: "plc:5020".into(),
            max_registers: 126,
            port: 0,
            timeout: Duration::ZERO,
            ..Config::default()
        };
        let keys: Vec<_> = config.check().into_iter().map(|issue| issue.key).collect();
        assert_eq!(keys, ["max_registers", "address", "port", "timeout"]);
        assert_eq!(Config::default().check(), []);
    }

    #[test]
    fn nobody_can_broadcast_on_a_serial_line() {
        let config = Config { address: "/dev/ttyS1".into(), unit: 0, ..Config::default() };
        assert_eq!(config.check()[0].key, "unit");
    }

    #[test]
    fn the_silence_between_frames_is_that_of_the_standard() {
        let at = |baud| Serial { baud, ..Serial::default() }.silence().as_micros();
        assert_eq!((at(9_600), at(19_200), at(115_200)), (4_010, 2_005, 1_750));
    }
}
