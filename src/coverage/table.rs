//! The table: rows judged by results.

use super::results::{Outcome, Results, Run};
use super::rows::Row;

/// What the results show of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of its tests passed, and nothing is known to be missing.
    Passed,
    /// All of its tests passed, and they do not show all that is asked.
    InPart,
    /// At least one of its tests failed.
    Failed,
    /// At least one of its tests is not in the results, and none failed.
    NotRun,
    /// No test shows it.
    NotShown,
    /// It is the business of another entity.
    NotApplicable,
}

impl Shown {
    /// All of them, best first.
    pub const ALL: [Self; 6] =
        [Self::Passed, Self::InPart, Self::Failed, Self::NotRun, Self::NotShown, Self::NotApplicable];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::InPart => "passed in part",
            Self::Failed => "failed",
            Self::NotRun => "not run",
            Self::NotShown => "not shown",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// A test that a row names, or all tests that one name with a star stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// As the row has it.
    pub name: String,
    /// How many tests of the results it stands for. 0: it was not run, or there is no such test.
    pub found: usize,
    /// Those of them that failed.
    pub failed: Vec<String>,
    /// Those of them that were skipped.
    pub skipped: Vec<String>,
}

impl Named {
    /// What became of it. Of several tests, a failure counts before one that was not run, and that
    /// before all that passed.
    pub fn shown(&self) -> Shown {
        match self {
            Self { failed, .. } if !failed.is_empty() => Shown::Failed,
            Self { found: 0, .. } => Shown::NotRun,
            Self { skipped, .. } if !skipped.is_empty() => Shown::NotRun,
            _ => Shown::Passed,
        }
    }
}

/// A row with what the results show of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The row.
    pub row: Row,
    /// What is shown.
    pub shown: Shown,
    /// Its tests, in the row's order.
    pub tests: Vec<Named>,
}

/// Which build the table speaks of.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// The gateway's version.
    pub version: String,
    /// What was built, as whoever ran the tests says: a commit. Empty: nobody said.
    pub build: String,
    /// The reports that the results are from. Empty: there are no results.
    pub runs: Vec<Run>,
    /// What a reader should know of the results: that they are old, for one.
    pub notes: Vec<String>,
}

/// The coverage table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Which build it speaks of.
    pub heading: Heading,
    /// The rows, in the order of the file.
    pub rows: Vec<Judged>,
}

impl Table {
    /// Judges rows by results. The heading's runs become those of the results.
    pub fn new(rows: Vec<Row>, results: &Results, heading: Heading) -> Self {
        let rows = rows.into_iter().map(|row| judge(row, results)).collect();
        Self { heading: Heading { runs: results.runs().to_vec(), ..heading }, rows }
    }

    /// How many rows are so.
    pub fn count(&self, shown: Shown) -> usize {
        self.rows.iter().filter(|row| row.shown == shown).count()
    }

    /// One line: how many rows are what.
    pub fn summary(&self) -> String {
        let applicable = self.rows.len() - self.count(Shown::NotApplicable);
        let counts: Vec<String> = Shown::ALL
            .into_iter()
            .filter(|shown| *shown != Shown::NotApplicable)
            .map(|shown| format!("{} {}", self.count(shown), shown.as_str()))
            .collect();
        format!(
            "ISO 23247 coverage: {applicable} rows: {}; {} of other entities, not applicable; clauses {}",
            counts.join(", "),
            self.count(Shown::NotApplicable),
            super::CLAUSE_STATUS
        )
    }

    /// What does not hold when every named test has to have passed: one line for each test and row.
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for Judged { row, tests, .. } in &self.rows {
            for named in tests {
                let id = &row.id;
                findings.extend(named.failed.iter().map(|test| format!("{id}: {test}: failed")));
                findings.extend(named.skipped.iter().map(|test| format!("{id}: {test}: was skipped")));
                if named.found == 0 {
                    let name = &named.name;
                    findings.push(format!("{id}: {name}: was not run, or there is no such test"));
                }
            }
        }
        findings
    }
}

fn judge(row: Row, results: &Results) -> Judged {
    if !row.applicable {
        return Judged { row, shown: Shown::NotApplicable, tests: Vec::new() };
    }
    let tests: Vec<Named> = row.tests.iter().map(|name| look_up(name, results)).collect();
    let any = |shown| tests.iter().any(|named| named.shown() == shown);
    let shown = match () {
        () if tests.is_empty() => Shown::NotShown,
        () if any(Shown::Failed) => Shown::Failed,
        () if any(Shown::NotRun) => Shown::NotRun,
        () if row.gap.is_empty() => Shown::Passed,
        () => Shown::InPart,
    };
    Judged { row, shown, tests }
}

