//! What is wrong with a destination's options, found without touching the network.

use std::time::Duration;

use super::address::Address;
use super::layout::Template;
use super::{Layout, Options, ProtocolVersion, Tls, secret, tls};

/// One thing that is wrong or has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key in the destination's table, with dots: `template.topic`.
    pub key: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub cure: String,
    /// Whether the destination can be started nevertheless.
    pub warning: bool,
}

impl Options {
    /// Everything that is wrong, in the order of the keys. Reads certificates and the environment.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        self.check_connection(&mut findings);
        self.check_delivery(&mut findings);
        self.check_layout(&mut findings);
        findings.0
    }

    fn check_connection(&self, findings: &mut Findings) {
        findings.connection(&Connection {
            name: &self.name,
            url: &self.url,
            client_id: self.client_id.as_deref(),
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            tls: &self.tls,
            keep_alive: self.keep_alive,
        });
        if self.version == ProtocolVersion::V311 && !self.clean_session {
            let what = "a session that is kept has no effect with MQTT 3.1.1";
            findings.warning("clean_session", what, "take it out, or use version = \"5\"");
        }
    }

    fn check_delivery(&self, findings: &mut Findings) {
        if self.qos > 2 {
            findings.error("qos", format!("{} is not a quality of service", self.qos), "write 0, 1 or 2");
        }
        if self.in_flight == 0 {
            let what = "with a window of 0 nothing is ever sent";
            findings.error("in_flight", what, "write 1 to 65535");
        }
        if let Some(Err(error)) = self.last_will.as_ref().map(|will| Template::parse_topic(&will.topic)) {
            findings.error("last_will.topic", error.to_string(), "write a topic without wildcards");
        }
        if let Some(prefix) = &self.topic_prefix {
            if prefix.contains(['+', '#']) || prefix.chars().any(char::is_control) || prefix.starts_with('$')
            {
                let what = "`+`, `#`, control characters and a leading `$` are not allowed in a topic";
                findings.error("topic_prefix", what, "leave them out");
            }
            if self.layout == Layout::Template {
                let what = "the `template` layout has its whole topic in `template.topic`";
                findings.warning("topic_prefix", what, "write it there");
            }
        }
        if self.last_will.as_ref().is_some_and(|will| will.topic.contains('{')) {
            let what = "placeholders are not filled in here";
            findings.warning("last_will.topic", what, "write the topic itself");
        }
    }

    fn check_layout(&self, findings: &mut Findings) {
        if self.layout == Layout::Mtconnect {
            if self.sample_count == 0 {
                findings.error(
                    "sample_count",
                    "a document of 0 observations says nothing",
                    "write 1 or more",
                );
            }
            if self.current_interval.is_zero() {
                let what = "an interval of 0 would never stop";
                findings.error("current_interval", what, "write for example \"10s\"");
            }
        }
        if self.layout != Layout::Template {
            if !self.template.topic.is_empty() || !self.template.payload.is_empty() {
                let what = "templates have no effect with this layout";
                findings.warning("template", what, "write layout = \"template\"");
            }
            return;
        }
        if let Err(error) = Template::parse_topic(&self.template.topic) {
            findings.error("template.topic", error.to_string(), "see docs/mqtt.md for all placeholders");
        }
        match Template::parse(&self.template.payload) {
            Err(error) => {
                findings.error(
                    "template.payload",
                    error.to_string(),
                    "see docs/mqtt.md for all placeholders",
                );
            }
            Ok(template) if template.is_json() => {
                if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&template.example()) {
                    findings.error(
                        "template.payload",
                        format!("it begins like JSON but does not make JSON: {error}"),
                        "put quotes around texts, and use {value_json} for a value with its type",
                    );
                }
            }
            Ok(_) => {}
        }
    }
}

