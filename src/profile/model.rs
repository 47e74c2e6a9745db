//! The device that a profile describes, as an MTConnectDevices document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use smol_str::{SmolStr, format_smolstr};

use super::Identity;
use super::file::{Head, Item};
use crate::device_model::{Category, SchemaVersion, vocabulary};
use crate::reading::suggest;

/// A component's place: its type and its name, which may be empty.
type Step = (SmolStr, SmolStr);

/// Reads `Axes/Linear[X]`; `.` and nothing are the device itself.
///
/// # Errors
/// What is wrong with it.
pub(super) fn path(at: &str) -> Result<Vec<Step>, String> {
    let at = at.trim();
    if at.is_empty() || at == "." {
        return Ok(Vec::new());
    }
    let steps = at.split('/').map(|step| {
        let (component, name) = match step.split_once('[') {
            Some((component, rest)) => {
                let name = rest.strip_suffix(']').ok_or_else(|| format!("`{step}`: `[` is not closed"))?;
                if name.is_empty() || !is_token(name) {
                    return Err(format!(
                        "`{step}`: a component's name has letters, digits, `_`, `-` and `.`"
                    ));
                }
                (component, name)
            }
            None => (step, ""),
        };
        if vocabulary::component(component).is_none() && !component.contains(':') {
            let cure = match suggest::nearest(component, vocabulary::components()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "write one of the standard's, such as Controller, Path, Linear, Systems".to_owned(),
            };
            return Err(format!("`{component}` is no component of MTConnect; {cure}"));
        }
        Ok((component.into(), name.into()))
    });
    steps.collect()
}

/// Whether XML takes it as a name token (letters, digits, `_`, `-`, `.`).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// A type as the profile writes it, taken apart: `POSITION.ACTUAL`.
pub(super) fn type_of(item: &Item) -> (&str, &str) {
    item.item_type.split_once('.').unwrap_or((&item.item_type, ""))
}

/// The category of an item; `None` when nobody says.
pub(super) fn category(item: &Item) -> Option<&'static str> {
    if item.condition.is_some() || item.bits.is_some() {
        return Some("CONDITION");
    }
    match item.category.as_deref() {
        Some("SAMPLE") => return Some("SAMPLE"),
        Some("EVENT") => return Some("EVENT"),
        Some("CONDITION") => return Some("CONDITION"),
        _ => {}
    }
    vocabulary::data_item_type(type_of(item).0).map(|facts| match facts.category_in(SchemaVersion::NEWEST) {
        Category::Sample => "SAMPLE",
        Category::Event => "EVENT",
        Category::Condition => "CONDITION",
    })
}

/// The id of a data item: the machine's and the item's keys, for ids are unique among all machines.
pub(super) fn item_id(identity: &Identity, key: &str) -> SmolStr {
    format_smolstr!("{}_{key}", identity.id)
}

/// What tells of commands and of whether control is on.
const OF_CONTROL: [(&str, &str); 2] =
    [("command", "type=\"MESSAGE\" representation=\"DATA_SET\""), ("control", "type=\"INTERFACE_STATE\"")];

/// A document with this one device, and by its lines (from 1) the items that stand there. A device that is controlled
/// has two data items more.
pub(super) fn document(
    head: &Head,
    identity: &Identity,
    items: &[(SmolStr, Item)],
    is_controlled: bool,
) -> (String, BTreeMap<u32, usize>) {
    let mut root = Node::default();
    for (index, (_, item)) in items.iter().enumerate() {
        let mut node = &mut root;
        for step in path(&item.at).unwrap_or_default() {
            let known = node.children.iter().position(|(known, _)| *known == step);
            let at = known.unwrap_or_else(|| {
                node.children.push((step, Node::default()));
                node.children.len() - 1
            });
            node = &mut node.children[at].1;
        }
        node.items.push(index);
    }
    let mut out = Writer { xml: String::new(), line: 1, lines: BTreeMap::new() };
    let version = SchemaVersion::NEWEST;
    out.line(&format!("<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:{version}\"><Devices>"));
    out.line(&format!(
        "<Device id=\"{}\" name=\"{}\" uuid=\"{}\">",
        escape(&identity.id),
        escape(&identity.name),
        escape(&identity.uuid)
    ));
    let mut description = String::from("<Description");
    for (name, value) in [("manufacturer", &head.vendor), ("model", &head.model)] {
        if !value.is_empty() {
            let _ = write!(description, " {name}=\"{}\"", escape(value));
        }
    }
    let _ = write!(description, ">{}</Description>", escape(&head.description));
    out.line(&description);
    out.node(&root, identity, items, &identity.id, is_controlled);
    out.line("</Device>");
    out.line("</Devices></MTConnectDevices>");
    (out.xml, out.lines)
}

