//! Browsing: the program's symbols as a tree by the dots in their names, structures by their types.

use std::collections::BTreeMap;

use guideway_contract::{DataType, Found, Kind, SessionEnd};
use smol_str::{SmolStr, format_smolstr};
use tokio_util::sync::CancellationToken;

use crate::codec::command::{SYMBOL_UPLOAD, SYMBOL_UPLOAD_INFO};
use crate::codec::symbol::{SymbolEntry, read_table};
use crate::config::Config;
use crate::layout::{Layout, TypeTable};
use crate::link::{BROWSE_FRAME, Link, RequestError};
use crate::resolve::Resolver;
use crate::type_name::array;

/// The most entries that one call gives.
const MOST_FOUND: usize = 10_000;
/// The most elements of an array of structures that are listed.
const MOST_ELEMENTS: usize = 256;

/// What is below `address`: programs and global lists, their variables, members of structures.
pub(crate) async fn browse(config: &Config, address: &str) -> Result<Vec<Found>, SessionEnd> {
    let cancel = CancellationToken::new();
    let (mut link, _) = Link::connect(config, 0, BROWSE_FRAME, cancel).await?;
    // The whole table of a large program takes a while.
    link.set_patience(config.timeout.max(std::time::Duration::from_secs(20)));
    let found = below(&mut link, address.trim(), config.batch > 1).await;
    link.farewell(std::iter::empty()).await;
    found
}

async fn below(link: &mut Link, address: &str, sums: bool) -> Result<Vec<Found>, SessionEnd> {
    let mut resolver = Resolver::new(sums);
    let mut found = if address.contains('[') { Vec::new() } else { children(&upload(link).await?, address) };
    if found.is_empty() && !address.is_empty() {
        found = match resolver.symbols(link, &[address]).await?.remove(0) {
            Ok(symbol) => members(link, &mut resolver, address, &symbol).await?,
            Err(why) => return Err(SessionEnd::Protocol(format!("{address}: {why}"))),
        };
    }
    found.truncate(MOST_FOUND);
    Ok(found)
}

async fn upload(link: &mut Link) -> Result<Vec<SymbolEntry>, SessionEnd> {
    let no = |error| match error {
        RequestError::Refused(code) => {
            SessionEnd::Protocol(format!("the controller does not list its symbols: {code}"))
        }
        RequestError::End(end) => end,
    };
    let info = link.read(SYMBOL_UPLOAD_INFO, 0, 8).await.map_err(no)?;
    let bytes = info.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
    if bytes > BROWSE_FRAME - 1_024 {
        return Err(SessionEnd::Protocol(format!(
            "the table of symbols has {bytes} bytes, which is too much"
        )));
    }
    Ok(read_table(&link.read(SYMBOL_UPLOAD, 0, bytes).await.map_err(no)?))
}

/// The next step of all names that go on from `prefix`.
fn children(symbols: &[SymbolEntry], prefix: &str) -> Vec<Found> {
    let mut found: BTreeMap<SmolStr, Found> = BTreeMap::new();
    for symbol in symbols {
        let Some(rest) = rest_of(&symbol.name, prefix) else { continue };
        // A TwinCAT 2 global begins with its dot.
        let start = usize::from(rest.starts_with('.'));
        let end = rest[start..].find('.').map_or(rest.len(), |end| end + start);
        let address = symbol.name.len() - rest.len() + end;
        let address = SmolStr::new(&symbol.name[..address]);
        let leaf = end == rest.len();
        let entry = found.entry(address.clone()).or_insert_with(|| folder(address, &rest[..end]));
        if leaf {
            *entry = describe(symbol.name.clone(), &rest[..end], symbol);
        } else {
            entry.folder = true;
        }
    }
    found.into_values().collect()
}

/// What follows `prefix` and its dot in a name, whatever their case.
fn rest_of<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    if prefix.is_empty() {
        return Some(name).filter(|name| !name.is_empty());
    }
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| rest.strip_prefix('.'))
        .flatten()
        .filter(|rest| !rest.is_empty())
}

/// Members of a structure, or elements of an array of structures.
async fn members(
    link: &mut Link,
    resolver: &mut Resolver,
    address: &str,
    symbol: &SymbolEntry,
) -> Result<Vec<Found>, SessionEnd> {
    if let Some((count, of)) = array(&symbol.type_name) {
        let first = first_index(&symbol.type_name);
        let element =
            SymbolEntry { type_name: of.into(), size: symbol.size / count.max(1), ..symbol.clone() };
        // Of several dimensions only the program knows the indices.
        let Some(first) = first else { return Ok(Vec::new()) };
        let one = |index: i64| {
            let label = format!("[{index}]");
            describe(format_smolstr!("{address}{label}"), &label, &element)
        };
        return Ok((0..count.min(MOST_ELEMENTS))
            .map(|index| one(first.saturating_add(index as i64)))
            .collect());
    }
    let Some(entry) = resolver.entry(link, &symbol.type_name).await? else { return Ok(Vec::new()) };
    let fields = entry.fields.iter().filter(|field| !field.is_elsewhere());
    let member = |field: &crate::codec::type_entry::TypeEntry| {
        let symbol = SymbolEntry {
            group: 0,
            offset: 0,
            size: field.size,
            ads_type: field.ads_type,
            flags: symbol.flags,
            name: field.name.clone(),
            type_name: field.type_name.clone(),
            comment: SmolStr::default(),
        };
        describe(format_smolstr!("{address}.{}", field.name), &field.name, &symbol)
    };
    Ok(fields.map(member).collect())
}

