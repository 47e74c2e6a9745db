//! The CSV file that KEPServerEX exports of a device: a line for each tag, columns by name.

use guideway_contract::Access;

use super::tag::{Linear, Scaling, Tag, Type};
use super::{Device, Error, MAX_BYTES, kinds};

/// What stands at 0x80 to 0x9F in Windows-1252; five places are empty.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text of a file in UTF-8, UTF-16 with its mark, or Windows-1252.
pub(super) fn decoded(bytes: &[u8]) -> Result<String, Error> {
    if bytes.len() as u64 > MAX_BYTES {
        let what = format!("the file has {} bytes; at most {MAX_BYTES} are read", bytes.len());
        return Err(Error::new(what, "export one device, not the whole project"));
    }
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    Ok(match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes
                .iter()
                .map(|byte| match byte {
                    0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
                    _ => char::from(*byte),
                })
                .collect(),
        },
    })
}

/// The tags of a list.
pub(super) fn device(text: &str, kind: Option<&'static str>) -> Result<Device, Error> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |sign: char| first.matches(sign).count();
    let delimiter = [';', '\t'].into_iter().find(|sign| count(*sign) > count(',')).unwrap_or(',');
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .trim(::csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let cure = "export the tags of a device in KEPServerEX (Export CSV…); its first line names the columns \
                `Tag Name`, `Address`, `Data Type`, …";
    let header = reader.headers().map_err(|error| Error::at(1, error.to_string(), cure))?.clone();
    let columns = Columns::of(&header);
    if columns.name.is_none() || columns.address.is_none() {
        let missing = if columns.name.is_none() { "Tag Name" } else { "Address" };
        let line = header.position().map_or(1, ::csv::Position::line);
        return Err(Error::at(line, format!("there is no column `{missing}`"), cure));
    }
    let Some(kind) = kind else {
        let what = "a CSV list does not say which protocol the device speaks";
        return Err(Error::new(what, format!("say it: --kind is one of {}", kinds())));
    };
    let mut device = Device { kind, ..Device::default() };
    if kind == "modbus" {
        device.notes.push(
            "A CSV list does not say in which order a device's registers are: KEPServerEX has the low one first \
             (CDAB) unless it is told otherwise."
                .into(),
        );
    }
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, ::csv::Position::line);
            Error::at(line, error.to_string(), "export the list anew")
        })?;
        if record.iter().any(|field| !field.is_empty()) {
            let line = record.position().map_or(0, ::csv::Position::line);
            device.tags.push(columns.tag(&record, line));
        }
    }
    Ok(device)
}

/// Where each column is.
struct Columns {
    name: Option<usize>,
    address: Option<usize>,
    data_type: Option<usize>,
    access: Option<usize>,
    scan_rate: Option<usize>,
    scaling: Option<usize>,
    raw: [Option<usize>; 2],
    scaled: [Option<usize>; 2],
    clamp: [Option<usize>; 2],
    negate: Option<usize>,
    units: Option<usize>,
    description: Option<usize>,
}

impl Columns {
    fn of(header: &::csv::StringRecord) -> Self {
        let column = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        Self {
            name: column("Tag Name"),
            address: column("Address"),
            data_type: column("Data Type"),
            access: column("Client Access"),
            scan_rate: column("Scan Rate"),
            scaling: column("Scaling"),
            raw: [column("Raw Low"), column("Raw High")],
            scaled: [column("Scaled Low"), column("Scaled High")],
            clamp: [column("Clamp Low"), column("Clamp High")],
            negate: column("Negate Value"),
            units: column("Eng Units"),
            description: column("Description"),
        }
    }

    fn tag(&self, record: &::csv::StringRecord, line: u64) -> Tag {
        let field = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or_default();
        let name = match field(self.name) {
            "" => format!("the tag without a name in line {line}"),
            name => name.to_owned(),
        };
        let access = match field(self.access).to_ascii_uppercase().as_str() {
            "R/W" | "RW" | "READ/WRITE" => Access::ReadWrite,
            "WO" | "W" | "WRITE ONLY" => Access::Write,
            _ => Access::Read,
        };
        Tag {
            name,
            address: field(self.address).to_owned(),
            data_type: Type::parse(field(self.data_type)),
            access,
            period_ms: field(self.scan_rate).parse().ok(),
            scaling: self.scaling(&field),
            units: field(self.units).to_owned(),
            description: field(self.description).to_owned(),
        }
    }

    fn scaling<'r>(&self, field: &impl Fn(Option<usize>) -> &'r str) -> Scaling {
        let kind = field(self.scaling).to_ascii_lowercase();
        match kind.as_str() {
            "" | "none" => return Scaling::None,
            "linear" => {}
            "square root" => return Scaling::SquareRoot,
            other => return Scaling::Unreadable(format!("`{other}` is no scaling")),
        }
        // Where a list is not split at commas, numbers may have one.
        let number = |column: Option<usize>| field(column).replace(',', ".").parse::<f64>().ok();
        let pair = |columns: [Option<usize>; 2]| Some((number(columns[0])?, number(columns[1])?));
        let (Some(raw), Some(scaled)) = (pair(self.raw), pair(self.scaled)) else {
            return Scaling::Unreadable("linear scaling whose four numbers cannot be read".into());
        };
        let set = |column| matches!(field(column).to_ascii_lowercase().as_str(), "1" | "true" | "yes");
        Scaling::Linear(Linear {
            raw,
            scaled,
            clamp: (set(self.clamp[0]), set(self.clamp[1])),
            negate: set(self.negate),
        })
    }
}
