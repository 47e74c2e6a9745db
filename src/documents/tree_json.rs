//! Element trees as JSON, in both forms.
//!
//! Attributes become keys. Elements that hold a list (`DataItems`, `Components`, …) become, in the
//! first form, an array of objects with one key each; in the second, an object with one array for
//! each element name. Other children become keys of their own.

use crate::device_model::{Element, Node};

use super::number::number;
use super::text::json_string;

/// Elements whose children are a list.
const LISTS: [&str; 30] = [
    "Assets",
    "CellDefinitions",
    "Channels",
    "Components",
    "Compositions",
    "Constraints",
    "CoordinateSystems",
    "CutterStatus",
    "CuttingItems",
    "DataItems",
    "Destinations",
    "Devices",
    "EntryDefinitions",
    "Errors",
    "FileComments",
    "FileProperties",
    "Filters",
    "Fixtures",
    "ImageFiles",
    "Measurements",
    "PowerSources",
    "References",
    "Relationships",
    "Specifications",
    "Targets",
    "TaskTargets",
    "Collaborators",
    "SubTaskRefs",
    "PartOccurrences",
    "ParentRefs",
];

/// Attributes that are numbers, unless they say something else.
const NUMBERS: [&str; 12] = [
    "count",
    "initial",
    "limit",
    "maximum",
    "minimum",
    "nativeScale",
    "nominal",
    "order",
    "sampleInterval",
    "sampleRate",
    "significantDigits",
    "warning",
];

/// Attributes that are true or false.
const TRUTHS: [&str; 4] = ["discrete", "optional", "removed", "testIndicator"];

/// Elements whose text is a number; so is that of everything in `Measurements`.
const NUMBER_TEXTS: [&str; 26] = [
    "BottomHeight",
    "Filter",
    "Location",
    "LowerLimit",
    "LowerWarning",
    "Maximum",
    "MaximumPosition",
    "Minimum",
    "Nominal",
    "NominalPosition",
    "Priority",
    "ProcessFeedRate",
    "ProcessFeedrate",
    "ProcessSpindleSpeed",
    "ProgramToolNumberMaximum",
    "ReconditionCount",
    "Size",
    "ToolLife",
    "UpperLimit",
    "UpperWarning",
    "Height",
    "Width",
    "Length",
    "Diameter",
    "Weight",
    "ItemLife",
];

/// Elements whose text is three numbers.
const VECTORS: [&str; 5] = ["Axis", "Origin", "Rotation", "Scale", "Translation"];

/// Elements that are several in their parent without a list of their own.
const REPEATED: [&str; 3] = ["ItemLife", "ToolLife", "Workpiece"];

/// Writes children as a list.
pub(super) fn write_list<'e>(
    out: &mut Vec<u8>,
    elements: &[&'e Element],
    grouped: bool,
    parent: Option<&'e str>,
) {
    if grouped {
        let mut keys = Keys::open(out);
        for (at, element) in elements.iter().enumerate() {
            if elements[..at].iter().any(|before| before.name == element.name) {
                continue;
            }
            keys.key(&element.name);
            array(
                keys.out,
                elements[at..].iter().filter(|other| other.name == element.name),
                |out, element| {
                    object(out, element, grouped, parent);
                },
            );
        }
        keys.close();
    } else {
        array(out, elements.iter(), |out, element| {
            let mut keys = Keys::open(out);
            keys.key(&element.name);
            object(keys.out, element, grouped, parent);
            keys.close();
        });
    }
}

