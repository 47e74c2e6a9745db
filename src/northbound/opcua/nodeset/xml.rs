//! NodeSet2 files: the XML form in which node sets are published (part 6, annex F).

use std::io::Read as _;
use std::path::Path;

use opcua_nodes::ImportedReference;
use opcua_types::{EnumField, LocalizedText, NodeId, QualifiedName, StructureField, UAString};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use super::error::NodesetError;
use super::file::{Class, Definition, File, Model, Node, Omitted, Required, UA, Variable};
use super::table::browse_name;
use super::xml_value::value;

/// The largest published node set has 8 MB.
const MAX_BYTES: u64 = 64 << 20;
/// Elements within elements; values nest deepest, at about 12.
const MAX_DEPTH: usize = 64;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 64;
/// Namespaces of one file.
const MAX_URIS: usize = 256;

/// What is wrong, and in which line.
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) what: String,
}

/// An element with all that is in it.
#[derive(Default)]
pub(super) struct Element {
    /// Without its prefix.
    pub(super) name: SmolStr,
    attributes: Vec<(SmolStr, SmolStr)>,
    pub(super) children: Vec<Element>,
    pub(super) text: String,
    pub(super) line: usize,
}

impl Element {
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child; empty when there is no such child.
    pub(super) fn child_text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }

    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { line: self.line, what: what.into() }
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, Fault> {
        let Some(text) = self.attribute(name) else { return Ok(default) };
        text.parse().map_err(|_| self.fault(format!("`{text}` is no {name}")))
    }

    fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.attribute(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(self.fault(format!("`{other}` for {name}, which is `true` or `false`"))),
        }
    }

    fn dimensions(&self) -> Result<Option<Vec<u32>>, Fault> {
        let Some(text) = self.attribute("ArrayDimensions").filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let read = text.split(',').take(17).map(|part| part.trim().parse()).collect::<Result<Vec<u32>, _>>();
        match read {
            Ok(dimensions) if dimensions.len() <= 16 => Ok(Some(dimensions)),
            _ => Err(self.fault(format!("`{text}` is no ArrayDimensions"))),
        }
    }

    /// The text in the children of that name that has no locale, or is English, or comes first.
    fn localized(&self, name: &str) -> Option<LocalizedText> {
        let texts = || self.children.iter().filter(|child| child.name == name);
        let rank = |child: &&Self| match child.attribute("Locale").unwrap_or_default() {
            "" => 0,
            locale if locale.starts_with("en") => 1,
            _ => 2,
        };
        let best = texts().min_by_key(rank)?;
        let locale = best.attribute("Locale").filter(|locale| !locale.is_empty());
        Some(LocalizedText {
            locale: locale.map_or_else(UAString::null, UAString::from),
            text: best.text.trim().into(),
        })
    }
}

impl File {
    /// Reads a NodeSet2 file.
    pub fn read(path: &Path) -> Result<Self, NodesetError> {
        let io = |source| NodesetError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        std::fs::File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        let place = format!("{}:", path.display());
        let whole = |what: &str| NodesetError::Text { place: place.clone(), line: 1, what: what.to_owned() };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(whole("larger than 64 MiB, which no node set is"));
        }
        let text = String::from_utf8(bytes).map_err(|_| whole("not UTF-8; convert the file to UTF-8"))?;
        Self::from_xml(&text).map_err(|error| match error {
            NodesetError::Text { line, what, .. } => NodesetError::Text { place: place.clone(), line, what },
            other => other,
        })
    }

    /// Reads the text of a NodeSet2 file.
    pub fn from_xml(text: &str) -> Result<Self, NodesetError> {
        read(text).map_err(|Fault { line, what }| NodesetError::Text { place: String::new(), line, what })
    }
}

fn read(text: &str) -> Result<File, Fault> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut set = Set::default();
    let mut has_root = false;
    let (mut line, mut counted) = (1, 0);
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX).min(text.len());
        line += memchr::memchr_iter(b'\n', &text.as_bytes()[counted..at]).count();
        counted = at;
        let fault = |what: String| Fault { line, what };
        let event = reader.read_event().map_err(|error| fault(format!("not well-formed XML: {error}")))?;
        match event {
            Event::Start(tag) => {
                let element = element(&tag, line)?;
                if open.is_empty() {
                    if has_root || element.name != "UANodeSet" {
                        return Err(fault(format!("<{}> where one <UANodeSet> should be", element.name)));
                    }
                    has_root = true;
                }
                if open.len() >= MAX_DEPTH {
                    return Err(fault(format!("elements are nested more than {MAX_DEPTH} deep")));
                }
                open.push(element);
            }
            Event::Empty(tag) => close(&mut set, &mut open, element(&tag, line)?)?,
            Event::End(_) => {
                // The reader has checked that the tag closes the element that is open.
                if let Some(element) = open.pop() {
                    close(&mut set, &mut open, element)?;
                }
            }
            Event::Text(more) => add_text(&mut open, &more.xml10_content()),
            Event::CData(more) => add_text(&mut open, &more.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = reference
                    .resolve_char_ref()
                    .map_err(|error| fault(format!("a character reference that is none: {error}")))?;
                match character {
                    Some(character) => add_text(&mut open, character.encode_utf8(&mut [0; 4])),
                    None => {
                        let entity = quick_xml::escape::resolve_predefined_entity(&reference);
                        add_text(
                            &mut open,
                            entity.ok_or_else(|| fault("an entity that is not known".to_owned()))?,
                        );
                    }
                }
            }
            Event::DocType(_) => {
                return Err(fault("a document type (DOCTYPE) is not accepted; remove it".to_owned()));
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::Eof => {
                return if let Some(element) = open.last() {
                    Err(fault(format!("the file ends within <{}> of line {}", element.name, element.line)))
                } else if !has_root {
                    Err(fault("there is no <UANodeSet>; is this a NodeSet2 file?".to_owned()))
                } else {
                    Ok(set.finish())
                };
            }
        }
    }
}

