//! A point as it is read and written: which registers or bits of which unit, and how they are a value.

use std::sync::Arc;

use guideway_contract::{Access, Issue, Kind, Native, Period, PointId, PointSpec};
use smol_str::SmolStr;

use crate::codec::Request;
use crate::codec::value::{Encoded, Layout};
use crate::{Address, Config, Framing, Point, Table};

/// One point, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Field {
    /// Which point.
    pub(crate) id: PointId,
    /// Who has it.
    pub(crate) unit: u8,
    /// Where.
    pub(crate) table: Table,
    /// Its first bit or register.
    pub(crate) start: u16,
    /// How many bits or registers it takes.
    pub(crate) span: u16,
    /// How they are a value.
    pub(crate) layout: Layout,
    /// When it is read; `None` if never.
    pub(crate) period: Option<Period>,
    /// Whether commands may write it.
    writable: bool,
    write_single: bool,
}

impl Field {
    /// Reads a point; its id is to be set yet.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub(crate) fn read(config: &Config, spec: &PointSpec<Point>) -> Result<Self, Vec<Issue>> {
        let own = &spec.own;
        let address: Address = spec.address.parse().map_err(|why: String| vec![Issue::new("addr", why)])?;
        let mut issues = Vec::new();
        let mut wrong = |key, what: String| issues.push(Issue::new(key, what));
        let kind = spec.data_type.kind;
        if address.bit.is_some() && !matches!(kind, Kind::Bool | Kind::Bits(_) | Kind::Auto) {
            wrong("type", format!("`{}` is a bit: its type is bool, bool[N] or bits[N]", spec.address));
        }
        let is_byte = matches!(kind, Kind::I8 | Kind::U8) && spec.data_type.count.is_none();
        if own.byte.is_some() && !is_byte {
            wrong("byte", format!("`{}` has no half of a register; only u8 and i8 have", spec.data_type));
        }
        if kind == Kind::Bool
            && spec.data_type.count.is_some()
            && !address.table.is_bits()
            && address.bit.is_none()
        {
            wrong("addr", format!("say which bit comes first: `{}.0`", spec.address));
        }
        if let Some(unit) = own.unit
            && config.framing() == Framing::Rtu
            && !(1..=247).contains(&unit)
        {
            wrong("unit", format!("{unit} is no unit on a serial line (1-247)"));
        }
        if spec.access.writes() && !address.table.is_writable() {
            wrong("access", format!("the table `{}` can be read only", address.table.word()));
        }
        let layout = Layout {
            kind: if kind == Kind::Auto && address.bit.is_some() { Kind::Bool } else { kind },
            count: spec.data_type.count.map(|count| u16::try_from(count).unwrap_or(u16::MAX)),
            order: own.byte_order.unwrap_or(config.byte_order),
            bit: address.bit,
            half: own.byte.unwrap_or_default(),
        };
        let span = if address.table.is_bits() { layout.bits() } else { layout.registers() };
        let (what, most) = if address.table.is_bits() {
            ("bits", config.max_coils.min(2000))
        } else {
            ("registers", config.max_registers.min(125))
        };
        let span = match span {
            None => {
                wrong(
                    "type",
                    format!("the table `{}` does not have `{}`", address.table.word(), spec.data_type),
                );
                1
            }
            Some(span) if span > usize::from(most) => {
                wrong(
                    "type",
                    format!("`{}` takes {span} {what}, one request {most}: divide it", spec.data_type),
                );
                1
            }
            Some(span) => u16::try_from(span).unwrap_or(u16::MAX),
        };
        if u32::from(address.start) + u32::from(span) > 65_536 {
            wrong("addr", format!("`{}` reaches beyond 65535", spec.address));
        }
        if spec.access.writes() && span > address.table.most_written() {
            wrong(
                "access",
                format!("takes {span} {what}; one request writes {}", address.table.most_written()),
            );
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        Ok(Self {
            id: PointId(0),
            unit: own.unit.unwrap_or(config.unit),
            table: address.table,
            start: address.start,
            span,
            layout,
            period: spec.access.reads().then_some(spec.period),
            writable: spec.access.writes(),
            write_single: own.write_single.unwrap_or(true),
        })
    }

    /// Where it is, as a profile writes it.
    pub(crate) fn place(&self) -> Address {
        Address { table: self.table, start: self.start, bit: self.layout.bit }
    }

    /// The place behind its last bit or register.
    pub(crate) fn end(&self) -> u32 {
        u32::from(self.start) + u32::from(self.span)
    }

