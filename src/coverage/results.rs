//! What a test run found, read from the JUnit report that the test runner leaves.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::reading::Source;

/// The largest report that is read. A run of 2,000 tests leaves 400 kB, and more where tests failed,
/// since the report has what those wrote.
const MAX_BYTES: u64 = 64 << 20;
/// The most tests of all reports together.
const MAX_TESTS: usize = 200_000;
/// The longest name of a test or of its binary, in bytes.
const MAX_NAME: usize = 1_024;
/// How deep elements may nest; a report needs five.
const MAX_DEPTH: usize = 32;

/// A report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file cannot be read.
    #[error("{}: {source}; run the tests first (scripts/test), or name their report with --results", path.display())]
    Unreadable {
        /// The report.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any report.
    #[error("{}: larger than {} MiB; this is no report of tests", path.display(), MAX_BYTES >> 20)]
    TooLarge {
        /// The report.
        path: PathBuf,
    },
    /// The file is not what a test runner leaves.
    #[error("{}:{line}:{column}: {what}; run the tests again to have a whole report", path.display())]
    Malformed {
        /// The report.
        path: PathBuf,
        /// From 1.
        line: u32,
        /// From 1, in characters.
        column: u32,
        /// What is wrong.
        what: String,
    },
}

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is in the report as skipped.
    Skipped,
    /// It passed, at the first attempt.
    Passed,
    /// It failed, ran out of time, or passed only when it was tried again.
    Failed,
}

/// One report.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The file.
    pub path: PathBuf,
    /// When the run began, as the report says; empty where it does not.
    pub began: String,
    /// How many tests are in it, skipped ones too.
    pub tests: usize,
    /// How many of them failed.
    pub failed: usize,
}

/// What is known of tests. Of a test that is in several reports the worst counts.
#[derive(Clone, Debug, Default)]
pub struct Results {
    runs: Vec<Run>,
    /// By `binary test`.
    tests: BTreeMap<String, Outcome>,
}

impl Results {
    /// Adds the report in a file.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or is no whole JUnit report; nothing is added then.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ResultsError> {
        let unreadable = |source| ResultsError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if read as u64 > MAX_BYTES {
            return Err(ResultsError::TooLarge { path: path.to_owned() });
        }
        let text = String::from_utf8(bytes).map_err(|error| ResultsError::Malformed {
            path: path.to_owned(),
            line: 1,
            column: 1,
            what: format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to()),
        })?;
        self.add(&Source::new(path, text))
    }

    /// Adds a report that is at hand.
    ///
    /// # Errors
    /// When it is no whole JUnit report; nothing is added then.
    pub fn add(&mut self, source: &Source) -> Result<(), ResultsError> {
        let mut report = Report::new(source, MAX_TESTS.saturating_sub(self.tests.len()));
        report.read().map_err(|(offset, what)| {
            let (line, column) = source.position(offset);
            ResultsError::Malformed { path: source.path().to_owned(), line, column, what }
        })?;
        self.runs.push(Run {
            path: source.path().to_owned(),
            began: report.began,
            tests: report.tests.len(),
            failed: report.tests.iter().filter(|(_, outcome)| *outcome == Outcome::Failed).count(),
        });
        for (name, outcome) in report.tests {
            self.tests.entry(name).and_modify(|known| *known = (*known).max(outcome)).or_insert(outcome);
        }
        Ok(())
    }

    /// The reports, in the order they were added.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The tests that a row means by `named`, in alphabetical order: the one of that name, or with a
    /// star at its end all that begin so.
    pub fn matching<'a>(&'a self, named: &'a str) -> impl Iterator<Item = (&'a str, Outcome)> {
        let prefix = named.strip_suffix('*');
        let from = prefix.unwrap_or(named);
        self.tests
            .range::<str, _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
            .take_while(
                move |(test, _)| if prefix.is_some() { test.starts_with(from) } else { *test == from },
            )
            .map(|(test, outcome)| (test.as_str(), *outcome))
    }
}

/// A report while it is read. Errors have the offset of what is wrong.
struct Report<'a> {
    reader: Reader<&'a [u8]>,
    /// The names of the elements around; their number is the depth.
    open: Vec<Element>,
    root: bool,
    suite: String,
    most: usize,
    began: String,
    tests: Vec<(String, Outcome)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Element {
    Suites,
    Suite,
    Case,
    Other,
}

type Fault = (usize, String);

impl<'a> Report<'a> {
    fn new(source: &'a Source, most: usize) -> Self {
        let reader = Reader::from_str(source.text());
        let (suite, began) = (String::new(), String::new());
        Self { reader, open: Vec::new(), root: false, suite, most, began, tests: Vec::new() }
    }

