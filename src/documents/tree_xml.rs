//! Element trees as XML.

use crate::device_model::{Element, Node};

use super::text::{attribute, xml_text};

/// Writes an element with all that is in it; `depth` is its indentation when it is to be pretty.
pub(super) fn write(out: &mut Vec<u8>, element: &Element, depth: Option<usize>) {
    line(out, depth);
    out.push(b'<');
    out.extend_from_slice(element.name.as_bytes());
    for (name, value) in &element.attributes {
        attribute(out, name, value);
    }
    if element.children.is_empty() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    // Where there is text, white space would become a part of it.
    let mixed = element.children.iter().any(|node| matches!(node, Node::Text(_)));
    let inner = if mixed { None } else { depth.map(|depth| depth + 1) };
    for node in &element.children {
        match node {
            Node::Element(child) => write(out, child, inner),
            Node::Text(text) => xml_text(out, text),
        }
    }
    if !mixed {
        line(out, depth);
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(element.name.as_bytes());
    out.push(b'>');
}

/// Writes elements under a name; an element without children when there are none.
pub(super) fn write_list(out: &mut Vec<u8>, name: &str, elements: &[&Element], depth: Option<usize>) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    if elements.is_empty() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    for element in elements {
        write(out, element, depth.map(|depth| depth + 1));
    }
    line(out, depth);
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// A new line with its indentation, when it is to be pretty.
pub(super) fn line(out: &mut Vec<u8>, depth: Option<usize>) {
    if let Some(depth) = depth {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 2));
    }
}
