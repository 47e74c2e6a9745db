//! Texts to fields and values.

use guideway_contract::{DataType, Kind, Native};

use crate::Decimal;
use crate::address::Address;

/// Most fields of one frame.
const MOST_FIELDS: usize = 4_096;
/// A text of more digits is no number that a machine means: it is a code.
const MOST_DIGITS: usize = 15;

/// As what a text is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// As what.
    pub kind: Kind,
    /// What stands between fields; empty: as the text has it.
    pub separator: String,
    /// What stands before the fraction.
    pub decimal: Decimal,
    /// Whether something may follow a number.
    pub strip_units: bool,
    /// The base of whole numbers, 2 to 36.
    pub radix: u32,
    /// Words that are true, in lower case; empty: the usual ones.
    pub true_words: Vec<String>,
    /// Words that are false, in lower case; empty: the usual ones.
    pub false_words: Vec<String>,
}

impl Want {
    /// A type with everything else as usual.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            separator: String::new(),
            decimal: Decimal::Point,
            strip_units: false,
            radix: 10,
            true_words: Vec::new(),
            false_words: Vec::new(),
        }
    }
}

/// What an address takes from a text: `None` where the text is not for it.
pub(crate) fn pick<'t>(address: &Address, want: &Want, text: &'t str) -> Option<Result<&'t str, String>> {
    match address {
        Address::Line => Some(Ok(text)),
        Address::Field(number) => {
            let fields = split(text, &want.separator, want.decimal);
            let place = usize::try_from(*number)
                .ok()
                .or_else(|| fields.len().checked_sub(usize::try_from(number.unsigned_abs()).ok()?));
            let found = place.and_then(|place| fields.get(place).copied());
            Some(found.ok_or_else(|| format!("there is no field {number} in `{text}`")))
        }
        Address::Pattern(pattern) => {
            let found = pattern.captures(text)?;
            let group = found
                .name("value")
                .or_else(|| found.iter().skip(1).flatten().next())
                .or_else(|| found.get(0));
            group.map(|group| Ok(group.as_str().trim()))
        }
    }
}

/// The fields of a text, trimmed.
pub fn split<'t>(text: &'t str, separator: &str, decimal: Decimal) -> Vec<&'t str> {
    let separator = match separator {
        "" if decimal == Decimal::Point && text.contains(',') => ",",
        "" if text.contains(';') => ";",
        "" => " ",
        other => other,
    };
    if separator.trim().is_empty() && separator != "\t" {
        text.split_whitespace().take(MOST_FIELDS).collect()
    } else {
        text.split(separator).map(str::trim).take(MOST_FIELDS).collect()
    }
}

/// Reads a text as a value.
///
/// # Errors
/// Why it is none of that type.
pub fn read(want: &Want, text: &str) -> Result<Native, String> {
    let text = text.trim();
    if text.is_empty() && !matches!(want.kind, Kind::Text(_) | Kind::Chars(_) | Kind::Fields) {
        return Ok(Native::Null);
    }
    let float = || {
        number(text, want).and_then(|digits| digits.parse::<f64>().ok().filter(|number| number.is_finite()))
    };
    let not = |what: &str| format!("`{text}` is not {what}");
    Ok(match want.kind {
        Kind::Text(most) | Kind::Chars(most) => Native::text(cut(text, most)),
        Kind::Fields => {
            let fields = split(text, &want.separator, want.decimal);
            Native::List(fields.into_iter().map(Native::text).collect())
        }
        Kind::F64 => Native::Float(float().ok_or_else(|| not("a number"))?),
        Kind::F32 => {
            let digits = number(text, want).ok_or_else(|| not("a number"))?;
            Native::float32(
                digits
                    .parse::<f32>()
                    .ok()
                    .filter(|number| number.is_finite())
                    .ok_or_else(|| not("a number"))?,
            )
        }
        Kind::Bool => {
            let word = text.to_lowercase();
            let is = |own: &[String], usual: &[&str]| {
                if own.is_empty() { usual.contains(&word.as_str()) } else { own.contains(&word) }
            };
            match (
                is(&want.true_words, &["1", "true", "on", "yes", "ok", "pass", "good"]),
                is(&want.false_words, &["0", "false", "off", "no", "ng", "fail", "bad"]),
            ) {
                (true, false) => Native::Bool(true),
                (false, true) => Native::Bool(false),
                _ => return Err(not("a word for true or false")),
            }
        }
        Kind::Auto => auto(text, want),
        kind => {
            let (least, most) =
                range(kind).ok_or_else(|| format!("this protocol has no {}", DataType::one(kind)))?;
            let whole = whole(text, want).ok_or_else(|| not("a whole number"))?;
            if whole < least || whole > most {
                return Err(format!("{whole} does not fit ({least} to {most})"));
            }
            i64::try_from(whole)
                .map_or_else(|_| Native::unsigned(u64::try_from(whole).unwrap_or(u64::MAX)), Native::Int)
        }
    })
}

