//! From XML text to an element tree: well-formed, without a document type, within limits.
//!
//! Names come out with one prefix for each extension namespace and with none for MTConnect's own,
//! whatever the file calls them.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use smol_str::{SmolStr, format_smolstr};

use super::element::Place;
use super::{Element, Namespace, Node, SchemaVersion};

/// Elements within elements. No real device is deeper than 20; whoever walks the tree may recurse.
const MAX_DEPTH: usize = 64;
/// Elements in one file: about 200 machines of 5,000 elements.
const MAX_ELEMENTS: usize = 1_000_000;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 256;
/// Namespace declarations in one file.
const MAX_NAMESPACES: usize = 256;

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// A file that was read.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Element,
    /// By the MTConnect namespace that the root or one of its parts is in.
    pub(super) version: Option<SchemaVersion>,
    /// An MTConnect namespace that says no version that is known.
    pub(super) strange: Option<SmolStr>,
    /// Extension namespaces, with schema locations.
    pub(super) namespaces: Vec<Namespace>,
    /// Prefixes that meant another namespace before: as written, and as in the tree.
    pub(super) renamed: Vec<(SmolStr, SmolStr)>,
}

/// Why a text is not a tree.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) cure: String,
}

/// Reads XML text into a tree. `known` are the extension namespaces met before: they keep their
/// prefixes, and a prefix that means another namespace here is changed.
pub(super) fn parse(source: &str, known: Vec<Namespace>) -> Result<Document, Fault> {
    let source = source.strip_prefix('\u{FEFF}').unwrap_or(source);
    let mut reader = Reader::from_str(source);
    let mut cursor = Cursor { source, offset: 0, line: 1, line_start: 0 };
    let mut names = Names { known, ..Names::default() };
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0usize;
    // Text up to the next tag; put together here, because references come as events of their own.
    let mut text = String::new();
    loop {
        let place = cursor.place(offset(reader.buffer_position()));
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let place = cursor.place(offset(reader.error_position()));
                let cure = match open.last() {
                    Some(element) => format!(
                        "mend the XML there; the element open at that point is <{}> of line {}",
                        element.name, element.place.line
                    ),
                    None => "mend the XML there".to_owned(),
                };
                return Err(Fault { place, what: format!("not well-formed XML: {error}"), cure });
            }
        };
        let fault = |what: String, cure: &str| Fault { place, what, cure: cure.to_owned() };
        if matches!(event, Event::Start(_) | Event::Empty(_) | Event::End(_)) {
            flush_text(&mut open, &mut text);
        }
        match event {
            Event::Start(_) | Event::Empty(_) if root.is_some() && open.is_empty() => {
                return Err(fault(
                    "a second root element".to_owned(),
                    "a file holds one document; remove the rest",
                ));
            }
            Event::Start(tag) => {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(fault(
                        format!("more than {MAX_ELEMENTS} elements"),
                        "split the devices over several files",
                    ));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(fault(
                        format!("elements are nested more than {MAX_DEPTH} deep"),
                        "no device is that deep; check that every element is closed",
                    ));
                }
                let mut element = names.open(&tag).map_err(|(what, cure)| fault(what, &cure))?;
                element.place = place;
                open.push(element);
            }
            Event::Empty(tag) => {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(fault(
                        format!("more than {MAX_ELEMENTS} elements"),
                        "split the devices over several files",
                    ));
                }
                let mut element = names.open(&tag).map_err(|(what, cure)| fault(what, &cure))?;
                names.close();
                element.place = place;
                add(&mut open, &mut root, element);
            }
            Event::End(_) => {
                names.close();
                // The reader has checked that the tag closes the element that is open.
                if let Some(element) = open.pop() {
                    add(&mut open, &mut root, element);
                }
            }
            Event::Text(more) => add_text(&open, &mut text, &more.xml10_content(), place)?,
            Event::CData(more) => add_text(&open, &mut text, &more.xml10_content(), place)?,
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| {
                    fault(
                        format!("a character reference that is none: {error}"),
                        "write the character itself",
                    )
                })?;
                let mut buffer = [0; 4];
                let more = match character {
                    Some(character) if allowed(character) => &*character.encode_utf8(&mut buffer),
                    Some(character) => {
                        return Err(fault(
                            format!("the character U+{:04X} cannot occur in XML", u32::from(character)),
                            "remove it",
                        ));
                    }
                    None => quick_xml::escape::resolve_predefined_entity(&reference).ok_or_else(|| {
                        fault(
                            format!("the entity `&{};` is not known", &*reference),
                            "write the character itself; only &amp; &lt; &gt; &quot; &apos; are known",
                        )
                    })?,
                };
                add_text(&open, &mut text, more, place)?;
            }
            Event::DocType(_) => {
                return Err(fault(
                    "a document type (DOCTYPE) is not accepted".to_owned(),
                    "remove it; write the text of its entities in their places",
                ));
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::Eof => {
                if let Some(element) = open.last() {
                    return Err(fault(
                        format!("the file ends within <{}> of line {}", element.name, element.place.line),
                        "the file is cut off, or the element is not closed",
                    ));
                }
                let root = root.ok_or_else(|| {
                    fault(
                        "there is no element".to_owned(),
                        "write an MTConnectDevices document into the file",
                    )
                })?;
                let renamed = std::mem::take(&mut names.renamed);
                let (version, strange) = (names.version, names.strange.take());
                return Ok(Document { root, version, strange, namespaces: names.finish(), renamed });
            }
        }
    }
}

fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// Whether XML 1.0 allows the character.
pub(super) fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

fn add(open: &mut [Element], root: &mut Option<Element>, element: Element) {
    match open.last_mut() {
        Some(parent) => parent.children.push(Node::Element(element)),
        None => *root = Some(element),
    }
}

fn add_text(open: &[Element], text: &mut String, more: &str, place: Place) -> Result<(), Fault> {
    if let Some(character) = more.chars().find(|character| !allowed(*character)) {
        let what = format!("the character U+{:04X} cannot occur in XML", u32::from(character));
        return Err(Fault { place, what, cure: "remove it".to_owned() });
    }
    if !open.is_empty() {
        text.push_str(more);
    } else if !more.trim_matches(|c: char| c == '\u{FEFF}' || c.is_whitespace()).is_empty() {
        let what = "text outside of the root element".to_owned();
        return Err(Fault { place, what, cure: "remove it; the file is perhaps not XML".to_owned() });
    }
    Ok(())
}

/// White space between elements is layout, not text.
fn flush_text(open: &mut [Element], text: &mut String) {
    if let Some(parent) = open.last_mut()
        && !text.trim().is_empty()
    {
        parent.children.push(Node::Text(SmolStr::new(&*text)));
    }
    text.clear();
}

/// Line and column of ascending offsets.
struct Cursor<'s> {
    source: &'s str,
    offset: usize,
    line: u32,
    line_start: usize,
}

impl Cursor<'_> {
    fn place(&mut self, offset: usize) -> Place {
        let mut offset = offset.min(self.source.len());
        while !self.source.is_char_boundary(offset) {
            offset -= 1;
        }
        if offset > self.offset {
            for newline in memchr::memchr_iter(b'\n', &self.source.as_bytes()[self.offset..offset]) {
                self.line += 1;
                self.line_start = self.offset + newline + 1;
            }
            self.offset = offset;
        }
        let column = self.source.get(self.line_start..offset).map_or(0, |before| before.chars().count());
        Place { line: self.line, column: u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1) }
    }
}

/// Where the attribute `name` of the element that begins at `place` stands; `place` when it is not
/// found there.
pub(super) fn attribute_place(source: &str, place: Place, name: &str) -> Place {
    let mut cursor = Cursor { source, offset: 0, line: 1, line_start: 0 };
    let mut start = 0;
    for _ in 1..place.line {
        match memchr::memchr(b'\n', &source.as_bytes()[start..]) {
            Some(newline) => start += newline + 1,
            None => return place,
        }
    }
    let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some((skip, _)) = source[start..].char_indices().nth(column) else { return place };
    let tag = &source[start + skip..];
    let mut quote = None;
    let mut before = ' ';
    for (at, character) in tag.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if character == '>' => break,
            None if character == '"' || character == '\'' => quote = Some(character),
            None => {
                let follows =
                    tag[at..].strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
                if before.is_whitespace() && follows {
                    return cursor.place(start + skip + at);
                }
            }
        }
        before = character;
    }
    place
}

