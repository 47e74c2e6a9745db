//! No text makes the compiler of a profile's expressions panic or exhaust the stack, and whatever compiles has a value
//! or a reason why not, with points of every type.
#![no_main]

use guideway::pipeline::mapping::{Expression, Parameters};
use guideway_contract::Native;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let points = [
        ("b", Native::Bool(true)),
        ("i", Native::Int(-7)),
        ("f", Native::Float(f64::NAN)),
        ("s", Native::Text("Größe".into())),
        ("l", Native::List([Native::Int(i64::MAX), Native::Float(0.5)].into())),
        ("m", Native::Int(i64::MIN)),
        ("x", Native::bad("the machine does not say")),
    ];
    let parameters = Parameters::new(vec![("p".into(), Native::Int(3))]);
    let find = |name: &str| points.iter().position(|(known, _)| *known == name).map(|at| at as u32);
    match Expression::compile(text, &parameters, find) {
        Ok(expression) => {
            assert!(expression.inputs().is_sorted());
            if let Err(error) =
                expression.evaluate(|point| points.get(point as usize).map(|(_, value)| value))
            {
                assert!(!error.is_empty());
            }
        }
        Err(error) => assert!(!error.is_empty()),
    }
});
