//! From a `<DataItem>` element to a [`DataItem`].

use std::path::Path;
use std::sync::Arc;

use guideway_contract::ItemIndex;
use smol_str::SmolStr;

use super::findings::Findings;
use super::shape::shape;
use super::{
    Category, ComponentIndex, Constraints, DataItem, DeviceIndex, Element, Filters, Representation,
    SchemaVersion, Source, vocabulary,
};

/// Reads a data item; its indices are set by the caller. `None` when it lacks what it cannot be
/// without, which has then been told.
pub(super) fn read(
    element: &Element,
    version: SchemaVersion,
    file: &Arc<Path>,
    findings: &mut Findings,
) -> Option<DataItem> {
    let text = |name: &str| SmolStr::new(element.attribute(name).unwrap_or_default().trim());
    let id = text("id");
    let item_type = text("type");
    let called = if id.is_empty() { text("name") } else { id.clone() };
    let mut complete = true;
    for (attribute, value, cure) in [
        ("id", &id, "give it an id that no other element has"),
        ("type", &item_type, "say what it is about, e.g. type=\"POSITION\""),
    ] {
        if value.is_empty() {
            complete = false;
            findings.error(
                file,
                element,
                attribute,
                format!("the data item `{called}` has no {attribute}"),
                cure,
            );
        }
    }
    if !item_type.is_empty() && !is_type_name(&item_type) {
        complete = false;
        findings.error(
            file,
            element,
            "type",
            format!("`{item_type}` cannot be a type: it makes no element name"),
            "write it like POSITION, or like x:MY_OWN_TYPE for an extension",
        );
    }
    let category = category(element, &called, &item_type, file, findings);
    let (representation, was_discrete) = representation(element, &called, file, findings);
    let (Some(category), true) = (category, complete) else { return None };
    let units = text("units");
    let native_units = text("nativeUnits");
    check_vocabulary(element, &item_type, category, version, file, findings);
    let constraints_element = element.child("Constraints");
    let mut numbers = Numbers { file, findings, called: &called };
    let constraints = constraints_element.map(|found| constraints(found, &mut numbers)).unwrap_or_default();
    let filters = filters(element, &mut numbers);
    let native_scale =
        numbers.attribute(element, "nativeScale").filter(|scale| *scale != 0.0 && *scale != 1.0);
    let sample_rate = numbers.attribute(element, "sampleRate").filter(|rate| *rate > 0.0);
    let significant_digits = numbers.attribute(element, "significantDigits");
    let trimmed = |name: &str| element.child(name).map(|child| SmolStr::new(child.text()));
    Some(DataItem {
        index: ItemIndex(0),
        written_id: SmolStr::default(),
        name: text("name"),
        sub_type: text("subType"),
        category,
        representation,
        shape: shape(category, representation, &item_type, &units),
        element_name: vocabulary::element_name(&item_type),
        native_units: if native_units == units { SmolStr::default() } else { native_units },
        native_scale,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within 1 to 255 by the filter"
        )]
        significant_digits: significant_digits
            .filter(|digits| (1.0..=255.0).contains(digits))
            .map(|d| d as u8),
        sample_rate,
        statistic: text("statistic"),
        composition_id: text("compositionId"),
        source: element.child("Source").map(|source| Source {
            text: source.text().into(),
            component_id: source.attribute("componentId").unwrap_or_default().into(),
            data_item_id: source.attribute("dataItemId").unwrap_or_default().into(),
            composition_id: source.attribute("compositionId").unwrap_or_default().into(),
        }),
        constraints,
        filters,
        initial_value: trimmed("InitialValue").filter(|value| !value.is_empty()),
        reset_trigger: trimmed("ResetTrigger").unwrap_or_default(),
        discrete: was_discrete || matches!(element.attribute("discrete").map(str::trim), Some("true" | "1")),
        component: ComponentIndex(0),
        device: DeviceIndex(0),
        retired: false,
        units,
        id,
        item_type,
    })
}

/// Whether the type can be turned into the name of an XML element.
fn is_type_name(item_type: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    match item_type.split_once(':') {
        Some((prefix, local)) => is_name(prefix) && is_name(local),
        None => is_name(item_type),
    }
}

fn category(
    element: &Element,
    called: &str,
    item_type: &str,
    file: &Arc<Path>,
    findings: &mut Findings,
) -> Option<Category> {
    let written = element.attribute("category").unwrap_or_default().trim();
    match written {
        "SAMPLE" => return Some(Category::Sample),
        "EVENT" => return Some(Category::Event),
        "CONDITION" => return Some(Category::Condition),
        _ => {}
    }
    let what = if written.is_empty() {
        format!("the data item `{called}` has no category")
    } else {
        format!("`{written}` is not a category")
    };
    let cure = match vocabulary::data_item_type(item_type).map(|facts| facts.category) {
        Some(Category::Sample) => "write category=\"SAMPLE\", or \"CONDITION\" if it tells normal from fault",
        Some(Category::Event) => "write category=\"EVENT\", or \"CONDITION\" if it tells normal from fault",
        _ => "write category=\"SAMPLE\", \"EVENT\" or \"CONDITION\"",
    };
    findings.error(file, element, "category", what, cure);
    None
}

