//! Reading an audit, row by row.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use guideway_contract::Timestamp;

use super::row::{self, MOST_BYTES, Record, Stamp};

/// The folder in the data directory.
pub(super) const FOLDER: &str = "audit";
/// Number and hash of the last row.
pub(super) const HEAD: &str = "head";

/// Why an audit cannot be trusted, or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The system said no.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        cause: std::io::Error,
    },
    /// Another gateway has it.
    #[error("{}: another process writes this audit; give each gateway a data directory of its own", .0.display())]
    Locked(PathBuf),
    /// A row is not what it was.
    #[error("{}:{line}: {what}; keep the folder as it is for whoever looks into it, move it away and start anew", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// Rows are missing at the end.
    #[error("{}: the audit ends with row {found}, and row {noted} was written ({what}); keep the folder as it is for \
             whoever looks into it, move it away and start anew", path.display())]
    Cut {
        /// Which folder.
        path: PathBuf,
        /// The last row.
        found: u64,
        /// The row that was noted.
        noted: u64,
        /// Who noted it.
        what: &'static str,
    },
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The last row.
    pub head: Stamp,
    /// When the first row was written.
    pub first: Option<Timestamp>,
    /// When the last row was written.
    pub last: Option<Timestamp>,
    /// Files.
    pub files: usize,
    /// The last file, and how many bytes of it are whole rows.
    pub(super) tail: Option<(PathBuf, u64)>,
    /// Bytes at the end that are no whole row.
    pub torn: u64,
}

/// Reads the audit in a data directory and gives each row to `visit`, in order. Holds one line at a time.
///
/// # Errors
/// The first thing that is wrong. Bytes of an unfinished row at the end are not wrong, unless it was noted as written.
pub fn read(data_dir: &Path, visit: impl FnMut(Record)) -> Result<Summary, AuditError> {
    let mut visit = visit;
    let folder = data_dir.join(FOLDER);
    // First, for rows may come while this reads: then the head is behind, and never ahead.
    let noted = read_head(&folder)?;
    let mut is_other = false;
    let files = segments(&folder)?;
    let mut summary =
        Summary { head: Stamp::zero(), first: None, last: None, files: files.len(), tail: None, torn: 0 };
    for (index, (first, path)) in files.iter().enumerate() {
        let expected = summary.head.number + 1;
        if *first != expected {
            let what = format!("the file with row {expected} is missing before this one");
            return Err(AuditError::Broken { path: path.clone(), line: 1, what });
        }
        let is_last = index + 1 == files.len();
        segment(path, is_last, &mut summary, &mut |record: Record| {
            is_other |=
                noted.as_ref().is_some_and(|(number, hash)| *number == record.number && *hash != record.hash);
            visit(record);
        })?;
    }
    let found = summary.head.number;
    let cut = |noted, what| AuditError::Cut { path: folder.clone(), found, noted, what };
    match noted {
        Some((number, _)) if number > found => Err(cut(number, "so says its head")),
        Some((number, hash)) if is_other || (number == 0 && hash != row::ZERO) => {
            Err(cut(number, "with another hash"))
        }
        None if found > 1 => Err(cut(found, "its head is missing")),
        _ => Ok(summary),
    }
}

/// Files by the number of their first row, in order.
fn segments(folder: &Path) -> Result<Vec<(u64, PathBuf)>, AuditError> {
    let io = |cause| AuditError::Io { path: folder.to_owned(), cause };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

fn segment(
    path: &Path,
    is_last: bool,
    summary: &mut Summary,
    visit: &mut impl FnMut(Record),
) -> Result<(), AuditError> {
    let io = |cause| AuditError::Io { path: path.to_owned(), cause };
    let broken = |line, what: String| AuditError::Broken { path: path.to_owned(), line, what };
    let mut reader = BufReader::with_capacity(1 << 16, std::fs::File::open(path).map_err(io)?);
    let (mut bytes, mut whole, mut number) = (Vec::new(), 0_u64, 0_u64);
    loop {
        bytes.clear();
        number += 1;
        let most = MOST_BYTES as u64 + 2;
        let length = reader.by_ref().take(most).read_until(b'\n', &mut bytes).map_err(io)?;
        if length == 0 {
            break;
        }
        if bytes.pop() != Some(b'\n') {
            // Whoever was killed in the middle of writing has told nobody of this row.
            if is_last && length < most as usize {
                summary.torn = length as u64;
                break;
            }
            return Err(broken(number, "the line is not ended".to_owned()));
        }
        let record = row::parse(&bytes, &summary.head).map_err(|what| broken(number, what))?;
        whole += length as u64;
        summary.head = Stamp { number: record.number, hash: record.hash.clone() };
        summary.first.get_or_insert(record.row.time);
        summary.last = Some(record.row.time);
        visit(record);
    }
    summary.tail = Some((path.to_owned(), whole));
    Ok(())
}

/// The row that is noted as the last one, which may be behind: by what was written since the disk had everything.
fn read_head(folder: &Path) -> Result<Option<(u64, String)>, AuditError> {
    let path = folder.join(HEAD);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => String::new(),
        Err(cause) => return Err(AuditError::Io { path, cause }),
    };
    let noted = text.trim_end().split_once(':');
    let noted = noted.and_then(|(number, hash)| Some((number.parse::<u64>().ok()?, hash.to_owned())));
    let what = || "this is no ROW:HASH".to_owned();
    noted.map(Some).ok_or_else(|| AuditError::Broken { path, line: 1, what: what() })
}
