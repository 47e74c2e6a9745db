//! Native addresses: what there is to read, as a profile writes it.

use std::str::FromStr;

use crate::codec::Query;

/// Which coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coordinates {
    /// `absolute`: in the workpiece's system.
    Absolute,
    /// `machine`.
    Machine,
    /// `relative`.
    Relative,
    /// `distance`: to go.
    Distance,
}

/// A field of the status; the words are those of FOCAS's `cnc_statinfo`.
pub const STATUS: [&str; 7] = ["aut", "run", "motion", "mstb", "emergency", "alarm", "edit"];
/// Timers, in the order of the control's numbers.
const TIMERS: [&str; 5] = ["power", "operating", "cutting", "cycle", "free"];
/// PMC areas by their letters, with the control's numbers.
const AREAS: [(char, u8); 11] = [
    ('G', 0),
    ('F', 1),
    ('Y', 2),
    ('X', 3),
    ('A', 4),
    ('R', 5),
    ('T', 6),
    ('K', 7),
    ('C', 8),
    ('D', 9),
    ('E', 12),
];
/// The highest axis or spindle number.
const MOST_AXES: u8 = 32;

/// Something that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `sysinfo`: a record of texts; or one of its fields: `sysinfo.series`.
    System(Option<&'static str>),
    /// `stat`: a record of whole numbers; or one of them: `stat.run`.
    Status(Option<usize>),
    /// `position.machine`: a list with a number for each axis; `position.machine.1`: the first axis.
    Position(Coordinates, Option<u8>),
    /// `load.axis`, `load.axis.1`: servo load in percent.
    AxisLoad(Option<u8>),
    /// `load.spindle`, `load.spindle.1`: spindle load in percent.
    SpindleLoad(Option<u8>),
    /// `speed`: actual spindle speed.
    Speed,
    /// `feed`: actual feed rate.
    Feed,
    /// `program.number`: the program that runs.
    Program,
    /// `program.main`: the main program.
    MainProgram,
    /// `program.name`: the program that runs, by name.
    ProgramName,
    /// `program.sequence`: the sequence number (N).
    Sequence,
    /// `alarm.bits`: one bit for each kind of alarm.
    AlarmBits,
    /// `alarm.list`: records with number, type, axis and text, at most ten.
    AlarmList,
    /// `alarm.count`: how many of them.
    AlarmCount,
    /// `alarm.text`: all of them as one text.
    AlarmText,
    /// `axes`: names of the axes.
    Axes,
    /// `time.cutting` and others, in seconds, by the control's number.
    Timer(u8),
    /// `macro:500`.
    Macro(u32),
    /// `param:6711`, `param:1320/2` for the second axis.
    Parameter(u32, u8),
    /// `pmc:R100`, `pmc:X8.4`: area, byte, bit.
    Pmc(u8, u16, Option<u8>),
}