    fn read(&mut self) -> Result<(), Fault> {
        loop {
            let at = self.position();
            match self.reader.read_event() {
                Ok(Event::Start(start)) => {
                    let element = self.begin(&start, at)?;
                    if self.open.len() >= MAX_DEPTH {
                        return Err((at, format!("elements nest more than {MAX_DEPTH} deep")));
                    }
                    self.open.push(element);
                }
                Ok(Event::Empty(start)) => {
                    self.begin(&start, at)?;
                }
                Ok(Event::End(_)) => {
                    self.open.pop();
                }
                Ok(Event::Eof) if !self.root => return Err((at, "no JUnit report is in it".to_owned())),
                Ok(Event::Eof) if !self.open.is_empty() => {
                    return Err((at, "the report breaks off here".to_owned()));
                }
                Ok(Event::Eof) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    let at = usize::try_from(self.reader.error_position()).unwrap_or(at);
                    return Err((at, format!("not XML: {error}")));
                }
            }
        }
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn begin(&mut self, start: &BytesStart<'_>, at: usize) -> Result<Element, Fault> {
        let around = self.open.last().copied();
        let name = start.name().into_inner();
        let element = match (name, around) {
            ("testsuites", None) if !self.root => Element::Suites,
            ("testsuite", Some(Element::Suites | Element::Suite)) => Element::Suite,
            ("testsuite", None) if !self.root => Element::Suite,
            ("testcase", Some(Element::Suite)) => Element::Case,
            (_, None) => {
                let what = "a report begins with <testsuites>, and nothing follows its end".to_owned();
                return Err((at, what));
            }
            ("testcase", _) => return Err((at, "a <testcase> outside of a <testsuite>".to_owned())),
            _ => Element::Other,
        };
        self.root = true;
        match (element, around) {
            (Element::Suites, _) => self.began = attribute(start, "timestamp", at)?.unwrap_or_default(),
            (Element::Suite, _) => {
                if self.began.is_empty() {
                    self.began = attribute(start, "timestamp", at)?.unwrap_or_default();
                }
                self.suite = attribute(start, "name", at)?.unwrap_or_default();
            }
            (Element::Case, _) => self.case(start, at)?,
            // What stands within a test says what became of it.
            (Element::Other, Some(Element::Case)) => {
                let outcome = match name {
                    "failure" | "error" | "flakyFailure" | "flakyError" => Some(Outcome::Failed),
                    "skipped" => Some(Outcome::Skipped),
                    _ => None,
                };
                if let (Some((_, known)), Some(outcome)) = (self.tests.last_mut(), outcome) {
                    *known = if *known == Outcome::Failed { Outcome::Failed } else { outcome };
                }
            }
            (Element::Other, _) => {}
        }
        Ok(element)
    }

    fn case(&mut self, start: &BytesStart<'_>, at: usize) -> Result<(), Fault> {
        let Some(name) = attribute(start, "name", at)? else {
            return Err((at, "a <testcase> without a name".to_owned()));
        };
        if self.tests.len() >= self.most {
            return Err((at, format!("more than {MAX_TESTS} tests")));
        }
        let binary = attribute(start, "classname", at)?.unwrap_or_else(|| self.suite.clone());
        self.tests.push((format!("{binary} {name}"), Outcome::Passed));
        Ok(())
    }
}

