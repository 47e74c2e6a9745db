//! From XML text to elements: no document types, no entities but the five, within limits.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use smol_str::SmolStr;

use super::element::{Element, Node};
use super::{MAX_DEPTH, MAX_ELEMENTS, Malformed, Tree, is_name};

/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 256;
/// Namespaces of one document.
const MAX_NAMESPACES: usize = 256;

/// Reads a document.
pub(super) fn parse(source: &str) -> Result<Tree, Malformed> {
    let source = source.trim_start_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']);
    let mut reader = Reader::from_str(source);
    let mut names = Names::default();
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut elements = 0_usize;
    let mut text = String::new();
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            // What follows a whole document is nobody's: a part may drag the next boundary along.
            Err(_) if root.is_some() => break,
            Err(error) => return Err(Malformed::new(format!("not well-formed XML: {error}"))),
        };
        match event {
            Event::Start(tag) => {
                flush(&mut open, &mut text);
                if root.is_some() {
                    break;
                }
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(Malformed::new(format!("more than {MAX_ELEMENTS} elements")));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(Malformed::new(format!("elements are nested more than {MAX_DEPTH} deep")));
                }
                open.push(names.open(&tag)?);
            }
            Event::Empty(tag) => {
                flush(&mut open, &mut text);
                if root.is_some() {
                    break;
                }
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(Malformed::new(format!("more than {MAX_ELEMENTS} elements")));
                }
                let element = names.open(&tag)?;
                names.close();
                add(&mut open, &mut root, element);
            }
            Event::End(_) => {
                flush(&mut open, &mut text);
                names.close();
                // The reader has checked that the tag closes the element that is open.
                if let Some(element) = open.pop() {
                    add(&mut open, &mut root, element);
                }
            }
            Event::Text(more) => text.push_str(&more.xml10_content()),
            Event::CData(more) => text.push_str(&more.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => text.push(character),
                _ => match quick_xml::escape::resolve_predefined_entity(&reference) {
                    Some(known) => text.push_str(known),
                    // Nothing is expanded that the document defines; it stays as it is written.
                    None => {
                        text.push('&');
                        text.push_str(&reference);
                        text.push(';');
                    }
                },
            },
            Event::DocType(_) => return Err(Malformed::new("a document type is not accepted")),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) => Ok(Tree { root, default: names.own, namespaces: names.known }),
        None if open.is_empty() => Err(Malformed::new("there is no element")),
        None => Err(Malformed::new("the document is cut off")),
    }
}

fn add(open: &mut [Element], root: &mut Option<Element>, element: Element) {
    match open.last_mut() {
        Some(parent) => parent.children.push(Node::Element(element)),
        None => *root = Some(element),
    }
}

/// White space between elements is layout, not text.
fn flush(open: &mut [Element], text: &mut String) {
    if let Some(parent) = open.last_mut()
        && !text.trim().is_empty()
    {
        parent.children.push(Node::Text(SmolStr::new(&*text)));
    }
    text.clear();
}

/// Namespaces in scope.
#[derive(Default)]
struct Names {
    /// Prefix, name, depth.
    scope: Vec<(SmolStr, SmolStr, usize)>,
    depth: usize,
    /// MTConnect's own namespace as the document writes it.
    own: Option<SmolStr>,
    /// Extension namespaces met so far.
    known: Vec<(SmolStr, SmolStr)>,
}

