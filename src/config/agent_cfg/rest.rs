//! The keys of the HTTP service: at the top, or in `Sinks { RestService { … } }`.

use std::path::PathBuf;

use super::Reader;
use super::block::Block;
use crate::device_model::Namespace;
use crate::northbound::mtconnect::{FileMount, Style};

/// Keys of the HTTP service that have no effect, with what happens instead.
pub(in crate::config) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("AllowPutFrom", "data is never taken over HTTP"),
    ("MaxCachedFileSize", "the operating system keeps files in memory"),
    ("MinCompressFileSize", "files are sent as they are"),
    ("TlsCertificateChain", "documents are served over plain HTTP; put a proxy with TLS before the gateway"),
    (
        "TlsCertificatePassword",
        "documents are served over plain HTTP; put a proxy with TLS before the gateway",
    ),
    ("TlsClientCAs", "documents are served over plain HTTP; put a proxy with TLS before the gateway"),
    ("TlsDHKey", "documents are served over plain HTTP; put a proxy with TLS before the gateway"),
    ("TlsPrivateKey", "documents are served over plain HTTP; put a proxy with TLS before the gateway"),
];

impl Reader<'_> {
    /// Reads the keys from `block` and takes note of those that have no effect.
    pub(super) fn rest(&mut self, block: &mut Block<'_>) {
        let options = &mut self.configuration.mtconnect;
        if let Some((port, span)) = block.number("Port", 0..=u16::MAX, self.findings) {
            options.port = port;
            self.places.insert("mtconnect.port", span);
        }
        if let Some((address, span)) = block.text("ServerIp", self.findings) {
            match address.parse() {
                Ok(address) => options.address = address,
                Err(_) => {
                    let what = format!("ServerIp: `{address}` is no IP address");
                    let cure = "write an address such as `0.0.0.0`, `192.168.1.5` or `::`";
                    block.error(span.clone(), what, cure, self.findings);
                }
            }
            self.places.insert("mtconnect.address", span);
        }
        if let Some((sender, span)) = block.text("Sender", self.findings) {
            options.sender = Some(sender.to_owned()).filter(|sender| !sender.is_empty());
            self.places.insert("mtconnect.sender", span);
        }
        if let Some((pretty, _)) = block.flag("Pretty", self.findings) {
            options.pretty = pretty;
        }
        if let Some((version, span)) = block.number("JsonVersion", 1..=2, self.findings) {
            options.json_version = version;
            self.places.insert("mtconnect.json_version", span);
        }
        if let Some((true, span)) = block.flag("AllowPut", self.findings) {
            let what = "`AllowPut` has no effect";
            block.warning(span, what, "data is never taken over HTTP", self.findings);
        }
        for key in ["TlsOnly", "TlsVerifyClientCertificate"] {
            if let Some((true, span)) = block.flag(key, self.findings) {
                let what = format!("`{key}` cannot be kept: documents are served over plain HTTP");
                let cure = "put a proxy with TLS before the gateway, let `ServerIp` be 127.0.0.1, and take the key away";
                block.error(span, what, cure, self.findings);
            }
        }
        self.headers(block);
        self.files(block);
        for (kind, path) in [
            ("Devices", "mtconnect.devices"),
            ("Streams", "mtconnect.streams"),
            ("Assets", "mtconnect.assets"),
            ("Error", "mtconnect.error"),
        ] {
            self.style(block, kind, path);
        }
        for (key, instead) in WITHOUT_EFFECT {
            if let Some((_, span)) = block.text(key, self.findings) {
                block.warning(span, format!("`{key}` has no effect"), *instead, self.findings);
            }
        }
    }

    fn headers(&mut self, block: &mut Block<'_>) {
        let Some(mut headers) = block.block("HttpHeaders", self.findings) else { return };
        if let Some((origin, span)) = headers.text("Access-Control-Allow-Origin", self.findings) {
            self.configuration.mtconnect.allow_origins = vec![origin.to_owned()];
            self.places.insert("mtconnect.allow_origins[0]", span);
        }
        let other = [
            ("Access-Control-Allow-Methods", "browsers are told what the gateway serves: GET"),
            ("Access-Control-Allow-Headers", "browsers may send what the gateway reads"),
        ];
        headers.finish(&other, self.findings);
    }

    fn files(&mut self, block: &mut Block<'_>) {
        for list in ["Files", "Directories"] {
            let Some(mut files) = block.block(list, self.findings) else { continue };
            for node in files.blocks(self.findings) {
                let mut file = files.inner(format!("{list} {}", node.name), node);
                let path = file.text("Path", self.findings);
                let location = file.text("Location", self.findings);
                match (path, location) {
                    (Some(path), Some((location, _))) => self.mount(location, path),
                    _ => {
                        let what = "both `Path` and `Location` are needed";
                        file.error(file.span.clone(), what, "add the one that is missing", self.findings);
                    }
                }
                let index = [("Default", "only files that are asked for by name are served")];
                file.finish(&index, self.findings);
            }
        }
    }

    fn mount(&mut self, location: &str, (path, span): (&str, std::ops::Range<usize>)) {
        let files = &mut self.configuration.mtconnect.files;
        self.places.insert(format!("mtconnect.files[{}]", files.len()), span);
        files.push(FileMount { location: location.to_owned(), path: PathBuf::from(path) });
    }

    /// `DevicesNamespaces`, `DevicesStyle` and their like.
    fn style(&mut self, block: &mut Block<'_>, kind: &str, path: &str) {
        let (namespaces, style) = match kind {
            "Devices" => ("DevicesNamespaces", "DevicesStyle"),
            "Streams" => ("StreamsNamespaces", "StreamsStyle"),
            "Assets" => ("AssetsNamespaces", "AssetsStyle"),
            _ => ("ErrorNamespaces", "ErrorStyle"),
        };
        let mut read = Style::default();
        if let Some(mut list) = block.block(namespaces, self.findings) {
            for node in list.blocks(self.findings) {
                let mut namespace = list.inner(format!("{namespaces} {}", node.name), node);
                let urn = namespace.text("Urn", self.findings);
                let location = namespace.text("Location", self.findings);
                if let (Some(file), Some((location, _))) = (namespace.text("Path", self.findings), &location)
                {
                    self.mount(location, file);
                }
                let Some((urn, span)) = urn else {
                    let what = "`Urn` is missing";
                    namespace.error(namespace.span.clone(), what, "add `Urn = …`", self.findings);
                    continue;
                };
                namespace.finish(&[], self.findings);
                self.places.insert(format!("{path}.namespaces[{}]", read.namespaces.len()), span);
                read.namespaces.push(Namespace {
                    prefix: node.name.as_str().into(),
                    urn: urn.into(),
                    location: location.map_or("", |(location, _)| location).into(),
                });
            }
        }
        if let Some(mut sheet) = block.block(style, self.findings) {
            let location = sheet.text("Location", self.findings);
            if let (Some(file), Some((location, _))) = (sheet.text("Path", self.findings), &location) {
                self.mount(location, file);
            }
            match location {
                Some((location, span)) => {
                    read.stylesheet = Some(location.to_owned());
                    self.places.insert(format!("{path}.stylesheet"), span);
                }
                None => {
                    let what = "`Location` is missing";
                    sheet.error(sheet.span.clone(), what, "add `Location = …`", self.findings);
                }
            }
            sheet.finish(&[], self.findings);
        }
        let options = &mut self.configuration.mtconnect;
        let into = match kind {
            "Devices" => &mut options.devices,
            "Streams" => &mut options.streams,
            "Assets" => &mut options.assets,
            _ => &mut options.error,
        };
        if !read.namespaces.is_empty() {
            into.namespaces = read.namespaces;
        }
        if read.stylesheet.is_some() {
            into.stylesheet = read.stylesheet;
        }
    }
}
