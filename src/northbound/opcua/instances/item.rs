//! Data items.

use std::sync::Arc;

use guideway_contract::Shape as ModelShape;
use opcua_types::{
    DataTypeId, ExtensionObject, LocalizedText, NodeId, Range, ReferenceTypeId, UAString, VariableTypeId,
    Variant, VariantScalarTypeId,
};
use smol_str::{SmolStr, format_smolstr};

use super::builder::{Builder, forward, inverse, strings};
use super::names::{Candidate, Scope, attributes, distinct, local, pascal, property, type_name};
use super::node::{Held, Kind, Link, Node};
use super::units::engineering_units;
use crate::device_model::{Category, Component, DataItem, Element, Representation, vocabulary};
use crate::northbound::opcua::binding::{Binding, Bindings, Shape};

/// Child elements with a place of their own.
const PLACED: [&str; 5] = ["Source", "Constraints", "Filters", "InitialValue", "ResetTrigger"];

/// Properties that are not made of attributes, and so are nobody else's names.
const RESERVED: [&str; 18] = [
    "Category",
    "Constraints",
    "Duration",
    "EngineeringUnits",
    "EnumStrings",
    "EURange",
    "Filters",
    "InitialValue",
    "MinimumDeltaFilter",
    "PeriodFilter",
    "ResetTrigger",
    "ResetTriggeredReason",
    "SampleRate",
    "SignificantDigits",
    "Source",
    "SourceData",
    "Units",
    "ValueAsText",
];

/// What the companion specification makes of a data item.
struct Form {
    type_definition: NodeId,
    /// `None` for a condition, which is an object.
    data_type: Option<NodeId>,
    rank: i32,
    kind: FormKind,
}

enum FormKind {
    Vocabulary(Arc<[SmolStr]>),
    Other(Shape),
}

impl<'m> Builder<'m> {
    /// All data items of a component that are shown.
    pub(super) fn items(
        &mut self,
        component: &'m Component,
        parent: &NodeId,
        notifiers: &Arc<[NodeId]>,
        bindings: &mut Bindings,
    ) {
        let model = self.model;
        let items: Vec<&'m DataItem> =
            component.items.iter().map(|index| model.item(*index)).filter(|item| !item.retired).collect();
        let candidates: Vec<Candidate<'_>> = items
            .iter()
            .map(|item| Candidate {
                base: self.base_name(item),
                name: &item.name,
                id: &item.id,
                is_always_named: false,
            })
            .collect();
        for (item, name) in items.iter().zip(distinct(&candidates)) {
            let binding = self.item(item, name, parent, notifiers);
            if let (Some(binding), Some(slot)) = (binding, bindings.0.get_mut(item.index.index())) {
                *slot = Some(Arc::new(binding));
            }
        }
    }

    /// Statistic, composition, sub-type, type and representation in PascalCase, and `Condition`.
    fn base_name(&self, item: &DataItem) -> SmolStr {
        let element = self.elements.get(item.id.as_str());
        let composition = self.elements.get(item.composition_id.as_str());
        let composition = composition.and_then(|composition| composition.attribute("type"));
        let representation = element.and_then(|element| element.attribute("representation"));
        let representation =
            representation.map(str::trim).filter(|representation| *representation != "VALUE");
        let parts = [
            local(&item.statistic),
            local(composition.unwrap_or_default()),
            local(&item.sub_type),
            local(&item.item_type),
            representation.unwrap_or_default(),
        ];
        let mut name: String = parts.into_iter().map(pascal).map(String::from).collect();
        if item.category == Category::Condition {
            name.push_str("Condition");
        }
        name.into()
    }