fn array<'i, T: 'i>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// An object that is being written.
struct Keys<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Keys<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    fn key(&mut self, name: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        json_string(self.out, name);
        self.out.push(b':');
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

/// The element as an object, or as an array when it is a bare list.
fn object(out: &mut Vec<u8>, element: &Element, grouped: bool, parent: Option<&str>) {
    let children: Vec<&Element> = element.elements().collect();
    let is_list = LISTS.contains(&element.local_name());
    if is_list && element.attributes.is_empty() {
        write_list(out, &children, grouped, Some(element.local_name()));
        return;
    }
    let mut keys = Keys::open(out);
    for (name, value) in &element.attributes {
        if name.starts_with("xmlns") {
            continue;
        }
        keys.key(name);
        scalar(keys.out, value, attribute_kind(name));
    }
    if is_list {
        if grouped {
            // The list's keys stand beside the attributes.
            for (at, child) in children.iter().enumerate() {
                if children[..at].iter().all(|before| before.name != child.name) {
                    keys.key(&child.name);
                    let same = children[at..].iter().filter(|other| other.name == child.name);
                    array(keys.out, same, |out, child| {
                        object(out, child, grouped, Some(element.local_name()));
                    });
                }
            }
        } else {
            keys.key("list");
            write_list(keys.out, &children, grouped, Some(element.local_name()));
        }
        keys.close();
        return;
    }
    for (at, child) in children.iter().enumerate() {
        if children[..at].iter().any(|before| before.name == child.name) {
            continue;
        }
        let same: Vec<&Element> =
            children[at..].iter().filter(|other| other.name == child.name).copied().collect();
        keys.key(&child.name);
        if same.len() > 1 || REPEATED.contains(&child.local_name()) {
            array(keys.out, same.iter(), |out, child| object(out, child, grouped, None));
        } else {
            property(keys.out, child, element, grouped);
        }
    }
    let text = element.text();
    if !text.is_empty() {
        keys.key("value");
        scalar(keys.out, &text, text_kind(element.local_name(), parent));
    }
    keys.close();
}

/// A child that is a key of its parent: plain text stays plain.
fn property(out: &mut Vec<u8>, child: &Element, parent: &Element, grouped: bool) {
    let plain = child.attributes.is_empty()
        && child.elements().next().is_none()
        && !LISTS.contains(&child.local_name())
        // A component's description has attributes of its own, so it is an object even without.
        && !(child.local_name() == "Description" && parent.attribute("id").is_some());
    if plain && child.children.iter().any(|node| matches!(node, Node::Text(_))) {
        // The value of a parameter that was out of range is as much a number as the range.
        let in_range = parent.local_name() == "QueryParameter" && parent.child("Minimum").is_some();
        let kind =
            if in_range { Kind::Number } else { text_kind(child.local_name(), Some(parent.local_name())) };
        scalar(out, &child.text(), kind);
    } else {
        object(out, child, grouped, None);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
    Vector,
}

fn attribute_kind(name: &str) -> Kind {
    if NUMBERS.contains(&name) {
        Kind::Number
    } else if TRUTHS.contains(&name) {
        Kind::Truth
    } else {
        Kind::Text
    }
}

fn text_kind(name: &str, parent: Option<&str>) -> Kind {
    if parent == Some("Measurements") || NUMBER_TEXTS.contains(&name) {
        Kind::Number
    } else if VECTORS.contains(&name) {
        Kind::Vector
    } else {
        Kind::Text
    }
}

/// Writes text as what it should be, or as text where it is something else.
fn scalar(out: &mut Vec<u8>, text: &str, kind: Kind) {
    match kind {
        Kind::Number => {
            if let Some(value) = finite(text) {
                return number(out, value);
            }
        }
        Kind::Truth => {
            if let "true" | "false" = text {
                out.extend_from_slice(text.as_bytes());
                return;
            }
        }
        Kind::Vector => {
            let numbers: Option<Vec<f64>> = text.split_ascii_whitespace().map(finite).collect();
            if let Some(numbers) = numbers {
                return array(out, numbers.into_iter(), number);
            }
        }
        Kind::Text => {}
    }
    json_string(out, text);
}

fn finite(text: &str) -> Option<f64> {
    let written =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|value| written && value.is_finite())
}
