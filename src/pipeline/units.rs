//! Units of measure and how to get from one to another.
//!
//! A unit is read as a product of named units with powers (`MILLIMETER/SECOND^2`,
//! `CUBIC_FOOT/MINUTE`, `KILOWATT_HOUR`, `INCH_3D`), so that any two of the same dimension convert,
//! not only those that a table happens to list. Names are those of the standard's `units` and
//! `nativeUnits`, with any decimal prefix, and PINT, OUNCE, DAY and FOOT_POUND besides.

/// `(value + offset) * factor`, made once for each data item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    /// Added first, in native units.
    pub offset: f64,
    /// Multiplied then.
    pub factor: f64,
}

impl Conversion {
    /// Leaves values as they are.
    pub const IDENTITY: Self = Self { offset: 0.0, factor: 1.0 };

    /// From unit `from` to unit `to`. `None` when either is unknown or they measure different
    /// things. Equal names convert without being known.
    pub fn between(from: &str, to: &str) -> Option<Self> {
        if from == to {
            return Some(Self::IDENTITY);
        }
        let (from_quantity, to_quantity) = (Quantity::read(from)?, Quantity::read(to)?);
        if from_quantity.powers != to_quantity.powers || is_3d(from) != is_3d(to) {
            return None;
        }
        let factor = (from_quantity.numerator * to_quantity.denominator)
            / (from_quantity.denominator * to_quantity.numerator);
        let offset = from_quantity.offset - to_quantity.offset / factor;
        (factor.is_finite() && factor != 0.0).then_some(Self { offset, factor })
    }

    /// The same after the native value was divided by `scale` (`nativeScale`). The standard divides
    /// before it converts, which matters only where there is an offset (temperatures).
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        if scale == 0.0 || !scale.is_finite() {
            return self;
        }
        Self { offset: self.offset * scale, factor: self.factor / scale }
    }

    /// Converts one value.
    #[inline]
    pub fn apply(self, value: f64) -> f64 {
        (value + self.offset) * self.factor
    }
}

fn is_3d(unit: &str) -> bool {
    unit.ends_with("_3D")
}

/// Base dimensions. What has no relation to any other quantity (a count, a pH) is one of its own,
/// and so are apparent and reactive power, which are not to be taken for watts.
const DIMENSIONS: usize = 13;
const LENGTH: usize = 0;
const MASS: usize = 1;
const TIME: usize = 2;
const CURRENT: usize = 3;
const TEMPERATURE: usize = 4;
const ANGLE: usize = 5;
const COUNT: usize = 6;
const PERCENT: usize = 7;
const DECIBEL: usize = 8;
const ACIDITY: usize = 9;
const DIRECTION: usize = 10;
const APPARENT_POWER: usize = 11;
const REACTIVE_POWER: usize = 12;

/// A multiple of millimetres, grams, seconds, amperes, degrees Celsius and degrees of angle to
/// some powers. The factor is kept as a fraction: `25.4 / 60` is exact where `25.4 * (1/60)` is not.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quantity {
    numerator: f64,
    denominator: f64,
    offset: f64,
    powers: [i8; DIMENSIONS],
}

impl Quantity {
    const ONE: Self = Self { numerator: 1.0, denominator: 1.0, offset: 0.0, powers: [0; DIMENSIONS] };

    fn read(unit: &str) -> Option<Self> {
        // The longest name in the standard has 28 characters.
        if unit.is_empty() || unit.len() > 64 {
            return None;
        }
        let unit = unit.strip_suffix("_3D").unwrap_or(unit);
        if unit == "POUND/INCH^2" {
            // Here the pound is a force; everywhere else in the standard it is a mass.
            return Self::read("PASCAL").map(|pascal| pascal.times_number(4.448_221_615_260_5, 0.000_645_16));
        }
        let mut whole = Self::ONE;
        for (place, part) in unit.split('/').enumerate() {
            let part = Self::product(part)?;
            whole = if place == 0 { part } else { whole.times(part.power(-1)) };
        }
        Some(whole)
    }