    fn item(
        &mut self,
        item: &'m DataItem,
        name: SmolStr,
        parent: &NodeId,
        notifiers: &Arc<[NodeId]>,
    ) -> Option<Binding> {
        let id = self.ids.get(item.id.as_str())?.clone();
        let element = self.elements.get(item.id.as_str()).copied()?;
        let form = self.form(item);
        let kind = match form.data_type.clone() {
            None => Kind::Object { notifies: false },
            Some(data_type) => Kind::Variable { data_type, rank: form.rank, value: Held::Item },
        };
        let links = self.item_links(item, &id, parent);
        self.nodes.push(Node {
            id: id.clone(),
            name: (self.machines, name.clone()),
            type_definition: form.type_definition.clone(),
            kind,
            links,
        });
        let type_name = type_name(&item.item_type);
        let sub_type_name = type_name_or_empty(&item.sub_type);
        let mut scope = Scope::reserving(&RESERVED);
        for (name, text) in [("MTTypeName", &type_name), ("XmlId", &item.id)] {
            self.mandatory(&id, &scope.free(name), text);
        }
        for (name, text) in [("MTSubTypeName", &sub_type_name), ("Name", &item.name)] {
            self.text(&id, &scope.free(name), text);
        }
        let category = match item.category {
            Category::Sample => "SAMPLE",
            Category::Event => "EVENT",
            Category::Condition => "CONDITION",
        };
        self.choice(&id, "Category", "MTCategoryType", category);
        self.item_attributes(item, element, &id, &mut scope);
        self.measures(
            item,
            &id,
            form.data_type.is_some(),
            matches!(form.kind, FormKind::Other(Shape::ThreeSpace)),
        );
        self.bounds(item, &id);
        let duration = (!item.statistic.is_empty())
            .then(|| self.property(&id, "Duration", DataTypeId::Duration, Held::Live));
        let reset_reason = (!item.reset_trigger.is_empty()).then(|| {
            self.choice(&id, "ResetTrigger", "MTResetTriggerType", &item.reset_trigger);
            let data_type = self.companion("MTResetTriggerType");
            self.property(&id, "ResetTriggeredReason", data_type, Held::Live)
        });
        self.children(&id, element, &mut scope, &PLACED);
        let shape = match form.kind {
            FormKind::Other(shape) => shape,
            FormKind::Vocabulary(words) => {
                let texts =
                    words.iter().map(|word| Variant::from(LocalizedText::new("", word))).collect::<Vec<_>>();
                let texts = Variant::from((VariantScalarTypeId::LocalizedText, texts));
                self.property_in(0, &id, "EnumStrings", DataTypeId::LocalizedText, Held::Fixed(texts));
                let as_text = self.property(&id, "ValueAsText", DataTypeId::String, Held::Live);
                Shape::Vocabulary { words, as_text }
            }
        };
        Some(Binding {
            node: id,
            device: notifiers.last()?.clone(),
            notifiers: notifiers.clone(),
            source_name: name,
            data_item_id: item.id.clone(),
            type_name,
            sub_type_name,
            shape,
            duration,
            reset_reason,
            extra: Vec::new(),
        })
    }

    fn form(&self, item: &DataItem) -> Form {
        let variable = |type_definition: &str, data_type: NodeId, shape: Shape| Form {
            type_definition: self.companion(type_definition),
            data_type: Some(data_type),
            rank: -1,
            kind: FormKind::Other(shape),
        };
        // No type of the companion specification can hold sets, so these are plain data variables.
        let pairs = |shape: Shape| Form {
            type_definition: VariableTypeId::BaseDataVariableType.into(),
            data_type: Some(DataTypeId::KeyValuePair.into()),
            rank: 1,
            kind: FormKind::Other(shape),
        };
        let double: NodeId = DataTypeId::Double.into();
        let number = if item.category == Category::Sample { "MTSampleType" } else { "MTNumericEventType" };
        match item.shape {
            ModelShape::Condition => Form {
                type_definition: self.companion("MTConditionType"),
                data_type: None,
                rank: -1,
                kind: FormKind::Other(Shape::Condition),
            },
            ModelShape::DataSet => pairs(Shape::DataSet),
            ModelShape::Table => pairs(Shape::Table),
            ModelShape::TimeSeries => variable(number, double, Shape::TimeSeries { rate: item.sample_rate }),
            ModelShape::Vector3 => {
                let data_type = self.companion("ThreeSpaceSampleDataType");
                variable("MTThreeSpaceSampleType", data_type, Shape::ThreeSpace)
            }
            ModelShape::Message => {
                variable("MTMessageType", self.companion("MessageDataType"), Shape::Message)
            }
            ModelShape::AssetEvent => {
                variable("MTAssetEventType", self.companion("AssetEventDataType"), Shape::AssetEvent)
            }
            ModelShape::Number => variable(number, double, Shape::Number),
            ModelShape::Text => self.event(item),
        }
    }

