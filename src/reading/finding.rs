//! What was found in a configuration, and how it is shown.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::Source;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It runs, though perhaps not as it was meant.
    Warning,
    /// It cannot run.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that was found: where, what, and how to mend it.
///
/// As text it is one line: `guideway.toml:12:8: error: what (cure)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty when nothing useful can be said.
    pub cure: String,
    source: Arc<Source>,
    span: Range<usize>,
}

impl Finding {
    /// A finding at `span` (bytes) of `source`.
    pub fn new(
        severity: Severity,
        source: &Arc<Source>,
        span: Range<usize>,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        let span = source.clip(span);
        Self { severity, what: what.into(), cure: cure.into(), source: Arc::clone(source), span }
    }

    /// The file it is in.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Line, from 1.
    pub fn line(&self) -> u32 {
        self.source.position(self.span.start).0
    }

    /// Column in characters, from 1.
    pub fn column(&self) -> u32 {
        self.source.position(self.span.start).1
    }

    /// The words it points at.
    pub fn words(&self) -> &str {
        &self.source.text()[self.span.clone()]
    }

    /// With the source line and a caret; several lines, no line feed at the end.
    pub fn render(&self, renderer: &Renderer) -> String {
        let path = self.path().display().to_string();
        let level = match self.severity {
            Severity::Warning => Level::WARNING,
            Severity::Error => Level::ERROR,
        };
        let mut group = Group::with_title(level.primary_title(self.what.as_str()));
        let text = self.source.text();
        if text.is_empty() {
            group = group.element(annotate_snippets::Origin::path(path.as_str()));
        } else {
            // Only the line itself is given to the renderer, so that a large file costs no more.
            let start = text[..self.span.start].rfind('\n').map_or(0, |at| at + 1);
            let end = text[self.span.end..].find(['\r', '\n']).map_or(text.len(), |at| self.span.end + at);
            let line = usize::try_from(self.line()).unwrap_or(1);
            group = group.element(
                Snippet::source(&text[start..end])
                    .line_start(line)
                    .path(path.as_str())
                    .annotation(AnnotationKind::Primary.span(self.span.start - start..self.span.end - start)),
            );
        }
        if !self.cure.is_empty() {
            group = group.element(Level::HELP.message(self.cure.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.span.start);
        write!(f, "{}:{line}:{column}: {}: {}", self.path().display(), self.severity, self.what)?;
        if !self.cure.is_empty() {
            write!(f, " ({})", self.cure)?;
        }
        Ok(())
    }
}

/// All that was found in a configuration and the files it names.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing keeps the gateway from running.
    pub fn is_ok(&self) -> bool {
        self.errors() == 0
    }

    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// How many findings are warnings.
    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }

    /// Every finding with its source line and caret, and a last line that counts them. `colour`
    /// adds terminal colours.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for finding in &self.findings {
            text.push_str(&finding.render(&renderer));
            text.push_str("\n\n");
        }
        text.push_str(&match (self.errors(), self.warnings()) {
            (0, 0) => "nothing to complain about".to_owned(),
            (errors, warnings) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
        });
        text.push('\n');
        text
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Findings of each severity that are told in full.
const MOST: usize = 500;

/// Where findings are put while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    told: Vec<Finding>,
    /// The first of each severity that is not told any more, and how many there are.
    untold: [Option<(Finding, usize)>; 2],
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        let same = self.told.iter().filter(|told| told.severity == finding.severity);
        if same.count() >= MOST {
            let untold = &mut self.untold[usize::from(finding.severity == Severity::Error)];
            untold.get_or_insert((finding, 0)).1 += 1;
        } else if !self.told.contains(&finding) {
            // One cause may be met on two ways; it is told once.
            self.told.push(finding);
        }
    }

    pub(crate) fn error(
        &mut self,
        source: &Arc<Source>,
        span: Range<usize>,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.push(Finding::new(Severity::Error, source, span, what, cure));
    }

    pub(crate) fn warning(
        &mut self,
        source: &Arc<Source>,
        span: Range<usize>,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.push(Finding::new(Severity::Warning, source, span, what, cure));
    }

    /// How many are errors.
    pub(crate) fn errors(&self) -> usize {
        let told = self.told.iter().filter(|finding| finding.severity == Severity::Error).count();
        told + self.untold[1].as_ref().map_or(0, |(_, count)| *count)
    }

    /// All findings, by file and place; the file that was read first comes first.
    pub(crate) fn sorted(self) -> Vec<Finding> {
        let mut findings = self.told;
        let mut files: Vec<Arc<Source>> = Vec::new();
        for finding in &findings {
            if !files.iter().any(|file| Arc::ptr_eq(file, &finding.source)) {
                files.push(Arc::clone(&finding.source));
            }
        }
        findings.sort_by_key(|finding| {
            let file = files.iter().position(|file| Arc::ptr_eq(file, &finding.source));
            (file, finding.span.start, finding.span.end)
        });
        for (mut finding, count) in self.untold.into_iter().flatten() {
            finding.what = format!("and {} of which this is the first", plural(count, "more finding"));
            finding.cure = "mend the others first".to_owned();
            findings.push(finding);
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_with_a_caret_and_the_cure() {
        let source = Arc::new(Source::new("g.toml", "[gateway]\nnmae = \"x\"\n"));
        let finding =
            Finding::new(Severity::Error, &source, 10..14, "unknown key `nmae`", "did you mean `name`?");
        assert_eq!(finding.to_string(), "g.toml:2:1: error: unknown key `nmae` (did you mean `name`?)");
        let shown = Report { findings: vec![finding] }.render(false);
        for part in ["error: unknown key `nmae`", "g.toml:2:1", "nmae = \"x\"", "^^^^", "1 error, 0 warnings"]
        {
            assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
        }
    }

    #[test]
    fn a_finding_without_a_place_or_at_the_end_can_be_shown() {
        for text in ["", "x", "x\n", "ä\r\n"] {
            let source = Arc::new(Source::new("g.toml", text));
            for span in [0..0, 0..99, 98..99, 1..1] {
                let finding = Finding::new(Severity::Error, &source, span, "what", "");
                assert!(Report { findings: vec![finding] }.render(true).contains("what"));
            }
        }
    }

    #[test]
    fn a_flood_of_findings_is_counted_and_not_told() {
        let text = "x\n".repeat(2_000);
        let source = Arc::new(Source::new("g.toml", text));
        let mut findings = Findings::default();
        for line in 0..2_000 {
            findings.error(&source, line * 2..line * 2 + 1, "what", "");
        }
        findings.warning(&source, 0..1, "a warning", "");
        assert_eq!(findings.errors(), 2_000);
        let told = findings.sorted();
        assert_eq!(told.len(), MOST + 2);
        assert!(told[MOST + 1].what.contains("1500 more findings"));
    }
}
