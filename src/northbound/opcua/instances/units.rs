//! Units of MTConnect as EUInformation (part 8, 5.6.3).
//!
//! The table holds every unit that values can leave in. Codes are those of UNECE recommendation 20; the
//! unit's number is made of the letters of the code (part 8, 5.6.3.3). Three-dimensional units are
//! those of one axis.

use opcua_types::{EUInformation, LocalizedText, UAString};

use super::super::nodeset::MTCONNECT;

/// The namespace of UNECE codes.
const UNECE: &str = "http://www.opcfoundation.org/UA/units/un/cefact";

/// A unit of MTConnect: its name there, its UNECE code (empty when UNECE has none), its symbol, and its
/// name in full.
type Unit = (&'static str, &'static str, &'static str, &'static str);

/// Sorted by name.
const UNITS: [Unit; 54] = [
    ("AMPERE", "AMP", "A", "ampere"),
    ("CELSIUS", "CEL", "°C", "degree Celsius"),
    ("COULOMB", "COU", "C", "coulomb"),
    ("COUNT", "C62", "1", "one"),
    ("COUNT/SECOND", "C97", "1/s", "reciprocal second"),
    ("CUBIC_METER", "MTQ", "m³", "cubic metre"),
    ("CUBIC_MILLIMETER", "MMQ", "mm³", "cubic millimetre"),
    ("CUBIC_MILLIMETER/SECOND", "", "mm³/s", "cubic millimetre per second"),
    ("CUBIC_MILLIMETER/SECOND^2", "", "mm³/s²", "cubic millimetre per second squared"),
    ("DECIBEL", "2N", "dB", "decibel"),
    ("DEGREE", "DD", "°", "degree [unit of angle]"),
    ("DEGREE/SECOND", "E96", "°/s", "degree per second"),
    ("DEGREE/SECOND^2", "M45", "°/s²", "degree [unit of angle] per second squared"),
    ("DEGREE_3D", "DD", "°", "degree [unit of angle]"),
    ("GRAM", "GRM", "g", "gram"),
    ("GRAM/CUBIC_METER", "A93", "g/m³", "gram per cubic metre"),
    ("HERTZ", "HTZ", "Hz", "hertz"),
    ("JOULE", "JOU", "J", "joule"),
    ("KILOGRAM", "KGM", "kg", "kilogram"),
    ("LITER", "LTR", "l", "litre"),
    ("LITER/SECOND", "G51", "l/s", "litre per second"),
    ("METER/SECOND^2", "MSK", "m/s²", "metre per second squared"),
    ("MICRO_RADIAN", "B97", "µrad", "microradian"),
    ("MILLIGRAM", "MGM", "mg", "milligram"),
    // Numerically the same as the milligram per cubic millimetre, which has no code.
    ("MILLIGRAM/CUBIC_MILLIMETER", "23", "g/cm³", "gram per cubic centimetre"),
    ("MILLIGRAM/LITER", "M1", "mg/l", "milligram per litre"),
    ("MILLILITER", "MLT", "ml", "millilitre"),
    ("MILLIMETER", "MMT", "mm", "millimetre"),
    ("MILLIMETER/REVOLUTION", "", "mm/r", "millimetre per revolution"),
    ("MILLIMETER/SECOND", "C16", "mm/s", "millimetre per second"),
    ("MILLIMETER/SECOND^2", "M41", "mm/s²", "millimetre per second squared"),
    ("MILLIMETER_3D", "MMT", "mm", "millimetre"),
    ("NEWTON", "NEW", "N", "newton"),
    ("NEWTON_METER", "NU", "N·m", "newton metre"),
    ("OHM", "OHM", "Ω", "ohm"),
    ("OHM_METER", "C61", "Ω·m", "ohm metre"),
    ("PASCAL", "PAL", "Pa", "pascal"),
    ("PASCAL/SECOND", "", "Pa/s", "pascal per second"),
    ("PASCAL_SECOND", "C65", "Pa·s", "pascal second"),
    ("PERCENT", "P1", "%", "percent"),
    ("PH", "Q30", "pH", "pH (potential of Hydrogen)"),
    ("REVOLUTION/MINUTE", "RPM", "r/min", "revolutions per minute"),
    ("REVOLUTION/SECOND", "RPS", "r/s", "revolutions per second"),
    ("REVOLUTION/SECOND^2", "", "r/s²", "revolutions per second squared"),
    ("SECOND", "SEC", "s", "second [unit of time]"),
    ("SIEMENS/METER", "D10", "S/m", "siemens per metre"),
    ("SOUND_LEVEL", "2N", "dB", "decibel"),
    ("SQUARE_MILLIMETER", "MMK", "mm²", "square millimetre"),
    ("UNIT_VECTOR_3D", "C62", "1", "one"),
    ("VOLT", "VLT", "V", "volt"),
    ("VOLT_AMPERE", "D46", "V·A", "volt - ampere"),
    ("VOLT_AMPERE_REACTIVE", "D44", "var", "var"),
    ("WATT", "WTT", "W", "watt"),
    ("WATT_SECOND", "J55", "W·s", "watt second"),
];

