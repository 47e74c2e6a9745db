//! `Accept`.

/// Whether a client would rather have JSON than XML. What it does not know by name is XML's: it is
/// the standard's first form.
pub(super) fn prefers_json(accept: &str) -> bool {
    let (mut json, mut xml) = (0.0_f32, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |quality| quality.parse().unwrap_or(0.0_f32).clamp(0.0, 1.0));
        match kind.as_str() {
            "application/json" | "application/mtconnect+json" | "text/json" => json = json.max(quality),
            "application/xml" | "text/xml" | "application/mtconnect+xml" => xml = xml.max(quality),
            _ => {}
        }
    }
    json > xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_given_to_those_who_would_rather_have_it() {
        for accept in ["application/json", "Application/JSON", "application/mtconnect+json, */*;q=0.1"] {
            assert!(prefers_json(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/json;q=0.5, text/xml",
            "application/json;q=0",
            "application/json;q=x",
        ] {
            assert!(!prefers_json(accept), "{accept}");
        }
    }
}
