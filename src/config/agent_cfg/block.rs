//! A block whose keys are asked for one after the other; what nobody asked for is told at the end.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::syntax::{Content, Node};
use crate::config::finding::Findings;
use crate::config::source::Source;
use crate::config::suggest;

type Span = Range<usize>;

/// What is read, and what is wrong with it.
pub(super) struct Block<'a> {
    /// What the block is called in findings; empty at the top.
    label: String,
    nodes: &'a [Node],
    asked: Vec<bool>,
    names: Vec<&'static str>,
    source: &'a Arc<Source>,
    pub(super) span: Span,
}

impl<'a> Block<'a> {
    pub(super) fn new(label: String, nodes: &'a [Node], span: Span, source: &'a Arc<Source>) -> Self {
        Self { label, nodes, asked: vec![false; nodes.len()], names: Vec::new(), source, span }
    }

    /// A block inside, with the same file.
    pub(super) fn inner(&self, label: String, node: &'a Node) -> Block<'a> {
        let nodes: &[Node] = match &node.content {
            Content::Block(nodes) => nodes,
            Content::Value { .. } => &[],
        };
        Block::new(label, nodes, node.name_span.clone(), self.source)
    }

    /// All that is in it, for blocks whose names are the user's own. Values among them are told.
    pub(super) fn blocks(&mut self, findings: &mut Findings) -> Vec<&'a Node> {
        let mut blocks = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if self.asked[index] {
                continue;
            }
            self.asked[index] = true;
            match node.content {
                Content::Block(_) => blocks.push(node),
                Content::Value { .. } => {
                    let what = self.told(format!("`{}` stands where a block is expected", node.name));
                    let cure = format!("write `{} {{ … }}`", node.name);
                    findings.warning(self.source, node.name_span.clone(), what, cure);
                }
            }
        }
        blocks
    }

    /// Whether there is a key or block of just that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.nodes.iter().any(|node| node.name == name)
    }

    /// The node of that name. The reference agent reads only the very name; another letter case is
    /// taken too, and told. Of two the first counts.
    fn node(&mut self, name: &'static str, findings: &mut Findings) -> Option<&'a Node> {
        self.names.push(name);
        let exact = self.nodes.iter().position(|node| node.name == name);
        let any = || self.nodes.iter().position(|node| node.name.eq_ignore_ascii_case(name));
        let index = exact.or_else(any)?;
        let node = &self.nodes[index];
        if node.name != name && !self.asked[index] {
            let what = self.told(format!("`{}` is taken for `{name}`", node.name));
            let cure = format!("write `{name}`: the reference agent knows no other letter case");
            findings.warning(self.source, node.name_span.clone(), what, cure);
        }
        self.asked[index] = true;
        for (again, twice) in self.nodes.iter().enumerate().skip(index + 1) {
            if twice.name == name && !self.asked[again] {
                self.asked[again] = true;
                let what = self.told(format!("`{name}` is given twice; the first one counts"));
                findings.warning(self.source, twice.name_span.clone(), what, "take one of them away");
            }
        }
        Some(node)
    }

    /// The block of that name.
    pub(super) fn block(&mut self, name: &'static str, findings: &mut Findings) -> Option<Block<'a>> {
        let node = self.node(name, findings)?;
        if let Content::Value { .. } = node.content {
            let what = self.told(format!("`{name}` is a block"));
            findings.error(self.source, node.name_span.clone(), what, format!("write `{name} {{ … }}`"));
            return None;
        }
        Some(self.inner(name.to_owned(), node))
    }

    /// The text of that key.
    pub(super) fn text(&mut self, name: &'static str, findings: &mut Findings) -> Option<(&'a str, Span)> {
        let node = self.node(name, findings)?;
        match &node.content {
            Content::Value { text, span } => Some((text, span.clone())),
            Content::Block(_) => {
                let what = self.told(format!("`{name}` is a key, not a block"));
                findings.error(self.source, node.name_span.clone(), what, format!("write `{name} = …`"));
                None
            }
        }
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, name: &'static str, findings: &mut Findings) -> Option<(bool, Span)> {
        let (text, span) = self.text(name, findings)?;
        match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "y" | "t" | "on" | "1" => Some((true, span)),
            "no" | "false" | "n" | "f" | "off" | "0" => Some((false, span)),
            _ => {
                let what = format!("{name}: `{text}` is neither yes nor no");
                self.error(span, what, "write `true` or `false`", findings);
                None
            }
        }
    }

    /// A whole number in a range.
    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
        findings: &mut Findings,
    ) -> Option<(T, Span)> {
        let (text, span) = self.text(name, findings)?;
        let (least, most) = (range.start(), range.end());
        let cure = format!("write a number from {least} to {most}");
        match text.parse::<T>() {
            Ok(number) if range.contains(&number) => Some((number, span)),
            _ if text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit()) => {
                let what = format!("{name} {text} is out of range ({least}-{most})");
                self.error(span, what, cure, findings);
                None
            }
            _ => {
                self.error(span, format!("{name}: `{text}` is not a whole number"), cure, findings);
                None
            }
        }
    }

    /// A time: a bare number counts `unit`s; with a unit behind it, it means what it says.
    pub(super) fn duration(
        &mut self,
        name: &'static str,
        unit: Duration,
        findings: &mut Findings,
    ) -> Option<(Duration, Span)> {
        let (text, span) = self.text(name, findings)?;
        let bare = text.parse::<u32>().ok().map(|count| unit.saturating_mul(count));
        match bare.or_else(|| guideway_contract::duration::parse(text)) {
            Some(duration) => Some((duration, span)),
            None => {
                let unit = if unit == Duration::from_secs(1) { "seconds" } else { "milliseconds" };
                let what = format!("{name}: `{text}` is not a time");
                self.error(span, what, format!("write a number of {unit}"), findings);
                None
            }
        }
    }

    pub(super) fn error(
        &self,
        span: Span,
        what: impl Into<String>,
        cure: impl Into<String>,
        findings: &mut Findings,
    ) {
        findings.error(self.source, span, self.told(what.into()), cure);
    }

    pub(super) fn warning(
        &self,
        span: Span,
        what: impl Into<String>,
        cure: impl Into<String>,
        findings: &mut Findings,
    ) {
        findings.warning(self.source, span, self.told(what.into()), cure);
    }

    /// Tells what was not asked for: keys in `without_effect` with what happens instead, others as
    /// unknown.
    pub(super) fn finish(self, without_effect: &[(&'static str, &str)], findings: &mut Findings) {
        for (node, asked) in self.nodes.iter().zip(&self.asked) {
            if *asked {
                continue;
            }
            let known = without_effect.iter().find(|(name, _)| node.name.eq_ignore_ascii_case(name));
            let (what, cure) = match known {
                Some((name, instead)) => (format!("`{name}` has no effect"), (*instead).to_owned()),
                None => {
                    let known = without_effect.iter().map(|(name, _)| *name);
                    let known = self.names.iter().copied().chain(known);
                    let cure = suggest::nearest(&node.name, known)
                        .map(|nearest| format!("did you mean `{nearest}`?"))
                        .unwrap_or_default();
                    (format!("unknown key `{}`; it has no effect", node.name), cure)
                }
            };
            findings.warning(self.source, node.name_span.clone(), self.told(what), cure);
        }
    }

    fn told(&self, what: String) -> String {
        if self.label.is_empty() { what } else { format!("{}: {what}", self.label) }
    }
}
