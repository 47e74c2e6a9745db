//! Where a machine is: `host`, `host:port`, `scheme://host:port`, or a serial line.

use std::fmt;

/// A host with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// The port, where one is written.
    pub port: Option<u16>,
}

impl HostPort {
    /// Reads `host`, `host:port`, `[v6]:port`, `v6`, each with or without one of `schemes` in front (`modbus` for
    /// `modbus://…`). A path after the host is refused.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if schemes.contains(&scheme) => rest,
            Some((scheme, _)) => {
                return Err(format!(
                    "`{scheme}://` is not spoken here; write HOST:PORT or {}",
                    listed(schemes)
                ));
            }
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let bad = |why: &str| Err(format!("`{text}`: {why}; write HOST or HOST:PORT"));
        let (host, port) = if let Some(v6) = rest.strip_prefix('[') {
            match v6.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, port)) => match port.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None => return bad("after `]` comes `:` and the port"),
                },
                None => return bad("`[` is not closed"),
            }
        } else if rest.matches(':').count() > 1 {
            (rest, None)
        } else {
            match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        if host.is_empty() {
            return bad("there is no host");
        }
        if host.contains(|c: char| c.is_whitespace() || "/?#@[]".contains(c)) {
            return bad("this is no host");
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return bad("the port is a number from 1 to 65535"),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// As a URI's authority: an IPv6 address in brackets.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The device file of a serial line: `/dev/ttyS1`, `COM3`, or `serial:///dev/ttyS1`; `None` for anything else.
pub fn serial_path(text: &str) -> Option<&str> {
    let text = text.trim();
    let path = text.strip_prefix("serial://").unwrap_or(text);
    let is_com =
        path.strip_prefix("COM").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (path.starts_with('/') || is_com).then_some(path)
}

fn listed(schemes: &[&str]) -> String {
    schemes.iter().map(|scheme| format!("{scheme}://HOST:PORT")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, Option<u16>)> {
        HostPort::parse(text, &["modbus"]).ok().map(|found| (found.host, found.port))
    }

    #[test]
    fn hosts_with_and_without_port_and_scheme() {
        assert_eq!(read("plc"), Some(("plc".into(), None)));
        assert_eq!(read("modbus://10.0.0.5:502/"), Some(("10.0.0.5".into(), Some(502))));
        assert_eq!(read("[fe80::1]:502"), Some(("fe80::1".into(), Some(502))));
        assert_eq!(read("fe80::1"), Some(("fe80::1".into(), None)));
        assert_eq!(HostPort::parse("[::1]:7", &[]).unwrap().to_string(), "[::1]:7");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", ":502", "plc:0", "plc:x", "plc:70000", "http://plc", "a b", "[::1", "[::1]x", "plc/unit"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn serial_lines_are_told_from_hosts() {
        assert_eq!(serial_path("/dev/ttyS1"), Some("/dev/ttyS1"));
        assert_eq!(serial_path("serial:///dev/ttyS1"), Some("/dev/ttyS1"));
        assert_eq!(serial_path("COM3"), Some("COM3"));
        assert_eq!(serial_path("COMPUTER"), None);
        assert_eq!(serial_path("plc:502"), None);
    }
}