/// What OPC UA says of a unit; `units` is empty where an item has none. A unit that UNECE does not have
/// is in the companion specification's namespace, without a number.
pub(super) fn engineering_units(units: &str) -> EUInformation {
    if units.is_empty() {
        return EUInformation { unit_id: -1, ..EUInformation::default() };
    }
    let find = |name: &str| UNITS.binary_search_by_key(&name, |unit| unit.0).ok().map(|found| &UNITS[found]);
    // An extension's three-dimensional unit is that of its axes.
    let found = find(units).or_else(|| find(units.strip_suffix("_3D")?));
    let (code, symbol, name) = found.map_or(("", units, units), |unit| (unit.1, unit.2, unit.3));
    EUInformation {
        namespace_uri: UAString::from(if code.is_empty() { MTCONNECT } else { UNECE }),
        unit_id: if code.is_empty() { -1 } else { number(code) },
        display_name: LocalizedText::new("", symbol),
        description: LocalizedText::new("", name),
    }
}

/// `MMT` is 0x4D4D54.
fn number(code: &str) -> i32 {
    code.bytes().fold(0, |number, letter| number << 8 | i32::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_model::vocabulary;

    #[test]
    fn the_table_is_sorted_and_each_of_its_names_is_a_unit_of_the_standard() {
        assert!(UNITS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, code, symbol, full) in UNITS {
            assert!(vocabulary::units(name).is_some(), "{name}");
            assert!(matches!(code.len(), 0 | 2 | 3), "{name}");
            assert!(!symbol.is_empty() && !full.is_empty(), "{name}");
        }
    }

    #[test]
    fn every_unit_that_values_can_leave_in_is_in_the_table() {
        let text = include_str!("../../../device_model/vocabulary/units.txt");
        let mut leaves = false;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if !line.starts_with(' ') {
                leaves = line.starts_with("units");
            } else if leaves {
                for unit in line.split_ascii_whitespace() {
                    assert!(UNITS.iter().any(|known| known.0 == unit), "{unit}");
                }
            }
        }
    }

    #[test]
    fn units_have_the_numbers_that_part_8_makes_of_unece_codes() {
        for (units, number, symbol) in [
            ("MILLIMETER", 5_066_068, "mm"),
            ("MILLIMETER_3D", 5_066_068, "mm"),
            ("PERCENT", 20_529, "%"),
            ("REVOLUTION/MINUTE", 5_394_509, "r/min"),
            ("DEGREE", 17_476, "°"),
            ("DECIBEL", 12_878, "dB"),
            ("CELSIUS", 4_408_652, "°C"),
            ("NEWTON_3D", 5_129_559, "N"),
        ] {
            let found = engineering_units(units);
            assert_eq!((found.unit_id, found.display_name.text.as_ref()), (number, symbol), "{units}");
            assert_eq!(found.namespace_uri.as_ref(), UNECE);
        }
    }

    #[test]
    fn a_unit_that_unece_does_not_have_keeps_its_name() {
        let found = engineering_units("MILLIMETER/REVOLUTION");
        assert_eq!((found.unit_id, found.namespace_uri.as_ref()), (-1, MTCONNECT));
        assert_eq!(found.display_name.text.as_ref(), "mm/r");
        let own = engineering_units("x:FURLONG");
        assert_eq!((own.unit_id, own.display_name.text.as_ref()), (-1, "x:FURLONG"));
        assert_eq!(engineering_units("").unit_id, -1);
    }
}
