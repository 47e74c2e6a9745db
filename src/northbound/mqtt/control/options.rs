//! `[[control.mqtt]]` in the configuration: one table for each broker whose request topics are followed.

use std::time::Duration;

use serde::Deserialize;

use super::topics::{Topics, is_filter};
use crate::northbound::mqtt::check::{Connection, Findings};
use crate::northbound::mqtt::{Finding, ProtocolVersion, Tls};

/// A broker, and the topics on which it has requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Unique among `[[control.mqtt]]`; answers that a restart has delayed go where this name is.
    pub name: String,
    /// `mqtt://host:1883` or `mqtts://host:8883`.
    pub url: String,
    /// `3.1.1` or `5`.
    #[serde(default)]
    pub version: ProtocolVersion,
    /// Default: `guideway-control-` and the name and a stable suffix. The broker keeps requests for it.
    #[serde(default)]
    pub client_id: Option<String>,
    /// User name.
    #[serde(default)]
    pub username: Option<String>,
    /// Password; `$VAR` takes it from the environment.
    #[serde(default)]
    pub password: Option<String>,
    /// Certificates for `mqtts`.
    #[serde(default)]
    pub tls: Tls,
    /// How often the connection is checked when nothing is sent.
    #[serde(default = "defaults::keep_alive", with = "crate::config::duration")]
    pub keep_alive: Duration,
    /// First part of every topic; `{gateway}` is the gateway's name.
    #[serde(default = "defaults::topic_prefix")]
    pub topic_prefix: String,
    /// Topics beside their own to which requesters may have answers sent (MQTT 5), such as `scada/answers/#`;
    /// `{requester}` is the requester's name.
    #[serde(default)]
    pub response_topics: Vec<String>,
    /// Largest request, in bytes; 256 to 16,384.
    #[serde(default = "defaults::max_payload", with = "crate::config::size")]
    pub max_payload: u64,
    /// How long the broker keeps requests while the gateway is away. With 3.1.1 the broker decides; zero: not at all.
    #[serde(default = "defaults::session_expiry", with = "crate::config::duration")]
    pub session_expiry: Duration,
}

/// Control reads no more of a signed request.
const MOST_PAYLOAD: u64 = 16 * 1_024;
/// A request without arguments has some 250 bytes.
const LEAST_PAYLOAD: u64 = 256;
/// Longest prefix of topics, in bytes, once the gateway's name is filled in.
const MOST_PREFIX: usize = 1_024;
/// Most filters in `response_topics`.
const MOST_FILTERS: usize = 100;

impl Options {
    /// One with every option at its default.
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            version: ProtocolVersion::default(),
            client_id: None,
            username: None,
            password: None,
            tls: Tls::default(),
            keep_alive: defaults::keep_alive(),
            topic_prefix: defaults::topic_prefix(),
            response_topics: Vec::new(),
            max_payload: defaults::max_payload(),
            session_expiry: defaults::session_expiry(),
        }
    }

    /// The topic below which everything of a gateway of that name is.
    pub fn base_topic(&self, gateway: &str) -> String {
        Topics::new(&self.topic_prefix, gateway, &[]).base().to_owned()
    }

    /// Everything that is wrong, in the order of the keys. Reads certificates and the environment.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        findings.connection(&Connection {
            name: &self.name,
            url: &self.url,
            client_id: self.client_id.as_deref(),
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            tls: &self.tls,
            keep_alive: self.keep_alive,
        });
        let prefix = &self.topic_prefix;
        if prefix.is_empty() || prefix.len() > MOST_PREFIX {
            let what = format!("the prefix is empty or has more than {MOST_PREFIX} bytes");
            findings.error("topic_prefix", what, "write for example \"guideway/{gateway}\"");
        } else if prefix.contains(['+', '#'])
            || prefix.chars().any(char::is_control)
            || prefix.starts_with('$')
        {
            let what = "`+`, `#`, control characters and a leading `$` are not allowed in a topic";
            findings.error("topic_prefix", what, "leave them out");
        } else if prefix.ends_with('/') {
            findings.error(
                "topic_prefix",
                "the prefix ends in `/`",
                "leave it out; one is put behind the prefix",
            );
        } else if prefix.replace("{gateway}", "").contains(['{', '}']) {
            let what = "only `{gateway}` is filled in here";
            findings.error("topic_prefix", what, "write `{gateway}`, or leave the braces out");
        }
        if self.response_topics.len() > MOST_FILTERS {
            let what = format!("more than {MOST_FILTERS} filters");
            findings.error("response_topics", what, "a filter that ends in `/#` allows everything below");
        }
        if let Some(wrong) = self.response_topics.iter().find(|filter| !is_filter(filter)) {
            let what = format!("`{wrong}` is no topic filter that answers may be sent to");
            let cure =
                "write for example \"scada/answers/#\" or \"plant/+/{requester}\"; not `#` alone or `$…`";
            findings.error("response_topics", what, cure);
        }
        if !self.response_topics.is_empty() && self.version == ProtocolVersion::V311 {
            let what = "a request has no response topic in MQTT 3.1.1";
            findings.warning("response_topics", what, "take it out, or use version = \"5\"");
        }
        if !(LEAST_PAYLOAD..=MOST_PAYLOAD).contains(&self.max_payload) {
            let what = format!("{} bytes is out of range ({LEAST_PAYLOAD}-{MOST_PAYLOAD})", self.max_payload);
            findings.error("max_payload", what, "write for example \"16 KiB\"");
        }
        if self.session_expiry > Duration::from_secs(u64::from(u32::MAX)) {
            let what = "longer than MQTT allows";
            findings.error("session_expiry", what, "write at most \"4294967295s\"");
        }
        findings.0
    }
}

mod defaults {
    use std::time::Duration;

    pub(super) const fn keep_alive() -> Duration {
        Duration::from_secs(30)
    }
    pub(super) fn topic_prefix() -> String {
        "guideway/{gateway}".into()
    }
    pub(super) const fn max_payload() -> u64 {
        super::MOST_PAYLOAD
    }
    pub(super) const fn session_expiry() -> Duration {
        Duration::from_secs(3_600)
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
        let options = Options::new("a", "mqtt://broker");
        assert_eq!(options.base_topic("hall/2"), "guideway/hall_2/control");
        assert!(options.check().is_empty());
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let found = keys(
            "name = ''\nurl = 'broker'\npassword = 'x'\nkeep_alive = '0s'\nclient_id = ''\n\
             topic_prefix = 'a/#'\nresponse_topics = ['#']\nversion = '3.1.1'\nmax_payload = '1 MiB'",
        );
        assert_eq!(
            found,
            [
                "name",
                "url",
                "password",
                "keep_alive",
                "client_id",
                "topic_prefix",
                "response_topics",
                "response_topics",
                "max_payload"
            ]
        );
        for prefix in ["", "$SYS", "a/", "{device}", "a\\u0000"] {
            let text = format!("name = 'a'\nurl = 'mqtt://b'\ntopic_prefix = \"{prefix}\"");
            assert_eq!(keys(&text), ["topic_prefix"], "{prefix}");
        }
    }
}
