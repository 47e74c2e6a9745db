//! What is so clearly a slip that it is put right, with a warning, lest no client can use the
//! documents.

use std::path::Path;
use std::sync::Arc;

use super::findings::Findings;
use super::{Category, Element, SchemaVersion, vocabulary};

/// Corrects a new device.
pub(super) fn correct(
    element: &mut Element,
    version: SchemaVersion,
    file: &Arc<Path>,
    findings: &mut Findings,
) {
    for child in element.elements_mut() {
        if child.name == "DataItem" {
            category(child, version, file, findings);
        } else {
            if child.name == "Components" {
                for component in child.elements() {
                    component_name(component, version, file, findings);
                }
            }
            correct(child, version, file, findings);
        }
    }
}

/// The schemas know each type either as a sample or as an event, so a document that shows it as
/// the other is not valid.
fn category(item: &mut Element, version: SchemaVersion, file: &Arc<Path>, findings: &mut Findings) {
    let Some(facts) = item.attribute("type").and_then(vocabulary::data_item_type) else { return };
    let right = match facts.category_in(version) {
        Category::Sample => "SAMPLE",
        Category::Event => "EVENT",
        Category::Condition => "CONDITION",
    };
    let written = item.attribute("category").unwrap_or_default();
    if matches!(written, "SAMPLE" | "EVENT") && written != right {
        let what = format!("`{}` is not of category {written}; it is shown as {right}", facts.name);
        findings.warning(file, item, "category", what, format!("write category=\"{right}\""));
        item.set("category", right);
    }
}

fn component_name(component: &Element, version: SchemaVersion, file: &Arc<Path>, findings: &mut Findings) {
    if component.is_extension() {
        return;
    }
    let name = &component.name;
    let what = match vocabulary::component(name) {
        None => format!("the standard has no component <{name}>"),
        Some(since) if vocabulary::is_surely_missing(since, version) => {
            format!("MTConnect {version} has no component <{name}>")
        }
        Some(_) => return,
    };
    let cure = "strict clients will refuse the documents; correct it, or put it into a namespace of its own";
    findings.warning(file, component, "", what, cure);
}