/// The representation, and whether it was DISCRETE, which is now an attribute.
fn representation(
    element: &Element,
    called: &str,
    file: &Arc<Path>,
    findings: &mut Findings,
) -> (Representation, bool) {
    match element.attribute("representation").unwrap_or_default().trim() {
        "" | "VALUE" => (Representation::Value, false),
        "DISCRETE" => (Representation::Value, true),
        "TIME_SERIES" => (Representation::TimeSeries, false),
        "DATA_SET" => (Representation::DataSet, false),
        "TABLE" => (Representation::Table, false),
        other => {
            findings.error(
                file,
                element,
                "representation",
                format!("`{other}` of the data item `{called}` is not a representation"),
                "write VALUE, TIME_SERIES, DATA_SET or TABLE",
            );
            (Representation::Value, false)
        }
    }
}

/// What the standard says otherwise. None of it keeps the gateway from working.
fn check_vocabulary(
    element: &Element,
    item_type: &str,
    category: Category,
    version: SchemaVersion,
    file: &Arc<Path>,
    findings: &mut Findings,
) {
    let mut warn = |attribute: &str, what: String, cure: String| {
        findings.warning(file, element, attribute, what, cure);
    };
    let is_extension = |text: &str| text.contains(':');
    match vocabulary::data_item_type(item_type) {
        Some(facts) if vocabulary::is_surely_missing(facts.since, version) || facts.until < version => {
            warn(
                "type",
                format!("MTConnect {version} has no data item type `{item_type}`"),
                "strict clients will refuse the documents; choose a `schema_version` that has it".to_owned(),
            );
        }
        Some(_) => {}
        None if !is_extension(item_type) => warn(
            "type",
            format!("the standard has no data item type `{item_type}`"),
            format!("correct it, or mark it as an extension: type=\"x:{item_type}\""),
        ),
        None => {}
    }
    for (attribute, known) in [
        ("units", vocabulary::units as fn(&str) -> Option<SchemaVersion>),
        ("nativeUnits", vocabulary::native_units),
        ("subType", vocabulary::sub_type),
    ] {
        let Some(value) = element.attribute(attribute).map(str::trim).filter(|value| !value.is_empty())
        else {
            continue;
        };
        match known(value) {
            None if is_extension(value) => {}
            // Sources speak all kinds of units, and the general rule converts what it can.
            None if attribute == "nativeUnits" => {}
            None => warn(
                attribute,
                format!("the standard has no {attribute} `{value}`"),
                "strict clients will refuse the documents; correct it or mark it as an extension".to_owned(),
            ),
            Some(_) => {}
        }
    }
    if category == Category::Sample && element.attribute("units").is_none() && !is_extension(item_type) {
        let cure = match vocabulary::data_item_type(item_type).map(|facts| facts.units) {
            Some(units) if !units.is_empty() => format!("write units=\"{units}\""),
            _ => "say what its values are measured in".to_owned(),
        };
        warn("units", format!("the sample `{item_type}` has no units"), cure);
    }
}

fn constraints(element: &Element, numbers: &mut Numbers<'_>) -> Constraints {
    let mut constraints = Constraints::default();
    for child in element.elements() {
        match child.name.as_str() {
            "Value" => constraints.values.push(child.text().into()),
            "Minimum" => constraints.minimum = numbers.text(child),
            "Maximum" => constraints.maximum = numbers.text(child),
            "Nominal" => constraints.nominal = numbers.text(child),
            _ => {}
        }
    }
    constraints
}

/// `<Filters>`, and the `<Filter>` that stood in `<Constraints>` before 1.4.
fn filters(element: &Element, numbers: &mut Numbers<'_>) -> Filters {
    let mut filters = Filters::default();
    let lists = [element.child("Constraints"), element.child("Filters")];
    for filter in lists.into_iter().flatten().flat_map(Element::elements) {
        if filter.name != "Filter" {
            continue;
        }
        match filter.attribute("type").map(str::trim) {
            None | Some("" | "MINIMUM_DELTA") => {
                filters.minimum_delta =
                    numbers.text(filter).filter(|delta| *delta > 0.0).or(filters.minimum_delta);
            }
            Some("PERIOD") => {
                filters.period = numbers.text(filter).filter(|period| *period > 0.0).or(filters.period);
            }
            Some(other) => numbers.findings.warning(
                numbers.file,
                filter,
                "type",
                format!("`{other}` is not a filter and has no effect"),
                "write MINIMUM_DELTA or PERIOD",
            ),
        }
    }
    filters
}

struct Numbers<'f> {
    file: &'f Arc<Path>,
    findings: &'f mut Findings,
    called: &'f str,
}

impl Numbers<'_> {
    fn attribute(&mut self, element: &Element, name: &str) -> Option<f64> {
        let written = element.attribute(name)?;
        self.parse(element, name, written)
    }

    fn text(&mut self, element: &Element) -> Option<f64> {
        self.parse(element, "", &element.text())
    }

    fn parse(&mut self, element: &Element, attribute: &str, written: &str) -> Option<f64> {
        let number = written.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            let name = if attribute.is_empty() { &element.name } else { attribute };
            self.findings.warning(
                self.file,
                element,
                attribute,
                format!(
                    "{name} of the data item `{}` is `{}`, which is not a number",
                    self.called,
                    written.trim()
                ),
                "write a number such as 0.5, or remove it; it has no effect",
            );
        }
        number
    }
}
