//! Pages of elsewhere.

/// Whether a browser sends the request for a page that did not come from here: its `Origin` has another host or port
/// than its `Host`. A client that is no browser sends no `Origin`.
pub(super) fn is_foreign(origin: &str, host: &str) -> bool {
    if origin.is_empty() {
        return false;
    }
    let (authority, default) = if let Some(authority) = strip(origin, "http://") {
        (authority, ":80")
    } else if let Some(authority) = strip(origin, "https://") {
        (authority, ":443")
    } else {
        return true;
    };
    let bare = |authority: &str| authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase();
    authority.is_empty() || bare(authority) != bare(host)
}

fn strip<'o>(origin: &'o str, scheme: &str) -> Option<&'o str> {
    let start = origin.get(..scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| &origin[scheme.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_at_home_only_where_it_came_from() {
        for (origin, host) in [
            ("", "a:5000"),
            ("http://a:5000", "a:5000"),
            ("HTTP://A:5000", "a:5000"),
            ("http://a", "a:80"),
            ("https://a:443", "a"),
            ("http://[::1]:5000", "[::1]:5000"),
        ] {
            assert!(!is_foreign(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "a"),
            ("http://b", "a"),
            ("http://a:5001", "a:5000"),
            ("http://", ""),
            ("file://", ""),
            ("http://a.b", "a"),
            ("\u{fffd}", "a"),
        ] {
            assert!(is_foreign(origin, host), "{origin} {host}");
        }
    }
}
