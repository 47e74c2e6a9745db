//! What the standard's vocabulary and the item's own constraints say of a value.
//!
//! Nothing is dropped here: a value outside is passed on and marked (attribute `quality`, >= 2.5).

use guideway_contract::{Shape, Validity, Value};

use super::shape;
use crate::device_model::vocabulary::{self, TypeFacts, ValueKind};
use crate::device_model::{Category, DataItem, Representation, SchemaVersion};

/// The checks of one data item.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    words: Words,
    /// The values that the constraints list; empty when they list none or one.
    listed: Vec<Value>,
    minimum: f64,
    maximum: f64,
}

/// Which texts an event may have.
#[derive(Clone, Debug)]
enum Words {
    /// Any.
    Free,
    /// Nobody knows: an extension type.
    Unknown,
    /// These.
    These(Box<[&'static str]>),
    /// Numbers, in a text because the item has no units.
    Numbers(&'static TypeFacts, SchemaVersion),
}

impl Checks {
    pub(super) fn new(item: &DataItem, version: SchemaVersion) -> Self {
        let listed = match item.constraints.values.as_slice() {
            [] | [_] => Vec::new(),
            values => values.iter().filter_map(|text| shape::constant(item.shape, text)).collect(),
        };
        Self {
            words: words(item, version),
            listed,
            minimum: item.constraints.minimum.unwrap_or(f64::NEG_INFINITY),
            maximum: item.constraints.maximum.unwrap_or(f64::INFINITY),
        }
    }

    /// Whether an empty text says nothing: where only certain words, or numbers, are allowed.
    pub(super) fn has_words(&self) -> bool {
        matches!(self.words, Words::These(_) | Words::Numbers(..)) || !self.listed.is_empty()
    }

    pub(super) fn validity(&self, value: &Value) -> Validity {
        let plain = value.plain();
        let fits = match plain {
            Value::Text(text) => match &self.words {
                Words::These(words) => words.contains(&text.as_str()),
                Words::Numbers(facts, version) => facts.allows(text, *version),
                Words::Free | Words::Unknown => true,
            },
            Value::Number(number) => (self.minimum..=self.maximum).contains(number),
            _ => return Validity::Valid,
        };
        if !fits || !(self.listed.is_empty() || self.listed.contains(plain)) {
            Validity::Invalid
        } else if matches!(self.words, Words::Unknown) {
            Validity::Unverifiable
        } else {
            Validity::Valid
        }
    }
}

fn words(item: &DataItem, version: SchemaVersion) -> Words {
    if item.category != Category::Event || item.representation != Representation::Value {
        return Words::Free;
    }
    let Some(facts) = vocabulary::data_item_type(&item.item_type) else { return Words::Unknown };
    match facts.value {
        _ if item.shape != Shape::Text => Words::Free,
        ValueKind::Text | ValueKind::Time => Words::Free,
        ValueKind::Words => {
            let allowed = |(word, since): &(&'static str, SchemaVersion)| {
                (!vocabulary::is_surely_missing(*since, version)).then_some(*word)
            };
            Words::These(facts.values.iter().filter_map(allowed).collect())
        }
        ValueKind::Integer | ValueKind::Float | ValueKind::ThreeSpace => Words::Numbers(facts, version),
    }
}
