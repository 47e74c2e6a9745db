//! Alarm tables: CSV files beside a profile, with the columns bit, level, code, text.

use std::path::Path;

use super::file::{Row, Severity};

/// More rows than any word of a machine has bits.
const MOST_ROWS: usize = 65_536;

/// Reads a table.
///
/// # Errors
/// What is wrong, with the file and the line.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    rows(&text).map_err(|what| format!("{}:{what}", path.display()))
}

fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| format!("1: {error}"))?.clone();
    let column = |name: &str| headers.iter().position(|header| header.eq_ignore_ascii_case(name));
    let (Some(bit), Some(level)) = (column("bit"), column("level")) else {
        return Err("1: the first line names the columns bit, level, code, text".to_owned());
    };
    let (code, text) = (column("code"), column("text"));
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: Option<usize>| at.and_then(|at| record.get(at)).unwrap_or_default();
        let level = match field(Some(level)).to_ascii_uppercase().as_str() {
            "FAULT" => Severity::Fault,
            "WARNING" => Severity::Warning,
            other => return Err(format!("{line}: the level is WARNING or FAULT, not {other:?}")),
        };
        let bit = field(Some(bit));
        let bit = bit.parse().map_err(|_| format!("{line}: {bit:?} is no bit's number"))?;
        let code = Some(field(code).to_owned()).filter(|code| !code.is_empty());
        let text = field(text).to_owned();
        rows.push(Row { bit, level, code, severity: "".into(), text, inverted: false });
        if rows.len() > MOST_ROWS {
            return Err(format!("{line}: more than {MOST_ROWS} rows"));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_quotes_and_comments() {
        let table = "bit, level, code, text\n# doors\n0,FAULT,A1,\"Guard, left\"\n9,warning,,\n";
        let rows = rows(table).unwrap();
        assert_eq!((rows[0].bit, rows[0].text.as_str()), (0, "Guard, left"));
        assert_eq!((rows[1].level, rows[1].code.clone()), (Severity::Warning, None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        assert!(rows("a,b\n").unwrap_err().starts_with("1:"));
        assert!(rows("bit,level\nx,FAULT\n").unwrap_err().starts_with("2: \"x\""));
        assert!(rows("bit,level\n0,FAULT\n1,BAD\n").unwrap_err().starts_with("3:"));
    }
}
