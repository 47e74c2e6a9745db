//! The standard's vocabulary.

use smol_str::SmolStr;

use super::Category;

/// What values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// Three numbers.
    ThreeSpace,
}

/// What the standard says of a data item type.
#[derive(Clone, Copy, Debug)]
pub struct TypeFacts {
    /// SAMPLE or EVENT; CONDITION for types that are only ever conditions.
    pub category: Category,
    /// What values look like.
    pub value: ValueKind,
}

/// The facts about a type, as written in Devices.xml.
pub fn data_item_type(item_type: &str) -> Option<&'static TypeFacts> {
    let _ = item_type;
    None
}

/// The element's name in MTConnectStreams: `POSITION` is `Position`, `x:VIBRATION` is `x:Vibration`.
pub fn element_name(item_type: &str) -> SmolStr {
    let (prefix, local) = match item_type.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, item_type),
    };
    let mut name = String::with_capacity(item_type.len());
    if let Some(prefix) = prefix {
        name.push_str(prefix);
        name.push(':');
    }
    for word in local.split('_') {
        match word {
            "PH" | "AC" | "DC" | "URI" | "MTCONNECT" => {
                name.push_str(if word == "MTCONNECT" { "MTConnect" } else { word });
            }
            _ => {
                let mut letters = word.chars();
                name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                name.extend(letters.map(|letter| letter.to_ascii_lowercase()));
            }
        }
    }
    name.into()
}