impl Address {
    /// What has to be asked to read it, `count` being elements (macro variables) or bytes (PMC). Of parameters the
    /// control's series decides which question.
    pub fn query(self, count: u16, long_parameters: bool) -> Query {
        let ask = |function, a, b| Query { device: 1, function, arguments: [a, b, 0, 0, 0] };
        match self {
            Self::System(_) => ask(0x18, 0, 0),
            Self::Status(_) => ask(0x19, 0, 0),
            Self::Position(which, _) => {
                let which = match which {
                    Coordinates::Absolute => 4,
                    Coordinates::Machine => 1,
                    Coordinates::Relative => 6,
                    Coordinates::Distance => 7,
                };
                ask(0x26, which, -1)
            }
            Self::AxisLoad(_) => ask(0x56, 1, 0),
            Self::SpindleLoad(_) => ask(0x40, 4, -1),
            Self::Speed => ask(0x25, 0, 0),
            Self::Feed => ask(0x24, 0, 0),
            Self::Program | Self::MainProgram => ask(0x1C, 0, 0),
            Self::ProgramName => ask(0xCF, 0, 0),
            Self::Sequence => ask(0x1D, 0, 0),
            Self::AlarmBits => ask(0x1A, 0, 0),
            Self::AlarmList | Self::AlarmCount | Self::AlarmText => {
                Query { device: 1, function: 0x23, arguments: [-1, 10, 2, 64, 0] }
            }
            Self::Axes => ask(0x89, 0, 0),
            Self::Timer(number) => ask(0x120, i32::from(number), 0),
            Self::Macro(first) => Query::macros(first, count),
            Self::Parameter(number, axis) => {
                let number = i32::try_from(number).unwrap_or(i32::MAX);
                let function = if long_parameters { 0x8D } else { 0x0E };
                Query { device: 1, function, arguments: [number, number, i32::from(axis), 0, 0] }
            }
            Self::Pmc(area, byte, _) => Query::pmc(area, byte, count),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        read(text).ok_or_else(|| {
            format!(
                "`{text}` is no address; there are sysinfo, stat, stat.run, position.absolute.1 (machine, relative, \
                 distance), load.axis.1, load.spindle, speed, feed, program.number (main, name, sequence), alarm.bits \
                 (list, count, text), axes, time.cutting ({}), macro:500, param:6711, param:1320/2, pmc:R100, pmc:X8.4",
                TIMERS.join(", ")
            )
        })
    }
}

fn read(text: &str) -> Option<Address> {
    if let Some((family, rest)) = text.split_once(':') {
        return match family {
            "macro" => number(rest).filter(|n| *n <= 999_999).map(Address::Macro),
            "param" => {
                let (number_text, axis) = rest.split_once('/').unwrap_or((rest, "0"));
                let axis: u8 = axis.parse().ok().filter(|axis| *axis <= MOST_AXES)?;
                number(number_text).filter(|n| *n <= 99_999).map(|number| Address::Parameter(number, axis))
            }
            "pmc" => pmc(rest),
            _ => None,
        };
    }
    let mut words = text.split('.');
    let (first, second, third) = (words.next()?, words.next(), words.next());
    if words.next().is_some() {
        return None;
    }
    let index = |text: Option<&str>| match text {
        None => Some(None),
        Some(text) => text.parse::<u8>().ok().filter(|n| (1..=MOST_AXES).contains(n)).map(Some),
    };
    Some(match (first, second, third) {
        ("sysinfo", None, None) => Address::System(None),
        ("sysinfo", Some(field), None) => {
            Address::System(Some(crate::codec::answer::SYSTEM.into_iter().find(|name| *name == field)?))
        }
        ("stat", None, None) => Address::Status(None),
        ("stat", Some(field), None) => Address::Status(Some(STATUS.iter().position(|name| *name == field)?)),
        ("position", Some(which), axis) => {
            let which = match which {
                "absolute" => Coordinates::Absolute,
                "machine" => Coordinates::Machine,
                "relative" => Coordinates::Relative,
                "distance" => Coordinates::Distance,
                _ => return None,
            };
            Address::Position(which, index(axis)?)
        }
        ("load", Some("axis"), axis) => Address::AxisLoad(index(axis)?),
        ("load", Some("spindle"), spindle) => Address::SpindleLoad(index(spindle)?),
        ("speed", None, None) => Address::Speed,
        ("feed", None, None) => Address::Feed,
        ("program", Some("number"), None) => Address::Program,
        ("program", Some("main"), None) => Address::MainProgram,
        ("program", Some("name"), None) => Address::ProgramName,
        ("program", Some("sequence"), None) => Address::Sequence,
        ("alarm", Some("bits"), None) => Address::AlarmBits,
        ("alarm", Some("list"), None) => Address::AlarmList,
        ("alarm", Some("count"), None) => Address::AlarmCount,
        ("alarm", Some("text"), None) => Address::AlarmText,
        ("axes", None, None) => Address::Axes,
        ("time", Some(timer), None) => {
            Address::Timer(u8::try_from(TIMERS.iter().position(|name| *name == timer)?).ok()?)
        }
        _ => return None,
    })
}

fn pmc(text: &str) -> Option<Address> {
    let letter = text.chars().next()?;
    let (_, area) = AREAS.into_iter().find(|(name, _)| *name == letter)?;
    let (byte, bit) = match text[letter.len_utf8()..].split_once('.') {
        Some((byte, bit)) => (byte, Some(bit.parse::<u8>().ok().filter(|bit| *bit < 8)?)),
        None => (&text[letter.len_utf8()..], None),
    };
    number(byte).and_then(|byte| u16::try_from(byte).ok()).map(|byte| Address::Pmc(area, byte, bit))
}

/// Digits only: `+5` is no number here.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let cases = [
            ("stat", Address::Status(None)),
            ("stat.emergency", Address::Status(Some(4))),
            ("sysinfo.series", Address::System(Some("series"))),
            ("position.machine.3", Address::Position(Coordinates::Machine, Some(3))),
            ("load.spindle", Address::SpindleLoad(None)),
            ("time.cutting", Address::Timer(2)),
            ("macro:500", Address::Macro(500)),
            ("param:6711", Address::Parameter(6_711, 0)),
            ("param:1320/2", Address::Parameter(1_320, 2)),
            ("pmc:R100", Address::Pmc(5, 100, None)),
            ("pmc:X8.4", Address::Pmc(3, 8, Some(4))),
        ];
        for (text, address) in cases {
            assert_eq!(text.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "stat.",
            "stat.x",
            "position",
            "position.absolute.0",
            "position.absolute.1.2",
            "macro:",
            "macro:-1",
            "param:1/99",
            "pmc:Q1",
            "pmc:",
            "pmc:R1.8",
            "pmc:R70000",
            "ä:1",
            "pmc:ä",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