/// The value of an attribute.
fn attribute(start: &BytesStart<'_>, name: &str, at: usize) -> Result<Option<String>, Fault> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| (at, format!("not XML: {error}")))?;
        if attribute.key.into_inner() != name {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| (at, format!("{name}: {error}")))?;
        if value.len() > MAX_NAME {
            return Err((at, format!("{name} is longer than {MAX_NAME} bytes")));
        }
        return Ok(Some(value.into_owned()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="5" skipped="1" failures="2" errors="0" timestamp="2026-11-23T01:30:59.523+00:00" time="0.847">
    <testsuite name="guideway::tidy" tests="3" skipped="0" errors="0" failures="1">
        <testcase name="planted::unfinished_work_is_caught" classname="guideway::tidy" time="0.051"/>
        <testcase name="it_breaks" classname="guideway::tidy" time="0.040">
            <failure message="thread &apos;it_breaks&apos; panicked" type="test failure with exit code 101">left &lt; right</failure>
            <system-out>FAILED</system-out>
        </testcase>
        <testcase name="now_and_then" classname="guideway::tidy" time="0.040">
            <flakyFailure message="the first time" type="test failure"><system-out/></flakyFailure>
        </testcase>
    </testsuite>
    <testsuite name="guideway" tests="2">
        <testcase name="journal::tests::a_restart_brings_everything_back"/>
        <testcase name="later"><skipped/></testcase>
    </testsuite>
</testsuites>
"#;

    fn read(text: &str) -> Result<Results, String> {
        let mut results = Results::default();
        results.add(&Source::new("junit.xml", text)).map_err(|error| error.to_string())?;
        Ok(results)
    }

    fn one(results: &Results, named: &str) -> Option<Outcome> {
        results.matching(named).next().map(|(_, outcome)| outcome)
    }

    #[test]
    fn each_test_has_its_outcome_under_its_binary_and_name() {
        let results = read(REPORT).unwrap();
        assert_eq!(
            results.runs(),
            [Run {
                path: "junit.xml".into(),
                began: "2026-11-23T01:30:59.523+00:00".into(),
                tests: 5,
                failed: 2
            }]
        );
        assert_eq!(one(&results, "guideway::tidy planted::unfinished_work_is_caught"), Some(Outcome::Passed));
        assert_eq!(one(&results, "guideway::tidy it_breaks"), Some(Outcome::Failed));
        assert_eq!(
            one(&results, "guideway journal::tests::a_restart_brings_everything_back"),
            Some(Outcome::Passed)
        );
        assert_eq!(one(&results, "guideway later"), Some(Outcome::Skipped));
        assert_eq!(one(&results, "guideway::tidy it_break"), None, "a part of a name is another name");
        assert_eq!(one(&results, "guideway it_breaks"), None, "of another binary");
    }

    #[test]
    fn a_test_that_passed_only_when_it_was_tried_again_failed() {
        assert_eq!(one(&read(REPORT).unwrap(), "guideway::tidy now_and_then"), Some(Outcome::Failed));
    }

    #[test]
    fn a_star_stands_for_any_rest() {
        let results = read(REPORT).unwrap();
        let all: Vec<_> = results.matching("guideway::tidy *").collect();
        assert_eq!(all.len(), 3);
        assert_eq!(results.matching("guideway::tidy it_*").count(), 1);
        assert_eq!(results.matching("guideway::none *").count(), 0);
    }

    #[test]
    fn of_a_test_in_two_reports_the_worst_counts() {
        let failing = REPORT.replace(
            "<testcase name=\"journal::tests::a_restart_brings_everything_back\"/>",
            "<testcase name=\"journal::tests::a_restart_brings_everything_back\"><error/></testcase>",
        );
        for (first, second) in [(REPORT, failing.as_str()), (&failing, REPORT)] {
            let mut results = read(first).unwrap();
            results.add(&Source::new("more.xml", second)).unwrap();
            let named = "guideway journal::tests::a_restart_brings_everything_back";
            assert_eq!(one(&results, named), Some(Outcome::Failed));
            assert_eq!(results.runs().len(), 2);
        }
    }

    #[test]
    fn what_is_no_whole_report_is_refused_with_its_place() {
        let deep = format!("<testsuites>{}", "<testsuite name='a'>".repeat(40));
        let long = format!("<testsuite><testcase name='{}'/></testsuite>", "n".repeat(2_000));
        let cases = [
            ("", "junit.xml:1:1: no JUnit report is in it"),
            ("not xml", "no JUnit report"),
            ("<html>\n</html>", "junit.xml:1:1: a report begins with <testsuites>"),
            ("<testsuites>\n<testsuite name='a'>", "junit.xml:2:21: the report breaks off here"),
            ("<testsuites>\n <testcase name='a'/></testsuites>", "junit.xml:2:2: a <testcase> outside"),
            ("<testsuite>\n<testcase/></testsuite>", "junit.xml:2:1: a <testcase> without a name"),
            ("<testsuites></testsuites><testsuites/>", "nothing follows its end"),
            ("<testsuites></testsuite>", "not XML"),
            ("<testsuite name='&none;'/>", "name:"),
            (&deep, "elements nest more than 32 deep"),
            (&long, "name is longer than 1024 bytes"),
        ];
        for (text, wanted) in cases {
            let said = read(text).expect_err(text);
            assert!(said.contains(wanted), "{text}: {said}");
            assert!(said.contains("run the tests again"), "{said}");
        }
    }

    #[test]
    fn a_report_that_breaks_off_anywhere_is_refused_and_leaves_nothing() {
        let whole = REPORT.trim_end();
        for cut in (1..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
            let mut results = Results::default();
            let added = results.add(&Source::new("junit.xml", &whole[..cut]));
            assert!(added.is_err(), "cut at {cut}");
            assert!(results.runs().is_empty() && results.matching("guideway*").next().is_none());
        }
    }

    #[test]
    fn a_file_that_is_not_there_says_how_to_have_one() {
        let error = Results::default().add_file(Path::new("no/such/junit.xml")).unwrap_err().to_string();
        assert!(error.contains("no/such/junit.xml") && error.contains("--results"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = read(&text);
            let _ = read(&format!("<testsuites><testsuite name='a'>{text}</testsuite></testsuites>"));
        }
    }
}