    /// An event, by its class type.
    fn event(&self, item: &DataItem) -> Form {
        let class = format_smolstr!("{}ClassType", pascal(&item.item_type));
        let types = self.types();
        let is_extension = item.item_type.contains(':');
        let text = Form {
            type_definition: self.companion("MTStringEventType"),
            data_type: Some(DataTypeId::String.into()),
            rank: -1,
            kind: FormKind::Other(Shape::Text),
        };
        if is_extension {
            return text;
        }
        if types.is_a(&class, "MTNumericEventClassType") {
            return Form {
                type_definition: self.companion("MTNumericEventType"),
                data_type: Some(DataTypeId::Double.into()),
                kind: FormKind::Other(Shape::Number),
                ..text
            };
        }
        match types.words(&class).filter(|_| types.is_a(&class, "MTControlledVocabEventClassType")) {
            None => text,
            Some(words) => Form {
                type_definition: self.companion("MTControlledVocabEventType"),
                data_type: Some(DataTypeId::UInt32.into()),
                kind: FormKind::Vocabulary(with_newer_words(&item.item_type, words)),
                ..text
            },
        }
    }

    fn item_links(&self, item: &DataItem, id: &NodeId, parent: &NodeId) -> Vec<Link> {
        let mut links = vec![inverse(ReferenceTypeId::HasComponent, parent)];
        if matches!(item.shape, ModelShape::Condition | ModelShape::Message) {
            links.push(inverse(ReferenceTypeId::HasEventSource, parent));
        }
        if item.shape == ModelShape::Condition {
            // To the type, for there are no instances to be found in the address space (part 9, 5.12).
            links.push(forward(ReferenceTypeId::HasCondition, self.companion("MTConditionEventType")));
        }
        let class = |written: &str, suffix: &str, ancestor: &str| {
            let name = format!("{}{suffix}", as_in_node_set(&pascal(written)));
            self.companion_below(&name, ancestor).filter(|_| !written.is_empty() && !written.contains(':'))
        };
        for (reference, class) in [
            ("HasMTClassType", class(&item.item_type, "ClassType", "MTDataItemClassType")),
            ("HasMTSubClassType", class(&item.sub_type, "SubClassType", "MTDataItemSubClassType")),
        ] {
            links.extend(class.map(|class| forward(self.companion(reference), class)));
        }
        let mut refer = |reference: &str, target: &str| {
            let target = self.ids.get(target).filter(|target| *target != id);
            links.extend(target.map(|target| forward(self.companion(reference), target.clone())));
        };
        refer("HasMTComposition", &item.composition_id);
        if let Some(source) = &item.source {
            for target in [&source.component_id, &source.data_item_id, &source.composition_id] {
                refer("HasMTSource", target);
            }
        }
        links
    }

    /// Attributes as properties, but for those that are said elsewhere.
    fn item_attributes(&mut self, item: &DataItem, element: &'m Element, id: &NodeId, scope: &mut Scope) {
        for (attribute, value) in attributes(element) {
            let name = match attribute.as_str() {
                "id" | "name" | "type" | "subType" | "category" | "units" | "sampleRate"
                | "significantDigits" => continue,
                other => scope.free(&property(other)),
            };
            let value = value.trim();
            match attribute.as_str() {
                "representation"
                    if matches!(item.representation, Representation::DataSet | Representation::Table) =>
                {
                    // MTRepresentationType has no word for these, nor has their variable type this property.
                    if item.category != Category::Condition {
                        self.text(id, &name, value);
                    }
                }
                "representation" => self.choice(id, &name, "MTRepresentationType", value),
                "coordinateSystem" => {
                    self.choice(id, &name, "MTCoordinateSystemType", value);
                }
                "statistic" => self.choice(id, &name, "MTStatisticType", value),
                "discrete" => {
                    let value = Held::Fixed(Variant::Boolean(matches!(value, "true" | "1")));
                    self.property(id, &name, DataTypeId::Boolean, value);
                }
                "nativeScale" => {
                    if let Ok(scale) = value.parse::<f64>() {
                        self.property(id, &name, DataTypeId::Double, Held::Fixed(scale.into()));
                    }
                }
                _ => self.text(id, &name, value),
            }
        }
        if let Some(rate) = item.sample_rate {
            self.property(id, "SampleRate", DataTypeId::Double, Held::Fixed(rate.into()));
        }
        if let Some(digits) = item.significant_digits {
            let value = Held::Fixed(Variant::Int16(digits.into()));
            self.property(id, "SignificantDigits", DataTypeId::Int16, value);
        }
        if let Some(source) = &item.source {
            self.text(id, "SourceData", &source.text);
        }
    }

