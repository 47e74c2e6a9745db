//! A profile's commands: what is wrong with them. Control acts on them.

use guideway_contract::Native;
use smol_str::SmolStr;

use super::file::{Argument, Command, Item};
use crate::pipeline::mapping::{Expression, Parameters};
use crate::protocols::Settings;
use crate::reading::{Document, suggest};

/// Puts what is wrong with a command into the document's findings.
pub(super) fn check(
    document: &mut Document<'_>,
    key: &str,
    command: &Command,
    parameters: &Parameters,
    points: &[SmolStr],
    settings: &dyn Settings,
    items: &[(SmolStr, Item)],
) {
    let mut check = Check { document, key, parameters, points };
    for (name, argument) in &command.args {
        check.argument(name, argument);
    }
    if let Some(require) = &command.require {
        check.expression("require", require, command);
        for name in mentioned(require, "item.") {
            if !items.iter().any(|(known, _)| *known == name) {
                let cure =
                    suggest::cure(&name, items.iter().map(|(known, _)| known.as_str()).collect::<Vec<_>>());
                check.error("require", &format!("there is no item `{name}`"), cure);
            }
        }
    }
    if command.write.is_empty() {
        check.error("write", "nothing is written", "add `write = [{ point = …, value = … }]`");
    }
    let access = settings.accesses();
    for (field, steps) in [("write", &command.write), ("finally", &command.finally)] {
        for step in steps {
            check.point(field, &step.point, &access, |access| access.writes(), "access = \"w\" or \"rw\"");
            check.expression(field, &step.value, command);
        }
    }
    if let Some(verify) = &command.verify {
        check.point("verify", &verify.point, &access, |access| access.reads(), "access = \"r\" or \"rw\"");
        check.expression("verify", &verify.equals, command);
    }
}

struct Check<'c, 'd> {
    document: &'c mut Document<'d>,
    key: &'c str,
    parameters: &'c Parameters,
    points: &'c [SmolStr],
}

impl Check<'_, '_> {
    fn error(&mut self, field: &str, what: &str, cure: impl Into<String>) {
        let span = self.document.places.of(&format!("commands.{}.{field}", self.key));
        self.document.error(span, format!("command {:?}: {what}", self.key), cure);
    }

    fn argument(&mut self, name: &str, argument: &Argument) {
        let field = format!("args.{name}");
        if let Some(pattern) = &argument.pattern
            && let Err(error) = regex::Regex::new(pattern)
        {
            let first = error.to_string();
            self.error(
                &field,
                &format!("the pattern of `{name}` is none: {}", first.lines().last().unwrap_or("")),
                "",
            );
        }
        if let (Some(min), Some(max)) = (argument.min, argument.max)
            && min > max
        {
            self.error(&field, &format!("`{name}`: min {min} is above max {max}"), "swap them");
        }
    }

    fn point(
        &mut self,
        field: &str,
        name: &SmolStr,
        access: &[guideway_contract::Access],
        suits: impl Fn(guideway_contract::Access) -> bool,
        cure: &str,
    ) {
        match self.points.iter().position(|known| known == name) {
            Some(at) if access.get(at).is_some_and(|access| suits(*access)) => {}
            Some(_) => {
                self.error(
                    field,
                    &format!("the point `{name}` does not allow it"),
                    format!("give it {cure}"),
                );
            }
            None => {
                let cure = suggest::cure(name, self.points.iter().map(SmolStr::as_str).collect::<Vec<_>>());
                self.error(field, &format!("there is no point `{name}`"), cure);
            }
        }
    }

    /// `args` and `item` stand for what is known only when the command is asked for.
    fn expression(&mut self, field: &str, text: &str, command: &Command) {
        let points = self.points;
        let known = |name: &str| match name {
            "args" | "item" => Some(u32::MAX),
            name => (0_u32..).zip(points).find(|(_, known)| *known == name).map(|(index, _)| index),
        };
        if let Err(what) = Expression::compile(text, self.parameters, known) {
            return self.error(field, &format!("{field}: {what} in `{text}`"), "");
        }
        for name in mentioned(text, "args.") {
            if !command.args.contains_key(&name) {
                let cure = suggest::cure(&name, command.args.keys().map(SmolStr::as_str));
                self.error(field, &format!("there is no argument `{name}`"), cure);
            }
        }
    }
}

/// The names that follow `prefix` in an expression.
fn mentioned(text: &str, prefix: &str) -> Vec<SmolStr> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let is_whole = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if is_whole && end > 0 {
            names.push(SmolStr::new(&rest[..end]));
        }
    }
    names
}

/// A value of a parameter's kind, for looking at a profile that no machine uses yet.
pub(super) fn sample(parameter: &super::file::Parameter) -> Native {
    use super::file::ScalarType;
    let least = parameter.min.filter(|min| min.is_finite()).unwrap_or(1.0);
    match parameter.kind {
        #[expect(clippy::cast_possible_truncation, reason = "a bound of whole numbers")]
        ScalarType::Int => Native::Int(least as i64),
        ScalarType::Float => Native::Float(least),
        ScalarType::Bool => Native::Bool(false),
        ScalarType::String => Native::text("x"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_a_prefix_are_found_and_others_are_not() {
        assert_eq!(mentioned("item.exec == 'A' && xitem.no > item.b2", "item."), ["exec", "b2"]);
        assert_eq!(mentioned("args", "args."), [""; 0]);
    }
}
