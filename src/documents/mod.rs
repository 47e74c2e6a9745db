//! MTConnect documents: devices, streams, assets and errors, in XML and JSON.
//!
//! A floor of its own below the faces, because two of them (HTTP and MQTT) send the same documents.

mod clock;
mod element;
mod header;
mod number;
mod problem;
mod root;
mod streams;
mod text;
mod version;

use std::sync::Arc;

pub use header::Header;
pub use problem::{Problem, ProblemKind};

use crate::device_model::{DeviceIndex, DeviceModel, Namespace};
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
}

impl Documents {
    /// Prepares everything that does not change from document to document.
    pub fn new(model: Arc<DeviceModel>, dressing: Dressing) -> Self {
        let prepared = Prepared::new(&model);
        let roots = Kind::ALL.map(|kind| {
            let used: &[String] = if kind == Kind::Streams { &prepared.prefixes } else { &[] };
            Root::new(kind, model.version(), &model, &dressing, used.iter().map(String::as_str))
        });
        Self { model, dressing, roots, prepared }
    }

    /// The same for a changed model.
    #[must_use]
    pub fn for_model(&self, model: Arc<DeviceModel>) -> Self {
        Self::new(model, self.dressing.clone())
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
        asset_counts: &[(smol_str::SmolStr, usize)],
    ) -> Vec<u8> {
        let _ = format;
        let version = self.model.version();
        let depth = |depth: usize| pretty.then_some(depth);
        let mut out = Vec::with_capacity(64 * 1024);
        out.extend_from_slice(&self.root(Kind::Devices).open);
        element::line(&mut out, depth(1));
        header.write_xml(&mut out, Kind::Devices, version);
        if asset_counts.is_empty() || version >= version::V2_0 {
            out.extend_from_slice(b"/>");
        } else {
            out.push(b'>');
            element::line(&mut out, depth(2));
            out.extend_from_slice(b"<AssetCounts>");
            for (asset_type, count) in asset_counts {
                element::line(&mut out, depth(3));
                out.extend_from_slice(b"<AssetCount");
                text::attribute(&mut out, "assetType", asset_type);
                out.push(b'>');
                number::integer(&mut out, *count);
                out.extend_from_slice(b"</AssetCount>");
            }
            element::line(&mut out, depth(2));
            out.extend_from_slice(b"</AssetCounts>");
            element::line(&mut out, depth(1));
            out.extend_from_slice(b"</Header>");
        }
        element::line(&mut out, depth(1));
        out.extend_from_slice(b"<Devices>");
        for device in self.model.devices() {
            if devices.contains(&device.index) {
                element::write(&mut out, &device.element, depth(2));
            }
        }
        element::line(&mut out, depth(1));
        out.extend_from_slice(b"</Devices>");
        element::line(&mut out, depth(0));
        out.extend_from_slice(&self.root(Kind::Devices).close);
        out
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
        let _ = format;
        streams::xml_body(&self.prepared, pretty, observations)
    }

    /// A whole Streams document around a body of the same format and prettiness.
    pub fn streams_around(&self, format: Format, pretty: bool, header: &Header, body: &[u8]) -> Vec<u8> {
        let _ = format;
        let depth = |depth: usize| pretty.then_some(depth);
        let root = self.root(Kind::Streams);
        let mut out = Vec::with_capacity(root.open.len() + body.len() + 512);
        out.extend_from_slice(&root.open);
        element::line(&mut out, depth(1));
        header.write_xml(&mut out, Kind::Streams, self.model.version());
        out.extend_from_slice(b"/>");
        element::line(&mut out, depth(1));
        if body.is_empty() {
            out.extend_from_slice(b"<Streams/>");
        } else {
            out.extend_from_slice(b"<Streams>");
            out.extend_from_slice(body);
            element::line(&mut out, depth(1));
            out.extend_from_slice(b"</Streams>");
        }
        element::line(&mut out, depth(0));
        out.extend_from_slice(&root.close);
        out
    }

    /// MTConnectAssets.
    pub fn assets(&self, format: Format, pretty: bool, header: &Header, assets: &[Arc<Asset>]) -> Vec<u8> {
        let _ = (format, pretty);
        let root = self.root(Kind::Assets);
        let mut out = root.open.clone();
        header.write_xml(&mut out, Kind::Assets, self.model.version());
        out.extend_from_slice(b"/><Assets>");
        for asset in assets {
            out.extend_from_slice(asset.body.as_bytes());
        }
        out.extend_from_slice(b"</Assets>");
        out.extend_from_slice(&root.close);
        out
    }

    /// MTConnectError; in the form of the model's schema version.
    pub fn error(&self, format: Format, pretty: bool, header: &Header, errors: &[Problem]) -> Vec<u8> {
        let _ = format;
        let depth = |depth: usize| pretty.then_some(depth);
        let root = self.root(Kind::Error);
        let mut out = root.open.clone();
        element::line(&mut out, depth(1));
        header.write_xml(&mut out, Kind::Error, self.model.version());
        out.extend_from_slice(b"/>");
        element::write(&mut out, &Problem::errors(errors, self.model.version()), depth(1));
        element::line(&mut out, depth(0));
        out.extend_from_slice(&root.close);
        out
    }
}
