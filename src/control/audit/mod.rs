//! The audit: every request and each of its steps, in a chain that shows when somebody has touched it.
//!
//! `audit/audit-00000001.jsonl` in the data directory, and so on: a file is named by the number of its first row, and a
//! new one is begun at 16 MiB. Nothing here takes rows away. A line is a JSON object:
//!
//! ```text
//! {"row":12,"time":"2026-01-02T03:04:05.678901Z","what":"write","id":"…", … ,"previous":"<64 hex>","hash":"<64 hex>"}
//! ```
//!
//! `hash` is the SHA-256 of the line's bytes from its beginning up to, and without, `,"hash":"`; `previous` is the hash of
//! the row before, of the first row 64 zeros. So a changed, missing or moved row breaks the chain from there on. What a
//! chain alone does not show is that its end is missing: the file `head` holds number and hash of the last row that the
//! disk is known to have, which is at most a fifth of a second behind (before the first row 0 and 64 zeros), and the ends
//! that requesters and the journal are told carry them too (`guideway audit verify --head ROW:HASH`).

mod file;
mod row;
#[cfg(test)]
mod tests;
mod verify;

pub use file::Audit;
pub use row::{Record, Row, Stamp, What};
pub use verify::{AuditError, Summary, read};
