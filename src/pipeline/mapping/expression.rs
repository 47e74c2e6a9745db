//! CEL expressions over a profile's points.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Program, Value};
use guideway_contract::Native;
use smol_str::SmolStr;

/// Longest text of an expression; what is longer is a program and belongs somewhere else.
pub const MOST_CHARACTERS: usize = 4_096;

/// The parser descends once for each bracket: what is nested deeper would exhaust the stack.
const DEEPEST: usize = 64;

/// Functions beside CEL's own.
const FUNCTIONS: [&str; 2] = ["bit", "number"];

/// The standard library; made once, for making it costs more than a thousand evaluations.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The values of a profile's parameters, as expressions see them: `params.NAME`.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(SmolStr, Native)>);

impl Parameters {
    /// Parameters in any order.
    pub fn new(values: Vec<(SmolStr, Native)>) -> Self {
        Self(values)
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Native> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn value(&self) -> Value {
        let map = self.0.iter().map(|(name, value)| (Key::from(name.as_str()), to_cel(value)));
        Value::Map(Map { map: Arc::new(map.collect()) })
    }
}

/// A compiled expression and the points it needs.
#[derive(Debug)]
pub struct Expression {
    program: Program,
    text: SmolStr,
    /// Names and places of the points that it mentions.
    inputs: Vec<(String, u32)>,
    parameters: Option<Value>,
}

impl Expression {
    /// Compiles `text`; `point` finds a point by its name.
    ///
    /// # Errors
    /// What is wrong: syntax, an unknown name.
    pub fn compile(
        text: &str,
        parameters: &Parameters,
        mut point: impl FnMut(&str) -> Option<u32>,
    ) -> Result<Self, String> {
        if text.len() > MOST_CHARACTERS {
            return Err(format!("an expression of more than {MOST_CHARACTERS} characters"));
        }
        if deepest(text) > DEEPEST {
            return Err(format!("an expression nested more than {DEEPEST} deep"));
        }
        let program = ENVIRONMENT.compile(text).map_err(|errors| {
            let first = errors.errors.first().map(|error| error.msg.clone());
            first.unwrap_or_else(|| "not a CEL expression".to_owned())
        })?;
        let (mut inputs, mut unknown, mut uses_parameters) = (Vec::new(), Vec::new(), false);
        let references = program.references();
        for name in references.variables() {
            if name == "params" {
                uses_parameters = true;
            } else if let Some(point) = point(name) {
                inputs.push((name.to_owned(), point));
            } else {
                unknown.push(format!("`{name}`"));
            }
        }
        if !unknown.is_empty() {
            unknown.sort();
            return Err(format!("there is no point {}", unknown.join(", ")));
        }
        inputs.sort_by_key(|(_, point)| *point);
        let parameters = uses_parameters.then(|| parameters.value());
        Ok(Self { program, text: text.into(), inputs, parameters })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The points it needs, in ascending order.
    pub fn inputs(&self) -> impl Iterator<Item = u32> + '_ {
        self.inputs.iter().map(|(_, point)| *point)
    }

    /// Its value with these values of points. `value` gives each of [`inputs`](Self::inputs).
    ///
    /// # Errors
    /// Why it cannot be computed.
    pub fn evaluate<'n>(&self, mut value: impl FnMut(u32) -> Option<&'n Native>) -> Result<Native, String> {
        let mut context = Context::with_env(ENVIRONMENT.clone());
        // The names are ours and not of the library: they cannot clash.
        let _ = context.add_function("bit", bit);
        let _ = context.add_function("number", number);
        if let Some(parameters) = &self.parameters {
            context.add_variable_from_value("params", parameters.clone());
        }
        for (name, point) in &self.inputs {
            let native = value(*point).ok_or_else(|| format!("`{name}` has no value yet"))?;
            if let Native::Bad(cause) = native {
                return Err(format!("`{name}`: {cause}"));
            }
            context.add_variable_from_value(name.as_str(), to_cel(native));
        }
        match self.program.execute(&context) {
            Ok(value) => from_cel(&value),
            Err(error) => Err(explain(&error)),
        }
    }
}

/// What CEL's message means to somebody who writes a profile.
fn explain(error: &ExecutionError) -> String {
    let text = error.to_string();
    match error {
        ExecutionError::UndeclaredReference(name) if !FUNCTIONS.contains(&name.as_str()) => {
            format!("there is no function `{name}`")
        }
        _ if text.contains("overload") || text.contains("nsupported") => {
            format!("{text}; CEL does not mix int and double: write double(x), int(x) or 2.0")
        }
        _ => text,
    }
}

