//! The table as text, as Markdown and as JSON.

use std::fmt::Write as _;

use serde_json::json;

use super::CLAUSE_STATUS;
use super::table::{Heading, Judged, Named, Shown, Table};

const CAVEAT: &str = "This is coverage, not conformance: the texts of the clauses were not read.";

/// For a terminal: a line for each row, and below it what did not pass and what is missing.
pub fn text(table: &Table) -> String {
    let mut out = head(&table.heading).join("\n") + "\n";
    let width = |of: fn(&Judged) -> usize| table.rows.iter().map(of).max().unwrap_or(0);
    let shown = width(|row| row.shown.as_str().len());
    let id = width(|row| row.row.id.len());
    let mut part = "";
    for judged in &table.rows {
        let row = &judged.row;
        if row.part != part {
            part = &row.part;
            line(&mut out, &format!("\n{part}"));
        }
        let word = judged.shown.as_str();
        line(&mut out, &format!("  {word:shown$}  {:id$}  {}", row.id, row.title));
        let indent = " ".repeat(shown + id + 6);
        for named in judged.tests.iter().filter(|named| named.shown() != Shown::Passed) {
            line(&mut out, &format!("{indent}{}: {}", named.shown().as_str(), named.name));
        }
        if !row.gap.is_empty() {
            line(&mut out, &format!("{indent}missing: {}", row.gap));
        }
        if !row.note.is_empty() {
            line(&mut out, &format!("{indent}{}", row.note));
        }
    }
    line(&mut out, &format!("\n{}", table.summary()));
    out
}

/// For a page: a table for each part.
pub fn markdown(table: &Table) -> String {
    let mut out = "# ISO 23247 coverage\n".to_owned();
    for sentence in head(&table.heading).iter().skip(1) {
        line(&mut out, &format!("\n{sentence}"));
    }
    line(&mut out, &format!("\n{}", table.summary()));
    let mut part = "";
    for judged in &table.rows {
        let row = &judged.row;
        if row.part != part {
            part = &row.part;
            line(&mut out, &format!("\n## {part}\n"));
            line(&mut out, "| row | what is asked | result | clause | implemented in | tests | missing |");
            line(&mut out, "|---|---|---|---|---|---|---|");
        }
        let implemented: Vec<_> = row.implemented.iter().map(|path| format!("`{}`", cell(path))).collect();
        let tests: Vec<_> = judged.tests.iter().map(tested).collect();
        let missing = if row.gap.is_empty() { &row.note } else { &row.gap };
        let cells = [
            cell(&row.id),
            cell(&row.title),
            judged.shown.as_str().to_owned(),
            CLAUSE_STATUS.to_owned(),
            implemented.join("<br>"),
            tests.join("<br>"),
            cell(missing),
        ];
        line(&mut out, &format!("| {} |", cells.join(" | ")));
    }
    out
}

/// For programs: everything that is known, `result` in the words of the table.
pub fn json(table: &Table) -> serde_json::Value {
    let runs: Vec<_> = table
        .heading
        .runs
        .iter()
        .map(|run| {
            json!({
                "file": run.path.to_string_lossy(), "began": run.began, "tests": run.tests, "failed": run.failed,
            })
        })
        .collect();
    let counts: serde_json::Map<_, _> =
        Shown::ALL.into_iter().map(|shown| (shown.as_str().to_owned(), table.count(shown).into())).collect();
    let rows: Vec<_> = table
        .rows
        .iter()
        .map(|Judged { row, shown, tests }| {
            let tests: Vec<_> = tests
                .iter()
                .map(|named| {
                    json!({
                        "name": named.name, "result": named.shown().as_str(), "found": named.found,
                        "failed": named.failed, "skipped": named.skipped,
                    })
                })
                .collect();
            json!({
                "id": row.id, "part": row.part, "title": row.title, "applicable": row.applicable,
                "result": shown.as_str(), "clause": CLAUSE_STATUS, "implemented": row.implemented,
                "tests": tests, "missing": row.gap, "note": row.note,
            })
        })
        .collect();
    json!({
        "standard": "ISO 23247", "kind": "coverage, not conformance", "version": table.heading.version,
        "build": table.heading.build, "runs": runs, "notes": table.heading.notes, "counts": counts, "rows": rows,
    })
}