    /// Names joined by `_`, each with SQUARE_ or CUBIC_ before it; the last perhaps with `^n`.
    fn product(text: &str) -> Option<Self> {
        let (mut rest, last_power) = match text.split_once('^') {
            None => (text, 1),
            Some((names, power)) => (names, power.parse().ok().filter(|power| (1..=9).contains(power))?),
        };
        let mut whole: Option<Self> = None;
        while !rest.is_empty() {
            let (power, name) = if let Some(name) = rest.strip_prefix("SQUARE_") {
                (2, name)
            } else if let Some(name) = rest.strip_prefix("CUBIC_") {
                (3, name)
            } else {
                (1, rest)
            };
            let (unit, behind) = Self::prefixed(name)?;
            rest = behind;
            let unit = unit.power(if rest.is_empty() { power * last_power } else { power });
            whole = Some(whole.map_or(unit, |whole| whole.times(unit)));
        }
        whole
    }

    /// One unit at the beginning of `text`, perhaps with a decimal prefix, and what is behind it.
    fn prefixed(text: &str) -> Option<(Self, &str)> {
        if let Some(found) = Self::named(text) {
            return Some(found);
        }
        for (prefix, numerator, denominator) in PREFIXES {
            if let Some(name) = text.strip_prefix(prefix) {
                let name = name.strip_prefix('_').unwrap_or(name);
                if let Some((unit, rest)) = Self::named(name)
                    && unit.offset == 0.0
                {
                    return Some((unit.times_number(*numerator, *denominator), rest));
                }
            }
        }
        None
    }

    fn named(text: &str) -> Option<(Self, &str)> {
        UNITS.iter().find_map(|(name, numerator, denominator, offset, powers)| {
            let rest = text.strip_prefix(name)?;
            let rest =
                if rest.is_empty() { rest } else { rest.strip_prefix('_').filter(|r| !r.is_empty())? };
            let mut unit =
                Self { numerator: *numerator, denominator: *denominator, offset: *offset, ..Self::ONE };
            for (dimension, power) in *powers {
                unit.powers[*dimension] = *power;
            }
            Some((unit, rest))
        })
    }

    fn times(self, other: Self) -> Self {
        let mut powers = self.powers;
        for (power, more) in powers.iter_mut().zip(other.powers) {
            *power = power.saturating_add(more);
        }
        // A temperature within a product is a difference of temperatures: no offset.
        Self {
            numerator: self.numerator * other.numerator,
            denominator: self.denominator * other.denominator,
            offset: 0.0,
            powers,
        }
    }

    fn times_number(self, numerator: f64, denominator: f64) -> Self {
        Self { numerator: self.numerator * numerator, denominator: self.denominator * denominator, ..self }
    }

    fn power(self, power: i8) -> Self {
        if power == 1 {
            return self;
        }
        let (over, under) = (self.numerator, self.denominator);
        let (numerator, denominator) = if power < 0 { (under, over) } else { (over, under) };
        let exponent = i32::from(power.unsigned_abs());
        Self {
            numerator: numerator.powi(exponent),
            denominator: denominator.powi(exponent),
            offset: 0.0,
            powers: self.powers.map(|old| old.saturating_mul(power)),
        }
    }
}

const PREFIXES: &[(&str, f64, f64)] = &[
    ("KILO", 1e3, 1.0),
    ("MILLI", 1.0, 1e3),
    ("MICRO", 1.0, 1e6),
    ("CENTI", 1.0, 1e2),
    ("DECI", 1.0, 1e1),
    ("MEGA", 1e6, 1.0),
    ("NANO", 1.0, 1e9),
    ("HECTO", 1e2, 1.0),
    ("GIGA", 1e9, 1.0),
];

