//! Texts with expressions in braces: `Alarm {alarm}: see page {alarm / 100}`.

use guideway_contract::Native;
use smol_str::SmolStr;

use super::{Expression, Parameters, value};

/// A text whose `{expressions}` are filled in; `{{` and `}}` stand for braces.
#[derive(Debug, Default)]
pub struct Template {
    parts: Vec<(String, Option<Expression>)>,
}

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// As [`Expression::compile`]; a brace that is not closed.
    pub fn compile(
        text: &str,
        parameters: &Parameters,
        mut point: impl FnMut(&str) -> Option<u32>,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(behind) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = behind;
            } else if brace == "{" {
                let (inner, behind) =
                    after.split_once('}').ok_or("`{` is not closed; write `{{` for a brace")?;
                let expression = Expression::compile(inner, parameters, &mut point)?;
                parts.push((std::mem::take(&mut literal), Some(expression)));
                rest = behind;
            } else {
                return Err("`}` closes nothing; write `}}` for a brace".to_owned());
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push((literal, None));
        }
        Ok(Self { parts })
    }

    /// The points it needs.
    pub fn inputs(&self) -> impl Iterator<Item = u32> + '_ {
        self.parts.iter().filter_map(|(_, expression)| expression.as_ref()).flat_map(Expression::inputs)
    }

    /// The text, filled in; `?` stands where an expression cannot be computed.
    pub(super) fn fill<'n>(&self, mut value_of: impl FnMut(u32) -> Option<&'n Native>) -> SmolStr {
        let mut text = String::new();
        for (literal, expression) in &self.parts {
            text.push_str(literal);
            if let Some(expression) = expression {
                let filled = expression.evaluate(&mut value_of);
                text.push_str(&filled.map_or("?".into(), |native| value::text(&native)));
            }
        }
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<SmolStr, String> {
        let template =
            Template::compile(text, &Parameters::default(), |name| (name == "alarm").then_some(0))?;
        let alarm = Native::Int(1_207);
        Ok(template.fill(|_| Some(&alarm)))
    }

    #[test]
    fn expressions_in_braces_are_filled_in() {
        assert_eq!(filled("Alarm {alarm}: page {alarm / 100}"), Ok("Alarm 1207: page 12".into()));
        assert_eq!(filled("no braces"), Ok("no braces".into()));
        assert_eq!(filled("{{alarm}} {alarm / 0}"), Ok("{alarm} ?".into()));
        assert!(filled("{alarm").is_err() && filled("alarm}").is_err() && filled("{nothing}").is_err());
    }
}