fn element(tag: &BytesStart<'_>, line: usize) -> Result<Element, Fault> {
    let name = SmolStr::new(tag.local_name().into_inner());
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let bad = |error: &dyn std::fmt::Display| Fault { line, what: format!("<{name}>: {error}") };
        let attribute = attribute.map_err(|error| bad(&error))?;
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(bad(&format!("more than {MAX_ATTRIBUTES} attributes")));
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| bad(&error))?;
        attributes.push((SmolStr::new(attribute.key.into_inner()), SmolStr::new(&*value)));
    }
    Ok(Element { name, attributes, line, ..Element::default() })
}

fn add_text(open: &mut [Element], text: &str) {
    // Only the leaves have text; elsewhere it is layout.
    if let Some(element) = open.last_mut()
        && element.children.is_empty()
    {
        element.text.push_str(text);
    }
}

/// Nodes and what goes before them are read as soon as they are whole, and not kept.
fn close(set: &mut Set, open: &mut [Element], mut element: Element) -> Result<(), Fault> {
    if !element.children.is_empty() {
        element.text = String::new();
    }
    match open {
        [] => Ok(()),
        [_root] => set.add(&element),
        [.., parent] => {
            parent.children.push(element);
            Ok(())
        }
    }
}

/// The file so far.
#[derive(Default)]
struct Set {
    file: File,
    aliases: FxHashMap<SmolStr, NodeId>,
    ids: FxHashSet<NodeId>,
}

