//! `[adapter]` and `[[device]]`.

use std::collections::BTreeMap;

use super::Check;
use crate::config::configuration::Configuration;

impl Check<'_> {
    pub(super) fn sources(&mut self, configuration: &Configuration) {
        let adapters = &configuration.adapters.shdr;
        let path_of = |index| self.places.path_of("adapter.shdr", index);
        let paths: Vec<String> = (0..adapters.len()).map(path_of).collect();
        for (adapter, path) in adapters.iter().zip(&paths) {
            let label = format!("adapter {:?}", adapter.common.name);
            for (key, what) in adapter.config.findings() {
                self.error(&format!("{path}.{key}"), format!("{label}: {key} {what}"), "");
            }
            self.host(&label, &format!("{path}.host"), &adapter.config.host);
            for (index, device) in adapter.common.devices.iter().enumerate() {
                if device.trim().is_empty() {
                    let at = format!("{path}.devices[{index}]");
                    self.error(&at, format!("{label}: the name of a device is empty"), "write one");
                }
            }
        }
        let names = adapters.iter().zip(&paths);
        let mut names: Vec<_> =
            names.map(|(adapter, path)| (format!("{path}.name"), adapter.common.name.as_str())).collect();
        for (index, details) in configuration.devices.iter().enumerate() {
            if details.profile.is_some() {
                names.push((format!("{}.name", self.places.path_of("device", index)), &details.name));
            }
        }
        self.twice("adapter", names.into_iter());
        self.endpoints(configuration, &paths);
        if adapters.is_empty()
            && configuration.devices.iter().all(|device| device.profile.is_none())
            && !self.places.has("adapter")
        {
            let cure = "add a `[[device]]` with a profile, or `[[adapter.shdr]]` with the host of a machine's adapter";
            self.warning("adapter", "no adapters: no data will come in", cure);
        }
        let details: Vec<_> = (0..configuration.devices.len())
            .map(|index| format!("{}.name", self.places.path_of("device", index)))
            .collect();
        for (device, path) in configuration.devices.iter().zip(&details) {
            if device.name.trim().is_empty() {
                self.error(path, "device: name is empty", "write a device's name or uuid");
            }
        }
        let names = configuration.devices.iter().map(|device| device.name.as_str());
        self.twice("device", details.iter().cloned().zip(names));
    }

    fn host(&mut self, label: &str, at: &str, host: &str) {
        let host = host.trim();
        if host.is_empty() {
            return; // told by the adapter itself
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
        if host.contains("://") {
            self.error(at, format!("{label}: host `{host}` is a URL"), "write the name or address alone");
        } else if !address && host.contains(':') {
            let cure = "write the host alone, and `port = …` in a line of its own";
            self.error(at, format!("{label}: host `{host}` has a port in it"), cure);
        } else if let Some(sign) = host.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '/') {
            let what = format!("{label}: host `{host}` has a {sign:?} in it");
            self.error(at, what, "write a host name or an address");
        }
    }

    /// Many adapters accept one client only; two connections to one of them flap.
    fn endpoints(&mut self, configuration: &Configuration, paths: &[String]) {
        let mut seen: BTreeMap<(String, u16), &str> = BTreeMap::new();
        for (adapter, path) in configuration.adapters.shdr.iter().zip(paths) {
            let endpoint = (adapter.config.host.to_ascii_lowercase(), adapter.config.port);
            let name = adapter.common.name.as_str();
            match seen.get(&endpoint) {
                Some(first) => {
                    let (host, port) = endpoint;
                    let what = format!("adapter {name:?}: {host}:{port} is that of adapter {first:?} too");
                    let cure = "one adapter can feed several devices: name them in its `devices`";
                    self.warning(&format!("{path}.port"), what, cure);
                }
                None => {
                    seen.insert(endpoint, name);
                }
            }
        }
    }
}