/// A component with what is in it, in the order of the profile.
#[derive(Default)]
struct Node {
    items: Vec<usize>,
    children: Vec<(Step, Node)>,
}

struct Writer {
    xml: String,
    line: u32,
    lines: BTreeMap<u32, usize>,
}

impl Writer {
    fn line(&mut self, text: &str) {
        self.xml.push_str(text);
        self.xml.push('\n');
        self.line += 1;
    }

    fn node(
        &mut self,
        node: &Node,
        identity: &Identity,
        items: &[(SmolStr, Item)],
        id: &str,
        is_controlled: bool,
    ) {
        if !node.items.is_empty() || is_controlled {
            self.line("<DataItems>");
            for (key, what) in OF_CONTROL.iter().filter(|_| is_controlled) {
                let id = item_id(identity, key);
                let id = escape(&id);
                self.line(&format!("<DataItem id=\"{id}\" name=\"{key}\" category=\"EVENT\" {what}/>"));
            }
            for index in &node.items {
                self.lines.insert(self.line, *index);
                let (key, item) = &items[*index];
                self.line(&data_item(identity, key, item));
            }
            self.line("</DataItems>");
        }
        if node.children.is_empty() {
            return;
        }
        self.line("<Components>");
        for ((component, name), child) in &node.children {
            let local = component.rsplit(':').next().unwrap_or(component);
            let own = match name.as_str() {
                "" => format!("{id}_{local}"),
                name => format!("{id}_{local}_{name}"),
            };
            let name = if name.is_empty() { local } else { name };
            self.line(&format!("<{component} id=\"{}\" name=\"{}\">", escape(&own), escape(name)));
            self.node(child, identity, items, &own, false);
            self.line(&format!("</{component}>"));
        }
        self.line("</Components>");
    }
}

/// A line for one data item.
fn data_item(identity: &Identity, key: &str, item: &Item) -> String {
    let (item_type, sub_type) = type_of(item);
    let id = item_id(identity, key);
    let rate = item.rate.filter(|_| item.representation.as_deref() == Some("TIME_SERIES"));
    let rate = rate.map(|rate| rate.to_string()).unwrap_or_default();
    let representation = match &item.representation {
        Some(written) => written.as_str(),
        None if item.entries.is_some() => "DATA_SET",
        None => "",
    };
    let mut xml = String::from("<DataItem");
    for (name, value) in [
        ("id", id.as_str()),
        ("name", item.name.as_deref().unwrap_or(key)),
        ("category", category(item).unwrap_or_default()),
        ("type", item_type),
        ("subType", sub_type),
        ("statistic", item.statistic.as_deref().unwrap_or_default()),
        ("representation", representation),
        ("units", &item.units),
        ("nativeUnits", &item.native_units),
        ("sampleRate", &rate),
        ("discrete", if item.discrete { "true" } else { "" }),
    ] {
        if !value.is_empty() {
            let _ = write!(xml, " {name}=\"{}\"", escape(value));
        }
    }
    let source = item.shdr.as_ref().map(|key| format!("<Source>{}</Source>", escape(key)));
    let delta = item.deadband.map(|delta| format!("<Filter type=\"MINIMUM_DELTA\">{delta}</Filter>"));
    let period = item.period.as_deref().and_then(guideway_contract::duration::parse);
    let period = period.map(|period| format!("<Filter type=\"PERIOD\">{}</Filter>", period.as_secs_f64()));
    let filters: String = delta.into_iter().chain(period).collect();
    let filters = if filters.is_empty() { filters } else { format!("<Filters>{filters}</Filters>") };
    let inner = source.unwrap_or_default() + &filters;
    if inner.is_empty() { xml + "/>" } else { format!("{xml}>{inner}</DataItem>") }
}

fn escape(text: &str) -> String {
    // XML has no control characters, escaped or not.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_components_of_the_standard() {
        assert_eq!(path(".").unwrap(), []);
        let steps = path("Axes/Linear[X]").unwrap();
        assert_eq!(steps, [("Axes".into(), "".into()), ("Linear".into(), "X".into())]);
        assert!(path("Axis/Lienar[X]").unwrap_err().contains("did you mean `Linear`"));
        assert!(path("Axes/Linear[X").unwrap_err().contains("not closed"));
        assert!(path("Axes/Linear[a b]").is_err() && path("Axes//Linear").is_err());
    }
}
