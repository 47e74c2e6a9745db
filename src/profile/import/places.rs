//! Where a tag's value is, in the words of our own protocols.

use guideway_contract::{DataType, Kind};

use super::quoted;
use super::tag::{Base, Type};
use super::{Encoding, logix, melsec, modbus, s7};

/// A native address with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub(super) address: String,
    /// `None` where the protocol or the address says it.
    pub(super) kind: Option<Kind>,
    /// How many, of an array.
    pub(super) count: Option<u32>,
    /// The protocol's own keys, with their values as TOML writes them.
    pub(super) own: Vec<(&'static str, String)>,
    /// Makes our number the one that KEPServerEX told.
    pub(super) scale: Option<f64>,
    pub(super) note: Option<String>,
}

impl Place {
    pub(super) fn new(address: impl Into<String>, kind: Option<Kind>, count: Option<u32>) -> Self {
        Self { address: address.into(), kind, count, ..Self::default() }
    }

    /// As a profile writes it; empty for `auto`.
    pub(super) fn data_type(&self) -> String {
        match (self.kind, self.count) {
            (None, None) => String::new(),
            (kind, count) => DataType { kind: kind.unwrap_or_default(), count }.to_string(),
        }
    }

    pub(super) fn with(mut self, key: &'static str, value: &str) -> Self {
        self.own.push((key, quoted(value)));
        self
    }
}

/// The place of an address as KEPServerEX's driver for that protocol writes it.
pub(super) fn convert(
    kind: &str,
    address: &str,
    data_type: Type,
    encoding: &Encoding,
) -> Result<Place, String> {
    let address = address.trim();
    if data_type.base == Base::Date && kind != "s7" {
        return Err("dates: Guideway has no such type for this protocol".into());
    }
    match kind {
        "modbus" => modbus::convert(address, data_type, encoding),
        "s7" => s7::convert(address, data_type),
        "ethernet-ip" => logix::convert(address, data_type),
        "slmp" => melsec::convert(address, data_type),
        "ads" => Ok(symbol(address)),
        _ => Ok(node(address)),
    }
}

/// A TwinCAT symbol: the program itself says its type, and whether it is an array.
fn symbol(address: &str) -> Place {
    let bare: String = address.chars().filter(|c| !c.is_whitespace()).collect();
    let name = bare.split('{').next().unwrap_or_default().replace("][", ",");
    Place::new(name, None, None)
}

/// An OPC UA node: the server says its type.
fn node(address: &str) -> Place {
    let lower = address.get(..3).unwrap_or_default().to_ascii_lowercase();
    let (Some(rest), true) = (address.get(3..), lower == "ns=") else {
        return Place::new(address, None, None);
    };
    let namespace = rest.split(';').next().unwrap_or_default();
    let is_index = !namespace.is_empty() && namespace.bytes().all(|byte| byte.is_ascii_digit());
    Place::new(format!("{}={rest}", if is_index { "ns" } else { "nsu" }), None, None)
}

/// `D100[4]` and `D100 [2][3]`: what stands in front, and how many in all.
pub(super) fn dimensions(address: &str) -> Result<(&str, Option<u32>), String> {
    let Some((head, rest)) = address.split_once('[') else { return Ok((address, None)) };
    let bad = || format!("`{address}`: the size of an array is written [4] or [2][3]");
    let rest = rest.trim_end().strip_suffix(']').ok_or_else(bad)?;
    let mut count: u32 = 1;
    for number in rest.split("][") {
        let number: u32 = number.trim().parse().map_err(|_| bad())?;
        count = count.checked_mul(number).filter(|count| *count > 0).ok_or_else(bad)?;
    }
    Ok((head.trim_end(), Some(count)))
}

/// An array has to say how many it has; what says how many is an array.
pub(super) fn agree(address: &str, data_type: Type, count: Option<u32>) -> Result<(), String> {
    match (data_type.array, count) {
        (true, None) => Err(format!("`{address}` is an array and does not say of how many")),
        _ => Ok(()),
    }
}

