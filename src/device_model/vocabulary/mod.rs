//! The standard's vocabulary: data item types, components, units and sub-types.
//!
//! The tables are text files of our own next to this one, made from the facts in the published
//! schemas; each says in its head how it is laid out. They are part of the program and are read
//! once, when somebody first asks (some 20 KB, about a tenth of a millisecond).

mod table;

use std::sync::OnceLock;

use guideway_contract::Validity;
use smol_str::{SmolStr, format_smolstr};

use super::{Category, SchemaVersion};
use table::Known;

/// What values look like, by the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// One of [`TypeFacts::values`].
    Words,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// Three numbers.
    ThreeSpace,
    /// A date with or without a time.
    Time,
}

/// What the standard says of a data item type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFacts {
    /// The type, e.g. `POSITION`.
    pub name: &'static str,
    /// The element in MTConnectStreams, without suffix.
    pub element: SmolStr,
    /// SAMPLE or EVENT; CONDITION for types that are only ever conditions. Every type can be a
    /// condition.
    pub category: Category,
    /// What values look like.
    pub value: ValueKind,
    /// Units of the values that leave; empty where the standard gives none.
    pub units: &'static str,
    /// The oldest version that is known to have it.
    pub since: SchemaVersion,
    /// The newest version that is known to have it.
    pub until: SchemaVersion,
    /// From when on it should not be used.
    pub deprecated: Option<SchemaVersion>,
    /// The controlled vocabulary, with the version that brought each word; empty when there is
    /// none. UNAVAILABLE is always allowed and not in the list.
    pub values: Vec<(&'static str, SchemaVersion)>,
}

impl TypeFacts {
    /// The category in documents of that version; few types have ever changed theirs.
    pub fn category_in(&self, version: SchemaVersion) -> Category {
        if self.name == "CLOCK_TIME" && version < SchemaVersion::new(2, 0) {
            return Category::Sample;
        }
        self.category
    }

    /// Whether the value is one that the standard allows in that version. Only text is looked at:
    /// a value that is a number already has been found to be one.
    pub fn allows(&self, value: &str, version: SchemaVersion) -> bool {
        match self.value {
            _ if value == "UNAVAILABLE" => true,
            ValueKind::Text | ValueKind::Time => true,
            ValueKind::Words => {
                self.values.iter().any(|(word, since)| *word == value && !is_surely_missing(*since, version))
            }
            ValueKind::Integer => value.trim().parse::<i64>().is_ok(),
            ValueKind::Float => value.trim().parse::<f64>().is_ok_and(f64::is_finite),
            ValueKind::ThreeSpace => {
                let mut numbers = value.split_ascii_whitespace().map(|word| word.parse::<f64>());
                let three = [numbers.next(), numbers.next(), numbers.next()];
                numbers.next().is_none()
                    && three.iter().all(|number| matches!(number, Some(Ok(n)) if n.is_finite()))
            }
        }
    }
}

/// The facts about a type, as written in devices files; `None` for extensions and for what the
/// standard does not know.
pub fn data_item_type(item_type: &str) -> Option<&'static TypeFacts> {
    let types = &tables().types;
    let found = types.binary_search_by(|facts| facts.name.cmp(item_type)).ok()?;
    types.get(found)
}

/// All types, sorted by name.
pub fn data_item_types() -> &'static [TypeFacts] {
    &tables().types
}

/// What the standard says of a value of that type, for the `quality` attribute (>= 2.5).
pub fn validity(item_type: &str, value: &str, version: SchemaVersion) -> Validity {
    match data_item_type(item_type) {
        Some(facts) if facts.allows(value, version) => Validity::Valid,
        Some(_) => Validity::Invalid,
        None => Validity::Unverifiable,
    }
}

/// The element's name in MTConnectStreams, without suffix: `POSITION` is `Position`, `VOLTAGE_AC`
/// is `VoltageAC`, `x:TOOL_GROUP` is `x:ToolGroup`.
pub fn element_name(item_type: &str) -> SmolStr {
    if let Some(facts) = data_item_type(item_type) {
        return facts.element.clone();
    }
    match item_type.split_once(':') {
        Some((prefix, local)) => format_smolstr!("{prefix}:{}", pascal(local)),
        None => pascal(item_type),
    }
}

/// Since when the standard has a component of that element name.
pub fn component(element_name: &str) -> Option<SchemaVersion> {
    tables().components.since(element_name)
}

/// The element names of all components.
pub fn components() -> Vec<&'static str> {
    tables().components.names()
}

/// Since when the standard has these units for values that leave (`units`).
pub fn units(units: &str) -> Option<SchemaVersion> {
    tables().units.since(units)
}

/// The names of all units, native ones among them.
pub fn unit_names() -> Vec<&'static str> {
    [tables().units.names(), tables().native_units.names()].concat()
}

/// Since when the standard has these units for values of a source (`nativeUnits`); all `units` are
/// among them.
pub fn native_units(units: &str) -> Option<SchemaVersion> {
    tables().units.since(units).or_else(|| tables().native_units.since(units))
}

/// Since when the standard has that sub-type.
pub fn sub_type(sub_type: &str) -> Option<SchemaVersion> {
    tables().sub_types.since(sub_type)
}