impl Names {
    /// The element of a tag. Every `open` needs a `close`.
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<Element, Malformed> {
        self.depth += 1;
        let written = tag.name().into_inner();
        if !is_name(written) {
            return Err(Malformed::new("an element has a name that is none"));
        }
        let mut element = Element::default();
        for attribute in tag.attributes().with_checks(false) {
            let Ok(attribute) = attribute else {
                return Err(Malformed::new(format!("an attribute of <{written}> is not well-formed")));
            };
            if element.attributes.len() == MAX_ATTRIBUTES {
                return Err(Malformed::new(format!("<{written}> has more than {MAX_ATTRIBUTES} attributes")));
            }
            let key = attribute.key.into_inner();
            let value = match attribute.normalized_value(XmlVersion::Implicit1_0) {
                Ok(value) => SmolStr::new(&*value),
                // An entity that nobody knows: as it is written.
                Err(_) => SmolStr::new(&*attribute.value),
            };
            match key.split_once(':') {
                None if key == "xmlns" => self.declare("", &value)?,
                Some(("xmlns", prefix)) => self.declare(prefix, &value)?,
                Some(("xsi", _)) => {}
                _ if !is_name(key) => {
                    return Err(Malformed::new(format!(
                        "an attribute of <{written}> has a name that is none"
                    )));
                }
                // Said twice; the first counts.
                _ if element.attributes.iter().any(|(known, _)| known == key) => {}
                _ => element.attributes.push((key.into(), value)),
            }
        }
        element.name = self.name(written);
        Ok(element)
    }

    fn close(&mut self) {
        let depth = self.depth;
        while self.scope.last().is_some_and(|(_, _, at)| *at >= depth) {
            self.scope.pop();
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn declare(&mut self, prefix: &str, urn: &SmolStr) -> Result<(), Malformed> {
        if !prefix.is_empty() && (!is_name(prefix) || prefix.contains(':')) {
            return Err(Malformed::new("a namespace has a prefix that is none"));
        }
        if self.scope.len() >= MAX_NAMESPACES || self.known.len() >= MAX_NAMESPACES {
            return Err(Malformed::new(format!("more than {MAX_NAMESPACES} namespace declarations")));
        }
        if is_own(urn) {
            self.own.get_or_insert_with(|| urn.clone());
        } else if !prefix.is_empty()
            && prefix != "xsi"
            && !self.known.iter().any(|(known, _)| known == prefix)
        {
            self.known.push((prefix.into(), urn.clone()));
        }
        self.scope.push((prefix.into(), urn.clone(), self.depth));
        Ok(())
    }

    fn name(&self, written: &str) -> SmolStr {
        let Some((prefix, local)) = written.split_once(':') else { return written.into() };
        let urn = self.scope.iter().rev().find(|(known, _, _)| known == prefix);
        if urn.is_some_and(|(_, urn, _)| is_own(urn)) { local.into() } else { written.into() }
    }
}

/// Whether a namespace is MTConnect's; the first versions had another name for it.
fn is_own(urn: &str) -> bool {
    urn.starts_with("urn:mtconnect.org:MTConnect") || urn.starts_with("urn:mtconnect.com:MTConnect")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_the_own_namespace_go_and_those_of_extensions_stay() {
        let tree = parse(
            "\u{FEFF}<?xml version='1.0'?><m:Root xmlns:m='urn:mtconnect.org:MTConnectDevices:1.3' xmlns:x='urn:x' \
             xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b'><x:One/><m:Two a='1'/>\
             </m:Root>",
        )
        .unwrap();
        assert_eq!(tree.root.name, "Root");
        assert!(tree.root.attributes.is_empty());
        let names: Vec<_> = tree.root.elements().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["x:One", "Two"]);
        assert_eq!(tree.default.as_deref(), Some("urn:mtconnect.org:MTConnectDevices:1.3"));
        assert_eq!(tree.namespaces, [("x".into(), "urn:x".into())]);
    }

    #[test]
    fn nothing_is_expanded_that_the_document_defines() {
        let bomb = "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>";
        assert!(parse(bomb).is_err());
        let tree = parse("<a t='&nbsp;'>1 &lt; &#50; &nbsp;<![CDATA[<x>]]></a>").unwrap();
        assert_eq!(tree.root.text(), "1 < 2 &nbsp;<x>");
        assert_eq!(tree.root.attribute("t"), Some("&nbsp;"));
    }

    #[test]
    fn what_is_cut_off_or_too_deep_is_refused() {
        for text in ["", "<a>", "<a><b></a>", "just text", "<a", "<a><!--"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"<a>".repeat(MAX_DEPTH + 1)).is_err());
        assert!(parse("<a/>\r\n--boundary").is_ok());
    }
}