fn look_up(name: &str, results: &Results) -> Named {
    let mut named = Named { name: name.to_owned(), found: 0, failed: Vec::new(), skipped: Vec::new() };
    for (test, outcome) in results.matching(name) {
        named.found += 1;
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed => named.failed.push(test.to_owned()),
            Outcome::Skipped => named.skipped.push(test.to_owned()),
        }
    }
    named
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::coverage::rows;
    use crate::reading::Source;

    pub(in crate::coverage) fn row(id: &str, tests: &[&str], gap: &str) -> Row {
        Row {
            id: id.into(),
            part: "Part 4".into(),
            title: "Something".into(),
            applicable: true,
            implemented: vec!["src/lib.rs".into()],
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
            gap: gap.into(),
            note: String::new(),
        }
    }

    /// `good`, `better` passed, `bad` failed, `later` was skipped.
    pub(in crate::coverage) fn results() -> Results {
        let report = "<testsuites timestamp='2026-11-23T01:30:59+00:00'><testsuite name='guideway::all'>\
            <testcase name='good'/><testcase name='better'/><testcase name='bad'><failure/></testcase>\
            <testcase name='later'><skipped/></testcase></testsuite></testsuites>";
        let mut results = Results::default();
        results.add(&Source::new("junit.xml", report)).unwrap();
        results
    }

    fn shown(tests: &[&str], gap: &str) -> Shown {
        Table::new(vec![row("A", tests, gap)], &results(), Heading::default()).rows[0].shown
    }

    #[test]
    fn a_row_is_passed_only_if_all_its_tests_passed_and_nothing_is_missing() {
        assert_eq!(shown(&["guideway::all good", "guideway::all better"], ""), Shown::Passed);
        assert_eq!(shown(&["guideway::all good"], "half of it"), Shown::InPart);
        assert_eq!(shown(&["guideway::all good", "guideway::all gone"], ""), Shown::NotRun);
        assert_eq!(shown(&["guideway::all good", "guideway::all later"], ""), Shown::NotRun);
        assert_eq!(shown(&["guideway::all gone", "guideway::all bad"], "half"), Shown::Failed);
        assert_eq!(shown(&["guideway::all b*"], ""), Shown::Failed);
        assert_eq!(shown(&["guideway::all g*"], ""), Shown::Passed);
        assert_eq!(shown(&["guideway::all x*"], ""), Shown::NotRun);
        assert_eq!(shown(&[], "nobody has tried"), Shown::NotShown);
    }

    #[test]
    fn without_results_no_row_is_passed_even_in_part() {
        let table = Table::new(rows().unwrap(), &Results::default(), Heading::default());
        for row in &table.rows {
            let named = matches!(row.shown, Shown::NotRun | Shown::NotShown | Shown::NotApplicable);
            assert!(named, "{}: {:?}", row.row.id, row.shown);
        }
        assert!(table.summary().contains(" 0 passed, 0 passed in part, 0 failed"), "{}", table.summary());
    }

    #[test]
    fn even_if_every_test_passed_a_row_of_another_entity_is_not_applicable() {
        let all = rows().unwrap();
        let names = all.iter().flat_map(|row| &row.tests).map(|test| test.replace('*', "x"));
        let cases: String = names
            .map(|name| {
                let (binary, test) = name.split_once(' ').unwrap();
                format!("<testcase classname='{binary}' name='{test}'/>")
            })
            .collect();
        let report = format!("<testsuites><testsuite name='all'>{cases}</testsuite></testsuites>");
        let mut results = Results::default();
        results.add(&Source::new("junit.xml", report)).unwrap();
        let table = Table::new(all, &results, Heading::default());
        assert!(table.count(Shown::Passed) > 0 && table.findings().is_empty());
        assert_eq!(table.count(Shown::Failed) + table.count(Shown::NotRun), 0);
        for row in &table.rows {
            assert_eq!(row.shown == Shown::NotApplicable, !row.row.applicable, "{}", row.row.id);
            assert_eq!(row.shown == Shown::NotShown, row.row.applicable && row.row.tests.is_empty());
        }
    }

    #[test]
    fn each_test_that_did_not_pass_is_a_finding_of_its_row() {
        let tests =
            ["guideway::all good", "guideway::all b*", "guideway::all later", "guideway::all renamed"];
        let table =
            Table::new(vec![row("A", &tests, ""), row("B", &[], "none")], &results(), Heading::default());
        assert_eq!(
            table.findings(),
            [
                "A: guideway::all bad: failed",
                "A: guideway::all later: was skipped",
                "A: guideway::all renamed: was not run, or there is no such test",
            ]
        );
    }

    #[test]
    fn the_summary_counts_every_row_once() {
        let mut foreign = row("C", &[], "");
        foreign.applicable = false;
        let all = vec![row("A", &["guideway::all good"], ""), row("B", &[], "none"), foreign];
        let summary = Table::new(all, &results(), Heading::default()).summary();
        assert_eq!(
            summary,
            "ISO 23247 coverage: 2 rows: 1 passed, 0 passed in part, 0 failed, 0 not run, 1 not shown; \
             1 of other entities, not applicable; clauses NOT_VERIFIED"
        );
    }
}