/// Whether a version surely lacks what is known since `since`. The tables look at some of the
/// versions only, so what is known since 1.8 may have come with any version after 1.3.
pub fn is_surely_missing(since: SchemaVersion, version: SchemaVersion) -> bool {
    const LOOKED_AT: [SchemaVersion; 6] = [
        SchemaVersion::new(1, 3),
        SchemaVersion::new(1, 8),
        SchemaVersion::new(2, 0),
        SchemaVersion::new(2, 2),
        SchemaVersion::new(2, 5),
        SchemaVersion::new(2, 7),
    ];
    if !LOOKED_AT.contains(&since) {
        return version < since;
    }
    LOOKED_AT.iter().rev().find(|looked_at| **looked_at < since).is_some_and(|before| version <= *before)
}

/// `TOOL_ASSET_ID` is `ToolAssetId`.
fn pascal(name: &str) -> SmolStr {
    let mut pascal = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut letters = word.chars();
        pascal.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        pascal.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    }
    pascal.into()
}

struct Tables {
    types: Vec<TypeFacts>,
    components: Known,
    units: Known,
    native_units: Known,
    sub_types: Known,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables {
        types: table::types(include_str!("types.txt")),
        components: Known::new(include_str!("components.txt"), "since"),
        units: Known::new(include_str!("units.txt"), "units"),
        native_units: Known::new(include_str!("units.txt"), "native"),
        sub_types: Known::new(include_str!("subtypes.txt"), "since"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_read_and_in_order() {
        let lines = include_str!("types.txt").lines().filter(|line| !line.starts_with([' ', '#'])).count();
        assert_eq!(data_item_types().len(), lines);
        assert!(lines > 250);
        assert!(data_item_types().is_sorted_by(|a, b| a.name < b.name));
        for facts in data_item_types() {
            assert_eq!(facts.value == ValueKind::Words, !facts.values.is_empty(), "{}", facts.name);
            assert!(facts.units.is_empty() || units(facts.units).is_some(), "{}", facts.name);
            assert!(facts.since <= facts.until, "{}", facts.name);
        }
    }

    #[test]
    fn names_follow_from_types_but_for_the_exceptions() {
        for (item_type, name) in [
            ("POSITION", "Position"),
            ("TOOL_ASSET_ID", "ToolAssetId"),
            ("PH", "PH"),
            ("VOLTAGE_AC", "VoltageAC"),
            ("AMPERAGE_DC", "AmperageDC"),
            ("ADAPTER_URI", "AdapterURI"),
            ("MTCONNECT_VERSION", "MTConnectVersion"),
            ("PATH_FEEDRATE_PER_REVOLUTION", "PathFeedratePerRevolution"),
            ("x:SOMETHING_ELSE", "x:SomethingElse"),
            ("PROGRAM_EDIT_NAME", "ProgramEditName"),
            ("SELF_MADE", "SelfMade"),
        ] {
            assert_eq!(element_name(item_type), name);
        }
    }

    #[test]
    fn controlled_words_are_told_from_others() {
        let newest = SchemaVersion::NEWEST;
        assert_eq!(validity("EXECUTION", "ACTIVE", newest), Validity::Valid);
        assert_eq!(validity("EXECUTION", "UNAVAILABLE", newest), Validity::Valid);
        assert_eq!(validity("EXECUTION", "active", newest), Validity::Invalid);
        assert_eq!(validity("EXECUTION", "WAIT", SchemaVersion::new(1, 3)), Validity::Invalid);
        assert_eq!(validity("PROGRAM", "anything", newest), Validity::Valid);
        assert_eq!(validity("LINE_NUMBER", "12", newest), Validity::Valid);
        assert_eq!(validity("LINE_NUMBER", "N12", newest), Validity::Invalid);
        assert_eq!(validity("x:MOTION", "1", newest), Validity::Unverifiable);
    }

    #[test]
    fn facts_carry_category_units_and_age() {
        let position = data_item_type("POSITION").expect("known");
        assert_eq!((position.category, position.units), (Category::Sample, "MILLIMETER"));
        let line = data_item_type("LINE").expect("known");
        assert_eq!(line.deprecated, Some(SchemaVersion::new(1, 4)));
        assert_eq!(data_item_type("SYSTEM").expect("known").category, Category::Condition);
        assert!(component("Linear").is_some() && component("Gripper9").is_none());
        assert!(native_units("INCH").is_some() && units("INCH").is_none());
        assert!(sub_type("ACTUAL").is_some());
    }

    #[test]
    fn what_came_between_two_schemas_is_not_surely_missing() {
        let since = SchemaVersion::new(1, 8);
        assert!(is_surely_missing(since, SchemaVersion::new(1, 3)));
        assert!(!is_surely_missing(since, SchemaVersion::new(1, 5)));
        assert!(!is_surely_missing(since, since));
        assert!(!is_surely_missing(SchemaVersion::new(1, 3), SchemaVersion::new(1, 0)));
        assert!(is_surely_missing(SchemaVersion::new(1, 7), SchemaVersion::new(1, 6)));
    }
}