/// What every connection to a broker has.
pub(super) struct Connection<'o> {
    pub(super) name: &'o str,
    pub(super) url: &'o str,
    pub(super) client_id: Option<&'o str>,
    pub(super) username: Option<&'o str>,
    pub(super) password: Option<&'o str>,
    pub(super) tls: &'o Tls,
    pub(super) keep_alive: Duration,
}

#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn error(&mut self, key: &'static str, what: impl Into<String>, cure: &str) {
        self.0.push(Finding { key, what: what.into(), cure: cure.into(), warning: false });
    }

    pub(super) fn warning(&mut self, key: &'static str, what: impl Into<String>, cure: &str) {
        self.0.push(Finding { key, what: what.into(), cure: cure.into(), warning: true });
    }

    pub(super) fn connection(&mut self, given: &Connection<'_>) {
        if given.name.is_empty() || given.name.chars().any(char::is_control) {
            self.error("name", "the name is empty or has control characters", "give it a short name");
        }
        match Address::parse(given.url) {
            Err(what) => self.error("url", what, "write mqtt://host:1883 or mqtts://host:8883"),
            Ok(address) if address.tls => {
                if let Err(what) = tls::client_config(given.tls) {
                    self.error("tls", what, "mend the file or the path");
                }
            }
            Ok(_) => {
                let tls = given.tls;
                if tls.ca.is_some() || tls.certificate.is_some() || tls.key.is_some() {
                    let what = "certificates have no effect because the URL says mqtt://";
                    self.error("tls", what, "write mqtts:// (port 8883), or take the table out");
                }
            }
        }
        for (key, given) in [("username", given.username), ("password", given.password)] {
            if let Some(Err(what)) = given.map(secret::resolve) {
                self.error(key, what, "set the variable, or write the value itself");
            }
        }
        if given.password.is_some() && given.username.is_none() {
            self.error("password", "a password needs a user name", "give `username` as well");
        }
        if given.keep_alive < Duration::from_secs(1) || given.keep_alive > Duration::from_secs(65_535) {
            let what = "the keep-alive is out of range (1s to 65535s)";
            self.error("keep_alive", what, "write for example \"30s\"");
        }
        if given.client_id.is_some_and(|id| id.is_empty() || id.len() > 65_535) {
            let what = "the client id is empty or longer than 65,535 bytes";
            self.error("client_id", what, "give one that no other client of the broker has");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<&'static str> {
        let options: Options = toml::from_str(text).expect("readable");
        options.check().into_iter().map(|finding| finding.key).collect()
    }

    #[test]
    fn the_least_that_can_be_written_is_right() {
        assert_eq!(keys("name = 'a'\nurl = 'mqtt://broker'"), Vec::<&str>::new());
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let found = keys(
            "name = ''\nurl = 'broker'\npassword = '$NO_SUCH_VARIABLE'\nkeep_alive = '0s'\nqos = 3\n\
             in_flight = 0\nlayout = 'template'\n[template]\ntopic = 'a/{what}'\npayload = '{\"a\":{value}'",
        );
        assert_eq!(
            found,
            [
                "name",
                "url",
                "password",
                "password",
                "keep_alive",
                "qos",
                "in_flight",
                "template.topic",
                "template.payload"
            ]
        );
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let found = keys(
            "name = 'a'\nurl = 'mqtt://broker'\nversion = '3.1.1'\nclean_session = false\n\
             [tls]\nca = 'ca.pem'\n[template]\ntopic = 'x'",
        );
        assert_eq!(found, ["tls", "clean_session", "template"]);
    }

    #[test]
    fn a_text_without_quotes_in_a_json_template_is_found() {
        let text = "name = 'a'\nurl = 'mqtt://b'\nlayout = 'template'\n[template]\ntopic = '{id}'\n";
        assert_eq!(keys(&format!("{text}payload = '{{\"n\":{{name}}}}'")), ["template.payload"]);
        assert_eq!(keys(&format!("{text}payload = '{{\"n\":\"{{name}}\"}}'")), Vec::<&str>::new());
    }
}
