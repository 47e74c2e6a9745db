//! The device model as XPath sees it.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use guideway_contract::ItemIndex;
use smol_str::SmolStr;
use xpath_eval::{ExpandedName, Node, NodeKind};

use crate::device_model::{DeviceIndex, DeviceModel, Element, Node as Content};

/// How many nodes one evaluation may touch. A model of 20,000 data items has some 300,000 nodes.
const MAX_WORK: u64 = 20_000_000;

/// The MTConnectDevices document, flattened in document order: an element, its attributes, its
/// children. So order is an index and a subtree is a range.
pub(crate) struct Tree {
    nodes: Vec<Entry>,
    devices: Vec<u32>,
    /// The `Devices` element.
    top: u32,
}

struct Entry {
    kind: NodeKind,
    /// The prefix, which stands for its namespace, and the local name.
    prefix: SmolStr,
    name: SmolStr,
    /// Text, or an attribute's value.
    value: SmolStr,
    parent: Option<u32>,
    /// One past the last node of the subtree.
    end: u32,
    /// How many attributes follow.
    attributes: u32,
}

impl Tree {
    pub(crate) fn new(model: &DeviceModel) -> Self {
        let mut tree = Self { nodes: Vec::new(), devices: Vec::new(), top: 0 };
        let root = tree.open(NodeKind::Root, "", "", None);
        let document = tree.open(NodeKind::Element, "MTConnectDevices", "", Some(root));
        tree.top = tree.open(NodeKind::Element, "Devices", "", Some(document));
        for device in model.devices() {
            let at = tree.add(&device.element, tree.top);
            tree.devices.push(at);
        }
        for index in [tree.top, document, root] {
            tree.close(index);
        }
        tree
    }

    fn open(&mut self, kind: NodeKind, name: &str, value: &str, parent: Option<u32>) -> u32 {
        let index = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let (prefix, name) = name.split_once(':').unwrap_or(("", name));
        self.nodes.push(Entry {
            kind,
            prefix: prefix.into(),
            name: name.into(),
            value: value.into(),
            parent,
            end: index + 1,
            attributes: 0,
        });
        index
    }

    fn close(&mut self, index: u32) {
        self.nodes[index as usize].end = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
    }

    fn add(&mut self, element: &Element, parent: u32) -> u32 {
        let index = self.open(NodeKind::Element, &element.name, "", Some(parent));
        for (name, value) in &element.attributes {
            self.open(NodeKind::Attribute, name, value, Some(index));
        }
        self.nodes[index as usize].attributes = u32::try_from(element.attributes.len()).unwrap_or(u32::MAX);
        for child in &element.children {
            match child {
                Content::Element(child) => {
                    self.add(child, index);
                }
                Content::Text(text) => {
                    self.open(NodeKind::Text, "", text, Some(index));
                }
            }
        }
        self.close(index);
        index
    }

    /// Begins an evaluation.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk { tree: self, left: Cell::new(MAX_WORK) }
    }

    /// Adds the data items that are in an element, or that it refers to.
    pub(super) fn items_in(&self, index: u32, model: &DeviceModel, items: &mut BTreeSet<ItemIndex>) {
        let entry = &self.nodes[index as usize];
        if !matches!(entry.kind, NodeKind::Element | NodeKind::Root) {
            return;
        }
        for at in index..entry.end {
            let entry = &self.nodes[at as usize];
            if entry.kind != NodeKind::Element {
                continue;
            }
            let id = match entry.name.as_str() {
                "DataItem" => self.attribute(at, "id"),
                // A reference stands for the data item it names.
                "Reference" => self.attribute(at, "dataItemId"),
                "DataItemRef" => self.attribute(at, "idRef"),
                _ => None,
            };
            if let Some(item) = id.and_then(|id| model.find_item(id)) {
                items.insert(item.index);
            }
        }
    }

    fn attribute(&self, element: u32, name: &str) -> Option<&str> {
        let first = element as usize + 1;
        let count = self.nodes[element as usize].attributes as usize;
        let found = self.nodes[first..first + count].iter().find(|entry| entry.name == name);
        found.map(|entry| entry.value.as_str())
    }
}

