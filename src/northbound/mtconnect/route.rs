//! Which request a path is.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::query;

/// A request of the REST interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/`, `/probe`, `/{device}`, `/{device}/probe`.
    Probe(Option<SmolStr>),
    /// `/current`, `/{device}/current`.
    Current(Option<SmolStr>),
    /// `/sample`, `/{device}/sample`.
    Sample(Option<SmolStr>),
    /// `/asset`, `/assets`, `/{device}/asset`, `/{device}/assets`.
    Assets(Option<SmolStr>),
    /// `/asset/{id;id;…}`, `/assets/{id;id;…}`.
    AssetIds(Vec<SmolStr>),
}

/// Most asset ids in one request.
const MAX_IDS: usize = 256;

impl Route {
    /// Reads a path, still percent-encoded. `None`: there is no such route.
    pub(super) fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Some(Self::Probe(None));
        }
        let Some((first, rest)) = path.split_once('/') else {
            return match path {
                "probe" => Some(Self::Probe(None)),
                "current" => Some(Self::Current(None)),
                "sample" => Some(Self::Sample(None)),
                "asset" | "assets" => Some(Self::Assets(None)),
                device => Some(Self::Probe(Some(text(device)?))),
            };
        };
        // An id may hold a slash, so everything behind `asset/` belongs to it.
        if matches!(first, "asset" | "assets") {
            // Split before decoding, so that an encoded `;` is part of an id.
            let ids: Option<Vec<SmolStr>> =
                rest.split(';').filter(|id| !id.is_empty()).take(MAX_IDS + 1).map(text).collect();
            return ids.filter(|ids| !ids.is_empty() && ids.len() <= MAX_IDS).map(Self::AssetIds);
        }
        let device = Some(text(first)?);
        match rest {
            "probe" => Some(Self::Probe(device)),
            "current" => Some(Self::Current(device)),
            "sample" => Some(Self::Sample(device)),
            "asset" | "assets" => Some(Self::Assets(device)),
            _ => None,
        }
    }

    /// The standard's word for the request, as error documents give it back.
    pub(super) const fn request(&self) -> &'static str {
        match self {
            Self::Probe(_) => "MTConnectProbe",
            Self::Current(_) => "MTConnectCurrent",
            Self::Sample(_) => "MTConnectSample",
            Self::Assets(_) | Self::AssetIds(_) => "MTConnectAsset",
        }
    }

    /// The parameters that mean something here.
    pub(super) const fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Probe(_) => &["deviceType", "format", "pretty"],
            Self::Current(_) => &["at", "deviceType", "format", "interval", "path", "pretty"],
            Self::Sample(_) => {
                &["count", "deviceType", "format", "from", "heartbeat", "interval", "path", "pretty", "to"]
            }
            Self::Assets(_) => &["count", "device", "format", "pretty", "removed", "type"],
            Self::AssetIds(_) => &["format", "pretty"],
        }
    }
}

fn text(encoded: &str) -> Option<SmolStr> {
    match query::decode(encoded, false)? {
        Cow::Borrowed(text) => Some(text.into()),
        Cow::Owned(text) => Some(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_paths_with_and_without_a_slash_at_the_end() {
        let device = || Some(SmolStr::new("Mill 1"));
        for (path, route) in [
            ("/", Route::Probe(None)),
            ("/probe", Route::Probe(None)),
            ("/Mill%201", Route::Probe(device())),
            ("/Mill%201/probe", Route::Probe(device())),
            ("/current", Route::Current(None)),
            ("/Mill%201/current", Route::Current(device())),
            ("/sample", Route::Sample(None)),
            ("/Mill%201/sample", Route::Sample(device())),
            ("/asset", Route::Assets(None)),
            ("/assets", Route::Assets(None)),
            ("/Mill%201/asset", Route::Assets(device())),
            ("/Mill%201/assets", Route::Assets(device())),
            ("/asset/a;b%3Bc", Route::AssetIds(vec!["a".into(), "b;c".into()])),
            ("/assets/a", Route::AssetIds(vec!["a".into()])),
        ] {
            assert_eq!(Route::of(path), Some(route.clone()), "{path}");
            if path != "/" {
                assert_eq!(Route::of(&format!("{path}/")), Some(route), "{path}/");
            }
        }
    }

    #[test]
    fn what_is_no_route_is_none() {
        for path in ["", "*", "/a/b", "/a/b/c", "/%zz", "/a/asset/id", "/%ff/current", "/asset/;"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
