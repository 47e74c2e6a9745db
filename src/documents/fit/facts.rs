//! What of a device model came, and went, with which version; where the vocabulary does not say.
//!
//! From the published schemas 1.3, 1.8, 2.0, 2.2, 2.5 and 2.7. What is in none of these lists is in
//! all versions, or is nothing that the standard knows; either way it stays.

use crate::device_model::vocabulary::{self, is_surely_missing};
use crate::device_model::{Category, DataItem, Representation, SchemaVersion};

use super::super::version::{V1_3, V1_7, V1_8, V2_0, V2_1, V2_2, V2_5, V2_7};

/// Attributes and the elements that have them, with the version that brought them.
const ATTRIBUTES: [(&str, &str, SchemaVersion); 10] = [
    ("Agent", "hash", V2_2),
    ("CoordinateSystem", "uuid", V2_2),
    ("DataItem", "compositionId", V1_8),
    ("DataItem", "coordinateSystemIdRef", V1_8),
    ("DataItem", "discrete", V1_8),
    ("Device", "hash", V2_2),
    ("Device", "mtconnectVersion", V1_8),
    ("SolidModel", "nativeUnits", V2_0),
    ("SolidModel", "units", V2_0),
    ("Source", "compositionId", V1_8),
];

/// Elements that are not components or data items, with the version that brought them.
const ELEMENTS: [(&str, SchemaVersion); 17] = [
    ("AssetRelationship", V2_7),
    ("ComponentRef", V1_8),
    ("Compositions", V1_8),
    ("CoordinateSystems", V1_8),
    ("DataItemRef", V1_8),
    ("Definition", V1_8),
    ("Filters", V1_8),
    ("ImageFiles", V2_2),
    ("InitialValue", V1_8),
    ("Motion", V1_8),
    ("Nominal", V1_8),
    ("PowerSources", V2_5),
    ("References", V1_8),
    ("Relationships", V1_8),
    ("ResetTrigger", V1_8),
    ("SolidModel", V1_8),
    ("Specifications", V1_8),
];

/// Elements that can only be there if something is in them.
pub(super) const CONTAINERS: [&str; 16] = [
    "CellDefinitions",
    "Channels",
    "Components",
    "Compositions",
    "Configuration",
    "Constraints",
    "CoordinateSystems",
    "DataItems",
    "EntryDefinitions",
    "Filters",
    "ImageFiles",
    "PowerSources",
    "References",
    "Relationships",
    "Specifications",
    "Transformation",
];

/// The order of children where a schema wants one; others keep theirs, behind these.
pub(super) const ORDER: [(&str, &[&str]); 7] = [
    ("Channel", &["Description", "CalibrationDate", "NextCalibrationDate", "CalibrationInitials"]),
    ("Constraints", &["Value", "Minimum", "Maximum", "Nominal", "Filter"]),
    ("DataItem", &["Source", "Constraints"]),
    ("Motion", &["Description", "Origin", "Transformation", "Axis"]),
    (
        "SensorConfiguration",
        &["FirmwareVersion", "CalibrationDate", "NextCalibrationDate", "CalibrationInitials", "Channels"],
    ),
    ("SolidModel", &["Transformation", "Scale"]),
    ("Transformation", &["Translation", "Rotation"]),
];

/// The order of a component's or device's children.
pub(super) const COMPONENT_ORDER: [&str; 4] = ["Description", "Configuration", "DataItems", "Components"];

/// Components that a later version no longer has, with the last that does and what stands for them
/// since. Those with nothing are left out and what is in them goes to the component above.
const GONE: [(&str, SchemaVersion, Option<&str>); 9] = [
    // No schema has these two, which the standard's text calls so.
    ("BarFeederInterface", SchemaVersion::new(1, 0), None),
    ("ChuckInterface", V1_3, None),
    ("DoorInterface", V1_3, None),
    ("Interface", V1_8, None),
    ("MaterialHandler", V1_3, None),
    ("MaterialHandlerInterface", SchemaVersion::new(1, 0), None),
    ("Organizer", V1_8, None),
    ("Spindle", V1_3, Some("Rotary")),
    ("Table", V1_8, None),
];

/// Sub-types that a later version no longer has, with the last that does.
const GONE_SUB_TYPES: [&str; 6] = ["DYNAMIC", "KINETIC", "MOLE", "OTHER", "VOLUME", "WEIGHT"];

/// The data sets and tables that the schema of 1.8 has; later ones have one of each for all events.
const SETS_OF_1_8: [(&str, Representation); 3] = [
    ("TOOL_OFFSET", Representation::Table),
    ("VARIABLE", Representation::DataSet),
    ("WORK_OFFSET", Representation::Table),
];

