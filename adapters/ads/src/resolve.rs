//! From names to places in the controller's memory.

use guideway_contract::SessionEnd;

use crate::codec::command::{SUM_READ_WRITE, SYMBOL_BY_NAME, TYPE_BY_NAME, sum_names, sum_read_write};
use crate::codec::return_code::ReturnCode;
use crate::codec::symbol::SymbolEntry;
use crate::codec::type_entry::TypeEntry;
use crate::layout::{Layout, TypeTable, Unfit};
use crate::link::{Link, RequestError};

/// Names in one question. With [`ROOM`] for each the answer stays below 64 KiB.
const NAMES: usize = 48;
/// Bytes for one symbol's entry among several: 30 and its texts. Longer comments are asked for one by one.
const ROOM: usize = 1_280;
/// Bytes for one entry by itself.
const MUCH_ROOM: usize = 0xFFFF;
/// The most types one variable may need to be asked for.
const MOST_TYPES: usize = 64;

/// Asks for symbols and types, and keeps the types.
#[derive(Debug)]
pub(crate) struct Resolver {
    types: TypeTable,
    /// Whether several questions go in one request.
    pub(crate) sums: bool,
}

impl Resolver {
    /// One that knows no types yet.
    pub(crate) fn new(sums: bool) -> Self {
        Self { types: TypeTable::default(), sums }
    }

    /// The program has changed: types are asked for anew.
    pub(crate) fn forget(&mut self) {
        self.types = TypeTable::default();
    }

    /// The entry of each name, or why there is none.
    pub(crate) async fn symbols(
        &mut self,
        link: &mut Link,
        names: &[&str],
    ) -> Result<Vec<Result<SymbolEntry, String>>, SessionEnd> {
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(NAMES) {
            let answers = if self.sums && names.len() > 1 { self.several(link, names).await? } else { None };
            let mut answers =
                answers.unwrap_or_else(|| vec![Err(ReturnCode::INVALID_SIZE); names.len()]).into_iter();
            for name in names {
                // Not asked, or more than there was room for: by itself.
                let answer = match answers.next() {
                    Some(Err(ReturnCode::INVALID_SIZE)) | None => {
                        Self::one(link, SYMBOL_BY_NAME, name).await?
                    }
                    Some(answer) => answer,
                };
                found.push(match answer.map(|entry| SymbolEntry::read(&entry)) {
                    Ok(Some(entry)) => Ok(entry),
                    Ok(None) => Err("the controller's answer about this symbol cannot be read".into()),
                    Err(code) => Err(code.to_string()),
                });
            }
        }
        Ok(found)
    }

    /// Answers to several names; `None` where the controller does not take them together.
    async fn several(
        &mut self,
        link: &mut Link,
        names: &[&str],
    ) -> Result<Option<Vec<Result<bytes::Bytes, ReturnCode>>>, SessionEnd> {
        let names: Vec<Vec<u8>> = names.iter().map(|name| terminated(name)).collect();
        let slices: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let question = sum_names(SYMBOL_BY_NAME, &slices, ROOM);
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let room = names.len() * (8 + ROOM);
        match link.read_write(SUM_READ_WRITE, count, room, &question).await {
            Ok(data) => match sum_read_write(&data, names.len()) {
                Ok(answers) => Ok(Some(answers)),
                Err(malformed) => Err(SessionEnd::Protocol(malformed.to_string())),
            },
            Err(RequestError::Refused(code)) => {
                if code.is_unsupported() {
                    self.sums = false;
                }
                Ok(None)
            }
            Err(RequestError::End(end)) => Err(end),
        }
    }

    async fn one(
        link: &mut Link,
        group: u32,
        name: &str,
    ) -> Result<Result<bytes::Bytes, ReturnCode>, SessionEnd> {
        match link.read_write(group, 0, MUCH_ROOM, &terminated(name)).await {
            Ok(entry) => Ok(Ok(entry)),
            Err(RequestError::Refused(code)) => Ok(Err(code)),
            Err(RequestError::End(end)) => Err(end),
        }
    }

    /// The layout of a symbol, asking for the types that it needs; or why it has none.
    pub(crate) async fn layout(
        &mut self,
        link: &mut Link,
        symbol: &SymbolEntry,
    ) -> Result<Result<Layout, String>, SessionEnd> {
        for _ in 0..MOST_TYPES {
            match Layout::of(&symbol.type_name, symbol.ads_type, symbol.size, &self.types) {
                Ok(layout) => return Ok(Ok(layout)),
                Err(Unfit::No(why)) => return Ok(Err(why)),
                Err(Unfit::Needs(name)) => {
                    self.entry(link, &name).await?;
                }
            }
        }
        Ok(Err(format!("{} is made of too many types; name a member", symbol.type_name)))
    }

    /// A type's entry, asked for unless it is known.
    pub(crate) async fn entry(
        &mut self,
        link: &mut Link,
        name: &str,
    ) -> Result<Option<&TypeEntry>, SessionEnd> {
        if self.types.get(name).is_none() {
            let entry =
                Self::one(link, TYPE_BY_NAME, name).await?.ok().and_then(|entry| TypeEntry::read(&entry));
            self.types.insert(name, entry);
        }
        Ok(self.types.get(name).flatten())
    }
}

/// A name as it goes out: with a NUL.
pub(crate) fn terminated(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}
