//! Ids: one element each, in the whole model.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::{SmolStr, format_smolstr};

use super::assemble::Sourced;
use super::element::Place;
use super::findings::{Findings, position};
use super::{DuplicateIds, Element, Position};

/// Clashes that are told of one device; when a whole file is there twice, the rest is noise.
const MAX_TOLD: usize = 5;

/// All ids of these devices.
pub(super) fn all(devices: &[Sourced]) -> FxHashSet<SmolStr> {
    let mut ids = FxHashSet::default();
    for device in devices {
        visit(&device.element, &mut |id, _| {
            ids.insert(id.clone());
        });
    }
    ids
}

/// Sees to it that no two elements have one id, or says where they are.
pub(super) fn make_unique(devices: &mut [Sourced], duplicates: DuplicateIds, findings: &mut Findings) {
    // Where each id was first seen: device and place.
    let mut taken: FxHashMap<SmolStr, (usize, Place)> = FxHashMap::default();
    let mut order: Vec<usize> = (0..devices.len()).collect();
    // Who has been there keeps its ids; who comes gives way.
    order.sort_by_key(|index| devices[*index].is_new);
    for index in order {
        let own = own_ids(&devices[index], findings);
        let clash = own.iter().any(|(id, _)| taken.contains_key(id));
        if clash && duplicates == DuplicateIds::Prefix && devices[index].is_new {
            let known: FxHashSet<&SmolStr> = own.iter().map(|(id, _)| id).collect();
            let device = &mut devices[index];
            match free_prefix(&device.element, &known, &taken) {
                Some(prefix) => {
                    for (id, place) in &own {
                        taken.insert(format_smolstr!("{prefix}{id}"), (index, *place));
                    }
                    let known = known.into_iter().cloned().collect();
                    rewrite(Arc::make_mut(&mut device.element), &prefix, &known);
                    device.prefix = prefix;
                    continue;
                }
                None => findings.error(
                    &device.origin,
                    &device.element,
                    "id",
                    "no prefix makes the ids of this device differ from those of the others",
                    "give the device an id, a name and a uuid of its own",
                ),
            }
        }
        let clashes = own.iter().filter(|(id, _)| taken.contains_key(id)).count();
        let mut told = 0;
        for (id, place) in own {
            match taken.get(&id) {
                Some((first, first_place)) => {
                    told += 1;
                    if told <= MAX_TOLD {
                        let more = if told == MAX_TOLD { clashes - MAX_TOLD } else { 0 };
                        let first = position(&devices[*first].origin, *first_place);
                        report(&devices[index], &id, place, &first, more, findings);
                    }
                }
                None => {
                    taken.insert(id, (index, place));
                }
            }
        }
    }
}

/// The device's ids, each once; what occurs twice or cannot be an id is told.
fn own_ids(device: &Sourced, findings: &mut Findings) -> Vec<(SmolStr, Place)> {
    let mut own: FxHashMap<SmolStr, Place> = FxHashMap::default();
    let mut list = Vec::new();
    visit(&device.element, &mut |id, element| {
        if let Some(first) = own.get(id) {
            if device.is_new {
                let first = position(&device.origin, *first);
                report(device, id, element.place, &first, 0, findings);
            }
            return;
        }
        if device.is_new && !is_ncname(id) {
            findings.warning(
                &device.origin,
                element,
                "id",
                format!("`{id}` is not a valid XML id, so strict clients will refuse the documents"),
                "ids begin with a letter or `_` and hold letters, digits, `_`, `-` and `.`",
            );
        }
        own.insert(id.clone(), element.place);
        list.push((id.clone(), element.place));
    });
    list
}

fn report(device: &Sourced, id: &str, place: Place, first: &Position, more: usize, findings: &mut Findings) {
    let mut at = Element::new("id");
    at.place = place;
    let same_file = first.file == *device.origin;
    let more = if more > 0 { format!(" (and {more} more ids of this device)") } else { String::new() };
    findings.error(
        &device.origin,
        &at,
        "id",
        format!("the id `{id}` is already used at {first}{more}"),
        if same_file {
            "give one of them another id; ids are unique over all devices"
        } else {
            "give one of them another id, or set `duplicate_ids = \"prefix\"` to put the device's id before its own"
        },
    );
}

/// What, put before every id of the device, makes them free: its id, its name or its uuid.
fn free_prefix(
    device: &Element,
    own: &FxHashSet<&SmolStr>,
    taken: &FxHashMap<SmolStr, (usize, Place)>,
) -> Option<SmolStr> {
    ["id", "name", "uuid"].iter().find_map(|attribute| {
        let base = to_ncname(device.attribute(attribute)?);
        let prefix = format_smolstr!("{base}_");
        let is_free = |id: &&SmolStr| !taken.contains_key(&format_smolstr!("{prefix}{id}"));
        own.iter().all(is_free).then_some(prefix)
    })
}

/// Calls `each` for every element with an id, in document order.
fn visit<'e>(element: &'e Element, each: &mut impl FnMut(&'e SmolStr, &'e Element)) {
    if let Some((_, id)) = element.attributes.iter().find(|(name, _)| name == "id")
        && !id.is_empty()
    {
        each(id, element);
    }
    for child in element.elements() {
        visit(child, each);
    }
}

/// Puts the prefix before the ids in `own`, wherever they are given or referred to.
fn rewrite(element: &mut Element, prefix: &str, own: &FxHashSet<SmolStr>) {
    for (name, value) in &mut element.attributes {
        let is_id = name == "id" || is_reference(name);
        if is_id && own.contains(value) {
            *value = format_smolstr!("{prefix}{value}");
        }
    }
    for child in element.elements_mut() {
        rewrite(child, prefix, own);
    }
}

/// Whether an attribute refers to an element by its id: `idRef`, `coordinateSystemIdRef`,
/// `parentIdRef`, …, and the older `compositionId`, `componentId` and `dataItemId`.
fn is_reference(name: &str) -> bool {
    name == "idRef"
        || name.ends_with("IdRef")
        || matches!(name, "compositionId" | "componentId" | "dataItemId")
}

/// Whether the text can be an `xs:ID`.
fn is_ncname(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// The text as the beginning of an id; what cannot stand in one becomes `_`.
pub(super) fn to_ncname(text: &str) -> SmolStr {
    let mut name: String = text
        .trim()
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' })
        .collect();
    if !is_ncname(&name) {
        name.insert(0, '_');
    }
    name.into()
}
