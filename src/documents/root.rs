//! What stands before the header: declaration, style sheet, root element and its namespaces.

use smol_str::SmolStr;

use crate::device_model::{DeviceModel, Namespace, SchemaVersion};

use super::Dressing;
use super::text::{attribute, xml_attribute};

/// The namespace of a prefix that nobody declared.
pub(super) fn unknown_urn(prefix: &str) -> String {
    format!("urn:guideway:extension:{prefix}")
}

/// The four kinds of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Devices,
    Streams,
    Assets,
    Error,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Devices, Self::Streams, Self::Assets, Self::Error];

    /// The root element's name.
    pub(super) const fn root(self) -> &'static str {
        match self {
            Self::Devices => "MTConnectDevices",
            Self::Streams => "MTConnectStreams",
            Self::Assets => "MTConnectAssets",
            Self::Error => "MTConnectError",
        }
    }

    fn namespaces(self, dressing: &Dressing) -> &[Namespace] {
        match self {
            Self::Devices => &dressing.devices_namespaces,
            Self::Streams => &dressing.streams_namespaces,
            Self::Assets => &dressing.assets_namespaces,
            Self::Error => &dressing.error_namespaces,
        }
    }

    fn style(self, dressing: &Dressing) -> Option<&str> {
        let style = match self {
            Self::Devices => &dressing.devices_style,
            Self::Streams => &dressing.streams_style,
            Self::Assets => &dressing.assets_style,
            Self::Error => &dressing.error_style,
        };
        style.as_deref()
    }
}

/// Everything up to and including the root's start tag, and its end tag.
pub(super) struct Root {
    pub(super) open: Vec<u8>,
    pub(super) close: Vec<u8>,
    /// The prefixes that it declares.
    pub(super) prefixes: Vec<SmolStr>,
}

impl Root {
    /// The root of one kind of document. `used` are the prefixes of elements in it: each is
    /// declared, if not by the configuration or the devices files then with a name of our own,
    /// because a document with an undeclared prefix cannot be read at all.
    pub(super) fn new<'u>(
        kind: Kind,
        version: SchemaVersion,
        model: &DeviceModel,
        dressing: &Dressing,
        used: impl IntoIterator<Item = &'u str>,
    ) -> Self {
        let root = kind.root();
        let urn = format!("urn:mtconnect.org:{root}:{version}");
        let mut location = format!("http://schemas.mtconnect.org/schemas/{root}_{version}.xsd");
        let mut extensions: Vec<Namespace> = Vec::new();
        for namespace in kind.namespaces(dressing) {
            if namespace.prefix == "m" || namespace.prefix.is_empty() || namespace.urn == urn.as_str() {
                // The standard's own namespace is always declared; only its schema may be elsewhere.
                if !namespace.location.is_empty() {
                    location = namespace.location.to_string();
                }
            } else if extensions.iter().all(|known| known.prefix != namespace.prefix) {
                extensions.push(namespace.clone());
            }
        }
        let declared = |prefix: &str, known: &[Namespace]| known.iter().any(|other| other.prefix == prefix);
        if kind == Kind::Devices {
            for namespace in model.namespaces() {
                let reserved = matches!(namespace.prefix.as_str(), "" | "m" | "xsi" | "xml" | "xmlns");
                if !reserved && !declared(&namespace.prefix, &extensions) {
                    extensions.push(namespace.clone());
                }
            }
        }
        for prefix in used {
            if matches!(prefix, "m" | "xsi" | "xml") || declared(prefix, &extensions) {
                continue;
            }
            let of_devices = model.namespaces().iter().find(|namespace| namespace.prefix == prefix);
            let urn = match of_devices {
                Some(namespace) => namespace.urn.replace("Devices", &root["MTConnect".len()..]),
                None => unknown_urn(prefix),
            };
            extensions.push(Namespace { prefix: prefix.into(), urn: urn.into(), location: "".into() });
        }

        let mut open = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec();
        if let Some(style) = kind.style(dressing) {
            open.extend_from_slice(b"<?xml-stylesheet type=\"text/xsl\" href=\"");
            xml_attribute(&mut open, style);
            open.extend_from_slice(b"\"?>\n");
        }
        open.push(b'<');
        open.extend_from_slice(root.as_bytes());
        attribute(&mut open, "xmlns:m", &urn);
        attribute(&mut open, "xmlns", &urn);
        attribute(&mut open, "xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance");
        let mut locations = format!("{urn} {location}");
        for extension in &extensions {
            attribute(&mut open, &format!("xmlns:{}", extension.prefix), &extension.urn);
            if !extension.location.is_empty() {
                locations.push(' ');
                locations.push_str(&extension.urn);
                locations.push(' ');
                locations.push_str(&extension.location);
            }
        }
        attribute(&mut open, "xsi:schemaLocation", &locations);
        open.push(b'>');
        let prefixes = ["m", "xsi", "xml"].into_iter().map(SmolStr::new);
        let prefixes = prefixes.chain(extensions.into_iter().map(|extension| extension.prefix)).collect();
        Self { open, close: format!("</{root}>\n").into_bytes(), prefixes }
    }
}
