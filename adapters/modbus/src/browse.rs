//! Looking for registers: reads a range, in few requests and halving what is refused.

use std::time::Duration;

use guideway_contract::{DataType, Found, Kind, SessionEnd};
use smol_str::format_smolstr;

use crate::address::number_of;
use crate::codec::{self, Request};
use crate::line::Reply;
use crate::session::Link;
use crate::{ByteOrder, Config, Table};

/// The most that one scan reads.
const MOST: u32 = 10_000;
/// Registers in one request of a scan: machines that take fewer than the standard's 125 mostly take so many.
const REGISTERS: u16 = 50;
/// Coils or discrete inputs in one request of a scan.
const BITS: u16 = 200;
/// The pause between two requests, so that the machine can do its own work.
const PAUSE: Duration = Duration::from_millis(5);

/// A range of one table, written `holding:0-200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    table: Table,
    start: u16,
    last: u16,
}

impl Range {
    /// Reads `holding:0-200` or `holding:7`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let read = || {
            let (word, numbers) = text.split_once(':')?;
            let table = *Table::ALL.iter().find(|table| table.word() == word)?;
            let (start, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let (start, last) = (number_of(start)?, number_of(last)?);
            (start <= last && u32::from(last - start) < MOST).then_some(Self { table, start, last })
        };
        read().ok_or_else(|| {
            format!("`{text}` is no range; write `holding:0-200` (coil, discrete, input or holding; at most {MOST})")
        })
    }
}

/// What is in the range that `address` names: a range, or a URL with `range=`. Without one the four tables, each with
/// its first range.
pub(crate) async fn browse(
    link: &mut Link,
    config: &Config,
    address: &str,
) -> Result<Vec<Found>, SessionEnd> {
    let mut unit = config.unit;
    let mut range = None;
    let text = match address.split_once('?') {
        Some((_, query)) => {
            for pair in query.split('&') {
                match pair.split_once('=') {
                    Some(("unit", value)) => unit = value.parse().unwrap_or(unit),
                    Some(("range", value)) => range = Some(value),
                    _ => {}
                }
            }
            range
        }
        None => Some(address).filter(|text| !text.is_empty() && !text.contains("://")),
    };
    let Some(text) = text else { return Ok(tables()) };
    let range = Range::parse(text).map_err(SessionEnd::Protocol)?;
    scan(link, config, unit, range).await
}

fn tables() -> Vec<Found> {
    let table = |table: Table| {
        let address = format_smolstr!(
            "{}:0-{}",
            table.word(),
            if table.is_bits() { BITS - 1 } else { 2 * REGISTERS - 1 }
        );
        let what = match table {
            Table::Coil => "bits that can be written",
            Table::Discrete => "bits that can be read only",
            Table::Input => "registers that can be read only",
            Table::Holding => "registers that can be written",
        };
        Found {
            label: what.into(),
            note: "Modbus cannot list what is there: name the range to look at, such as `holding:0-200`"
                .into(),
            folder: true,
            ..found(address.as_str())
        }
    };
    Table::ALL.map(table).into()
}

fn found(address: &str) -> Found {
    Found {
        address: address.into(),
        label: address.into(),
        note: String::new(),
        data_type: None,
        units: "".into(),
        value: String::new(),
        writable: false,
        folder: false,
    }
}

async fn scan(link: &mut Link, config: &Config, unit: u8, range: Range) -> Result<Vec<Found>, SessionEnd> {
    let table = range.table;
    let step =
        if table.is_bits() { BITS.min(config.max_coils) } else { REGISTERS.min(config.max_registers) }.max(1);
    let mut all: Vec<Found> = Vec::new();
    let mut refused = 0;
    let mut reply = Reply::default();
    // What is still to be read, the next last; a refused stretch comes back in two halves.
    let mut todo: Vec<(u16, u16)> = stretches(range, step);
    todo.reverse();
    while let Some((start, count)) = todo.pop() {
        let request = Request::Read { table, start, count };
        if let Err(failure) = link.transact(unit, &request, config.timeout, &mut reply).await {
            let endpoint = format!("unit {unit}, {}:{start}", table.word());
            return Err(failure.end(endpoint, unit, false));
        }
        match reply.exception {
            None => list(&mut all, table, start, &reply.data, count, config.byte_order),
            Some(1) => {
                let what = format!("the unit does not have the table `{}` (exception 1)", table.word());
                return Err(SessionEnd::Protocol(what));
            }
            Some(code @ (0x0A | 0x0B)) => return Err(SessionEnd::Lost(codec::exception(code).into())),
            Some(5 | 6) => {
                todo.push((start, count));
                refused += 1;
            }
            Some(_) if count > 1 => {
                let half = count / 2;
                todo.push((start + half, count - half));
                todo.push((start, half));
            }
            Some(_) => refused += 1,
        }
        if refused > MOST {
            return Err(SessionEnd::Protocol("the unit refuses too much".into()));
        }
        tokio::time::sleep(PAUSE.max(config.min_gap)).await;
    }
    Ok(all)
}

fn stretches(range: Range, step: u16) -> Vec<(u16, u16)> {
    let mut out = Vec::new();
    let (mut start, end) = (u32::from(range.start), u32::from(range.last) + 1);
    while start < end {
        let count = u32::from(step).min(end - start);
        out.extend(u16::try_from(start).ok().zip(u16::try_from(count).ok()));
        start += count;
    }
    out
}

fn list(all: &mut Vec<Found>, table: Table, start: u16, data: &[u8], count: u16, order: ByteOrder) {
    for at in 0..usize::from(count) {
        let address = format_smolstr!("{}:{}", table.word(), usize::from(start) + at);
        let mut entry = Found { writable: table.is_writable(), ..found(&address) };
        if table.is_bits() {
            entry.data_type = Some(DataType::one(Kind::Bool));
            entry.value =
                data.get(at / 8).map_or(String::new(), |byte| (byte >> (at % 8) & 1 == 1).to_string());
        } else {
            let Some(own) = data.get(2 * at..2 * at + 2) else { continue };
            let word = u16::from_be_bytes([own[0], own[1]]);
            entry.data_type = Some(DataType::one(Kind::U16));
            entry.value = word.to_string();
            entry.note = format!("0x{word:04X}");
            let layout = codec::value::Layout {
                kind: Kind::F32,
                count: None,
                order,
                bit: None,
                half: crate::HalfByte::Low,
            };
            // A hint: few pairs of counters look like a number that people measure.
            if let Some(Ok(value)) = data.get(2 * at..2 * at + 4).map(|pair| layout.decode(pair))
                && value.number().is_some_and(|number| (0.001..10_000_000.0).contains(&number.abs()))
            {
                entry.note = format!("{}, with the next one f32 {value}", entry.note);
            }
        }
        all.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_table_and_two_numbers() {
        let range = |text| Range::parse(text).ok().map(|range| (range.table, range.start, range.last));
        assert_eq!(range("holding:0-200"), Some((Table::Holding, 0, 200)));
        assert_eq!(range("coil:7"), Some((Table::Coil, 7, 7)));
        assert_eq!(range("input:0x30-0x60"), Some((Table::Input, 48, 96)));
        for text in
            ["", "holding", "holding:5-4", "holding:0-65535", "holding:0-65536", "holdings:0-1", "holding:-1"]
        {
            assert_eq!(range(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_to_the_last_register_is_read_in_stretches() {
        let range = Range { table: Table::Holding, start: 65_400, last: 65_535 };
        assert_eq!(stretches(range, 50), [(65_400, 50), (65_450, 50), (65_500, 36)]);
    }
}
