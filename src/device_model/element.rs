//! XML elements as they were read, in document order.

use smol_str::SmolStr;

/// Where an element began in its file; line and column count from 1, 0 when it came from no file.
/// Says nothing about the element itself, so any two places are equal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

/// An element with everything that was in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The name with its prefix, as written: `Linear`, `x:Gripper`.
    pub name: SmolStr,
    /// Attributes in document order, names as written (`xmlns…` declarations are kept on the model).
    pub attributes: Vec<(SmolStr, SmolStr)>,
    /// Child elements and text, in document order; white space between elements is not kept.
    pub children: Vec<Node>,
    pub(super) place: Place,
}

/// What an element holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, unescaped.
    Text(SmolStr),
}

impl Element {
    /// An empty element.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same element with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<SmolStr>) -> Self {
        self.set(name, value);
        self
    }

    /// The attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets an attribute, in its place when it is there.
    pub fn set(&mut self, name: &str, value: impl Into<SmolStr>) {
        match self.attributes.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value.into(),
            None => self.attributes.push((name.into(), value.into())),
        }
    }

    /// Whether the name has a prefix: the element is of an extension, not of MTConnect.
    pub fn is_extension(&self) -> bool {
        self.name.contains(':')
    }

    /// The same element with one more child element.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// The same element with text at its end.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<SmolStr>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// The name without its prefix.
    pub fn local_name(&self) -> &str {
        self.name.rsplit_once(':').map_or(self.name.as_str(), |(_, local)| local)
    }

    /// Child elements, in order.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Child elements, in order, to be changed.
    pub fn elements_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        self.children.iter_mut().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element of that local name.
    pub fn child(&self, local_name: &str) -> Option<&Element> {
        self.elements().find(|element| element.local_name() == local_name)
    }

    /// The first child element of that name, made at the end when there is none.
    pub fn child_or_new(&mut self, name: &str) -> &mut Element {
        let found = self.children.iter().position(|node| matches!(node, Node::Element(e) if e.name == name));
        let at = found.unwrap_or_else(|| {
            self.children.push(Node::Element(Self::new(name)));
            self.children.len() - 1
        });
        match &mut self.children[at] {
            Node::Element(element) => element,
            Node::Text(_) => unreachable!("the position is an element's"),
        }
    }

    /// All text directly inside, joined and trimmed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for node in &self.children {
            if let Node::Text(part) = node {
                text.push_str(part);
            }
        }
        text.trim().to_owned()
    }
}
