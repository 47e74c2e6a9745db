//! MTConnect documents: devices, streams, assets and errors, in XML and JSON.
//!
//! A floor of its own below the faces, because two of them (HTTP and MQTT) send the same documents.

mod asset;
mod clock;
mod fit;
mod header;
mod number;
mod pretty;
mod problem;
mod root;
mod streams;
mod text;
mod tree_json;
mod tree_xml;
mod version;

use std::sync::Arc;

use smol_str::SmolStr;

pub use header::Header;
pub use problem::{Problem, ProblemKind};
pub use text::json_escaped;

use crate::device_model::{DataItem, DeviceIndex, DeviceModel, Element, Namespace};
use crate::journal::{Asset, Recorded};

use root::{Kind, Root};
use streams::Prepared;

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/xml`.
    #[default]
    Xml,
    /// `application/mtconnect+json`, the array form (JSON version 1).
    JsonV1,
    /// `application/mtconnect+json`, grouped by type (JSON version 2).
    JsonV2,
}

/// Style sheets, extra namespaces and the like, by document kind; from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Dressing {
    /// Extension namespaces of each kind of document: (prefix, urn, schema location).
    pub devices_namespaces: Vec<Namespace>,
    /// See `devices_namespaces`.
    pub streams_namespaces: Vec<Namespace>,
    /// See `devices_namespaces`.
    pub assets_namespaces: Vec<Namespace>,
    /// See `devices_namespaces`.
    pub error_namespaces: Vec<Namespace>,
    /// `<?xml-stylesheet href=…?>` of each kind of document.
    pub devices_style: Option<String>,
    /// See `devices_style`.
    pub streams_style: Option<String>,
    /// See `devices_style`.
    pub assets_style: Option<String>,
    /// See `devices_style`.
    pub error_style: Option<String>,
}

/// Writes documents for one device model. Made once for each model; keeps what can be prepared.
pub struct Documents {
    model: Arc<DeviceModel>,
    dressing: Dressing,
    roots: [Root; 4],
    prepared: Prepared,
    /// By `DeviceIndex`, fitted to the version.
    devices: Vec<Element>,
}

impl Documents {
    /// Prepares everything that does not change from document to document.
    pub fn new(model: Arc<DeviceModel>, dressing: Dressing) -> Self {
        let prepared = Prepared::new(&model);
        let roots = Kind::ALL.map(|kind| {
            let used: &[String] = if kind == Kind::Streams { &prepared.prefixes } else { &[] };
            Root::new(kind, model.version(), &model, &dressing, used.iter().map(String::as_str))
        });
        let devices = model.devices().iter().map(|device| fit::device(device, &model)).collect();
        Self { model, dressing, roots, prepared, devices }
    }

    /// The same for a changed model.
    #[must_use]
    pub fn for_model(&self, model: Arc<DeviceModel>) -> Self {
        Self::new(model, self.dressing.clone())
    }

    /// Data items that documents of this version cannot show; their observations are left out too.
    pub fn left_out(&self) -> impl Iterator<Item = &DataItem> {
        self.model.items().iter().filter(|item| !item.retired && self.prepared.hides(item.index))
    }

    fn root(&self, kind: Kind) -> &Root {
        &self.roots[kind as usize]
    }

    /// MTConnectDevices for these devices, in the model's order.
    pub fn devices(
        &self,
        format: Format,
        pretty: bool,
        header: &Header,
        devices: &[DeviceIndex],
        asset_counts: &[(SmolStr, usize)],
    ) -> Vec<u8> {
        let version = self.model.version();
        let shown: Vec<&Element> = self
            .model
            .devices()
            .iter()
            .zip(&self.devices)
            .filter(|(device, _)| match device.is_agent {
                true if version < version::V1_7 => false,
                // The schema of 1.8 wants the Agent in every document.
                true if version == version::V1_8 => true,
                _ => devices.contains(&device.index),
            })
            .map(|(_, element)| element)
            .collect();
        let counts = if version < version::V2_0 { asset_counts } else { &[] };
        let document = Document { kind: Kind::Devices, format, pretty, header, counts };
        document.write(self, |out, depth| list(out, format, "Devices", &shown, depth))
    }

    /// MTConnectStreams of these observations, which come in order of sequence; grouped by device,
    /// component and category.
    pub fn streams(
        &self,
        format: Format,
        pretty: bool,
        header: &Header,
        observations: &[Recorded],
    ) -> Vec<u8> {
        self.streams_around(format, pretty, header, &self.streams_body(format, pretty, observations))
    }

    /// What a Streams document says apart from its header. It depends on the observations alone, so
    /// readers that are sent the same observations can share it.
    pub fn streams_body(&self, format: Format, pretty: bool, observations: &[Recorded]) -> Vec<u8> {
        match format {
            Format::Xml => streams::xml_body(&self.prepared, pretty, observations),
            Format::JsonV1 => streams::json_body(&self.prepared, false, observations),
            Format::JsonV2 => streams::json_body(&self.prepared, true, observations),
        }
    }

    /// A whole Streams document around a body of the same format and prettiness.
    pub fn streams_around(&self, format: Format, pretty: bool, header: &Header, body: &[u8]) -> Vec<u8> {
        let document = Document { kind: Kind::Streams, format, pretty, header, counts: &[] };
        document.write(self, |out, depth| match format {
            Format::Xml if body.is_empty() => out.extend_from_slice(b"<Streams/>"),
            Format::Xml => {
                out.reserve(body.len() + 128);
                out.extend_from_slice(b"<Streams>");
                out.extend_from_slice(body);
                tree_xml::line(out, depth);
                out.extend_from_slice(b"</Streams>");
            }
            Format::JsonV1 | Format::JsonV2 => {
                out.reserve(body.len() + 128);
                out.extend_from_slice(b"\"Streams\":");
                out.extend_from_slice(body);
            }
        })
    }

    /// MTConnectAssets.
    pub fn assets(&self, format: Format, pretty: bool, header: &Header, assets: &[Arc<Asset>]) -> Vec<u8> {
        let prefixes = &self.root(Kind::Assets).prefixes;
        let elements: Vec<Element> =
            assets.iter().filter_map(|asset| asset::element(asset, self.model.version(), prefixes)).collect();
        let shown: Vec<&Element> = elements.iter().collect();
        let document = Document { kind: Kind::Assets, format, pretty, header, counts: &[] };
        document.write(self, |out, depth| list(out, format, "Assets", &shown, depth))
    }

    /// MTConnectError; in the form of the model's schema version.
    pub fn error(&self, format: Format, pretty: bool, header: &Header, errors: &[Problem]) -> Vec<u8> {
        let errors = Problem::errors(errors, self.model.version());
        let shown: Vec<&Element> = errors.elements().collect();
        let document = Document { kind: Kind::Error, format, pretty, header, counts: &[] };
        document.write(self, |out, depth| list(out, format, "Errors", &shown, depth))
    }
}

/// Writes a list of elements under its name.
fn list(out: &mut Vec<u8>, format: Format, name: &str, elements: &[&Element], depth: Option<usize>) {
    match format {
        Format::Xml => tree_xml::write_list(out, name, elements, depth),
        Format::JsonV1 | Format::JsonV2 => {
            text::json_string(out, name);
            out.push(b':');
            tree_json::write_list(out, elements, format == Format::JsonV2, None);
        }
    }
}

/// A document around what it is about.
struct Document<'h> {
    kind: Kind,
    format: Format,
    pretty: bool,
    header: &'h Header,
    counts: &'h [(SmolStr, usize)],
}

impl Document<'_> {
    /// Writes the document; `inside` writes what follows the header and is told its indentation.
    fn write(&self, documents: &Documents, inside: impl FnOnce(&mut Vec<u8>, Option<usize>)) -> Vec<u8> {
        let version = documents.model.version();
        if self.format == Format::Xml {
            let depth = |depth: usize| self.pretty.then_some(depth);
            let root = documents.root(self.kind);
            let mut out = Vec::with_capacity(root.open.len() + 1024);
            out.extend_from_slice(&root.open);
            tree_xml::line(&mut out, depth(1));
            self.header.write_xml(&mut out, self.kind, version);
            if self.counts.is_empty() {
                out.extend_from_slice(b"/>");
            } else {
                out.push(b'>');
                self.write_counts(&mut out);
                tree_xml::line(&mut out, depth(1));
                out.extend_from_slice(b"</Header>");
            }
            tree_xml::line(&mut out, depth(1));
            inside(&mut out, depth(1));
            tree_xml::line(&mut out, depth(0));
            out.extend_from_slice(&root.close);
            return out;
        }
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(self.kind.root().as_bytes());
        out.extend_from_slice(b"\":{\"jsonVersion\":");
        out.push(if self.format == Format::JsonV2 { b'2' } else { b'1' });
        out.extend_from_slice(format!(",\"schemaVersion\":\"{version}\",\"Header\":").as_bytes());
        self.header.write_json(&mut out, self.kind, version);
        out.push(b',');
        inside(&mut out, None);
        out.extend_from_slice(b"}}");
        if self.pretty { pretty::pretty(&out) } else { out }
    }

    fn write_counts(&self, out: &mut Vec<u8>) {
        let mut counts = Element::new("AssetCounts");
        for (asset_type, count) in self.counts {
            let count =
                Element::new("AssetCount").with("assetType", asset_type.clone()).with_text(count.to_string());
            counts = counts.with_child(count);
        }
        tree_xml::write(out, &counts, self.pretty.then_some(2));
    }
}