    /// Units; variables of the analog kinds have them even where the model gives none.
    fn measures(&mut self, item: &DataItem, id: &NodeId, is_variable: bool, is_3d: bool) {
        self.text(id, "Units", &item.units);
        let is_analog = is_3d
            || (item.category == Category::Sample
                && matches!(item.shape, ModelShape::Number | ModelShape::TimeSeries));
        if is_variable && (is_analog || !item.units.is_empty()) {
            let value = Held::Fixed(ExtensionObject::new(engineering_units(&item.units)).into());
            // The variable type for three dimensions has a property of its own namespace.
            let namespace = if is_3d { self.mtconnect } else { 0 };
            self.property_in(namespace, id, "EngineeringUnits", DataTypeId::EUInformation, value);
        }
        if let (Some(low), Some(high), true, false) =
            (item.constraints.minimum, item.constraints.maximum, is_variable, is_3d)
        {
            let value = Held::Fixed(ExtensionObject::new(Range { low, high }).into());
            self.property_in(0, id, "EURange", DataTypeId::Range, value);
        }
        if let Some(initial) = &item.initial_value {
            match initial.trim().parse::<f64>() {
                Ok(number) => {
                    self.property(id, "InitialValue", DataTypeId::Double, Held::Fixed(number.into()))
                }
                Err(_) => {
                    let value = Held::Fixed(UAString::from(initial.as_str()).into());
                    self.property(id, "InitialValue", DataTypeId::String, value)
                }
            };
        }
    }

    /// Constraints and filters.
    fn bounds(&mut self, item: &DataItem, id: &NodeId) {
        if let Some(period) = item.filters.period {
            self.float(id, "PeriodFilter", period);
        }
        if let Some(delta) = item.filters.minimum_delta {
            self.float(id, "MinimumDeltaFilter", delta);
        }
        let bounds = &item.constraints;
        let numbers = [("Maximum", bounds.maximum), ("Minimum", bounds.minimum), ("Nominal", bounds.nominal)];
        if bounds.values.is_empty() && numbers.iter().all(|(_, number)| number.is_none()) {
            return;
        }
        let type_definition = self.companion("MTConstraintType");
        let object = self.object(id, "Constraints", ReferenceTypeId::HasComponent, type_definition);
        for (name, number) in numbers {
            if let Some(number) = number {
                self.float(&object, name, number);
            }
        }
        if !bounds.values.is_empty() {
            let values = Held::Fixed(strings(bounds.values.iter().map(SmolStr::as_str)));
            self.property(&object, "Values", DataTypeId::String, values);
        }
    }

    /// A property of an enumeration; none when the enumeration does not have the word.
    fn choice(&mut self, id: &NodeId, name: &str, enumeration: &str, word: &str) {
        if let Some(value) = self.types().member(enumeration, word) {
            let enumeration = self.companion(enumeration);
            self.property(id, name, enumeration, Held::Fixed(Variant::Int32(value)));
        }
    }
}

fn type_name_or_empty(name: &str) -> SmolStr {
    if name.is_empty() { SmolStr::default() } else { type_name(name) }
}

/// The node set spells some of its classes in its own way.
fn as_in_node_set(name: &str) -> &str {
    match name {
        "Resistance" => "Resistence",
        "Useable" => "Uasble",
        "Jog" => "Job",
        other => other,
    }
}

/// The companion specification is of MTConnect 1.4. Words that came later stand after its own, so that
/// they have a number too and the others keep theirs.
fn with_newer_words(item_type: &str, words: Arc<[SmolStr]>) -> Arc<[SmolStr]> {
    let facts = vocabulary::data_item_type(item_type);
    let mut newer: Vec<&'static str> = facts
        .iter()
        .flat_map(|facts| &facts.values)
        .map(|(word, _)| *word)
        .filter(|word| !words.iter().any(|known| known == word))
        .collect();
    if newer.is_empty() {
        return words;
    }
    newer.sort_unstable();
    newer.dedup();
    words.iter().cloned().chain(newer.into_iter().map(SmolStr::new_static)).collect()
}
