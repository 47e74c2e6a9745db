//! Where a broker is, and which topics are meant.

use guideway_contract::HostPort;

/// The longest topic MQTT can carry, in bytes (MQTT 5, 1.5.4).
pub(crate) const MOST_TOPIC_BYTES: usize = 65_535;

/// A broker's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    /// Name or address, without brackets.
    pub(crate) host: String,
    /// 1883 or 8883 when not given.
    pub(crate) port: u16,
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
}

impl Broker {
    /// Reads `mqtt://host[:port]`, `mqtts://host[:port]`, or a host with or without a port, which is `mqtt`; also
    /// `tcp`, `ssl` and `tls`, which other products write.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains('@') {
            return Err("user and password do not belong into the address; use `user` and `password`".into());
        }
        let found = HostPort::parse(text, &["mqtt", "mqtts", "tcp", "ssl", "tls"])?;
        let tls = ["mqtts://", "ssl://", "tls://"].iter().any(|scheme| text.starts_with(scheme));
        Ok(Self { host: found.host, port: found.port.unwrap_or(if tls { 8883 } else { 1883 }), tls })
    }
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}", HostPort { host: self.host.clone(), port: Some(self.port) })
    }
}

/// What is wrong with a topic filter; `None` when it can be subscribed (MQTT 5, 4.7).
pub(crate) fn filter_issue(filter: &str) -> Option<String> {
    if filter.is_empty() {
        return Some("there is no topic".into());
    }
    if filter.len() > MOST_TOPIC_BYTES || filter.contains('\0') {
        return Some("a topic has at most 65535 bytes and no NUL".into());
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Some(format!("`{filter}`: `#` stands alone and at the end, as in `plant/#`"));
        }
        if level.contains('+') && level != "+" {
            return Some(format!("`{filter}`: `+` stands for one whole level, as in `plant/+/temp`"));
        }
    }
    None
}

/// Whether a filter has wildcards, so that nothing can be published to it.
pub(crate) fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// The filter as topics are compared with it: a shared subscription (`$share/GROUP/FILTER`) without its head.
pub(crate) fn unshared(filter: &str) -> &str {
    match filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
        Some((_, filter)) => filter,
        None => filter,
    }
}

/// Whether a topic is meant by a filter (MQTT 5, 4.7). Topics that begin with `$` are not meant by a wildcard at the
/// beginning.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic = topic.split('/');
    for level in filter.split('/') {
        match level {
            "#" => return true,
            "+" => {
                if topic.next().is_none() {
                    return false;
                }
            }
            level => {
                if topic.next() != Some(level) {
                    return false;
                }
            }
        }
    }
    topic.next().is_none()
}

/// Whether each topic meant by `inner` is meant by `outer` too.
pub(crate) fn covers(outer: &str, inner: &str) -> bool {
    if outer.starts_with("$share/") || inner.starts_with("$share/") {
        return outer == inner;
    }
    if inner.starts_with('$') && outer.starts_with(['+', '#']) {
        return false;
    }
    let mut inner = inner.split('/');
    for level in outer.split('/') {
        match (level, inner.next()) {
            ("#", _) => return true,
            ("+", Some(found)) if found != "#" => {}
            (level, Some(found)) if level == found => {}
            _ => return false,
        }
    }
    inner.next().is_none()
}

/// The filters that have to be subscribed so that all are: those that another one covers are left out, because some
/// brokers send a message once for each subscription that meets it.
pub(crate) fn subscriptions<'f>(filters: impl IntoIterator<Item = &'f str>) -> Vec<String> {
    let mut kept: Vec<&str> = Vec::new();
    for filter in filters {
        if kept.iter().any(|outer| covers(outer, filter)) {
            continue;
        }
        kept.retain(|inner| !covers(filter, inner));
        kept.push(filter);
    }
    kept.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_broker_is_a_host_with_or_without_scheme_and_port() {
        for (text, shown) in [
            ("broker", "mqtt://broker:1883"),
            ("10.0.0.7:1884", "mqtt://10.0.0.7:1884"),
            ("mqtts://broker", "mqtts://broker:8883"),
            ("ssl://[::1]:9000/", "mqtts://[::1]:9000"),
        ] {
            assert_eq!(Broker::parse(text).unwrap().to_string(), shown);
        }
        for (text, part) in [
            ("http://broker", "http"),
            ("mqtt://", "no host"),
            ("mqtt://a:0", "65535"),
            ("mqtt://me:pw@b", "`user`"),
        ] {
            let error = Broker::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn wildcards_mean_levels() {
        for (filter, topic, meant) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+/c", "a//c", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("/a", "a", false),
        ] {
            assert_eq!(matches(filter, topic), meant, "{filter} {topic}");
        }
    }

    #[test]
    fn a_filter_that_no_broker_takes_is_named() {
        for filter in ["", "a#", "a/#/b", "a+/b", "a/b+", "\0"] {
            assert!(filter_issue(filter).is_some(), "{filter}");
        }
        for filter in ["a", "/", "#", "+", "a/+/b/#", "$share/g/a/#"] {
            assert_eq!(filter_issue(filter), None, "{filter}");
        }
        assert_eq!(unshared("$share/g/a/#"), "a/#");
    }

    #[test]
    fn what_is_covered_is_subscribed_once() {
        assert_eq!(
            subscriptions(["a/b", "a/+", "a/#", "c", "c", "$SYS/x", "+/d"]),
            ["a/#", "c", "$SYS/x", "+/d"]
        );
        assert_eq!(subscriptions(["#", "a/b", "$SYS/#"]), ["#", "$SYS/#"]);
        assert_eq!(subscriptions(["a/+", "a/#"]), ["a/#"]);
    }

    proptest! {
        #[test]
        fn what_a_covered_filter_means_its_cover_means_too(
            outer in "([a-b+]/){0,2}[a-b+#]", inner in "([a-b+]/){0,2}[a-b+#]", topic in "([a-b]/){0,3}[a-b]",
        ) {
            if covers(&outer, &inner) && matches(&inner, &topic) {
                prop_assert!(matches(&outer, &topic));
            }
        }
    }
}