/// Namespaces in scope and the prefix each has in the tree.
#[derive(Default)]
struct Names {
    /// Declarations in scope: prefix, name, depth.
    scope: Vec<(SmolStr, SmolStr, usize)>,
    depth: usize,
    version: Option<SchemaVersion>,
    strange: Option<SmolStr>,
    known: Vec<Namespace>,
    locations: Vec<(SmolStr, SmolStr)>,
    renamed: Vec<(SmolStr, SmolStr)>,
}

type Complaint = (String, String);

impl Names {
    /// The element of a tag, its names resolved. Every `open` needs a `close`.
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<Element, Complaint> {
        self.depth += 1;
        let mut raw: Vec<(&str, SmolStr)> = Vec::new();
        let tag_text = tag.name().into_inner();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| {
                (format!("an attribute of <{tag_text}> is not well-formed: {error}"), "mend it".to_owned())
            })?;
            if raw.len() == MAX_ATTRIBUTES {
                let what = format!("<{tag_text}> has more than {MAX_ATTRIBUTES} attributes");
                return Err((what, "no element has that many; remove some".to_owned()));
            }
            let key = attribute.key.into_inner();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| {
                (
                    format!("the attribute `{key}` of <{tag_text}> is not well-formed: {error}"),
                    "write `&` as &amp; and `<` as &lt;; other entities are not accepted".to_owned(),
                )
            })?;
            if let Some(character) = value.chars().find(|character| !allowed(*character)) {
                let what =
                    format!("the character U+{:04X} in `{key}` cannot occur in XML", u32::from(character));
                return Err((what, "remove it".to_owned()));
            }
            raw.push((key, SmolStr::new(&*value)));
        }
        raw.retain(|(key, value)| match key.strip_prefix("xmlns") {
            Some("") => {
                self.declare("", value);
                false
            }
            Some(rest) => match rest.strip_prefix(':') {
                Some(prefix) => {
                    self.declare(prefix, value);
                    false
                }
                None => true,
            },
            None => true,
        });
        if self.scope.len() > MAX_NAMESPACES || self.known.len() > MAX_NAMESPACES {
            let what = format!("more than {MAX_NAMESPACES} namespace declarations");
            return Err((what, "declare the namespaces once, in the root element".to_owned()));
        }
        let mut element = Element::new(&self.element_name(tag_text)?);
        for (key, value) in raw {
            let Some(name) = self.attribute_name(key)? else { continue };
            if name == "xsi:schemaLocation" {
                let mut words = value.split_ascii_whitespace();
                while let (Some(urn), Some(location)) = (words.next(), words.next()) {
                    if self.locations.len() < MAX_NAMESPACES {
                        self.locations.push((urn.into(), location.into()));
                    }
                }
            } else if name != "xsi:noNamespaceSchemaLocation" {
                element.attributes.push((name, value));
            }
        }
        Ok(element)
    }

    fn close(&mut self) {
        let depth = self.depth;
        self.scope.retain(|(_, _, at)| *at < depth);
        self.depth = self.depth.saturating_sub(1);
    }

    fn declare(&mut self, prefix: &str, urn: &SmolStr) {
        if let Some(version) = mtconnect_version(urn) {
            if version.is_none() {
                self.strange.get_or_insert_with(|| urn.clone());
            }
            self.version = self.version.or(version);
        } else if !prefix.is_empty() && !urn.is_empty() && urn != XSI {
            self.prefix_of(prefix, urn);
        }
        self.scope.push((prefix.into(), urn.clone(), self.depth));
    }

    fn lookup(&self, prefix: &str) -> Option<&SmolStr> {
        self.scope.iter().rev().find(|(known, _, _)| known == prefix).map(|(_, urn, _)| urn)
    }

    /// The prefix that a namespace has in the tree: the wanted one unless it means another.
    fn prefix_of(&mut self, wanted: &str, urn: &str) -> SmolStr {
        if urn == XSI {
            return "xsi".into();
        }
        if urn == XML {
            return "xml".into();
        }
        if let Some(known) = self.known.iter().find(|namespace| namespace.urn == urn) {
            return known.prefix.clone();
        }
        let is_taken = |prefix: &str| {
            matches!(prefix, "" | "xsi" | "xml") || self.known.iter().any(|known| known.prefix == prefix)
        };
        let mut prefix = SmolStr::new(wanted);
        let mut number = 1;
        while is_taken(&prefix) {
            prefix = format_smolstr!("{}{number}", if wanted.is_empty() { "ns" } else { wanted });
            number += 1;
        }
        if prefix != wanted && !wanted.is_empty() {
            self.renamed.push((wanted.into(), prefix.clone()));
        }
        self.known.push(Namespace { prefix: prefix.clone(), urn: urn.into(), location: SmolStr::default() });
        prefix
    }

    fn element_name(&mut self, written: &str) -> Result<SmolStr, Complaint> {
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        check_name(written, local)?;
        let urn = self.lookup(prefix).cloned();
        match urn {
            None if prefix.is_empty() => Ok(local.into()),
            None if prefix == "xml" => Ok(written.into()),
            None => Err(undeclared(prefix, &format!("<{written}>"))),
            Some(urn) if urn.is_empty() || mtconnect_version(&urn).is_some() => Ok(local.into()),
            Some(urn) => Ok(format_smolstr!("{}:{local}", self.prefix_of(prefix, &urn))),
        }
    }

    fn attribute_name(&mut self, written: &str) -> Result<Option<SmolStr>, Complaint> {
        let Some((prefix, local)) = written.split_once(':') else {
            check_name(written, written)?;
            return Ok(Some(written.into()));
        };
        check_name(written, local)?;
        match self.lookup(prefix).cloned() {
            None if prefix == "xml" => Ok(Some(written.into())),
            // So common a slip that it is let pass; schema locations are all that is ever meant.
            None if prefix == "xsi" => Ok(Some(written.into())),
            None => Err(undeclared(prefix, &format!("the attribute `{written}`"))),
            Some(urn) if urn.is_empty() || mtconnect_version(&urn).is_some() => Ok(Some(local.into())),
            Some(urn) => Ok(Some(format_smolstr!("{}:{local}", self.prefix_of(prefix, &urn)))),
        }
    }

    fn finish(mut self) -> Vec<Namespace> {
        for namespace in &mut self.known {
            if namespace.location.is_empty()
                && let Some((_, location)) = self.locations.iter().find(|(urn, _)| *urn == namespace.urn)
            {
                namespace.location = location.clone();
            }
        }
        self.known
    }
}

