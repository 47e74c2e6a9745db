//! Where an agent is, and the addresses of what it is asked for.

use reqwest::Url;

use guideway_contract::HostPort;

/// How an address is written, for messages.
const FORM: &str =
    "write http://HOST:5000, https://HOST, HOST or HOST:PORT, with /DEVICE behind it where wanted";

/// An agent's address: everything before `/probe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base(Url);

impl Base {
    /// Reads a URL, or a host with or without a port; `port` holds where neither is written.
    pub(crate) fn parse(text: &str, port: u16) -> Result<Self, String> {
        let text = text.trim();
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            let (authority, path) = text.split_once('/').unwrap_or((text, ""));
            let mut host = HostPort::parse(authority, &[]).map_err(|error| format!("{error}, or a URL"))?;
            host.port = host.port.or(Some(port));
            format!("http://{host}/{path}")
        };
        let mut url = Url::parse(&whole).map_err(|error| format!("`{text}`: {error}; {FORM}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{}://` is not spoken here; {FORM}", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("names and passwords do not belong into an address; set `user` and `password`".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}`: there is nothing to ask for in an address; {FORM}"));
        }
        // People paste what they have seen in the browser.
        let mut segments: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        if matches!(segments.last(), Some(&("probe" | "current" | "sample"))) {
            segments.pop();
        }
        let path = segments.join("/");
        url.set_path(&path);
        Ok(Self(url))
    }

    /// As a URI, without secrets.
    pub(crate) fn uri(&self) -> String {
        self.0.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether it is the agent itself and not a device or folder of it.
    pub(crate) fn is_root(&self) -> bool {
        self.0.path() == "/"
    }

    /// One device of the agent.
    pub(crate) fn of(&self, device: &str) -> Self {
        Self(self.join(&[device]))
    }

    /// `/probe`.
    pub(crate) fn probe(&self) -> Url {
        self.join(&["probe"])
    }

    /// `/current`.
    pub(crate) fn current(&self) -> Url {
        self.join(&["current"])
    }

    /// `/current`, as it was after that sequence.
    pub(crate) fn current_at(&self, sequence: u64) -> Url {
        self.ask("current", &[("at", sequence)])
    }

    /// `/sample`, with what is asked for.
    pub(crate) fn sample(&self, query: &[(&str, u64)]) -> Url {
        self.ask("sample", query)
    }

    /// `/assets`.
    pub(crate) fn assets(&self, count: u64) -> Url {
        self.ask("assets", &[("count", count)])
    }

    /// `/asset/ID`.
    pub(crate) fn asset(&self, id: &str) -> Url {
        self.join(&["asset", id])
    }

    fn ask(&self, what: &str, query: &[(&str, u64)]) -> Url {
        let mut url = self.join(&[what]);
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        url.set_query(Some(&query.join("&")));
        url
    }

    fn join(&self, parts: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Only addresses such as `mailto:` have no segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        Base::parse(text, 5000).map(|base| base.uri())
    }

    #[test]
    fn urls_and_hosts_are_read() {
        for (text, expected) in [
            ("mill-1", "http://mill-1:5000"),
            ("mill-1:5001", "http://mill-1:5001"),
            ("mill-1/M1", "http://mill-1:5000/M1"),
            ("[fe80::1]:5001", "http://[fe80::1]:5001"),
            ("http://mill-1", "http://mill-1"),
            (" http://mill-1:5000/ ", "http://mill-1:5000"),
            ("https://plant.example/agents/7/", "https://plant.example/agents/7"),
            ("http://mill-1:5000/M1/current", "http://mill-1:5000/M1"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_cure() {
        for (text, cure) in [
            ("", "HOST"),
            ("shdr://mill-1", "http://HOST"),
            ("http://me:secret@mill-1", "`user`"),
            ("http://mill-1/current?path=//Axes", "http://HOST"),
            ("mill-1:x", "port"),
            ("http://", "http://HOST"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(cure), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_asked_for_is_escaped() {
        let base = Base::parse("mill-1", 5000).unwrap();
        assert_eq!(base.of("M 1/a").current().as_str(), "http://mill-1:5000/M%201%2Fa/current");
        assert_eq!(base.asset("a?b").as_str(), "http://mill-1:5000/asset/a%3Fb");
        let url = base.sample(&[("from", 7), ("count", 100)]);
        assert_eq!(url.as_str(), "http://mill-1:5000/sample?from=7&count=100");
    }
}
