//! Where a broker is: `mqtt://host:1883`, `mqtts://host:8883`.

/// A broker's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Name or address; an IPv6 address keeps its brackets.
    pub(super) host: String,
    /// 1 to 65,535; 1883 or 8883 when not given.
    pub(super) port: u16,
    /// Whether the connection is encrypted.
    pub(super) tls: bool,
}

impl Address {
    /// Reads `mqtt://host[:port]` or `mqtts://host[:port]`; also `tcp`, `ssl` and `tls`, which other
    /// products write. The error says what is wrong and what to write.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| format!("`{url}` has no scheme; write mqtt://host:1883 or mqtts://host:8883"))?;
        let tls = match scheme {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" | "tls" => true,
            other => {
                return Err(format!("`{other}` is not a scheme of MQTT; write mqtt:// or mqtts://"));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err("user and password do not belong into the URL; use `username` and `password`".into());
        }
        if rest.contains(['/', '?', '#']) {
            return Err(format!("`{url}` has something behind the port; leave it out"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        if host.is_empty() {
            return Err(format!("`{url}` has no host"));
        }
        if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
            return Err(format!("an IPv6 address is written in brackets: {scheme}://[{host}]"));
        }
        let port = match port {
            None if tls => 8883,
            None => 1883,
            Some(text) => text
                .parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("port `{text}` is out of range (1-65535)"))?,
        };
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let address = |host: &str, port, tls| Ok(Address { host: host.into(), port, tls });
        assert_eq!(Address::parse("mqtt://broker"), address("broker", 1883, false));
        assert_eq!(Address::parse("mqtts://broker/"), address("broker", 8883, true));
        assert_eq!(Address::parse("tcp://10.0.0.1:1884"), address("10.0.0.1", 1884, false));
        assert_eq!(Address::parse("mqtts://[::1]:9000"), address("[::1]", 9000, true));
        assert_eq!(Address::parse("mqtts://[::1]"), address("[::1]", 8883, true));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (url, part) in [
            ("broker:1883", "scheme"),
            ("http://broker", "http"),
            ("mqtt://", "no host"),
            ("mqtt://broker:70000", "70000"),
            ("mqtt://broker:0", "out of range"),
            ("mqtt://me:secret@broker", "username"),
            ("mqtt://broker:1883/x", "behind the port"),
            ("mqtt://::1", "brackets"),
        ] {
            let error = Address::parse(url).expect_err(url);
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}