/// From where to where a kind of whole numbers goes; `None` for other kinds.
pub(crate) fn range(kind: Kind) -> Option<(i128, i128)> {
    Some(match kind {
        Kind::I8 => (i8::MIN.into(), i8::MAX.into()),
        Kind::U8 => (0, u8::MAX.into()),
        Kind::I16 => (i16::MIN.into(), i16::MAX.into()),
        Kind::U16 => (0, u16::MAX.into()),
        Kind::I32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::U32 => (0, u32::MAX.into()),
        Kind::I64 => (i64::MIN.into(), i64::MAX.into()),
        Kind::U64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// A number where it is one. Leading zeros and many digits make a code, which stays text.
fn auto(text: &str, want: &Want) -> Native {
    let digits = text.trim_start_matches(['+', '-', ' ']);
    let coded = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    let long = digits.bytes().filter(u8::is_ascii_digit).count() > MOST_DIGITS;
    match number(text, want) {
        Some(number) if !coded && !long => match (number.parse::<i64>(), number.parse::<f64>()) {
            (Ok(number), _) => Native::Int(number),
            (_, Ok(number)) if number.is_finite() => Native::Float(number),
            _ => Native::text(text),
        },
        _ => Native::text(text),
    }
}

/// The digits of a number as Rust reads them: blanks and asterisks (which a DPRNT may print for them) before
/// the digits taken away, also after the sign.
fn number(text: &str, want: &Want) -> Option<String> {
    let blank = |c: char| c == ' ' || c == '*' || c == '\t';
    let rest = text.trim_matches(blank);
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", rest.strip_prefix('+').unwrap_or(rest)),
    };
    let rest = rest.trim_start_matches(blank);
    let point = if want.decimal == Decimal::Comma { b',' } else { b'.' };
    let mut digits = String::from(sign);
    let bytes = rest.as_bytes();
    let mut at = 0;
    let (mut counted, mut fraction) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_digit() {
            counted += 1;
            digits.push(char::from(byte));
        } else if byte == point && !fraction {
            fraction = true;
            digits.push('.');
        } else {
            break;
        }
        at += 1;
    }
    if counted == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = bytes[at + 1 + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if exponent > 0 {
            let end = at + 1 + sign + exponent;
            digits.push_str(&rest[at..end]);
            at = end;
        }
    }
    (want.strip_units || rest[at..].trim_matches(blank).is_empty()).then_some(digits)
}

fn whole(text: &str, want: &Want) -> Option<i128> {
    if want.radix == 10 {
        let digits = number(text, want)?;
        let digits = match digits.split_once('.') {
            Some((digits, fraction)) if fraction.bytes().all(|byte| byte == b'0') => digits.to_owned(),
            Some(_) => return None,
            None => digits,
        };
        return digits.parse().ok();
    }
    let text = text.trim_matches([' ', '*']);
    let (minus, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let text = if want.radix == 16 {
        text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text)
    } else {
        text
    };
    let end = text.find(|c: char| !c.is_digit(want.radix)).unwrap_or(text.len());
    if !want.strip_units && end < text.len() {
        return None;
    }
    let number = i128::from_str_radix(&text[..end], want.radix).ok()?;
    Some(if minus { -number } else { number })
}

/// At most so many characters.
fn cut(text: &str, most: u32) -> &str {
    let end = text.char_indices().nth(most as usize).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(address: &str, text: &str) -> Option<Result<String, String>> {
        let address = Address::read(address, Decimal::Point).unwrap();
        pick(&address, &Want::new(Kind::Auto), text).map(|found| found.map(str::to_owned))
    }

    fn ok(address: &str, text: &str) -> String {
        taken(address, text).unwrap().unwrap()
    }

    fn plain(kind: Kind, text: &str) -> Result<Native, String> {
        read(&Want::new(kind), text)
    }

    #[test]
    fn each_address_takes_its_part() {
        let probe = "PROBE,FEAT=BORE1,ACT=  25.0132,NOM=25.0,DEV=-  .0132";
        assert_eq!(ok("line", probe), probe);
        assert_eq!(ok("field:0", probe), "PROBE");
        assert_eq!(ok("field:-1", probe), "DEV=-  .0132");
        assert_eq!(ok("key:FEAT", probe), "BORE1");
        assert_eq!(ok("key:ACT", probe), "25.0132");
        assert_eq!(ok("key:DEV", probe), "-  .0132");
        assert_eq!(ok("regex:NOM=([0-9.]+)", probe), "25.0");
        assert_eq!(ok("regex:(?P<unused>N)OM=(?P<value>[0-9.]+)", probe), "25.0");
        assert_eq!(ok("regex:BORE[0-9]", probe), "BORE1");
        assert_eq!(ok("word:Y", "X   1.2340 Y-  2.500"), "-  2.500");
        assert_eq!(ok("word:X", "X***1.234"), "1.234");
        assert_eq!(ok("key:TEMP", "A_TEMP=1 TEMP: 21.5"), "21.5");
        assert_eq!(ok("key:NAME", "NAME=\"a, b\";X=1"), "a, b");
        assert_eq!(ok("field:1", "S S     100.00 g"), "S");
        assert_eq!(ok("field:1", "a; b ;c"), "b");
    }

    #[test]
    fn a_decimal_comma_is_part_of_a_number_and_not_its_end() {
        let want = Want { decimal: Decimal::Comma, ..Want::new(Kind::F64) };
        for (address, text) in
            [("key:TEMP", "TEMP=21,5;X=1"), ("word:T", "T 21,5 X 1"), ("field:1", "T 21,5")]
        {
            let address = Address::read(address, Decimal::Comma).unwrap();
            let taken = pick(&address, &want, text).unwrap().unwrap();
            assert_eq!(read(&want, taken), Ok(Native::Float(21.5)), "{text}");
        }
        assert_eq!(ok("word:X", "X1,Y2"), "1");
    }

    #[test]
    fn a_pattern_that_finds_nothing_is_not_meant_and_a_missing_field_is_an_error() {
        assert_eq!(taken("key:DEV", "PROBE,ACT=1"), None);
        assert_eq!(taken("word:Z", "X1.0"), None);
        for field in ["field:3", "field:-4"] {
            assert!(taken(field, "a,b,c").unwrap().is_err());
        }
    }

    #[test]
    fn numbers_are_read_as_devices_write_them() {
        for (text, number) in [
            ("+00012.345", 12.345),
            ("+  12.34", 12.34),
            ("***1.234", 1.234),
            ("-  .0132", -0.0132),
            ("25.", 25.0),
            ("1e3", 1_000.0),
            ("-1.5E-2", -0.015),
        ] {
            assert_eq!(plain(Kind::F64, text), Ok(Native::Float(number)), "{text}");
        }
        for text in ["", ".", "-", "abc", "12.34kg", "1.2.3", "--1", "EEEE", "------", "inf", "NaN", "1e999"]
        {
            assert!(!matches!(plain(Kind::F64, text), Ok(Native::Float(_))), "{text}");
        }
        let units = Want { strip_units: true, ..Want::new(Kind::F64) };
        assert_eq!(read(&units, "+  12.34kg"), Ok(Native::Float(12.34)));
        assert_eq!(read(&units, "12.5 em"), Ok(Native::Float(12.5)));
        let comma = Want { decimal: Decimal::Comma, ..Want::new(Kind::F64) };
        assert_eq!(read(&comma, "-12,5"), Ok(Native::Float(-12.5)));
        assert!(read(&comma, "12.5").is_err());
    }

    #[test]
    fn whole_numbers_keep_to_their_type_and_base() {
        assert_eq!(plain(Kind::U8, "00255"), Ok(Native::Int(255)));
        assert_eq!(plain(Kind::I8, "- 5.000"), Ok(Native::Int(-5)));
        assert_eq!(plain(Kind::U64, "18446744073709551615"), Ok(Native::UInt(u64::MAX)));
        assert_eq!(plain(Kind::U8, "256"), Err("256 does not fit (0 to 255)".into()));
        assert!(plain(Kind::U8, "1.5").is_err());
        let hex = Want { radix: 16, ..Want::new(Kind::U16) };
        assert_eq!(read(&hex, "0x1aF"), Ok(Native::Int(0x1AF)));
        assert!(read(&hex, "1G").is_err());
    }

    #[test]
    fn auto_leaves_codes_as_text() {
        assert_eq!(plain(Kind::Auto, "42"), Ok(Native::Int(42)));
        assert_eq!(plain(Kind::Auto, "-4.5"), Ok(Native::Float(-4.5)));
        assert_eq!(plain(Kind::Auto, "0.5"), Ok(Native::Float(0.5)));
        assert_eq!(plain(Kind::Auto, "0042"), Ok(Native::text("0042")));
        assert_eq!(plain(Kind::Auto, "4006381333931000"), Ok(Native::text("4006381333931000")));
        assert_eq!(plain(Kind::Auto, "BORE1"), Ok(Native::text("BORE1")));
        assert_eq!(plain(Kind::Auto, ""), Ok(Native::Null));
    }

    #[test]
    fn words_texts_and_lists_are_read() {
        assert_eq!(plain(Kind::Bool, "Pass"), Ok(Native::Bool(true)));
        assert_eq!(plain(Kind::Bool, "NG"), Ok(Native::Bool(false)));
        let own =
            Want { true_words: vec!["go".into()], false_words: vec!["nogo".into()], ..Want::new(Kind::Bool) };
        assert_eq!(read(&own, "GO"), Ok(Native::Bool(true)));
        assert!(read(&own, "OK").is_err());
        assert_eq!(plain(Kind::Text(3), "äöüß"), Ok(Native::text("äöü")));
        let list = Native::List(["ST", "GS", "+  12.34kg"].map(Native::text).into());
        assert_eq!(plain(Kind::Fields, "ST,GS,+  12.34kg"), Ok(list));
    }
}
