//! A profile's commands: what is wrong with them, and the definitions that control acts on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Access, Native, PointId, point_id};
use regex::Regex;
use smol_str::SmolStr;

use super::file::{self, Argument, Command, Item, ScalarType};
use super::{Identity, model};
use crate::control::definition::{ARGUMENTS, ITEMS, MOST_CHARACTERS};
use crate::control::{self, Definition, Kind, Risk};
use crate::pipeline::mapping::{Expression, Parameters};
use crate::reading::{Document, suggest};

/// How old the data may be that a command looks at, where it does not say.
const MAX_AGE: Duration = Duration::from_secs(10);
/// Writes of one command, and as many release steps.
const MOST_STEPS: usize = 64;
/// Arguments of one command.
const MOST_ARGUMENTS: usize = 64;
/// What data items of the device that tell of control are called; items may not have these keys.
pub(super) const RESERVED: [&str; 2] = ["command", "control"];

/// Compiles the commands of one profile.
pub(super) struct Compiler<'c, 'd> {
    pub(super) document: &'c mut Document<'d>,
    pub(super) identity: &'c Identity,
    pub(super) parameters: &'c Parameters,
    pub(super) points: &'c [SmolStr],
    pub(super) accesses: &'c [Access],
    pub(super) items: &'c [(SmolStr, Item)],
}

impl Compiler<'_, '_> {
    /// The command as control acts on it; what is wrong goes into the document's findings, and `None` comes back.
    pub(super) fn command(&mut self, key: &str, command: &Command) -> Option<Arc<Definition>> {
        let before = self.document.findings.errors();
        if !model::is_token(key) {
            self.error(key, "", "this cannot be a command's name", "write letters, digits, `_`, `-` and `.`");
        }
        if command.args.len() > MOST_ARGUMENTS {
            self.error(
                key,
                "args",
                &format!("more than {MOST_ARGUMENTS} arguments"),
                "make several commands of it",
            );
        }
        let arguments =
            command.args.iter().map(|(name, argument)| self.argument(key, name, argument)).collect();
        let mut items = BTreeMap::new();
        let require = command.require.as_ref();
        let require = require.and_then(|text| self.expression(key, "require", text, command, &mut items));
        if command.write.is_empty() {
            self.error(key, "write", "nothing is written", "add `write = [{ point = …, value = … }]`");
        }
        for (field, steps) in [("write", &command.write), ("finally", &command.finally)] {
            if steps.len() > MOST_STEPS {
                self.error(
                    key,
                    field,
                    &format!("more than {MOST_STEPS} steps"),
                    "make several commands of it",
                );
            }
        }
        let writes = self.steps(key, "write", &command.write, command, &mut items);
        let release = self.steps(key, "finally", &command.finally, command, &mut items);
        let verify = command.verify.as_ref().and_then(|verify| self.verify(key, verify, command, &mut items));
        let bound = command.bind.as_ref().and_then(|item| self.bind(key, item, command));
        (self.document.findings.errors() == before).then(|| {
            Arc::new(Definition {
                name: key.into(),
                about: command.about.clone(),
                risk: match command.risk {
                    file::Risk::Setpoint => Risk::Setpoint,
                    file::Risk::Program => Risk::Program,
                    file::Risk::Motion => Risk::Motion,
                },
                arguments,
                require,
                items: items.into_iter().collect(),
                max_age: command.max_age.unwrap_or(MAX_AGE),
                writes,
                verify,
                release,
                bound,
            })
        })
    }

    fn error(&mut self, key: &str, field: &str, what: &str, cure: impl Into<String>) {
        let place =
            if field.is_empty() { format!("commands.{key}") } else { format!("commands.{key}.{field}") };
        let span = self.document.places.of(&place);
        self.document.error(span, format!("command {key:?}: {what}"), cure);
    }

