//! The published node set, read by another reader than the gateway's and in another way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use roxmltree::{Document, Node};

/// A reference: source, type, target.
pub(crate) type Link = (String, String, String);

/// A node: attribute by attribute, in the form that [`shown`](super::shown) gives to what a client reads.
pub(crate) struct Published {
    pub(crate) attributes: BTreeMap<&'static str, String>,
}

pub(crate) struct NodeSet {
    pub(crate) nodes: BTreeMap<String, Published>,
    pub(crate) links: BTreeSet<Link>,
}

/// The companion specification's node set; `None` where it is not at hand.
pub(crate) fn companion() -> Option<String> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/opcua/Opc.Ua.MTConnect.NodeSet2.xml");
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("SKIPPED: {} is not there", path.display());
    }
    text
}

/// Reads it, with `index` for its own namespace.
pub(crate) fn read(text: &str, index: u16) -> NodeSet {
    let document = Document::parse(text).expect("well-formed");
    let root = document.root_element();
    let aliases: BTreeMap<&str, &str> = descendants(root, "Alias")
        .map(|alias| (alias.attribute("Alias").expect("a name"), alias.text().expect("an id").trim()))
        .collect();
    let id = |text: &str| {
        let text = text.trim();
        let text = aliases.get(text).copied().unwrap_or(text);
        text.replace("ns=1;", &format!("ns={index};"))
    };
    let nodes = || root.children().filter(|node| node.tag_name().name().starts_with("UA"));
    let mut links = BTreeSet::new();
    for node in nodes() {
        let own = id(node.attribute("NodeId").expect("an id"));
        for reference in descendants(node, "Reference") {
            let kind = id(reference.attribute("ReferenceType").expect("a type"));
            let other = id(reference.text().expect("a target"));
            if reference.attribute("IsForward") == Some("false") {
                links.insert((other, kind, own.clone()));
            } else {
                links.insert((own.clone(), kind, other));
            }
        }
    }
    let binary: BTreeSet<String> = nodes()
        .filter(|node| node.attribute("BrowseName") == Some("Default Binary"))
        .map(|node| id(node.attribute("NodeId").expect("an id")))
        .collect();
    let read = |node: Node<'_, '_>| {
        let own = id(node.attribute("NodeId").expect("an id"));
        let published = attributes(node, &own, index, &id, &links, &binary);
        (own, published)
    };
    let nodes = nodes().map(read).collect();
    NodeSet { nodes, links }
}

fn attributes(
    node: Node<'_, '_>,
    own: &str,
    index: u16,
    id: &impl Fn(&str) -> String,
    links: &BTreeSet<Link>,
    binary: &BTreeSet<String>,
) -> Published {
    let class = node.tag_name().name().trim_start_matches("UA").to_owned();
    let or = |name: &str, default: &str| node.attribute(name).unwrap_or(default).to_owned();
    let mut attributes = BTreeMap::new();
    attributes.insert("NodeId", own.to_owned());
    let number = match class.as_str() {
        "Object" => 1,
        "Variable" => 2,
        "Method" => 4,
        "ObjectType" => 8,
        "VariableType" => 16,
        "ReferenceType" => 32,
        "DataType" => 64,
        other => panic!("the node set has a {other}"),
    };
    attributes.insert("NodeClass", number.to_string());
    let name = node.attribute("BrowseName").expect("a name");
    let name = name.strip_prefix("1:").map_or(format!("0:{name}"), |name| format!("{index}:{name}"));
    attributes.insert("BrowseName", name);
    let display_name = child(node, "DisplayName").and_then(|name| name.text()).expect("a name");
    attributes.insert("DisplayName", format!(":{display_name}"));
    attributes.insert("WriteMask", "0".to_owned());
    attributes.insert("UserWriteMask", "0".to_owned());
    if matches!(class.as_str(), "ObjectType" | "VariableType" | "ReferenceType" | "DataType") {
        attributes.insert("IsAbstract", or("IsAbstract", "false"));
    }
    match class.as_str() {
        "Object" => {
            attributes.insert("EventNotifier", or("EventNotifier", "0"));
        }
        "ReferenceType" => {
            attributes.insert("Symmetric", or("Symmetric", "false"));
            if let Some(inverse) = child(node, "InverseName").and_then(|name| name.text()) {
                attributes.insert("InverseName", format!(":{inverse}"));
            }
        }
        "Variable" | "VariableType" => {
            attributes.insert("DataType", id(&or("DataType", "i=24")));
            attributes.insert("ValueRank", or("ValueRank", "-1"));
            let value = child(node, "Value").and_then(|value| value.first_element_child());
            // A variable has a Value, if an empty one; a type need not have the attribute at all.
            let without = if class == "Variable" { "nothing" } else { "BadAttributeIdInvalid" };
            attributes.insert("Value", value.map_or(without.to_owned(), shown_value));
        }
        "DataType" => {
            attributes.insert("DataTypeDefinition", definition(node, own, id, links, binary));
        }
        _ => {}
    }
    if class == "Variable" {
        attributes.insert("AccessLevel", or("AccessLevel", "1"));
        attributes.insert("UserAccessLevel", or("UserAccessLevel", "1"));
        attributes.insert("Historizing", or("Historizing", "false"));
    }
    Published { attributes }
}

fn shown_value(value: Node<'_, '_>) -> String {
    let text = |node: Node<'_, '_>| node.text().unwrap_or_default().to_owned();
    let items: Vec<String> = match value.tag_name().name() {
        "ListOfLocalizedText" => value
            .children()
            .filter(Node::is_element)
            .map(|item| {
                let part = |name| child(item, name).map(text).unwrap_or_default();
                format!("{}:{}", part("Locale"), part("Text"))
            })
            .collect(),
        list if list.starts_with("ListOf") => value.children().filter(Node::is_element).map(text).collect(),
        // Dictionaries are left out: they are the deprecated form of the definitions.
        "ByteString" => return "nothing".to_owned(),
        _ => return text(value),
    };
    format!("[{}]", items.join("|"))
}

fn definition(
    node: Node<'_, '_>,
    own: &str,
    id: &impl Fn(&str) -> String,
    links: &BTreeSet<Link>,
    binary: &BTreeSet<String>,
) -> String {
    let fields = || descendants(node, "Field");
    let name = |field: Node<'_, '_>| field.attribute("Name").expect("a name").to_owned();
    if fields().any(|field| field.has_attribute("Value")) {
        let word = |field| format!("{}={}", Node::attribute(&field, "Value").expect("a value"), name(field));
        return format!("enumeration {}", fields().map(word).collect::<Vec<_>>().join("|"));
    }
    let field = |field: Node<'_, '_>| {
        let optional = if field.attribute("IsOptional") == Some("true") { "?" } else { "" };
        format!("{}{optional} {}", name(field), id(field.attribute("DataType").expect("a type")))
    };
    let kind = u8::from(fields().any(|field| field.attribute("IsOptional") == Some("true")));
    let base = links.iter().find(|(_, kind, child)| kind == "i=45" && child == own).expect("a base");
    let encoding = links
        .iter()
        .find(|(source, kind, target)| source == own && kind == "i=38" && binary.contains(target));
    let encoding = &encoding.expect("a binary encoding").2;
    let fields = fields().map(field).collect::<Vec<_>>().join("|");
    format!("structure {kind} of {} as {encoding}: {fields}", base.0)
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.tag_name().name() == name)
}

fn descendants<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}
