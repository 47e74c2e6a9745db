//! A profile's interfaces of MTConnect: what is wrong with them, and the data items that they have.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};

use super::file::{Interface, Item};
use super::{Instance, model};
use crate::control::Definition;
use crate::reading::{Document, Value, suggest};

/// What can be asked for.
const KINDS: [&str; 10] = [
    "OPEN_DOOR",
    "CLOSE_DOOR",
    "OPEN_CHUCK",
    "CLOSE_CHUCK",
    "MATERIAL_LOAD",
    "MATERIAL_UNLOAD",
    "MATERIAL_FEED",
    "MATERIAL_CHANGE",
    "MATERIAL_RETRACT",
    "PART_CHANGE",
];

/// An interface that a machine can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The type of its REQUEST and RESPONSE.
    pub item_type: SmolStr,
    /// The command that is carried out.
    pub command: SmolStr,
    /// The id of its RESPONSE.
    pub response: SmolStr,
    /// The id of its INTERFACE_STATE.
    pub state: SmolStr,
}

/// Reads `[interfaces]`, and adds the data items of those that the instance answers to the profile's own.
pub(super) fn read(
    document: &mut Document<'_>,
    written: &[(&str, &Value<'_>)],
    commands: &BTreeMap<SmolStr, Arc<Definition>>,
    items: &mut Vec<(SmolStr, Item)>,
    instance: &Instance<'_, '_>,
) -> BTreeMap<SmolStr, Answered> {
    let mut all = BTreeMap::new();
    for (key, value) in written {
        let label = format!("interface {key:?}");
        if !model::is_token(key) {
            let span = document.places.of(&format!("interfaces.{key}"));
            document.error(
                span,
                format!("{label}: this cannot be an id"),
                "write letters, digits, `_`, `-` and `.`",
            );
            continue;
        }
        let Some(interface) = document.section::<Interface>(&label, value, &[]) else { continue };
        let mut error = |field: &str, what: String, cure: String| {
            let span = document.places.of(&format!("interfaces.{key}.{field}"));
            document.error(span, format!("{label}: {what}"), cure);
        };
        if let Err(what) = model::path(&interface.at) {
            error("at", what, String::new());
            continue;
        }
        if !KINDS.contains(&interface.kind.as_str()) {
            let cure = suggest::cure(&interface.kind, KINDS);
            error("type", format!("nobody asks for {:?}", interface.kind), cure);
            continue;
        }
        match commands.get(&interface.command) {
            Some(command) if command.arguments.is_empty() => {}
            Some(_) => {
                let what =
                    format!("the command `{}` has arguments, and a REQUEST has none", interface.command);
                error("command", what, "name a command without arguments".to_owned());
            }
            None => {
                let cure = suggest::cure(&interface.command, commands.keys().map(SmolStr::as_str));
                error("command", format!("there is no command `{}`", interface.command), cure);
            }
        }
        let (response, state) = (format_smolstr!("{key}_response"), format_smolstr!("{key}_state"));
        if let Some((taken, _)) = items.iter().find(|(item, _)| *item == response || *item == state) {
            let what = format!("the item `{taken}` is called as one that the interface has");
            error("type", what, "give one of them another key".to_owned());
            continue;
        }
        let answered = Answered {
            item_type: interface.kind.clone(),
            command: interface.command.clone(),
            response: model::item_id(&instance.identity, &response),
            state: model::item_id(&instance.identity, &state),
        };
        if instance.interfaces.as_ref().is_none_or(|answers| answers.iter().any(|answer| answer == key)) {
            let types = [format_smolstr!("{}.RESPONSE", interface.kind), "INTERFACE_STATE".into()];
            for (key, item_type) in [response, state].into_iter().zip(types) {
                items.push((key, Item { at: interface.at.clone(), item_type, ..Item::default() }));
            }
        }
        all.insert(SmolStr::new(key), answered);
    }
    all
}