/// The lowest index of an array of one dimension.
fn first_index(type_name: &str) -> Option<i64> {
    let bounds = type_name.split_once('[')?.1.split_once(']')?.0;
    if bounds.contains(',') { None } else { bounds.split_once("..")?.0.trim().parse().ok() }
}

fn folder(address: SmolStr, label: &str) -> Found {
    Found {
        address,
        label: label.into(),
        note: String::new(),
        data_type: None,
        units: SmolStr::default(),
        value: String::new(),
        writable: false,
        folder: true,
    }
}

fn describe(address: SmolStr, label: &str, symbol: &SymbolEntry) -> Found {
    let layout = Layout::of(&symbol.type_name, symbol.ads_type, symbol.size, &TypeTable::default());
    let data_type = layout.ok().and_then(|layout| as_written(&layout));
    let comment = symbol.comment.trim();
    let note = if comment.is_empty() {
        symbol.type_name.to_string()
    } else {
        format!("{}: {comment}", symbol.type_name)
    };
    let folder = data_type.is_none();
    Found {
        note,
        data_type,
        writable: !symbol.is_read_only() && !folder,
        folder,
        ..self::folder(address, label)
    }
}

/// A layout as a profile would write it; `None` for what only `auto` can say, or what has members.
fn as_written(layout: &Layout) -> Option<DataType> {
    let kind = match layout {
        Layout::Bool => Kind::Bool,
        Layout::Int { bytes, signed, .. } => match (bytes, signed) {
            (1, true) => Kind::I8,
            (1, false) => Kind::U8,
            (2, true) => Kind::I16,
            (2, false) => Kind::U16,
            (4, true) => Kind::I32,
            (4, false) => Kind::U32,
            (_, true) => Kind::I64,
            (_, false) => Kind::U64,
        },
        Layout::F32 => Kind::F32,
        Layout::F64 => Kind::F64,
        Layout::Text(size) => Kind::Text(u32::try_from(size.saturating_sub(1).max(1)).ok()?),
        Layout::WideText(size) => Kind::WideText(u32::try_from((size / 2).saturating_sub(1).max(1)).ok()?),
        // As text: the program says which.
        Layout::Time { .. } => Kind::Auto,
        Layout::Raw(size) => Kind::Bytes(u32::try_from(*size).ok()?),
        Layout::Array { element, count, .. } => {
            let DataType { kind, count: None } = as_written(element)? else { return None };
            return Some(DataType { kind, count: Some(u32::try_from(*count).ok()?) });
        }
        Layout::Record { .. } => return None,
    };
    Some(DataType::one(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, type_name: &str, size: usize) -> SymbolEntry {
        SymbolEntry {
            group: 0x4040,
            offset: 0,
            size,
            ads_type: 65,
            flags: 8,
            name: name.into(),
            type_name: type_name.into(),
            comment: "c".into(),
        }
    }

    fn listed(prefix: &str) -> Vec<(String, Option<String>, bool)> {
        let symbols = [
            symbol("GVL.nCount", "DINT", 4),
            symbol("GVL.aLimits", "ARRAY [0..3] OF REAL", 16),
            symbol("GVL.stCell", "ST_Cell", 40),
            symbol("MAIN.fbPress.nStep", "INT", 2),
            symbol(".gOld", "BOOL", 1),
        ];
        let found = children(&symbols, prefix);
        found
            .into_iter()
            .map(|f| (f.address.to_string(), f.data_type.map(|t| t.to_string()), f.folder))
            .collect()
    }

    #[test]
    fn names_make_a_tree() {
        let row = |address: &str, data_type: Option<&str>| {
            (address.to_owned(), data_type.map(str::to_owned), data_type.is_none())
        };
        assert_eq!(listed(""), [row(".gOld", Some("bool")), row("GVL", None), row("MAIN", None)]);
        assert_eq!(
            listed("gvl"),
            [row("GVL.aLimits", Some("f32[4]")), row("GVL.nCount", Some("i32")), row("GVL.stCell", None)]
        );
        assert_eq!(listed("MAIN"), [row("MAIN.fbPress", None)]);
        assert_eq!(listed("MAIN.fbPress"), [row("MAIN.fbPress.nStep", Some("i16"))]);
        assert!(listed("GVL.stCell").is_empty());
    }

    #[test]
    fn only_one_dimension_is_counted_up() {
        assert_eq!(first_index("ARRAY [-1..3] OF ST_X"), Some(-1));
        assert_eq!(first_index("ARRAY [0..3,0..1] OF ST_X"), None);
    }
}