/// Samples that have no time series in the schema of 1.3.
const NO_SERIES_IN_1_3: [&str; 3] = ["LEVEL", "VOLT_AMPERE", "VOLT_AMPERE_REACTIVE"];

/// Whether that version has the attribute of that element, as far as is known.
pub(super) fn has_attribute(element: &str, attribute: &str, schema: SchemaVersion) -> bool {
    !ATTRIBUTES
        .iter()
        .any(|(of, name, since)| *of == element && *name == attribute && is_surely_missing(*since, schema))
}

/// Whether that version has the element, as far as is known.
pub(super) fn has_element(name: &str, schema: SchemaVersion) -> bool {
    !ELEMENTS.iter().any(|(known, since)| *known == name && is_surely_missing(*since, schema))
}

/// What a component is called in that version; `None` when it has no such component.
pub(in crate::documents) fn component_name(name: &str, schema: SchemaVersion) -> Option<&str> {
    if let Some((_, until, instead)) = GONE.iter().find(|(gone, ..)| *gone == name)
        && schema > *until
    {
        return *instead;
    }
    let missing = vocabulary::component(name).is_some_and(|since| is_surely_missing(since, schema));
    (!missing).then_some(name)
}

/// What a sub-type is in that version; `None` when it has none such.
pub(in crate::documents) fn sub_type(sub_type: &str, schema: SchemaVersion) -> Option<&str> {
    if sub_type.is_empty() || (GONE_SUB_TYPES.contains(&sub_type) && schema >= V1_8) {
        return None;
    }
    // The schema of 1.8 alone has lost these two.
    if schema == V1_8 && matches!(sub_type, "REQUEST" | "RESPONSE") {
        return None;
    }
    let missing = vocabulary::sub_type(sub_type).is_some_and(|since| is_surely_missing(since, schema));
    (!missing).then_some(sub_type)
}

/// What a statistic is in that version.
pub(in crate::documents) fn statistic(statistic: &str, schema: SchemaVersion) -> Option<&str> {
    match statistic {
        "" => None,
        "MEAN" if schema >= V1_8 => Some("AVERAGE"),
        "MEDIAN" if is_surely_missing(V1_8, schema) => None,
        other => Some(other),
    }
}

/// What units are in that version.
pub(super) fn units(units: &str, schema: SchemaVersion) -> Option<&str> {
    known_units(units, schema, vocabulary::units(units))
}

/// What native units are in that version.
pub(super) fn native_units(units: &str, schema: SchemaVersion) -> Option<&str> {
    known_units(units, schema, vocabulary::native_units(units))
}

fn known_units(units: &str, schema: SchemaVersion, since: Option<SchemaVersion>) -> Option<&str> {
    if units == "SOUND_LEVEL" && schema >= V1_8 {
        return Some("DECIBEL");
    }
    (!since.is_some_and(|since| is_surely_missing(since, schema))).then_some(units)
}

/// The category in which that version has the type: that of the item, where the type's own is
/// another the type's own, because the element belongs to one of the lists only.
pub(in crate::documents) fn category(item: &DataItem, schema: SchemaVersion) -> Category {
    match vocabulary::data_item_type(&item.item_type) {
        Some(facts) if item.category != Category::Condition && facts.category != Category::Condition => {
            facts.category_in(schema)
        }
        _ => item.category,
    }
}

/// Whether that version can show the item at all.
pub(in crate::documents) fn shows(item: &DataItem, schema: SchemaVersion) -> bool {
    let set = matches!(item.representation, Representation::DataSet | Representation::Table);
    if set && is_surely_missing(V1_8, schema) {
        return false;
    }
    let Some(facts) = vocabulary::data_item_type(&item.item_type) else { return true };
    if is_surely_missing(facts.since, schema) || schema > until(facts.until) {
        return false;
    }
    if item.category == Category::Condition {
        return true;
    }
    match (schema, item.item_type.as_str()) {
        // There these are conditions only.
        (V1_3, "HARDWARE" | "MASS") => false,
        (V1_3, name) => {
            !(item.representation == Representation::TimeSeries && NO_SERIES_IN_1_3.contains(&name))
        }
        // The schema of 1.8 takes a time for a number, and that of 2.2 a vector.
        (V1_8, "CLOCK_TIME") | (V2_1 | V2_2, "ROTATION" | "TRANSLATION") => false,
        (V1_8, name) => !set || SETS_OF_1_8.contains(&(name, item.representation)),
        // No longer a sample and not yet an event.
        (V2_0, "CLOCK_TIME") => false,
        _ => true,
    }
}

/// A type that the schemas know until one version is taken to be there until the next one looked at.
fn until(last: SchemaVersion) -> SchemaVersion {
    if last == V1_3 { V1_7 } else { last }
}
