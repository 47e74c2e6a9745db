//! Elements of a document, whether it came as XML or as JSON, and how they are written as XML.

use std::borrow::Cow;

use smol_str::SmolStr;

/// One element. MTConnect's own names have no prefix, whatever the document calls them; extensions keep
/// theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: SmolStr,
    /// Its attributes, in order, unescaped; without namespace declarations.
    pub attributes: Vec<(SmolStr, SmolStr)>,
    /// What is in it.
    pub children: Vec<Node>,
}

/// A part of an element's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, unescaped; never only white space.
    Text(SmolStr),
}

impl Element {
    /// An empty element.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Whether its name, without a prefix, is this one in whatever case: some agents shout.
    pub fn is(&self, name: &str) -> bool {
        self.local().eq_ignore_ascii_case(name)
    }

    /// Its name without a prefix.
    pub fn local(&self) -> &str {
        self.name.rsplit_once(':').map_or(self.name.as_str(), |(_, local)| local)
    }

    /// An attribute by its name in whatever case; `None` where it is missing or empty.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// Sets an attribute, in its place where it was there before.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.attributes.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some(found) => found.1 = value.into(),
            None => self.attributes.push((name.into(), value.into())),
        }
    }

    /// Takes an attribute away.
    pub fn unset(&mut self, name: &str) {
        self.attributes.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// The elements directly in it.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first element of that name directly in it.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.elements().find(|element| element.is(name))
    }

    /// The first element of that name anywhere in it, or itself.
    pub fn find(&self, name: &str) -> Option<&Self> {
        if self.is(name) { Some(self) } else { self.elements().find_map(|element| element.find(name)) }
    }

    /// The text directly in it. Where a document is laid out in lines, without the layout.
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.children.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        let first = texts.next().unwrap_or_default();
        let whole: Cow<'_, str> = match texts.next() {
            None => first.into(),
            Some(second) => [first, second].into_iter().chain(texts).collect::<String>().into(),
        };
        match whole {
            Cow::Borrowed(text) if text.starts_with(['\n', '\r']) => text.trim().into(),
            other => other,
        }
    }

    /// How deep elements are nested in it, itself counted.
    pub fn depth(&self) -> usize {
        1 + self.elements().map(Self::depth).max().unwrap_or(0)
    }

    /// Writes it as XML. Its tag declares `default` as the namespace, where there is one, and those of
    /// `namespaces` (prefix and name) that it needs. Characters that XML does not allow are left out.
    pub fn to_xml(&self, default: Option<&str>, namespaces: &[(SmolStr, SmolStr)]) -> String {
        let mut declarations = Vec::new();
        if let Some(default) = default {
            declarations.push((SmolStr::new_static("xmlns"), SmolStr::new(default)));
        }
        let mut prefixes = Vec::new();
        self.prefixes(&mut prefixes);
        for prefix in prefixes {
            let declared = namespaces.iter().find(|(known, _)| *known == prefix);
            // Nobody says what it means, so it means itself.
            let urn = declared
                .map_or_else(|| SmolStr::from(format!("urn:extension:{prefix}")), |(_, urn)| urn.clone());
            declarations.push((SmolStr::from(format!("xmlns:{prefix}")), urn));
        }
        let mut out = String::new();
        self.write(&declarations, &mut out);
        out
    }

    fn prefixes(&self, found: &mut Vec<SmolStr>) {
        let names = std::iter::once(&self.name).chain(self.attributes.iter().map(|(name, _)| name));
        for name in names {
            if let Some((prefix, _)) = name.split_once(':')
                && prefix != "xml"
                && !found.iter().any(|known| known == prefix)
            {
                found.push(prefix.into());
            }
        }
        for element in self.elements() {
            element.prefixes(found);
        }
    }

    fn write(&self, declarations: &[(SmolStr, SmolStr)], out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in declarations.iter().chain(&self.attributes) {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(value, out);
            out.push('"');
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for node in &self.children {
            match node {
                Node::Element(element) => element.write(&[], out),
                Node::Text(text) => escape(text, out),
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            ' '..='\u{FFFD}' | '\u{10000}'.. => out.push(character),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_written_with_the_namespaces_it_needs() {
        let mut device = Element::new("Device");
        device.set("name", "a \"b\" <c> & d\u{1}");
        let mut inner = Element::new("x:Part");
        inner.children.push(Node::Text("1 < 2".into()));
        device.children.push(Node::Element(inner));
        let namespaces = [("x".into(), "urn:x".into()), ("y".into(), "urn:y".into())];
        assert_eq!(
            device.to_xml(Some("urn:m"), &namespaces),
            "<Device xmlns=\"urn:m\" xmlns:x=\"urn:x\" name=\"a &quot;b&quot; &lt;c&gt; &amp; d\">\
             <x:Part>1 &lt; 2</x:Part></Device>"
        );
        assert!(device.to_xml(None, &[]).contains("xmlns:x=\"urn:extension:x\""));
    }

    #[test]
    fn text_in_its_own_lines_is_without_the_layout() {
        let mut element = Element::new("Block");
        element.children.push(Node::Text("\n   G1 X1\n ".into()));
        assert_eq!(element.text(), "G1 X1");
        element.children = vec![Node::Text(" G1 ".into()), Node::Text("X1 ".into())];
        assert_eq!(element.text(), " G1 X1 ");
    }
}