type Powers = &'static [(usize, i8)];
const ENERGY: Powers = &[(LENGTH, 2), (MASS, 1), (TIME, -2)];
const PRESSURE: Powers = &[(LENGTH, -1), (MASS, 1), (TIME, -2)];
const VOLUME: Powers = &[(LENGTH, 3)];

/// Name, factor as a fraction, offset, dimensions. A name stands before every beginning of itself.
const UNITS: &[(&str, f64, f64, f64, Powers)] = &[
    ("MILLIMETER_MERCURY", 133.322_387_415, 1.0, 0.0, PRESSURE),
    ("METER", 1e3, 1.0, 0.0, &[(LENGTH, 1)]),
    ("INCH_POUND", 112_984_829.027_616_7, 1.0, 0.0, ENERGY),
    ("INCH", 25.4, 1.0, 0.0, &[(LENGTH, 1)]),
    ("FOOT_POUND", 1_355_817_948.331_400_4, 1.0, 0.0, ENERGY),
    ("FOOT", 304.8, 1.0, 0.0, &[(LENGTH, 1)]),
    ("LITER", 1e6, 1.0, 0.0, VOLUME),
    ("GALLON", 3_785_411.784, 1.0, 0.0, VOLUME),
    ("PINT", 473_176.473, 1.0, 0.0, VOLUME),
    ("GRAM", 1.0, 1.0, 0.0, &[(MASS, 1)]),
    ("POUND", 453.592_37, 1.0, 0.0, &[(MASS, 1)]),
    ("OUNCE", 28.349_523_125, 1.0, 0.0, &[(MASS, 1)]),
    ("SECOND", 1.0, 1.0, 0.0, &[(TIME, 1)]),
    ("MINUTE", 60.0, 1.0, 0.0, &[(TIME, 1)]),
    ("HOUR", 3_600.0, 1.0, 0.0, &[(TIME, 1)]),
    ("DAY", 86_400.0, 1.0, 0.0, &[(TIME, 1)]),
    ("HERTZ", 1.0, 1.0, 0.0, &[(TIME, -1)]),
    ("AMPERE", 1.0, 1.0, 0.0, &[(CURRENT, 1)]),
    ("COULOMB", 1.0, 1.0, 0.0, &[(CURRENT, 1), (TIME, 1)]),
    ("VOLT_AMPERE_REACTIVE", 1.0, 1.0, 0.0, &[(REACTIVE_POWER, 1)]),
    ("VOLT_AMPERE", 1.0, 1.0, 0.0, &[(APPARENT_POWER, 1)]),
    ("VOLT", 1e9, 1.0, 0.0, &[(LENGTH, 2), (MASS, 1), (TIME, -3), (CURRENT, -1)]),
    ("OHM", 1e9, 1.0, 0.0, &[(LENGTH, 2), (MASS, 1), (TIME, -3), (CURRENT, -2)]),
    ("SIEMENS", 1.0, 1e9, 0.0, &[(LENGTH, -2), (MASS, -1), (TIME, 3), (CURRENT, 2)]),
    ("WATT", 1e9, 1.0, 0.0, &[(LENGTH, 2), (MASS, 1), (TIME, -3)]),
    ("JOULE", 1e9, 1.0, 0.0, ENERGY),
    ("NEWTON", 1e6, 1.0, 0.0, &[(LENGTH, 1), (MASS, 1), (TIME, -2)]),
    ("PASCAL", 1.0, 1.0, 0.0, PRESSURE),
    ("BAR", 1e5, 1.0, 0.0, PRESSURE),
    ("TORR", 101_325.0, 760.0, 0.0, PRESSURE),
    ("POISE", 1.0, 10.0, 0.0, &[(LENGTH, -1), (MASS, 1), (TIME, -1)]),
    ("GRAVITATIONAL_ACCELERATION", 9_806.65, 1.0, 0.0, &[(LENGTH, 1), (TIME, -2)]),
    ("CELSIUS", 1.0, 1.0, 0.0, &[(TEMPERATURE, 1)]),
    ("KELVIN", 1.0, 1.0, -273.15, &[(TEMPERATURE, 1)]),
    ("FAHRENHEIT", 5.0, 9.0, -32.0, &[(TEMPERATURE, 1)]),
    ("RANKINE", 5.0, 9.0, -491.67, &[(TEMPERATURE, 1)]),
    ("DEGREE", 1.0, 1.0, 0.0, &[(ANGLE, 1)]),
    ("RADIAN", 180.0, std::f64::consts::PI, 0.0, &[(ANGLE, 1)]),
    ("REVOLUTION", 360.0, 1.0, 0.0, &[(ANGLE, 1)]),
    ("COUNT", 1.0, 1.0, 0.0, &[(COUNT, 1)]),
    ("PERCENT", 1.0, 1.0, 0.0, &[(PERCENT, 1)]),
    ("DECIBEL", 1.0, 1.0, 0.0, &[(DECIBEL, 1)]),
    ("PH", 1.0, 1.0, 0.0, &[(ACIDITY, 1)]),
    ("UNIT_VECTOR", 1.0, 1.0, 0.0, &[(DIRECTION, 1)]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(from: &str, to: &str, value: f64, expected: f64) {
        let conversion = Conversion::between(from, to).unwrap_or_else(|| panic!("{from} to {to}"));
        let got = conversion.apply(value);
        assert!((got - expected).abs() <= expected.abs() * 1e-12, "{from} to {to}: {got}, not {expected}");
    }

    #[test]
    fn the_conversions_of_the_reference_agent_are_all_here() {
        check("INCH", "MILLIMETER", 1.0, 25.4);
        check("FOOT", "MILLIMETER", 1.0, 304.8);
        check("CENTIMETER", "MILLIMETER", 1.0, 10.0);
        check("DECIMETER", "MILLIMETER", 1.0, 100.0);
        check("METER", "MILLIMETER", 1.0, 1_000.0);
        check("FAHRENHEIT", "CELSIUS", 212.0, 100.0);
        check("POUND", "GRAM", 1.0, 453.592_37);
        check("OUNCE", "GRAM", 1.0, 28.349_523_125);
        check("GRAM", "KILOGRAM", 1.0, 0.001);
        check("RADIAN", "DEGREE", 1.0, 57.295_779_513_082_32);
        check("SECOND", "MINUTE", 90.0, 1.5);
        check("MINUTE", "SECOND", 1.5, 90.0);
        check("HOUR", "SECOND", 0.5, 1_800.0);
        check("GALLON", "LITER", 1.0, 3.785_411_784);
        check("PINT", "LITER", 1.0, 0.473_176_473);
        check("POUND/INCH^2", "PASCAL", 1.0, 6_894.757_293_168_361);
    }

    #[test]
    fn compositions_convert_part_by_part() {
        check("INCH/MINUTE", "MILLIMETER/SECOND", 60.0, 25.4);
        check("FOOT/MINUTE", "MILLIMETER/SECOND", 60.0, 304.8);
        check("FOOT/SECOND^2", "MILLIMETER/SECOND^2", 1.0, 304.8);
        check("DEGREE/MINUTE", "DEGREE/SECOND", 90.0, 1.5);
        check("RADIAN/SECOND^2", "DEGREE/SECOND^2", std::f64::consts::PI, 180.0);
        check("CUBIC_FOOT/MINUTE", "CUBIC_MILLIMETER/SECOND", 60.0, 28_316_846.592);
        check("SQUARE_INCH", "SQUARE_MILLIMETER", 1.0, 645.16);
        check("GALLON/MINUTE", "LITER/SECOND", 60.0, 3.785_411_784);
        check("GRAM/CUBIC_METER", "MILLIGRAM/CUBIC_MILLIMETER", 1e6, 1.0);
        check("MILLIGRAM/LITER", "GRAM/CUBIC_METER", 5.0, 5.0);
        check("REVOLUTION/SECOND", "REVOLUTION/MINUTE", 2.0, 120.0);
        check("RADIAN/SECOND", "REVOLUTION/MINUTE", std::f64::consts::TAU, 60.0);
        check("REVOLUTION/MINUTE", "DEGREE/SECOND", 1.0, 6.0);
        check("INCH/REVOLUTION", "MILLIMETER/REVOLUTION", 0.01, 0.254);
        check("INCH_3D", "MILLIMETER_3D", 2.0, 50.8);
        check("METER/SECOND^2", "MILLIMETER/SECOND^2", 1.5, 1_500.0);
        check("GRAVITATIONAL_ACCELERATION", "METER/SECOND^2", 1.0, 9.806_65);
    }

    #[test]
    fn prefixes_and_products_convert() {
        check("KILOWATT", "WATT", 1.5, 1_500.0);
        check("KILOWATT_HOUR", "WATT_SECOND", 1.0, 3.6e6);
        check("KILOWATT_HOUR", "JOULE", 1.0, 3.6e6);
        check("AMPERE_HOUR", "COULOMB", 1.0, 3_600.0);
        check("INCH_POUND", "NEWTON_METER", 1.0, 0.112_984_829_027_616_7);
        check("CENTIPOISE", "PASCAL_SECOND", 1.0, 0.001);
        check("MICROMETER", "MILLIMETER", 5.0, 0.005);
        check("RADIAN", "MICRO_RADIAN", 1.0, 1e6);
        check("DEGREE", "MICRO_RADIAN", 180.0, std::f64::consts::PI * 1e6);
        check("BAR", "PASCAL", 1.0, 1e5);
        check("TORR", "PASCAL", 760.0, 101_325.0);
        check("MICROTORR", "PASCAL", 760e6, 101_325.0);
        check("MILLIMETER_MERCURY", "PASCAL", 1.0, 133.322_387_415);
        check("PASCAL/MINUTE", "PASCAL/SECOND", 60.0, 1.0);
        check("KILOVOLT_AMPERE", "VOLT_AMPERE", 2.0, 2_000.0);
        check("MEGAPASCAL", "PASCAL", 1.0, 1e6);
        check("KILOHERTZ", "HERTZ", 1.0, 1e3);
        check("KILOGRAM", "GRAM", 1.0, 1e3);
        check("KELVIN", "CELSIUS", 300.0, 26.850_000_000_000_023);
        check("RANKINE", "CELSIUS", 671.67, 100.0);
        check("CELSIUS", "FAHRENHEIT", 100.0, 212.0);
    }

    #[test]
    fn common_factors_are_exact() {
        assert_eq!(Conversion::between("INCH", "MILLIMETER"), Some(Conversion { offset: 0.0, factor: 25.4 }));
        assert_eq!(
            Conversion::between("FAHRENHEIT", "CELSIUS"),
            Some(Conversion { offset: -32.0, factor: 5.0 / 9.0 })
        );
        assert_eq!(
            Conversion::between("MILLIMETER/MINUTE", "MILLIMETER/SECOND").map(|c| c.factor),
            Some(1.0 / 60.0)
        );
    }

    #[test]
    fn what_measures_something_else_does_not_convert() {
        for (from, to) in [
            ("INCH", "SECOND"),
            ("INCH", "MILLIMETER_3D"),
            ("INCH/MINUTE", "MILLIMETER"),
            ("SQUARE_INCH", "MILLIMETER"),
            ("PERCENT", "COUNT"),
            ("VOLT_AMPERE", "WATT"),
            ("VOLT_AMPERE_REACTIVE", "VOLT_AMPERE"),
            ("HERTZ", "REVOLUTION/SECOND"),
            ("OTHER", "MILLIMETER"),
            ("x:FURLONG", "MILLIMETER"),
            ("", "MILLIMETER"),
            ("INCH_", "MILLIMETER"),
            ("INCH^0", "MILLIMETER"),
            ("INCH//SECOND", "MILLIMETER/SECOND"),
            ("KILOCELSIUSX", "CELSIUS"),
        ] {
            assert_eq!(Conversion::between(from, to), None, "{from} to {to}");
        }
        assert_eq!(Conversion::between("x:FURLONG", "x:FURLONG"), Some(Conversion::IDENTITY));
    }

    #[test]
    fn the_native_scale_divides_before_the_conversion() {
        let tenths = Conversion::between("INCH", "MILLIMETER").expect("known").scaled(10.0);
        assert!((tenths.apply(5.0) - 12.7).abs() < 1e-12);
        let tenths = Conversion::between("FAHRENHEIT", "CELSIUS").expect("known").scaled(10.0);
        assert!((tenths.apply(2_120.0) - 100.0).abs() < 1e-9);
        assert_eq!(Conversion::IDENTITY.scaled(0.0), Conversion::IDENTITY);
    }

    #[test]
    fn every_native_unit_of_the_standard_that_measures_something_is_known() {
        let names = "AMPERE CELSIUS COUNT DECIBEL DEGREE DEGREE_3D DEGREE/SECOND DEGREE/SECOND^2 HERTZ JOULE \
            KILOGRAM LITER LITER/SECOND MICRO_RADIAN MILLIMETER MILLIMETER_3D MILLIMETER/REVOLUTION \
            MILLIMETER/SECOND MILLIMETER/SECOND^2 NEWTON NEWTON_METER OHM PASCAL PASCAL_SECOND PERCENT PH \
            REVOLUTION/MINUTE SECOND SIEMENS/METER VOLT VOLT_AMPERE VOLT_AMPERE_REACTIVE WATT WATT_SECOND \
            GRAM/CUBIC_METER CUBIC_MILLIMETER CUBIC_MILLIMETER/SECOND CUBIC_MILLIMETER/SECOND^2 MILLIGRAM \
            MILLIGRAM/CUBIC_MILLIMETER MILLILITER COUNT/SECOND PASCAL/SECOND UNIT_VECTOR_3D \
            REVOLUTION/SECOND^2 REVOLUTION/SECOND GRAM METER/SECOND^2 COULOMB CUBIC_METER SQUARE_MILLIMETER \
            OHM_METER MILLIGRAM/LITER CENTIPOISE DEGREE/MINUTE FAHRENHEIT FOOT FOOT/MINUTE FOOT/SECOND \
            FOOT/SECOND^2 FOOT_3D GALLON/MINUTE HOUR INCH INCH/MINUTE INCH/SECOND INCH/SECOND^2 INCH_POUND \
            INCH_3D KELVIN KILOWATT KILOWATT_HOUR LITER/MINUTE MILLIMETER/MINUTE MINUTE POUND POUND/INCH^2 \
            RADIAN RADIAN/MINUTE RADIAN/SECOND RADIAN/SECOND^2 BAR TORR MILLIMETER_MERCURY PASCAL/MINUTE \
            GRAVITATIONAL_ACCELERATION AMPERE_HOUR CUBIC_FOOT/HOUR CUBIC_FOOT/MINUTE SQUARE_INCH CUBIC_FOOT \
            INCH/REVOLUTION MICROMETER RANKINE MICROTORR";
        for name in names.split_whitespace() {
            assert!(Quantity::read(name).is_some(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_unit_text_panics(text in "[A-Z_/^0-9]{0,80}", other in "\\PC{0,40}") {
            let _ = Conversion::between(&text, "MILLIMETER");
            let _ = Conversion::between(&other, &text);
        }

        #[test]
        fn converting_there_and_back_gives_the_same(value in -1e6_f64..1e6) {
            for (a, b) in [("INCH", "MILLIMETER"), ("FAHRENHEIT", "CELSIUS"), ("KELVIN", "RANKINE")] {
                let there = Conversion::between(a, b).expect("known").apply(value);
                let back = Conversion::between(b, a).expect("known").apply(there);
                prop_assert!((back - value).abs() < 1e-6);
            }
        }
    }
}
