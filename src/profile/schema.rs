//! The JSON Schema of profiles, for editors; made of the types that read them, so it is never out of date.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::file::{Command, Head, Interface, Item, Point};
use crate::protocols::DRIVERS;

/// The schema: what every profile has, and for each protocol its settings and its points.
pub fn schema() -> Value {
    let plain = |schema: schemars::Schema| {
        let mut value = schema.to_value();
        if let Some(object) = value.as_object_mut() {
            object.remove("$schema");
            object.remove("title");
        }
        value
    };
    let settings = || SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let generator = || settings().into_generator();
    let mut root = plain(generator().into_root_schema_for::<Head>());
    let item = plain(generator().into_root_schema_for::<Item>());
    let command = plain(generator().into_root_schema_for::<Command>());
    let interface = plain(generator().into_root_schema_for::<Interface>());
    let common = plain(generator().into_root_schema_for::<Point>());
    let (mut kinds, mut choices) = (Vec::new(), Vec::new());
    for driver in DRIVERS {
        let (config, own) = driver.schemas(&mut generator());
        let mut config = plain(config);
        if let Some(properties) = config.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("kind".into(), json!({ "const": driver.kind() }));
        }
        let point = joined(&common, &plain(own));
        kinds.push(json!(driver.kind()));
        choices.push(json!({
            "if": { "properties": { "adapter": { "properties": { "kind": { "const": driver.kind() } } } } },
            "then": { "properties": {
                "adapter": config,
                "points": { "type": "object", "additionalProperties": point },
            } },
        }));
    }
    if let Some(object) = root.as_object_mut() {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!("Guideway device profile"));
        object.insert("allOf".into(), Value::Array(choices));
        let properties = object.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert(
                "adapter".into(),
                json!({
                    "type": "object",
                    "description": "The protocol and its settings.",
                    "properties": { "kind": { "enum": kinds, "description": "The protocol." } },
                    "required": ["kind"],
                }),
            );
            let points = "What is read off the wire; each protocol adds its own keys.";
            properties.insert("points".into(), json!({ "type": "object", "description": points }));
            properties.insert("items".into(), json!({ "type": "object", "additionalProperties": item }));
            properties
                .insert("commands".into(), json!({ "type": "object", "additionalProperties": command }));
            properties
                .insert("interfaces".into(), json!({ "type": "object", "additionalProperties": interface }));
        }
        if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
            required.push(json!("adapter"));
        }
    }
    root
}

/// The properties of both.
fn joined(a: &Value, b: &Value) -> Value {
    let mut joined = a.clone();
    let more: Map<String, Value> =
        b.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(object) = joined.as_object_mut() {
        let properties = object.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.extend(more);
        }
        if let Some(required) = b.get("required") {
            object.insert("required".into(), required.clone());
        }
    }
    joined
}