    /// Its value in the data of a read that began at `start`.
    ///
    /// # Errors
    /// Why the data are no such value.
    pub(crate) fn decode(&self, data: &[u8], start: u16) -> Result<Native, SmolStr> {
        let first = usize::from(self.start.saturating_sub(start));
        if self.table.is_bits() {
            return self.layout.decode_bits(data, first);
        }
        let own = data.get(2 * first..2 * (first + usize::from(self.span)));
        self.layout.decode(own.unwrap_or_default())
    }

    /// The request that writes `value`.
    ///
    /// # Errors
    /// Why it cannot be written, in words for an operator.
    pub(crate) fn write(&self, value: &Native) -> Result<Request, String> {
        if !self.writable {
            return Err("the profile does not let it be written".into());
        }
        let start = self.start;
        let encoded =
            if self.table.is_bits() { self.layout.encode_bits(value) } else { self.layout.encode(value) };
        Ok(match encoded? {
            Encoded::Bits(bits) => match bits.as_slice() {
                [on] if self.write_single => Request::WriteCoil { at: start, on: *on },
                _ => Request::WriteCoils { start, bits },
            },
            Encoded::Words(words) => match words.as_slice() {
                [word] if self.write_single => Request::WriteRegister { at: start, word: *word },
                _ => Request::WriteRegisters { start, words },
            },
            Encoded::Mask { and, or } => Request::MaskWrite { at: start, and, or },
        })
    }
}

/// The points that can be used, with their ids, and why the others cannot.
pub(crate) fn fields(config: &Config, specs: &[PointSpec<Point>]) -> (Vec<Field>, Vec<(PointId, Arc<str>)>) {
    let mut fields = Vec::with_capacity(specs.len());
    let mut broken = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let id = guideway_contract::point_id(index);
        match Field::read(config, spec) {
            Ok(field) => fields.push(Field { id, ..field }),
            Err(issues) if spec.access != Access::Write => {
                let whats: Vec<_> = issues.into_iter().map(|issue| issue.what).collect();
                broken.push((id, whats.join("; ").into()));
            }
            Err(_) => {}
        }
    }
    (fields, broken)
}

#[cfg(test)]
mod tests {
    use guideway_contract::DataType;

    use super::*;

    fn spec(address: &str, data_type: &str) -> PointSpec<Point> {
        PointSpec::new(address, data_type.parse::<DataType>().unwrap(), Point::default())
    }

    fn issue(spec: &PointSpec<Point>) -> String {
        let config = Config { max_registers: 100, ..Config::default() };
        let issues = Field::read(&config, spec).err().unwrap_or_default();
        issues.iter().map(|issue| format!("{}: {}", issue.key, issue.what)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_a_table_does_not_have_is_refused_with_the_cure() {
        assert_eq!(issue(&spec("coil:0", "u16")), "type: the table `coil` does not have `u16`");
        assert_eq!(issue(&spec("holding:0", "fields")), "type: the table `holding` does not have `fields`");
        assert_eq!(issue(&spec("holding:65535", "u32")), "addr: `holding:65535` reaches beyond 65535");
        assert_eq!(
            issue(&spec("input:0", "u16[101]")),
            "type: `u16[101]` takes 101 registers, one request 100: divide it"
        );
        assert_eq!(issue(&spec("holding:0", "bool[3]")), "addr: say which bit comes first: `holding:0.0`");
        assert!(issue(&spec("holding:0.3", "u16")).starts_with("type: `holding:0.3` is a bit"));
        assert!(issue(&spec("nowhere:0", "u16")).starts_with("addr: "));
        let mut written = spec("input:0", "u16");
        written.access = Access::ReadWrite;
        assert_eq!(issue(&written), "access: the table `input` can be read only");
        let mut half = spec("input:0", "u16");
        half.own.byte = Some(crate::HalfByte::High);
        assert!(issue(&half).starts_with("byte: "));
        assert_eq!(issue(&spec("holding:65535.15", "bool")), "");
    }

    #[test]
    fn a_value_is_written_with_the_function_that_is_asked_for() {
        let mut one = spec("holding:7", "u16");
        one.access = Access::Write;
        let field = |spec: &PointSpec<Point>| Field::read(&Config::default(), spec).unwrap();
        assert_eq!(field(&one).write(&Native::Int(5)), Ok(Request::WriteRegister { at: 7, word: 5 }));
        one.own.write_single = Some(false);
        assert_eq!(
            field(&one).write(&Native::Int(5)),
            Ok(Request::WriteRegisters { start: 7, words: vec![5] })
        );
        assert!(field(&spec("holding:7", "u16")).write(&Native::Int(5)).is_err());
    }
}