impl Set {
    fn add(&mut self, element: &Element) -> Result<(), Fault> {
        if self.file.uris.is_empty() {
            self.file.uris.push(UA.into());
        }
        match element.name.as_str() {
            "NamespaceUris" => {
                for uri in &element.children {
                    if self.file.uris.len() >= MAX_URIS {
                        return Err(uri.fault(format!("more than {MAX_URIS} namespaces")));
                    }
                    self.file.uris.push(uri.text.trim().into());
                }
                Ok(())
            }
            "Models" => {
                self.file.models = element.children.iter().map(model).collect();
                Ok(())
            }
            "Aliases" => {
                for alias in &element.children {
                    let id = self.id(alias, alias.text.trim())?;
                    self.aliases.insert(alias.attribute("Alias").unwrap_or_default().into(), id);
                }
                Ok(())
            }
            "UAObject" | "UAVariable" | "UAMethod" | "UAView" | "UAObjectType" | "UAVariableType"
            | "UAReferenceType" | "UADataType" => {
                let node = self.node(element)?;
                self.file.check(&node).map_err(|what| element.fault(what))?;
                if !self.ids.insert(node.id.clone()) {
                    return Err(element.fault(format!("the node {} is there twice", node.id)));
                }
                self.file.nodes.push(node);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> File {
        // Old files have no <Models>: the first namespace is the file's own then.
        if self.file.models.is_empty()
            && let Some(uri) = self.file.uris.get(1)
        {
            self.file.models.push(Model { uri: uri.clone(), ..Model::default() });
        }
        self.file
    }

    /// A NodeId or an alias.
    fn id(&self, element: &Element, text: &str) -> Result<NodeId, Fault> {
        if let Some(id) = self.aliases.get(text) {
            return Ok(id.clone());
        }
        text.parse()
            .map_err(|_| element.fault(format!("`{text}` is neither a NodeId nor an alias of this file")))
    }

    fn node(&mut self, element: &Element) -> Result<Node, Fault> {
        let text = element.attribute("NodeId").ok_or_else(|| element.fault("a node without NodeId"))?;
        let id = self.id(element, text)?;
        let name = self.browse_name(element)?;
        let is_abstract = element.flag("IsAbstract")?;
        let event_notifier = element.parsed("EventNotifier", 0)?;
        let class = match element.name.as_str() {
            "UAObject" => Class::Object { event_notifier },
            "UAVariable" => Class::Variable(self.variable(element, &id)?),
            "UAMethod" => Class::Method { executable: element.parsed("Executable", true)? },
            "UAView" => Class::View { event_notifier, contains_no_loops: element.flag("ContainsNoLoops")? },
            "UAObjectType" => Class::ObjectType { is_abstract },
            "UAVariableType" => Class::VariableType { is_abstract, variable: self.variable(element, &id)? },
            "UAReferenceType" => Class::ReferenceType {
                is_abstract,
                symmetric: element.flag("Symmetric")?,
                inverse_name: element.localized("InverseName"),
            },
            _ => Class::DataType { is_abstract, definition: self.definition(element)? },
        };
        let display_name = element.localized("DisplayName");
        let display_name = display_name
            .unwrap_or_else(|| LocalizedText { locale: UAString::null(), text: name.name.clone() });
        let description = element.localized("Description");
        let references = self.references(element, &id)?;
        Ok(Node { id, name, display_name, description, references, class })
    }

    fn browse_name(&self, element: &Element) -> Result<QualifiedName, Fault> {
        let text = element.attribute("BrowseName").unwrap_or_default();
        let name = browse_name(text);
        if name.name.is_empty() || text.contains(char::is_control) {
            return Err(element.fault("a node without a BrowseName of printable characters"));
        }
        Ok(name)
    }

    fn references(&mut self, element: &Element, id: &NodeId) -> Result<Vec<ImportedReference>, Fault> {
        let mut references = Vec::new();
        for reference in element.child("References").into_iter().flat_map(|list| &list.children) {
            let type_text = reference.attribute("ReferenceType").unwrap_or_default();
            let type_id = self.id(reference, type_text)?;
            let target_id = self.id(reference, reference.text.trim())?;
            if target_id == *id {
                let what = "a reference of a node to itself".to_owned();
                self.file.omitted.push(Omitted { line: reference.line, node: target_id, what });
                continue;
            }
            references.push(ImportedReference {
                target_id,
                type_id,
                is_forward: reference.parsed("IsForward", true)?,
            });
        }
        Ok(references)
    }

    fn variable(&mut self, element: &Element, id: &NodeId) -> Result<Variable, Fault> {
        let default = Variable::default();
        let interval: f64 = element.parsed("MinimumSamplingInterval", 0.0)?;
        let holder = element.child("Value").and_then(|holder| holder.children.first());
        let value = match holder.map(|holder| value(holder, self.file.uris.len())).transpose()? {
            Some(None) => {
                let what = format!("a value in <{}>", holder.map_or("", |holder| holder.name.as_str()));
                self.file.omitted.push(Omitted { line: element.line, node: id.clone(), what });
                None
            }
            value => value.flatten(),
        };
        Ok(Variable {
            data_type: match element.attribute("DataType") {
                Some(text) => self.id(element, text)?,
                None => default.data_type,
            },
            rank: element.parsed("ValueRank", default.rank)?,
            dimensions: element.dimensions()?,
            value,
            access_level: element.parsed::<u32>("AccessLevel", 1)?.to_le_bytes()[0],
            historizing: element.flag("Historizing")?,
            minimum_sampling_interval: Some(interval).filter(|interval| *interval != 0.0),
        })
    }

    fn definition(&self, element: &Element) -> Result<Option<Definition>, Fault> {
        let Some(definition) = element.child("Definition") else { return Ok(None) };
        let fields = || definition.children.iter().filter(|field| field.name == "Field");
        if definition.flag("IsOptionSet")? || fields().any(|field| field.attribute("Value").is_some()) {
            return fields().map(enum_field).collect::<Result<_, _>>().map(Definition::Enum).map(Some);
        }
        let mut subtyped = false;
        let mut list = Vec::new();
        for field in fields() {
            let allows = field.flag("AllowSubTypes")?;
            subtyped |= allows;
            list.push(StructureField {
                name: field.attribute("Name").unwrap_or_default().into(),
                description: field.localized("Description").unwrap_or_default(),
                data_type: match field.attribute("DataType") {
                    Some(text) => self.id(field, text)?,
                    None => NodeId::new(0, 24),
                },
                value_rank: field.parsed("ValueRank", -1)?,
                array_dimensions: field.dimensions()?,
                max_string_length: field.parsed("MaxStringLength", 0)?,
                is_optional: allows || field.flag("IsOptional")?,
            });
        }
        let union = definition.flag("IsUnion")?;
        Ok(Some(Definition::Structure { union, subtyped, fields: list }))
    }
}

fn enum_field(field: &Element) -> Result<EnumField, Fault> {
    let name = field.attribute("Name").unwrap_or_default();
    Ok(EnumField {
        value: field.parsed("Value", -1)?,
        display_name: field.localized("DisplayName").unwrap_or_else(|| name.into()),
        description: field.localized("Description").unwrap_or_default(),
        name: name.into(),
    })
}

fn model(element: &Element) -> Model {
    let of = |element: &Element, name: &str| SmolStr::new(element.attribute(name).unwrap_or_default());
    let required = element.children.iter().filter(|child| child.name == "RequiredModel");
    Model {
        uri: of(element, "ModelUri"),
        version: of(element, "Version"),
        published: of(element, "PublicationDate"),
        required: required
            .map(|child| Required {
                uri: of(child, "ModelUri"),
                version: of(child, "Version"),
                published: of(child, "PublicationDate"),
            })
            .collect(),
    }
}