/// One evaluation, with what is left of its allowance. When nothing is left, nodes have neither
/// children nor parents, so that the evaluation ends; its result is then thrown away.
pub(super) struct Walk<'t> {
    tree: &'t Tree,
    left: Cell<u64>,
}

impl Walk<'_> {
    /// Where relative paths begin: the device, or `Devices`.
    pub(super) fn start(&self, device: Option<DeviceIndex>) -> At<'_> {
        let index = device.and_then(|device| self.tree.devices.get(usize::from(device.0)).copied());
        At { walk: self, index: index.unwrap_or(self.tree.top) }
    }

    pub(super) fn exhausted(&self) -> bool {
        self.left.get() == 0
    }

    fn charge(&self, work: u64) -> bool {
        self.left.set(self.left.get().saturating_sub(work));
        self.left.get() > 0
    }
}

/// A node of the tree.
#[derive(Clone, Copy)]
pub(super) struct At<'w> {
    walk: &'w Walk<'w>,
    index: u32,
}

impl<'w> At<'w> {
    pub(super) fn index(self) -> u32 {
        self.index
    }

    fn entry(self) -> &'w Entry {
        &self.walk.tree.nodes[self.index as usize]
    }

    fn at(self, index: u32) -> Self {
        Self { walk: self.walk, index }
    }
}

impl PartialEq for At<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for At<'_> {}

impl<'w> Node<'w> for At<'w> {
    fn kind(self) -> NodeKind {
        self.entry().kind
    }

    fn parent(self) -> Option<Self> {
        self.walk.charge(1).then(|| self.entry().parent.map(|index| self.at(index))).flatten()
    }

    fn children(self) -> impl Iterator<Item = Self> + 'w {
        let entry = self.entry();
        let mut next = self.index + 1 + entry.attributes;
        std::iter::from_fn(move || {
            if next >= entry.end || !self.walk.charge(1) {
                return None;
            }
            let child = self.at(next);
            next = child.entry().end;
            Some(child)
        })
    }

    fn attributes(self) -> impl Iterator<Item = Self> + 'w {
        let first = self.index + 1;
        (first..first + self.entry().attributes)
            .map(move |index| self.at(index))
            .take_while(move |_| self.walk.charge(1))
    }

    fn namespaces(self) -> impl Iterator<Item = Self> + 'w {
        std::iter::empty()
    }

    fn expanded_name(self) -> Option<ExpandedName> {
        let entry = self.entry();
        matches!(entry.kind, NodeKind::Element | NodeKind::Attribute).then(|| ExpandedName {
            namespace_uri: (!entry.prefix.is_empty()).then(|| entry.prefix.to_string()),
            local_name: entry.name.to_string(),
        })
    }

    fn string_value(self) -> String {
        let entry = self.entry();
        if matches!(entry.kind, NodeKind::Text | NodeKind::Attribute) {
            return entry.value.to_string();
        }
        let mut text = String::new();
        for inner in &self.walk.tree.nodes[self.index as usize..entry.end as usize] {
            if !self.walk.charge(1) {
                break;
            }
            if inner.kind == NodeKind::Text {
                text.push_str(&inner.value);
            }
        }
        text
    }

    fn document_order(self, other: Self) -> Ordering {
        self.walk.charge(1);
        self.index.cmp(&other.index)
    }

    fn has_expanded_name(self, namespace_uri: Option<&str>, local_name: &str) -> bool {
        let entry = self.entry();
        self.walk.charge(1);
        entry.name == local_name && entry.prefix == namespace_uri.unwrap_or("")
    }

    fn with_string_value<R>(self, read: impl FnOnce(&str) -> R) -> R {
        match self.entry().kind {
            NodeKind::Text | NodeKind::Attribute => {
                self.walk.charge(1);
                read(&self.entry().value)
            }
            _ => read(&self.string_value()),
        }
    }
}
