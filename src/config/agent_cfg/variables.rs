//! `$NAME` in values: a key that stands before it in the same block or in one around it, else the
//! environment. What neither knows stays as it is written, as with the reference agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::syntax::{Content, Node};
use crate::config::expand::{environment, expand};
use crate::config::finding::Findings;
use crate::config::source::Source;

/// A value may grow no longer than this, in bytes: values that name values double each time.
const MOST_BYTES: usize = 64 << 10;

/// Puts variables into every value.
pub(super) fn put_in(nodes: &mut [Node], source: &Arc<Source>, findings: &mut Findings) {
    level(nodes, &mut Vec::new(), source, findings);
}

type Scope = BTreeMap<String, String>;

fn level(nodes: &mut [Node], scopes: &mut Vec<Scope>, source: &Arc<Source>, findings: &mut Findings) {
    scopes.push(Scope::new());
    for node in nodes {
        match &mut node.content {
            Content::Block(nodes) => level(nodes, scopes, source, findings),
            Content::Value { text, span } => {
                if text.contains('$') {
                    let mut room = MOST_BYTES.saturating_sub(text.len());
                    let mut cut = false;
                    let (expanded, unknown) = expand(text, false, |name| {
                        let key = scopes.iter().rev().find_map(|scope| scope.get(name).cloned());
                        let value = key.or_else(|| environment(name))?;
                        cut |= value.len() > room;
                        room = room.saturating_sub(value.len());
                        Some(if cut { String::new() } else { value })
                    });
                    for name in unknown {
                        let what = format!("neither the file nor the environment knows `{name}`");
                        let cure = format!("set {name}; until then `${name}` is taken as it is written");
                        findings.warning(source, span.clone(), what, cure);
                    }
                    if cut {
                        let what = "this value grows too long with its variables";
                        findings.error(source, span.clone(), what, "write it out");
                    }
                    *text = expanded;
                }
                if let Some(scope) = scopes.last_mut() {
                    scope.insert(node.name.clone(), text.clone());
                }
            }
        }
    }
    scopes.pop();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::agent_cfg::syntax;

    fn values(text: &str) -> (Vec<String>, usize) {
        let (mut nodes, _) = syntax::parse(text);
        let mut findings = Findings::default();
        put_in(&mut nodes, &Arc::new(Source::new("a.cfg", text)), &mut findings);
        fn all(nodes: &[Node], into: &mut Vec<String>) {
            for node in nodes {
                match &node.content {
                    Content::Value { text, .. } => into.push(text.clone()),
                    Content::Block(nodes) => all(nodes, into),
                }
            }
        }
        let mut into = Vec::new();
        all(&nodes, &mut into);
        (into, findings.sorted().len())
    }

    #[test]
    fn a_value_may_name_a_key_before_it_or_around_it() {
        let (values, findings) = values("Dir = /etc\nA { Sub = $Dir/x\nB { C = ${Sub}/y } }\nD = $Sub\n");
        assert_eq!(values, ["/etc", "/etc/x", "/etc/x/y", "$Sub"]);
        assert_eq!(findings, 1);
    }

    #[test]
    fn values_that_double_are_stopped() {
        let mut text = "A0 = 0123456789\n".to_owned();
        for step in 1..60 {
            text.push_str(&format!("A{step} = $A{0}$A{0}\n", step - 1));
        }
        let (values, findings) = values(&text);
        assert!(findings > 0);
        assert!(values.iter().all(|value| value.len() <= 2 * MOST_BYTES));
    }
}
