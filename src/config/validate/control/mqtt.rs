//! `[[control.mqtt]]`.

use super::Check;
use crate::config::configuration::Configuration;
use crate::northbound::mqtt::control::Options;

impl Check<'_> {
    pub(in crate::config::validate) fn control_mqtt(&mut self, configuration: &Configuration) {
        let brokers = &configuration.control_mqtt;
        let paths: Vec<String> =
            (0..brokers.len()).map(|index| self.places.path_of("control.mqtt", index)).collect();
        for (index, (options, path)) in brokers.iter().zip(&paths).enumerate() {
            let label = format!("control.mqtt {:?}", options.name);
            self.broker(&label, path, &options.tls, options.check());
            self.password(&label, path, options.password.as_deref(), &options.url);
            let own = options.client_id.as_ref();
            let destinations =
                configuration.mqtt.iter().map(|it| (&it.url, &it.client_id, format!("mqtt {:?}", it.name)));
            let others = brokers[..index]
                .iter()
                .map(|it| (&it.url, &it.client_id, format!("control.mqtt {:?}", it.name)));
            let same = |(url, id, _): &(&String, &Option<String>, String)| {
                **url == options.url && own.is_some() && id.as_ref() == own
            };
            if let Some((.., other)) = destinations.chain(others).find(same) {
                let what = format!("{label}: client_id is that of {other} too");
                self.error(
                    &format!("{path}.client_id"),
                    what,
                    "a broker lets only one of them in; give each its own",
                );
            }
        }
        let names = brokers.iter().map(|options| options.name.as_str());
        self.twice("control.mqtt", paths.iter().map(|path| format!("{path}.name")).zip(names));
        let gateway = configuration.gateway.name();
        for (index, options) in brokers.iter().enumerate() {
            let topics = |other: &Options| other.base_topic(&gateway);
            let same = |other: &&Options| other.url == options.url && topics(other) == topics(options);
            if let Some(other) = brokers[..index].iter().find(same) {
                let what = format!(
                    "control.mqtt {:?} follows the topics of control.mqtt {:?} too: each request would come twice",
                    options.name, other.name
                );
                self.error(&format!("{}.topic_prefix", paths[index]), what, "keep one of them");
            }
        }
        let requesters = configuration.control.iter().flat_map(|control| &control.requester).enumerate();
        for (index, requester) in requesters.filter(|_| !brokers.is_empty()) {
            let name = &requester.name;
            if name.contains(['/', '+', '#']) {
                let what = format!(
                    "[control]: requester {name:?}: `/`, `+` and `#` become `_` in topics of answers"
                );
                let cure = "take another name: one that becomes the same could read the answers";
                self.warning(&format!("control.requester[{index}].name"), what, cure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::config::finding::Findings;
    use crate::config::source::Source;
    use crate::config::{guideway_toml, validate};

    fn found(text: &str) -> Vec<String> {
        let source = Arc::new(Source::new("g.toml", text));
        let mut findings = Findings::default();
        let (mut configuration, places) = guideway_toml::read(&source, &mut findings);
        configuration.gateway.name = Some("hall".to_owned());
        validate::validate(&configuration, &places, &source, &mut findings);
        let all = findings.sorted().into_iter().map(|finding| finding.to_string());
        all.filter(|line| line.contains("control.mqtt") || line.contains("topics")).collect()
    }

    #[test]
    fn a_broker_whose_requests_are_followed_is_checked_in_its_place() {
        let text = "[control]\n[[control.mqtt]]\nname = 'a'\nurl = 'mqtt://b'\n\
                    [[control.mqtt]]\nname = 'a'\nurl = 'mqtt://b'\nmax_payload = '1 MiB'\nprefix = 'x'\n\
                    [[control.mqtt]]\nurl = 'mqtt://b'\n\
                    [[control.requester]]\nname = 'mes/1'\nroles = ['r']\nsecret = '$S'\n";
        let found = found(text).join("\n");
        for part in [
            "g.toml:6:8: error: control.mqtt \"a\"",
            "control.mqtt \"a\": max_payload: 1048576 bytes is out of range",
            "g.toml:9:1: error: control.mqtt \"a\": unknown key `prefix`",
            "control.mqtt \"a\" follows the topics of control.mqtt \"a\" too",
            "g.toml:10:1: error: control.mqtt \"mqtt://b\": `name` is missing",
            "requester \"mes/1\": `/`, `+` and `#` become `_`",
        ] {
            assert!(found.contains(part), "{part}\n---\n{found}");
        }
    }
}
