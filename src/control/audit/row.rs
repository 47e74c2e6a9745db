//! A row and its line.

use guideway_contract::Timestamp;
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use crate::control::words::words;

/// Longest line, in bytes.
pub(super) const MOST_BYTES: usize = 256 * 1_024;
/// What texts are cut to in a row that would be longer.
const CUT: usize = 1_024;
/// Fields of a row that would be longer: so many, cut, are less than [`MOST_BYTES`] whatever is in them.
const MOST_FIELDS: usize = 24;
/// The hash before the first row.
pub(super) const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Stands before a line's hash.
const HASH: &str = ",\"hash\":\"";
const ENVELOPE: [&str; 6] = ["row", "time", "what", "id", "previous", "hash"];

words! {
    /// What a row is about.
    pub enum What {
        /// The gateway has started.
        Start = "start",
        /// The gateway has stopped in order.
        Stop = "stop",
        /// Somebody known asks for a command.
        Request = "request",
        /// Somebody unknown asked, or something that could not be read.
        Refused = "refused",
        /// A dry run got as far as the first write.
        Dry = "dry",
        /// A command is carried out: what the interlock saw, and what is written at the end.
        Begin = "begin",
        /// A value is about to be written.
        Write = "write",
        /// What became of the write.
        Written = "written",
        /// What was read back.
        ReadBack = "read-back",
        /// Release steps are about to be written.
        Release = "release",
        /// What became of them.
        Released = "released",
        /// A request has ended.
        End = "end",
        /// Control was switched.
        Switch = "switch",
        /// Something about the audit itself.
        Note = "note",
    }
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When.
    pub time: Timestamp,
    /// What about.
    pub what: What,
    /// The request's id; may be empty.
    pub id: SmolStr,
    /// The rest. The names of the envelope (row, time, what, id, previous, hash) are not written.
    pub fields: Map<String, Json>,
}

/// Number and hash of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counted from 1.
    pub number: u64,
    /// SHA-256 as 64 lower-case hexadecimal digits.
    pub hash: SmolStr,
}

impl Stamp {
    /// Before the first row.
    pub(super) fn zero() -> Self {
        Self { number: 0, hash: ZERO.into() }
    }
}

/// A row that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Counted from 1.
    pub number: u64,
    /// The row.
    pub row: Row,
    /// Its hash.
    pub hash: SmolStr,
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The line of a row, with its end, and its stamp.
pub(super) fn line(row: &Row, previous: &Stamp) -> (String, Stamp) {
    let number = previous.number + 1;
    let mut text = body(row, number, &previous.hash);
    if text.len() + 128 > MOST_BYTES {
        let mut row = row.clone();
        let mut fields: Map<String, Json> = std::mem::take(&mut row.fields)
            .into_iter()
            .filter(|(name, _)| name.len() <= CUT)
            .take(MOST_FIELDS)
            .collect();
        fields.values_mut().for_each(|value| {
            if value.to_string().len() > CUT {
                *value = value.to_string().chars().take(CUT).collect::<String>().into();
            }
        });
        fields.insert("cut".to_owned(), true.into());
        row.fields = fields;
        text = body(&row, number, &previous.hash);
    }
    let hash = digest(text.as_bytes());
    text.push_str(HASH);
    text.push_str(&hash);
    text.push_str("\"}\n");
    (text, Stamp { number, hash: hash.into() })
}

/// The line up to its hash.
fn body(row: &Row, number: u64, previous: &str) -> String {
    let mut all = Map::new();
    all.insert("row".to_owned(), number.into());
    all.insert("time".to_owned(), row.time.to_string().into());
    all.insert("what".to_owned(), row.what.as_str().into());
    all.insert("id".to_owned(), row.id.chars().take(256).collect::<String>().into());
    let own = row.fields.iter().filter(|(name, _)| !ENVELOPE.contains(&name.as_str()));
    all.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    all.insert("previous".to_owned(), previous.into());
    let mut text = Json::Object(all).to_string();
    text.pop();
    text
}

/// The record of a line without its end, which has to follow `previous`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(line: &[u8], previous: &Stamp) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "this is no text".to_owned())?;
    let at = text.rfind(HASH).ok_or("there is no hash at its end")?;
    let hash = text[at + HASH.len()..].strip_suffix("\"}").ok_or("there is no hash at its end")?;
    if digest(&text.as_bytes()[..at]) != hash {
        return Err("its hash is not that of its contents: the row was changed".to_owned());
    }
    let json: Json = serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
    let Json::Object(mut all) = json else { return Err("this is no JSON object".to_owned()) };
    let mut take = |name: &str| all.shift_remove(name).ok_or_else(|| format!("`{name}` is missing"));
    let number = take("row")?.as_u64().ok_or("`row` is no number")?;
    let expected = previous.number + 1;
    if number != expected {
        return Err(format!("this is row {number}, and row {expected} is missing"));
    }
    if take("previous")?.as_str() != Some(&*previous.hash) {
        return Err(format!("it does not follow the row {} that stands before it", previous.number));
    }
    let mut word =
        |name: &str| take(name)?.as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is no text"));
    let time = Timestamp::parse(&word("time")?).ok_or("`time` is no time")?;
    let what = word("what")?;
    let what = What::parse(&what).ok_or_else(|| format!("`{what}` is nothing that this version knows"))?;
    let id = word("id")?.into();
    all.shift_remove("hash");
    Ok(Record { number, row: Row { time, what, id, fields: all }, hash: hash.into() })
}