/// Which build it is, where the results come from, and what is to be known of them.
fn head(heading: &Heading) -> Vec<String> {
    let build = if heading.build.is_empty() { "of an unknown commit" } else { &heading.build };
    let mut lines = vec![
        "ISO 23247 coverage".to_owned(),
        format!("guideway {}, build {}. {CAVEAT}", heading.version, cell(build)),
    ];
    if heading.runs.is_empty() {
        lines.push("There are no results of tests: no row is shown by any.".to_owned());
    }
    for run in &heading.runs {
        let began = if run.began.is_empty() { "of an unknown time" } else { &run.began };
        lines.push(format!(
            "Results: {}, {began}, {} tests, {} failed.",
            run.path.display(),
            run.tests,
            run.failed
        ));
    }
    lines.extend(heading.notes.iter().map(|note| format!("Note: {note}")));
    lines
}

fn tested(named: &Named) -> String {
    let count = match named.found {
        0 | 1 => String::new(),
        found => format!(" ({found} tests)"),
    };
    format!("{}: `{}`{count}", named.shown().as_str(), cell(&named.name))
}

/// A text that stays within its cell and its line.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn line(out: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{results, row};
    use super::*;
    use crate::coverage::{Results, rows};

    fn table() -> Table {
        let mut foreign = row("CORE-x", &[], "");
        foreign.applicable = false;
        foreign.note = "Of the core entity.".into();
        let all = vec![
            row("P1", &["guideway::all good"], ""),
            row("P2", &["guideway::all bad"], ""),
            row("P3", &["guideway::all b*"], "a | b"),
            row("P4", &[], "nobody has tried"),
            foreign,
        ];
        let heading = Heading {
            version: "1.2.3".into(),
            build: "abc".into(),
            notes: vec!["old".into()],
            ..Heading::default()
        };
        Table::new(all, &results(), heading)
    }

    #[test]
    fn every_form_says_which_build_and_results_it_is_of() {
        for form in [text(&table()), markdown(&table()), json(&table()).to_string()] {
            for part in ["1.2.3", "abc", "junit.xml", "2026-11-23T01:30:59+00:00", "old", "not conformance"] {
                assert!(form.contains(part), "{part} is not in {form}");
            }
        }
        assert!(text(&table()).contains("4 tests, 1 failed"), "{}", text(&table()));
    }

    #[test]
    fn a_row_of_markdown_has_its_seven_cells_whatever_is_in_them() {
        let page = markdown(&table());
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(rows.len(), 6, "{page}");
        for row in &rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 8, "{row}");
        }
        assert!(rows[1].starts_with("| P1 | Something | passed | NOT_VERIFIED |"), "{}", rows[1]);
        assert!(rows[3].contains("failed: `guideway::all b*` (2 tests)"), "{}", rows[3]);
        assert!(page.lines().any(|line| line == table().summary()), "{page}");
    }

    #[test]
    fn the_text_says_below_a_row_what_failed_and_what_is_missing() {
        let said = text(&table());
        assert!(said.contains("failed: guideway::all bad") && said.contains("missing: nobody has tried"));
        assert!(said.contains("not applicable  CORE-x") && said.contains("Of the core entity."), "{said}");
    }

    #[test]
    fn without_results_nothing_is_green_in_any_form() {
        let bare = Table::new(rows().unwrap(), &Results::default(), Heading::default());
        let page = markdown(&bare);
        assert!(!page.contains("| passed") && !page.contains("passed:"), "{page}");
        assert!(page.contains("no results of tests") && text(&bare).contains("no results of tests"));
        let json = json(&bare);
        let green =
            |row: &serde_json::Value| row["result"].as_str().is_none_or(|word| word.starts_with("passed"));
        assert!(!json["rows"].as_array().unwrap().iter().any(green), "{json}");
        assert!(json["rows"].as_array().unwrap().iter().all(|row| row["clause"] == "NOT_VERIFIED"));
    }
}