/// A number of digits only.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ADDRESS TYPE` in our words, or `-`.
    fn ours(kind: &str, address: &str, data_type: &str) -> String {
        with(kind, address, data_type, &Encoding::default())
    }

    fn with(kind: &str, address: &str, data_type: &str, encoding: &Encoding) -> String {
        match convert(kind, address, Type::parse(data_type).unwrap(), encoding) {
            Ok(place) => {
                let own = place.own.iter().map(|(key, value)| format!("{key}={value}"));
                let parts = [place.address.clone(), place.data_type()].into_iter().chain(own);
                parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
            }
            Err(_) => "-".into(),
        }
    }

    #[test]
    fn modbus_numbers_count_from_one_in_as_many_digits_as_one_likes() {
        for (address, data_type, expected) in [
            ("400001", "Word", "holding:0 u16"),
            ("40001", "Short", "holding:0 i16"),
            ("41", "", "holding:0 u16"),
            ("465536", "Word", "holding:65535 u16"),
            ("300013", "Float", "input:12 f32"),
            ("000001", "Boolean", "coil:0 bool"),
            ("100017", "Default", "discrete:16 bool"),
            ("400001.15", "Boolean", "holding:0.15 bool"),
            ("400001.5", "", "holding:0.5 bool"),
            ("H40001", "Word", "holding:0 u16"),
            ("H4000FF", "Word", "holding:254 u16"),
            ("h410000", "DWord", "holding:65535 u32"),
            ("400100.20H", "String", "holding:99 string[20]"),
            ("400100.20l", "String", "holding:99 string[20] byte_order=\"BADC\""),
            ("400001[10]", "Word Array", "holding:0 u16[10]"),
            ("400001 [2][3]", "Float Array", "holding:0 f32[6]"),
            ("400010", "LBCD", "holding:9 bcd8"),
            ("400010", "LLong", "holding:9 i64"),
        ] {
            assert_eq!(ours("modbus", address, data_type), expected, "{address} {data_type}");
        }
        for (address, data_type) in [
            ("400000", "Word"),
            ("465537", "Word"),
            ("200001", "Word"),
            ("4", "Word"),
            ("4000001", "Word"),
            ("400001.16", "Boolean"),
            ("400001.x", "Boolean"),
            ("400100", "String"),
            ("400001", "Word Array"),
            ("400001[0]", "Word Array"),
            ("400001", "Date"),
            ("40é01", "Word"),
            ("", "Word"),
        ] {
            assert_eq!(ours("modbus", address, data_type), "-", "{address} {data_type}");
        }
    }

    #[test]
    fn a_modbus_device_may_count_in_its_own_way() {
        let encoding = Encoding {
            subtract_one: false,
            zero_based_bits: false,
            low_double_first: false,
            ..Encoding::default()
        };
        assert_eq!(with("modbus", "400001", "Word", &encoding), "holding:1 u16");
        assert_eq!(with("modbus", "400001.16", "Boolean", &encoding), "holding:1.15 bool");
        assert_eq!(with("modbus", "400001.0", "Boolean", &encoding), "-");
        assert_eq!(with("modbus", "400001", "Double", &encoding), "-");
        assert_eq!(with("modbus", "400001", "Float", &encoding), "holding:1 f32");
        let low = Encoding { high_byte_first: false, ..Encoding::default() };
        assert_eq!(with("modbus", "400001.4H", "String", &low), "holding:0 string[4] byte_order=\"ABCD\"");
        assert_eq!((low.byte_order(), Encoding::default().byte_order()), ("DCBA", "CDAB"));
    }

    #[test]
    fn s7_addresses_are_known_with_a_comma_a_point_or_none() {
        for (address, data_type, expected) in [
            ("DB1,INT0", "Short", "DB1.DBW0 i16"),
            ("DB1,REAL4", "Float", "DB1.DBD4 f32"),
            ("DB1,X8.0", "Boolean", "DB1.DBX8.0 bool"),
            ("DB1,STRING10.30", "String", "DB1.10 string[30]"),
            ("db1.dbw2", "Word", "DB1.DBW2 u16"),
            ("DB1.DBX2.7", "Boolean", "DB1.DBX2.7 bool"),
            ("DB7,W20", "Short", "DB7.DBW20 i16"),
            ("DB7,D20", "Float", "DB7.DBD20 f32"),
            ("DB7,W20", "BCD", "DB7.DBW20 bcd4"),
            ("DB7,W20.0", "Boolean", "DB7.DBX21.0 bool"),
            ("DB7,D20.31", "Boolean", "DB7.DBX20.7 bool"),
            ("DB7,B20.8", "String", "DB7.20 chars[8]"),
            ("DB7,DINT4[5]", "Long Array", "DB7.DBD4 i32[5]"),
            ("DB7,LREAL8", "Double", "DB7.8 f64"),
            ("DB7,DT8", "Date", "DB7.8 format=\"date_and_time\""),
            ("DB7,TIME8", "Long", "DB7.DBD8 i32"),
            ("M0.1", "Boolean", "M0.1 bool"),
            ("MX0.1", "Boolean", "M0.1 bool"),
            ("FREAL4", "Float", "MD4 f32"),
            ("MINT10", "Short", "MW10 i16"),
            ("EB3", "Byte", "IB3 u8"),
            ("A0.7", "Boolean", "Q0.7 bool"),
            ("T5", "Long", "T5"),
            ("Z5", "Word", "C5"),
            ("VW100", "Word", "DB1.DBW100 u16"),
        ] {
            assert_eq!(ours("s7", address, data_type), expected, "{address} {data_type}");
        }
        for (address, data_type) in [
            ("DB1", "Word"),
            ("DB0,INT0", "Short"),
            ("DB1,INT0", "Float"),
            ("DB1,X8.8", "Boolean"),
            ("DB1,X8", "Boolean"),
            ("DB1,QUUX3", "Word"),
            ("DB1,INT0", "Date"),
            ("DB1,B4", "String"),
            ("PIW256", "Word"),
            ("MW4294967296", "Word"),
            ("DB1,W4294967295.0", "Boolean"),
            ("Ü1", "Word"),
            ("", "Word"),
        ] {
            assert_eq!(ours("s7", address, data_type), "-", "{address} {data_type}");
        }
    }

    #[test]
    fn logix_tags_keep_their_names() {
        for (address, data_type, expected) in [
            ("Cell.Speed", "Float", "Cell.Speed f32"),
            ("Cell.Speed", "", "Cell.Speed"),
            ("PROGRAM:Main.Count", "Long", "Program:Main.Count i32"),
            ("Status.5", "Boolean", "Status.5 bool"),
            ("Table [3] {10}", "Long Array", "Table[3] i32[10]"),
            ("Table[1][2]", "Short", "Table[1,2] i16"),
            ("Table{2}{5}", "Float Array", "Table f32[10]"),
            ("Name.DATA/82", "String", "Name.DATA chars[82]"),
            ("Name", "String", "Name"),
        ] {
            assert_eq!(ours("ethernet-ip", address, data_type), expected, "{address} {data_type}");
        }
        for (address, data_type) in [
            ("T{0}", "Long Array"),
            ("T{x}", "Long Array"),
            ("T", "Long Array"),
            ("S.5", "Word"),
            ("S/x", "String"),
        ] {
            assert_eq!(ours("ethernet-ip", address, data_type), "-", "{address} {data_type}");
        }
    }

    #[test]
    fn bits_of_melsec_words_become_one_hexadecimal_digit() {
        for (address, data_type, expected) in [
            ("D100", "Short", "D100 i16"),
            ("D100", "", "D100"),
            ("D100.5", "Boolean", "D100.5 bool"),
            ("D100.12", "Boolean", "D100.C bool"),
            ("d100.05", "Boolean", "D100.5 bool"),
            ("X1F", "Boolean", "X1F bool"),
            ("ZR70000", "Float", "ZR70000 f32"),
            ("DSL100.020", "String", "D100 string[20]"),
            ("W1F[4]", "Word Array", "W1F u16[4]"),
            ("TN3", "Short", "TN3 i16"),
        ] {
            assert_eq!(ours("slmp", address, data_type), expected, "{address} {data_type}");
        }
        for (address, data_type) in [
            ("D100.16", "Boolean"),
            ("D100.5", "Word"),
            ("DSH100.020", "String"),
            ("D100", "String"),
            ("é", "String"),
        ] {
            assert_eq!(ours("slmp", address, data_type), "-", "{address} {data_type}");
        }
    }

    #[test]
    fn symbols_and_nodes_say_their_types_themselves() {
        assert_eq!(ours("ads", "MAIN.nCounter", "Short"), "MAIN.nCounter");
        assert_eq!(ours("ads", "GVL.aLimits[1][2]", "Float"), "GVL.aLimits[1,2]");
        assert_eq!(ours("opcua", "NS=2;s=Line.Speed", "Float"), "ns=2;s=Line.Speed");
        assert_eq!(
            ours("opcua", "ns=http://maker.example/UA/;i=7", "Word"),
            "nsu=http://maker.example/UA/;i=7"
        );
        assert_eq!(ours("opcua", "i=2258", "Date"), "-");
    }
}