/// How deep brackets, conditional and unary operators can nest.
fn deepest(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for sign in text.bytes() {
        match sign {
            b'(' | b'[' | b'{' | b'?' | b'!' | b'-' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// `bit(value, n)`: whether bit `n` of an integer, or of bytes, is set; bit 0 is the lowest (of the first byte).
fn bit(value: Value, number: i64) -> Result<bool, ExecutionError> {
    let fail = |what: &str| Err(ExecutionError::function_error("bit", what));
    let Ok(at) = u32::try_from(number) else { return fail("a bit's number is not negative") };
    match value {
        Value::Int(word) => Ok(at < 64 && word >> at & 1 == 1),
        Value::UInt(word) => Ok(at < 64 && word >> at & 1 == 1),
        Value::Bool(set) => Ok(at == 0 && set),
        Value::Bytes(bytes) => Ok(bytes.get(at as usize / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)),
        _ => fail("it takes an integer or bits, and the number of a bit"),
    }
}

/// `number(x)`: a double of anything that is or reads as a number.
#[expect(clippy::needless_pass_by_value, reason = "the library hands its arguments over")]
fn number(value: Value) -> Result<f64, ExecutionError> {
    let read = from_cel(&value).ok().and_then(|native| match &native {
        Native::Text(text) => super::value::number(text),
        other => other.number(),
    });
    read.ok_or_else(|| ExecutionError::function_error("number", "this is no number"))
}

fn to_cel(native: &Native) -> Value {
    match native {
        Native::Bad(_) | Native::Null => Value::Null,
        Native::Bool(set) => Value::Bool(*set),
        Native::Int(number) => Value::Int(*number),
        Native::UInt(number) => Value::UInt(*number),
        Native::Float(number) => Value::Float(*number),
        Native::Text(text) => Value::String(Arc::new(text.to_string())),
        Native::Bytes(bytes) => Value::Bytes(Arc::new(bytes.to_vec())),
        Native::List(values) => Value::List(Arc::new(values.iter().map(to_cel).collect())),
        Native::Record(fields) => {
            let map: HashMap<Key, Value> =
                fields.iter().map(|(name, value)| (Key::from(name.as_str()), to_cel(value))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}

fn from_cel(value: &Value) -> Result<Native, String> {
    Ok(match value {
        Value::Null => Native::Null,
        Value::Bool(set) => Native::Bool(*set),
        Value::Int(number) => Native::Int(*number),
        Value::UInt(number) => Native::unsigned(*number),
        Value::Float(number) => Native::Float(*number),
        Value::String(text) => Native::text(text),
        Value::Bytes(bytes) => Native::Bytes(bytes.as_slice().into()),
        Value::List(values) => {
            Native::List(values.iter().map(from_cel).collect::<Result<Vec<_>, _>>()?.into())
        }
        Value::Map(map) => {
            let field = |(key, value): (&Key, &Value)| Ok((SmolStr::new(key.to_string()), from_cel(value)?));
            let mut fields: Vec<(SmolStr, Native)> =
                map.map.iter().map(field).collect::<Result<_, String>>()?;
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Native::Record(fields.into())
        }
        other => return Err(format!("the result is {}, which no data item can hold", other.type_of())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(text: &str) -> Result<Expression, String> {
        let parameters =
            Parameters::new(vec![("ct".into(), Native::Float(40.0)), ("n".into(), Native::Int(3))]);
        let points = ["p", "q", "word", "list"];
        Expression::compile(text, &parameters, |name| {
            (0_u32..).zip(points).find(|(_, known)| *known == name).map(|(at, _)| at)
        })
    }

    fn evaluated(text: &str, values: &[Native]) -> Result<Native, String> {
        compiled(text)?.evaluate(|point| values.get(point as usize))
    }

    #[test]
    fn points_and_parameters_are_computed_with() {
        assert_eq!(evaluated("p * params.ct", &[Native::Float(2.5)]), Ok(Native::Float(100.0)));
        let two = [Native::Int(2)];
        assert_eq!(evaluated("double(p) * 2.0 + double(params.n)", &two), Ok(Native::Float(7.0)));
        let both = [Native::text("RUN"), Native::Bool(true)];
        let ran = evaluated(r#"p == "RUN" && q ? "ACTIVE" : "READY""#, &both);
        assert_eq!(ran, Ok(Native::text("ACTIVE")));
    }

    #[test]
    fn bits_and_fields_are_taken_out() {
        let [none, nothing] = [Native::Null, Native::Null];
        let word = [none.clone(), nothing.clone(), Native::Int(0b1000)];
        assert_eq!(evaluated("bit(word, 3)", &word), Ok(Native::Bool(true)));
        assert_eq!(evaluated("bit(word, 64) || bit(word, 2)", &word), Ok(Native::Bool(false)));
        let bytes = [none.clone(), nothing.clone(), Native::Bytes([0, 2].into())];
        assert_eq!(evaluated("bit(word, 9)", &bytes), Ok(Native::Bool(true)));
        let fields = [Native::text("PROGRAM"), Native::text("O0012"), Native::text("7.5")];
        let list = [none.clone(), nothing, none, Native::List(fields.into())];
        assert_eq!(evaluated("list[1]", &list), Ok(Native::text("O0012")));
        assert_eq!(evaluated("number(list[2])", &list), Ok(Native::Float(7.5)));
        assert!(evaluated("list[9]", &list).is_err());
    }

    #[test]
    fn what_is_wrong_with_an_expression_is_said_before_it_runs() {
        assert_eq!(compiled("p + nothing").unwrap_err(), "there is no point `nothing`");
        assert!(compiled("p +").is_err());
        assert!(compiled(&"(".repeat(10_000)).is_err());
        let nested = format!("{}p{}", "(".repeat(65), ")".repeat(65));
        assert!(compiled(&nested).unwrap_err().contains("64 deep"));
    }

    #[test]
    fn what_cannot_be_computed_says_why() {
        let values = [Native::Int(2), Native::bad("no such register")];
        assert!(evaluated("p * 2.5", &values).unwrap_err().contains("write double(x)"));
        assert_eq!(evaluated("q", &values).unwrap_err(), "`q`: no such register");
        assert_eq!(evaluated("word", &values).unwrap_err(), "`word` has no value yet");
        assert!(evaluated("p / 0", &values).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_compiler_or_the_evaluation_panic(
            text in "([pq]|list|word|params\\.ct|[0-9.]{1,3}|[-+*/%<>=!&|?:()\\[\\]{},.\"']|bit|size| ){0,24}"
        ) {
            let list = Native::List([Native::Null].into());
            let values = [Native::Int(-1), Native::Float(f64::NAN), Native::UInt(u64::MAX), list];
            let _ = evaluated(&text, &values);
        }
    }
}
