//! `path`: which data items an XPath selects.
//!
//! XPath 1.0 over the MTConnectDevices document. An element that is selected stands for every data
//! item in it. The expression comes from outside, so its length, its depth and the work of
//! evaluating it are bounded.

mod guard;
mod tree;

use std::collections::BTreeSet;

use guideway_contract::ItemIndex;
use xpath_eval::{
    EvaluationContext, Expr, FilterExpr, LocationPath, NodeTest, PathExpr, PrimaryExpr, Step, Value,
};

pub(super) use tree::Tree;

use crate::device_model::{DeviceIndex, DeviceModel};

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 4_096;

/// The data items that `expression` selects, at least one. With `device`, only that device's, and
/// an absolute path of child steps begins there.
pub(super) fn select(
    expression: &str,
    tree: &Tree,
    model: &DeviceModel,
    device: Option<DeviceIndex>,
) -> Result<BTreeSet<ItemIndex>, String> {
    if expression.len() > MAX_LENGTH {
        return Err(format!("the path is longer than {MAX_LENGTH} bytes"));
    }
    guard::check(expression)?;
    let mut parsed =
        xpath_eval::parse(expression).map_err(|error| format!("the path is not an XPath: {error}"))?;
    let standard = |prefix: &str| {
        matches!(prefix, "m" | "mt" | "mtc") && !model.namespaces().iter().any(|known| known.prefix == prefix)
    };
    Rewrite { standard: &standard, anchored: device.is_some() }.top(&mut parsed);

    let walk = tree.walk();
    // Prefixes are told apart as written, see `tree`.
    let namespaces = |prefix: &str| Some(prefix.to_owned());
    let mut context = EvaluationContext::new(walk.start(device));
    context.namespaces = Some(&namespaces);
    let value = xpath_eval::evaluate(&parsed, &context);
    if walk.exhausted() {
        return Err("the path takes too much work to evaluate; make it more specific".to_owned());
    }
    let nodes = match value {
        Ok(Value::NodeSet(nodes)) => nodes,
        Ok(_) => return Err("the path must select elements, not a number, text or truth".to_owned()),
        Err(error) => return Err(format!("the path cannot be evaluated: {error}")),
    };
    let mut items = BTreeSet::new();
    for node in nodes {
        tree.items_in(node.index(), model, &mut items);
    }
    items.retain(|index| {
        let item = model.item(*index);
        !item.retired && device.is_none_or(|device| item.device == device)
    });
    if items.is_empty() { Err("the path selects no data item".to_owned()) } else { Ok(items) }
}

/// Makes an expression fit the tree it is evaluated on.
struct Rewrite<'r> {
    /// Whether a prefix stands for the standard's own namespace, which is unprefixed in the tree.
    standard: &'r dyn Fn(&str) -> bool,
    /// Whether paths begin at a device.
    anchored: bool,
}

impl Rewrite<'_> {
    /// The expression as a whole: here, and in the arms of a union, `/Components/…` on a device's
    /// route means that device's components.
    fn top(&self, expression: &mut Expr) {
        match expression {
            Expr::Union(left, right) => {
                self.top(left);
                self.top(right);
            }
            Expr::Path(PathExpr::Filter(FilterExpr {
                primary: PrimaryExpr::Parenthesized(inner),
                predicates,
            })) => {
                self.top(inner);
                predicates.iter_mut().for_each(|predicate| self.expression(predicate));
            }
            Expr::Path(PathExpr::Location(path)) => {
                let at_child = path.steps.first().is_some_and(|step| {
                    step.axis == xpath_eval::Axis::Child
                        && !matches!(&step.node_test, NodeTest::QName(name) if name.local == "MTConnectDevices")
                });
                if self.anchored && path.is_absolute && at_child {
                    path.is_absolute = false;
                }
                self.location(path);
            }
            other => self.expression(other),
        }
    }

    fn expression(&self, expression: &mut Expr) {
        match expression {
            Expr::Or(left, right)
            | Expr::And(left, right)
            | Expr::Equality(left, _, right)
            | Expr::Relational(left, _, right)
            | Expr::Additive(left, _, right)
            | Expr::Multiplicative(left, _, right)
            | Expr::Union(left, right) => {
                self.expression(left);
                self.expression(right);
            }
            Expr::Negate(inner) => self.expression(inner),
            Expr::Path(PathExpr::Location(path)) => self.location(path),
            Expr::Path(PathExpr::Filter(filter)) => self.filter(filter),
            Expr::Path(PathExpr::FilterLocation(filter, path)) => {
                self.filter(filter);
                self.location(path);
            }
        }
    }

    fn filter(&self, filter: &mut FilterExpr) {
        match &mut filter.primary {
            PrimaryExpr::Parenthesized(inner) => self.expression(inner),
            PrimaryExpr::Function(call) => {
                call.args.iter_mut().for_each(|argument| self.expression(argument));
            }
            PrimaryExpr::Variable(_) | PrimaryExpr::Literal(_) | PrimaryExpr::Number(_) => {}
        }
        filter.predicates.iter_mut().for_each(|predicate| self.expression(predicate));
    }

    fn location(&self, path: &mut LocationPath) {
        for Step { node_test, predicates, .. } in &mut path.steps {
            match node_test {
                NodeTest::QName(name) if name.prefix.as_deref().is_some_and(self.standard) => {
                    name.prefix = None;
                }
                NodeTest::NamespaceWildcard(prefix) if (self.standard)(prefix) => {
                    *node_test = NodeTest::AnyName;
                }
                _ => {}
            }
            predicates.iter_mut().for_each(|predicate| self.expression(predicate));
        }
    }
}
