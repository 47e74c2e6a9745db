//! `[mtconnect]` and `[[mqtt]]`.

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
            if options.files[..index].iter().any(|other| other.location == *location) {
                let what = format!("[mtconnect]: files: location `{location}` is there twice");
                self.error(&format!("{at}.location"), what, "give each a location of its own");
            }
        }
    }

    fn style(&mut self, path: &str, style: &mtconnect::Style) {
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
            if style.namespaces[..index].iter().any(|other| other.prefix == namespace.prefix) {
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
        if options.name.trim().is_empty() {
            self.error(&at("name"), "mqtt: name is empty", "write one and keep it: it names the cursor");
        }
        self.broker(&label, path, options);
        self.range(&at("qos"), &format!("{label}: qos"), options.qos, 0, 2);
        self.range(&at("in_flight"), &format!("{label}: in_flight"), options.in_flight, 1, u16::MAX);
        self.range(
            &at("sample_count"),
            &format!("{label}: sample_count"),
            options.sample_count,
            1,
            1_000_000,
        );
        let second = Duration::from_secs(1);
        self.at_least(&at("keep_alive"), &format!("{label}: keep_alive"), options.keep_alive, second);
        if options.keep_alive > Duration::from_secs(65_535) {
            let what = format!("{label}: keep_alive is longer than 65535s");
            self.error(&at("keep_alive"), what, "MQTT allows no more");
        }
        if options.session_expiry > Duration::from_secs(u64::from(u32::MAX)) {
            let what = format!("{label}: session_expiry is longer than MQTT allows");
            self.error(&at("session_expiry"), what, "write at most \"4294967295s\"");
        }
        let interval = Duration::from_millis(100);
        self.at_least(
            &at("current_interval"),
            &format!("{label}: current_interval"),
            options.current_interval,
            interval,
        );
        if let Some(will) = &options.last_will {
            self.topic(&label, &at("last_will.topic"), &will.topic);
        }
        if let Some(prefix) = &options.topic_prefix {
            self.topic(&label, &at("topic_prefix"), prefix);
        }
        self.layout(&label, path, options);
    }

    fn broker(&mut self, label: &str, path: &str, options: &mqtt::Options) {
        let at = |key: &str| format!("{path}.{key}");
        let cure = "write `mqtt://host:1883`, or `mqtts://host:8883` for TLS";
        let mut tls = None;
        match options.url.split_once("://") {
            Some((scheme @ ("mqtt" | "mqtts"), rest)) => {
                tls = Some(scheme == "mqtts");
                let address = rest.strip_suffix('/').unwrap_or(rest);
                if address.contains('@') {
                    let what = format!("{label}: url has a user or password in it");
                    self.error(&at("url"), what, "write `username` and `password` in lines of their own");
                } else if !is_authority(address) {
                    let what =
                        format!("{label}: url `{}` has no host, or no port from 1 to 65535", options.url);
                    self.error(&at("url"), what, cure);
                }
            }
            Some((scheme, _)) => {
                self.error(&at("url"), format!("{label}: url begins with `{scheme}://`"), cure);
            }
            None => self.error(&at("url"), format!("{label}: `{}` is no URL", options.url), cure),
        }
        let files = &options.tls;
        let named = [("tls.ca", &files.ca), ("tls.certificate", &files.certificate), ("tls.key", &files.key)];
        for (key, file) in named {
            let Some(file) = file else { continue };
            if tls == Some(false) {
                let what = format!("{label}: {key} has no effect, the connection is not encrypted");
                self.warning(&at(key), what, "begin url with `mqtts://`");
            }
            self.file(&at(key), &format!("{label}: {key}"), file);
        }
        if files.certificate.is_some() != files.key.is_some() {
            let what = format!("{label}: tls.certificate and tls.key belong together");
            self.error(&at("tls"), what, "name both, or neither");
        }
        if let Some(password) = &options.password {
            if options.username.is_none() {
                let what = format!("{label}: a password without username");
                self.error(
                    &at("password"),
                    what,
                    "write `username`: MQTT 3.1.1 sends no password without one",
                );
            }
            // What came out of the environment still stands in the file as `$NAME`.
            let span = self.places.of(&at("password"));
            let written = self.source.text().get(span).unwrap_or_default();
            if !password.is_empty() && !written.contains('$') {
                let what = format!("{label}: the password stands in the file");
                self.warning(&at("password"), what, "write `$NAME` and set NAME in the environment");
            }
            if tls == Some(false) {
                let what = format!("{label}: the password is sent without encryption");
                self.warning(&at("url"), what, "use `mqtts://` outside of a network of your own");
            }
        }
    }

    fn layout(&mut self, label: &str, path: &str, options: &mqtt::Options) {
        let at = |key: &str| format!("{path}.{key}");
        if options.layout == Layout::Template {
            for (key, text) in [("topic", &options.template.topic), ("payload", &options.template.payload)] {
                if text.is_empty() {
                    let what = format!("{label}: the `template` layout has no {key}");
                    let cure = "write a table `template` with `topic` and `payload`";
                    self.error(&at("template"), what, cure);
                }
            }
            if !options.template.topic.is_empty() {
                self.topic(label, &at("template.topic"), &options.template.topic);
            }
        }
        let name = match options.layout {
            Layout::Mtconnect => "mtconnect",
            Layout::Entity => "entity",
            Layout::Uns => "uns",
            Layout::Template => "template",
        };
        for (key, layouts) in [
            ("uns", &["uns"][..]),
            ("template", &["template"]),
            ("current_interval", &["mtconnect"]),
            ("sample_interval", &["mtconnect"]),
            ("sample_count", &["mtconnect"]),
        ] {
            if self.places.has(&at(key)) && !layouts.contains(&name) {
                let what = format!("{label}: `{key}` has no effect with the `{name}` layout");
                let cure = format!("take it away, or write `layout = \"{}\"`", layouts[0]);
                self.warning(&at(key), what, cure);
            }
        }
    }

    /// What can be published to.
    fn topic(&mut self, label: &str, at: &str, topic: &str) {
        if topic.is_empty() {
            self.error(at, format!("{label}: a topic is empty"), "write one, or take the line away");
        } else if topic.contains(['+', '#', '\0']) || topic.len() > 65_535 {
            let what = format!("{label}: `{topic}` is no topic to publish to");
            self.error(at, what, "wildcards (`+`, `#`) are for subscribers only");
        }
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return false,
        },
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let v6 = text.starts_with('[');
    let host = if v6 {
        host.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty()
            && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/:?#[]".contains(c))
    };
    host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn a_broker_is_a_host_with_or_without_a_port() {
        for right in ["broker", "broker:1883", "10.0.0.1:8883", "[::1]", "[fe80::1]:1883"] {
            assert!(is_authority(right), "{right}");
        }
        for wrong in ["", ":1883", "broker:0", "broker:70000", "broker:", "a b", "a/b", "[x]:1", "::1"] {
            assert!(!is_authority(wrong), "{wrong}");
        }
    }
}