    fn argument(&mut self, key: &str, name: &str, argument: &Argument) -> control::Argument {
        let field = format!("args.{name}");
        let pattern = argument.pattern.as_ref().and_then(|pattern| {
            let whole = Regex::new(pattern).and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z")));
            whole
                .map_err(|error| {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    let what = format!("the pattern of `{name}` is none: {last}");
                    self.error(
                        key,
                        &field,
                        &what,
                        "write a regular expression without look-around and back-references",
                    );
                })
                .ok()
        });
        if let (Some(min), Some(max)) = (argument.min, argument.max)
            && min > max
        {
            self.error(key, &field, &format!("`{name}`: min {min} is above max {max}"), "swap them");
        }
        let is_number = matches!(argument.kind, ScalarType::Int | ScalarType::Float);
        if !is_number && (argument.min.is_some() || argument.max.is_some()) {
            self.error(
                key,
                &field,
                &format!("`{name}` is no number and has no min and max"),
                "take them out",
            );
        }
        if argument.kind != ScalarType::String && (argument.max_len.is_some() || argument.pattern.is_some()) {
            self.error(
                key,
                &field,
                &format!("`{name}` is no string and has no max_len and pattern"),
                "take them out",
            );
        }
        let kind = match argument.kind {
            ScalarType::Int => Kind::Int,
            ScalarType::Float => Kind::Float,
            ScalarType::Bool => Kind::Bool,
            ScalarType::String => Kind::Text,
        };
        let mut one_of = Vec::new();
        for value in &argument.one_of {
            let value = value.native();
            match (kind, value) {
                (Kind::Float, Native::Int(number)) => {
                    #[expect(clippy::cast_precision_loss, reason = "written by hand")]
                    one_of.push(Native::Float(number as f64));
                }
                (Kind::Int, value @ Native::Int(_))
                | (Kind::Float, value @ Native::Float(_))
                | (Kind::Bool, value @ Native::Bool(_))
                | (Kind::Text, value @ Native::Text(_)) => one_of.push(value),
                (kind, value) => {
                    let what = format!("`{name}`: {value} in one_of is no {}", kind.as_str());
                    self.error(key, &field, &what, "write values of the argument's type");
                }
            }
        }
        control::Argument {
            name: name.into(),
            kind,
            min: argument.min,
            max: argument.max,
            max_len: argument.max_len.unwrap_or(MOST_CHARACTERS).min(MOST_CHARACTERS),
            pattern,
            one_of,
            units: argument.units.clone(),
            about: argument.about.clone(),
        }
    }

    fn steps(
        &mut self,
        key: &str,
        field: &str,
        steps: &[file::Step],
        command: &Command,
        items: &mut BTreeMap<SmolStr, SmolStr>,
    ) -> Vec<control::Step> {
        let mut compiled = Vec::new();
        for step in steps {
            let point = self.point(key, field, &step.point, Access::writes, "access = \"w\" or \"rw\"");
            let value = self.expression(key, field, &step.value, command, items);
            compiled.extend(point.zip(value).map(|(point, value)| control::Step { point, value }));
        }
        compiled
    }

    fn verify(
        &mut self,
        key: &str,
        verify: &file::Verify,
        command: &Command,
        items: &mut BTreeMap<SmolStr, SmolStr>,
    ) -> Option<control::Verify> {
        let point = self.point(key, "verify", &verify.point, Access::reads, "access = \"r\" or \"rw\"");
        let equals = self.expression(key, "verify", &verify.equals, command, items);
        let refused = match &verify.refused {
            Some(text) => Some(self.expression(key, "verify", text, command, items)?),
            None => None,
        };
        if refused.as_ref().is_some_and(|refused| refused.inputs().any(|input| input == ITEMS)) {
            let what = "`refused` looks at what the machine answers: at points and `args`, not at items";
            self.error(key, "verify", what, "name the point that the item is made of");
        }
        if !verify.tolerance.is_finite() || verify.tolerance < 0.0 {
            self.error(key, "verify", "the tolerance is no distance", "write a number from 0");
        }
        if verify.within.is_zero() || verify.within > Duration::from_secs(3_600) {
            let what = "`within` is at least 1ms and at most 1h";
            self.error(key, "verify", what, "write for example `within = \"5s\"`");
        }
        // A point that was written shows what was written: it is no answer.
        let is_written = command.write.iter().any(|step| step.point == verify.point);
        Some(control::Verify {
            point: point?,
            equals: equals?,
            within: verify.within,
            tolerance: verify.tolerance,
            standing: verify.standing || is_written,
            refused,
        })
    }

