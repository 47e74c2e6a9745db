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
    tokens(element, version, file, findings);
    for child in element.elements_mut() {
        if child.name == "DataItem" {
            tokens(child, version, file, findings);
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

/// Names are single words in old schemas. What only describes is put right; what sources and
/// clients call things by stays, and is warned of.
fn tokens(element: &mut Element, version: SchemaVersion, file: &Arc<Path>, findings: &mut Findings) {
    if element.is_extension() {
        return;
    }
    for attribute in ["name", "nativeName", "manufacturer"] {
        let Some(written) = element.attribute(attribute) else { continue };
        let Some(token) = as_token(written, version) else { continue };
        let is_description = attribute != "name";
        let what = format!(
            "MTConnect {version} wants {attribute} to be one word of letters, digits, `_`, `-`, `.` and `:`; `{written}` is shown as {}",
            if is_description {
                format!("`{token}`")
            } else {
                "it is, and strict clients will refuse it".to_owned()
            }
        );
        let cure = format!("write `{token}`, or set `schema_version` to 1.8 or later");
        findings.warning(file, element, attribute, what, cure);
        if is_description {
            element.set(attribute, token);
        }
    }
}

/// The text as one word, where that version wants names to be one and it is none. The schemas from
/// 1.8 on take any text.
pub(super) fn as_token(text: &str, version: SchemaVersion) -> Option<String> {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    let text = text.trim();
    let is_token = !text.is_empty() && text.chars().all(is_allowed);
    if version >= SchemaVersion::new(1, 8) || is_token {
        return None;
    }
    let token: String = text.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    Some(if token.is_empty() { "_".to_owned() } else { token })
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