/// The version in the name of an MTConnect namespace: `None` when it is not one of MTConnect's,
/// `Some(None)` when it is but says no version that is known. Early files say `mtconnect.com`.
fn mtconnect_version(urn: &str) -> Option<Option<SchemaVersion>> {
    let rest = urn
        .strip_prefix("urn:mtconnect.org:MTConnect")
        .or_else(|| urn.strip_prefix("urn:mtconnect.com:MTConnect"))?;
    Some(rest.rsplit_once(':').and_then(|(_, version)| version.parse().ok()))
}

fn undeclared(prefix: &str, user: &str) -> Complaint {
    (
        format!("the prefix `{prefix}` of {user} is not declared"),
        format!("declare it in the root element: xmlns:{prefix}=\"urn:…\""),
    )
}

/// XML leaves little out of names; what would break the documents is refused.
fn check_name(written: &str, local: &str) -> Result<(), Complaint> {
    let first_is_good =
        local.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_' || !first.is_ascii());
    let all_are_good = local
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{B7}') || !c.is_ascii());
    let prefix_is_good = written.strip_suffix(local).is_some_and(|prefix| {
        prefix.is_empty()
            || (prefix.len() > 1 && !prefix.starts_with(|c: char| !c.is_alphabetic() && c != '_'))
    });
    if first_is_good && all_are_good && prefix_is_good && written.len() <= 256 {
        Ok(())
    } else {
        let shown: String = written.chars().take(40).collect();
        Err((
            format!("`{shown}` is not a name"),
            "names begin with a letter and hold letters, digits, `_`, `-`, `.`".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(xml: &str) -> Document {
        parse(xml, Vec::new()).unwrap_or_else(|fault| panic!("{fault:?}"))
    }

    fn refused(xml: &str) -> Fault {
        parse(xml, Vec::new()).map(|document| panic!("{document:?}")).unwrap_or_else(|fault| fault)
    }

    #[test]
    fn any_prefix_of_mtconnects_own_namespace_is_taken_away() {
        let with = read(
            r#"<m:MTConnectDevices xmlns:m="urn:mtconnect.org:MTConnectDevices:1.5"><m:Devices/></m:MTConnectDevices>"#,
        );
        let without = read(
            r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:1.5"><Devices/></MTConnectDevices>"#,
        );
        assert_eq!(with.root, without.root);
        assert_eq!(with.version, Some(SchemaVersion::new(1, 5)));
        assert!(with.namespaces.is_empty());
        let early = read(r#"<Devices xmlns="urn:mtconnect.com:MTConnectDevices:1.0"/>"#);
        assert_eq!(early.version, Some(SchemaVersion::new(1, 0)));
    }

    #[test]
    fn extensions_keep_their_prefix_and_their_schema() {
        let document = read(
            r#"<Devices xmlns="urn:mtconnect.org:MTConnectDevices:2.0" xmlns:x="urn:example.com:Devices:2.0"
                xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
                xsi:schemaLocation="urn:mtconnect.org:MTConnectDevices:2.0 a.xsd
                    urn:example.com:Devices:2.0 /schemas/x.xsd"><x:Gripper x:force="1"/></Devices>"#,
        );
        let gripper = document.root.elements().next().expect("there");
        assert_eq!(gripper.name, "x:Gripper");
        assert_eq!(gripper.attribute("x:force"), Some("1"));
        assert!(document.root.attributes.is_empty(), "declarations are not attributes");
        let namespace = Namespace {
            prefix: "x".into(),
            urn: "urn:example.com:Devices:2.0".into(),
            location: "/schemas/x.xsd".into(),
        };
        assert_eq!(document.namespaces, [namespace]);
    }

    #[test]
    fn an_extension_in_a_default_namespace_gets_a_prefix() {
        let document =
            read(r#"<Devices><Gripper xmlns="urn:example.com:G"><Jaw/></Gripper><Device/></Devices>"#);
        let names: Vec<_> = document.root.elements().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["ns1:Gripper", "Device"]);
        assert_eq!(
            document.root.elements().next().and_then(|g| g.elements().next()).expect("there").name,
            "ns1:Jaw"
        );
    }

    #[test]
    fn a_prefix_that_means_two_namespaces_is_told_apart() {
        let first = read(r#"<Devices xmlns:x="urn:a"/>"#);
        let second = parse(r#"<Devices xmlns:x="urn:b"><x:G/></Devices>"#, first.namespaces).expect("reads");
        assert_eq!(second.root.elements().next().expect("there").name, "x1:G");
        assert_eq!(second.renamed, [("x".into(), "x1".into())]);
        assert_eq!(second.namespaces.len(), 2);
    }

    #[test]
    fn text_is_put_together_and_layout_left_out() {
        let root = read("<a>\n  <b>1 &lt; <![CDATA[2 & 3]]>&#x41;<!-- no --></b>\n  <?pi?>\n</a>").root;
        assert_eq!(root.children.len(), 1);
        assert_eq!(root.child("b").expect("there").text(), "1 < 2 & 3A");
    }

    #[test]
    fn what_is_not_safe_or_not_xml_is_refused_with_its_place() {
        for (xml, what, line, column) in [
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "DOCTYPE", 1, 1),
            ("<a>\n  é&x;</a>", "`&x;`", 2, 4),
            ("<a b='&x;'/>", "`b` of <a>", 1, 1),
            ("<a>\n<b></a>", "not well-formed", 2, 4),
            ("<a>", "ends within <a>", 1, 4),
            ("<a/><b/>", "second root", 1, 5),
            ("", "no element", 1, 1),
            ("devices", "outside", 1, 1),
            ("<a x='1' x='2'/>", "attribute", 1, 1),
            ("<x:a/>", "`x`", 1, 1),
            ("<a x:b='1'/>", "`x`", 1, 1),
            ("<a>&#0;</a>", "character reference", 1, 4),
            ("<a>&#1;</a>", "U+0001", 1, 4),
            ("<a b='&#1;'/>", "U+0001", 1, 1),
            ("<a>\u{1}</a>", "U+0001", 1, 4),
            ("<a =\"\"/>", "", 1, 1),
            ("<1a/>", "not a name", 1, 1),
            ("<a b<c='1'/>", "", 1, 1),
        ] {
            let fault = refused(xml);
            assert!(fault.what.contains(what), "{xml}: {}", fault.what);
            assert_eq!((fault.place.line, fault.place.column), (line, column), "{xml}: {}", fault.what);
            assert!(!fault.cure.is_empty(), "{xml}");
        }
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_refused() {
        let deep = "<a>".repeat(100_000);
        assert!(refused(&deep).what.contains("nested"));
        let mut wide = String::from("<a");
        for number in 0..=MAX_ATTRIBUTES {
            wide.push_str(&format!(" a{number}=''"));
        }
        assert!(refused(&format!("{wide}/>")).what.contains("attributes"));
        let mut many = String::from("<a");
        for number in 0..200 {
            many.push_str(&format!(" xmlns:a{number}='urn:{number}'"));
        }
        let many = format!("{many}><b{}/></a>", many.trim_start_matches("<a").replace("urn:", "urn:b"));
        assert!(refused(&many).what.contains("namespace"));
    }

    #[test]
    fn many_references_take_no_longer_than_as_much_text() {
        let root = read(&format!("<a>{}</a>", "&amp;".repeat(200_000))).root;
        assert_eq!(root.text().len(), 200_000);
    }

    #[test]
    fn attributes_are_found_where_they_stand() {
        let xml = "<a>\n  <b idx='id=' id = '1'\n     type='x'/></a>";
        let place = read(xml).root.child("b").expect("there").place;
        let at = |name: &str| {
            let place = attribute_place(xml, place, name);
            (place.line, place.column)
        };
        assert_eq!(at("id"), (2, 16));
        assert_eq!(at("type"), (3, 6));
        assert_eq!(at("missing"), (2, 3));
    }

    fn written(element: &Element) -> String {
        let escape = |text: &str| {
            quick_xml::escape::escape(text)
                .replace('\n', "&#10;")
                .replace('\t', "&#9;")
                .replace('\r', "&#13;")
        };
        let mut xml = format!("<{}", element.name);
        for (name, value) in &element.attributes {
            xml.push_str(&format!(" {name}=\"{}\"", escape(value)));
        }
        xml.push('>');
        for child in &element.children {
            match child {
                Node::Element(child) => xml.push_str(&written(child)),
                Node::Text(text) => xml.push_str(&escape(text)),
            }
        }
        xml.push_str(&format!("</{}>", element.name));
        xml
    }

    fn elements() -> impl Strategy<Value = Element> {
        let name = "[A-Za-z_][A-Za-z0-9_.-]{0,8}";
        let attributes =
            proptest::collection::btree_map("[a-wyz][a-z]{0,5}", "[ -~\\t\\n\\u{a0}-\\u{2ff}]{0,12}", 0..4);
        let leaf = (name, attributes, proptest::option::of("[ -~é\\n]{0,12}[!-~]")).prop_map(
            |(name, attributes, text)| {
                let mut element = Element::new(&name);
                element.attributes = attributes.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
                element.children = text.into_iter().map(|text| Node::Text(text.into())).collect();
                element
            },
        );
        leaf.prop_recursive(5, 40, 5, |inner| {
            (inner.clone(), proptest::collection::vec(inner, 0..5)).prop_map(|(mut parent, children)| {
                parent.children.extend(children.into_iter().map(Node::Element));
                parent
            })
        })
    }

    proptest! {
        #[test]
        fn a_tree_that_is_written_is_read_back(element in elements()) {
            prop_assert_eq!(read(&written(&element)).root, element);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = parse(&text, Vec::new());
        }
    }
}
