//! `[mtconnect]` and `[[mqtt]]`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Check;
use crate::northbound::mqtt::{self, Layout};
use crate::northbound::mtconnect;

/// First parts of a location that the MTConnect routes take.
const ROUTES: [&str; 7] = ["probe", "current", "sample", "asset", "assets", "health", "metrics"];

impl Check<'_> {
    pub(super) fn mtconnect(&mut self, options: &mtconnect::Options) {
        if !matches!(options.json_version, 1 | 2) {
            let what = format!("[mtconnect]: json_version {} is neither 1 nor 2", options.json_version);
            self.error("mtconnect.json_version", what, "2 is the form of the standard, 1 the older one");
        }
        let connections = options.max_connections;
        self.range("mtconnect.max_connections", "[mtconnect]: max_connections", connections, 1, 1_000_000);
        let least = 64 << 10;
        if options.max_client_backlog < least {
            let what = format!(
                "[mtconnect]: max_client_backlog {} B is less than 64 KiB",
                options.max_client_backlog
            );
            self.error("mtconnect.max_client_backlog", what, "write at least \"64 KiB\"");
        }
        let timeout = Duration::from_millis(100);
        self.at_least(
            "mtconnect.header_timeout",
            "[mtconnect]: header_timeout",
            options.header_timeout,
            timeout,
        );
        if let Some(sender) = &options.sender
            && (sender.trim().is_empty() || sender.chars().any(char::is_control))
        {
            let what = "[mtconnect]: sender is empty or has control characters in it";
            self.error("mtconnect.sender", what, "write a name, or take the line away for the host's");
        }
        for (index, origin) in options.allow_origins.iter().enumerate() {
            let host = origin.split_once("://").map(|(_, host)| host);
            if origin != "*" && host.is_none_or(|host| host.is_empty() || host.contains(['/', ' '])) {
                let what = format!("[mtconnect]: `{origin}` is no origin");
                let cure = "write `https://host` or `https://host:port` without a path, or `*` for all";
                self.error(&format!("mtconnect.allow_origins[{index}]"), what, cure);
            }
        }
        self.mounts(options);
        for (path, style) in [
            ("mtconnect.devices", &options.devices),
            ("mtconnect.streams", &options.streams),
            ("mtconnect.assets", &options.assets),
            ("mtconnect.error", &options.error),
        ] {
            self.style(path, style);
        }
    }

    fn mounts(&mut self, options: &mtconnect::Options) {
        let mut locations = BTreeSet::new();
        for (index, mount) in options.files.iter().enumerate() {
            let at = format!("mtconnect.files[{index}]");
            let location = &mount.location;
            let first = location.trim_start_matches('/').split('/').next().unwrap_or_default();
            if !location.starts_with('/') || location.contains(char::is_whitespace) {
                let what = format!("[mtconnect]: files: location `{location}` is no path");
                self.error(&format!("{at}.location"), what, "begin it with `/`, such as `/schemas/`");
            } else if first.is_empty() || ROUTES.contains(&first) {
                let what = format!("[mtconnect]: files: `{location}` is where documents are served");
                self.error(&format!("{at}.location"), what, "take another location, such as `/files/`");
            }
            if !mount.path.exists() {
                let what = format!("[mtconnect]: files: there is no `{}`", mount.path.display());
                self.warning(
                    &format!("{at}.path"),
                    what,
                    "requests for it are answered 404 until it is there",
                );
            }
            if !locations.insert(location) {
                let what = format!("[mtconnect]: files: location `{location}` is there twice");
                self.error(&format!("{at}.location"), what, "give each a location of its own");
            }
        }
    }

    fn style(&mut self, path: &str, style: &mtconnect::Style) {
        let mut prefixes = BTreeSet::new();
        for (index, namespace) in style.namespaces.iter().enumerate() {
            let at = format!("{path}.namespaces[{index}]");
            let prefix = namespace.prefix.as_str();
            let name = prefix.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
            let begins = prefix.starts_with(|c: char| c.is_alphabetic() || c == '_');
            if !name || !begins {
                let what = format!("[{path}]: `{prefix}` is no namespace prefix");
                self.error(&format!("{at}.prefix"), what, "write letters and digits, a letter first");
            } else if matches!(prefix, "m" | "xsi" | "xml" | "xmlns") {
                let what = format!("[{path}]: the prefix `{prefix}` is taken");
                self.error(&format!("{at}.prefix"), what, "m, xsi, xml and xmlns have their own meaning");
            }
            if namespace.urn.trim().is_empty() {
                self.error(
                    &format!("{at}.urn"),
                    format!("[{path}]: urn is empty"),
                    "write the namespace's name",
                );
            }
            if !prefixes.insert(prefix) {
                let what = format!("[{path}]: the prefix `{prefix}` is there twice");
                self.error(&format!("{at}.prefix"), what, "give each namespace a prefix of its own");
            }
        }
    }

    pub(super) fn mqtt(&mut self, destinations: &[mqtt::Options]) {
        let paths: Vec<String> =
            (0..destinations.len()).map(|index| self.places.path_of("mqtt", index)).collect();
        for (options, path) in destinations.iter().zip(&paths) {
            self.destination(options, path);
        }
        let names = destinations.iter().map(|options| options.name.as_str());
        self.twice("mqtt", paths.iter().map(|path| format!("{path}.name")).zip(names));
        for (index, options) in destinations.iter().enumerate() {
            let same = |other: &&mqtt::Options| {
                other.client_id.is_some() && other.client_id == options.client_id && other.url == options.url
            };
            if let Some(other) = destinations[..index].iter().find(same) {
                let what = format!("mqtt {:?}: client_id is that of mqtt {:?} too", options.name, other.name);
                let cure = "a broker lets only one of them in; give each its own";
                self.error(&format!("{}.client_id", paths[index]), what, cure);
            }
        }
    }

    fn destination(&mut self, options: &mqtt::Options, path: &str) {
        let label = format!("mqtt {:?}", options.name);
        let at = |key: &str| format!("{path}.{key}");
        self.broker(&label, path, &options.tls, options.check());
        if options.session_expiry > Duration::from_secs(u64::from(u32::MAX)) {
            let what = format!("{label}: session_expiry is longer than MQTT allows");
            self.error(&at("session_expiry"), what, "write at most \"4294967295s\"");
        }
        self.password(&label, path, options.password.as_deref(), &options.url);
        let name = match options.layout {
            Layout::Mtconnect => "mtconnect",
            Layout::Entity => "entity",
            Layout::Uns => "uns",
            Layout::Template => "template",
        };
        for (key, layout) in [
            ("uns", "uns"),
            ("current_interval", "mtconnect"),
            ("sample_interval", "mtconnect"),
            ("sample_count", "mtconnect"),
        ] {
            if self.places.has(&at(key)) && layout != name {
                let what = format!("{label}: `{key}` has no effect with the `{name}` layout");
                self.warning(&at(key), what, format!("take it away, or write `layout = \"{layout}\"`"));
            }
        }
    }

    /// What a face found in the options of a connection to a broker, with its files looked for first.
    pub(super) fn broker(&mut self, label: &str, path: &str, tls: &mqtt::Tls, found: Vec<mqtt::Finding>) {
        let at = |key: &str| format!("{path}.{key}");
        let before = self.findings.errors();
        let named = [("tls.ca", &tls.ca), ("tls.certificate", &tls.certificate), ("tls.key", &tls.key)];
        for (key, file) in named {
            if let Some(file) = file {
                self.file(&at(key), &format!("{label}: {key}"), file);
            }
        }
        let missing = self.findings.errors() > before;
        for found in found {
            if missing && found.key == "tls" {
                continue; // told already, with the very file
            }
            let what = format!("{label}: {}: {}", found.key, found.what);
            if found.warning {
                self.warning(&at(found.key), what, found.cure);
            } else {
                self.error(&at(found.key), what, found.cure);
            }
        }
    }

    pub(super) fn password(&mut self, label: &str, path: &str, password: Option<&str>, url: &str) {
        if password.is_none_or(str::is_empty) {
            return;
        }
        let at = |key: &str| format!("{path}.{key}");
        // What came out of the environment still stands in the file as `$NAME`.
        let written = self.source.text().get(self.places.of(&at("password"))).unwrap_or_default();
        if !written.contains('$') {
            let what = format!("{label}: the password stands in the file");
            self.warning(&at("password"), what, "write `$NAME` and set NAME in the environment");
        }
        if matches!(url.split_once("://"), Some(("mqtt" | "tcp", _))) {
            let what = format!("{label}: the password is sent without encryption");
            self.warning(&at("url"), what, "write `mqtts://` outside of a network of your own");
        }
    }
}