    fn bind(&mut self, key: &str, item: &SmolStr, command: &Command) -> Option<SmolStr> {
        if command.args.len() != 1 {
            self.error(
                key,
                "bind",
                "a variable is one value",
                "a command that is bound has exactly one argument",
            );
        }
        if self.items.iter().any(|(known, _)| known == item) {
            return Some(model::item_id(self.identity, item));
        }
        let cure = suggest::cure(item, self.items.iter().map(|(known, _)| known.as_str()));
        self.error(key, "bind", &format!("there is no item `{item}`"), cure);
        None
    }

    fn point(
        &mut self,
        key: &str,
        field: &str,
        name: &SmolStr,
        suits: impl Fn(Access) -> bool,
        cure: &str,
    ) -> Option<PointId> {
        match self.points.iter().position(|known| known == name) {
            Some(at) if self.accesses.get(at).is_some_and(|access| suits(*access)) => Some(point_id(at)),
            Some(_) => {
                let what = format!("the point `{name}` does not allow it");
                self.error(key, field, &what, format!("give it {cure}"));
                None
            }
            None => {
                let cure = suggest::cure(name, self.points.iter().map(SmolStr::as_str).collect::<Vec<_>>());
                self.error(key, field, &format!("there is no point `{name}`"), cure);
                None
            }
        }
    }

    /// `args` and `item` stand for what is known only when the command is asked for.
    fn expression(
        &mut self,
        key: &str,
        field: &str,
        text: &str,
        command: &Command,
        items: &mut BTreeMap<SmolStr, SmolStr>,
    ) -> Option<Arc<Expression>> {
        let points = self.points;
        let known = |name: &str| match name {
            "args" => Some(ARGUMENTS),
            "item" => Some(ITEMS),
            name => (0_u32..).zip(points).find(|(_, known)| *known == name).map(|(index, _)| index),
        };
        let compiled = match Expression::compile(text, self.parameters, known) {
            Ok(compiled) => compiled,
            Err(what) => {
                let cure = "known are the points, `args.NAME`, `item.KEY` and `params.NAME`";
                self.error(key, field, &format!("{field}: {what} in `{text}`"), cure);
                return None;
            }
        };
        for point in compiled.inputs().filter(|point| *point < ITEMS) {
            let (name, access) = (&self.points[point as usize], self.accesses.get(point as usize));
            if !access.is_some_and(|access| access.reads()) {
                let what = format!("`{text}` needs the point `{name}`, which is not read");
                self.error(key, field, &what, "give it access = \"rw\"");
            }
        }
        for name in mentioned(text, "args.") {
            if !command.args.contains_key(&name) {
                let cure = suggest::cure(&name, command.args.keys().map(SmolStr::as_str));
                self.error(key, field, &format!("there is no argument `{name}`"), cure);
            }
        }
        for name in mentioned(text, "item.") {
            if self.items.iter().any(|(known, _)| *known == name) {
                let id = model::item_id(self.identity, &name);
                items.insert(name, id);
            } else {
                let cure = suggest::cure(&name, self.items.iter().map(|(known, _)| known.as_str()));
                self.error(key, field, &format!("there is no item `{name}`"), cure);
            }
        }
        Some(Arc::new(compiled))
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
pub(super) fn sample(parameter: &file::Parameter) -> Native {
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
