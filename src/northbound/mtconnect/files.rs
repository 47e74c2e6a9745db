//! Files: schemas, style sheets, icons.

use std::path::{Component, Path, PathBuf};

use tokio::fs::File;

use super::options::FileMount;
use super::query;

/// Largest file that is served, in bytes.
const MAX_SIZE: u64 = 256 << 20;

/// A file that is open.
pub(super) struct FileReply {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) content_type: &'static str,
}

/// The mounts, longest location first.
pub(super) struct Files(Vec<FileMount>);

impl Files {
    pub(super) fn new(mounts: &[FileMount]) -> Self {
        let mut mounts = mounts.to_vec();
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.location.len()));
        Self(mounts)
    }

    /// The file at a path; `None` when the path is not under any mount, an error for people when
    /// there is no such file.
    pub(super) async fn find(&self, path: &str) -> Option<Result<FileReply, String>> {
        if self.0.is_empty() {
            return None;
        }
        let (root, inner) = self.0.iter().find_map(|mount| Some((&mount.path, within(mount, path)?)))?;
        let root = root.clone();
        let inner = inner.to_owned();
        let opened = tokio::task::spawn_blocking(move || open(&root, &inner)).await;
        let found = opened.ok().flatten();
        Some(found.ok_or_else(|| format!("there is no file at '{path}'")))
    }
}

/// What is left of a path behind a mount's location.
fn within<'p>(mount: &FileMount, path: &'p str) -> Option<&'p str> {
    let location = mount.location.trim_end_matches('/');
    let rest = path.strip_prefix(location)?;
    if rest.is_empty() || rest.starts_with('/') { Some(rest.trim_matches('/')) } else { None }
}

/// Opens a regular file under `root`, which no link leads out of.
fn open(root: &Path, inner: &str) -> Option<FileReply> {
    let inner = query::decode(inner, false)?;
    // A backslash or a colon would be read as a path or a stream by some systems.
    if inner.contains(['\\', ':']) {
        return None;
    }
    let relative = PathBuf::from(inner.as_ref());
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let root = root.canonicalize().ok()?;
    let mut path = if inner.is_empty() { root.clone() } else { root.join(relative).canonicalize().ok()? };
    if path.is_dir() {
        path = path.join("index.html").canonicalize().ok()?;
    }
    if !path.starts_with(&root) || !path.metadata().ok()?.is_file() {
        return None;
    }
    let file = std::fs::File::open(&path).ok()?;
    let length = file.metadata().ok()?.len();
    (length <= MAX_SIZE).then(|| FileReply {
        file: File::from_std(file),
        length,
        content_type: content_type(&path),
    })
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "xml" | "xsd" | "xsl" | "xslt" => "text/xml",
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "pdf" => "application/pdf",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(location: &str, path: &Path) -> Files {
        Files::new(&[FileMount { location: location.to_owned(), path: path.to_owned() }])
    }

    #[tokio::test]
    async fn a_file_is_found_and_nothing_outside_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("inside");
        std::fs::create_dir_all(inside.join("sub")).expect("folders");
        std::fs::write(inside.join("sub/a b.xsd"), "<x/>").expect("a file");
        std::fs::write(folder.path().join("secret"), "s").expect("a file");
        let files = mounted("/schemas/", &inside);
        let found = files.find("/schemas/sub/a%20b.xsd").await.expect("mounted").expect("there");
        assert_eq!((found.length, found.content_type), (4, "text/xml"));
        for path in [
            "/schemas/../secret",
            "/schemas/%2e%2e/secret",
            "/schemas/sub/../../secret",
            "/schemas/..%2fsecret",
            "/schemas/..%5csecret",
            "/schemas/%2fetc/passwd",
            "/schemas/",
            "/schemas/sub",
            "/schemas/no",
            "/schemas/%00",
        ] {
            assert!(files.find(path).await.expect("mounted").is_err(), "{path}");
        }
        assert!(files.find("/schemasx").await.is_none());
        assert!(files.find("/current").await.is_none());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_does_not_lead_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).expect("a folder");
        std::fs::write(folder.path().join("secret"), "s").expect("a file");
        std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).expect("a link");
        assert!(mounted("/f", &inside).find("/f/link").await.expect("mounted").is_err());
    }

    #[tokio::test]
    async fn a_mount_can_be_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let icon = folder.path().join("favicon.ico");
        std::fs::write(&icon, "i").expect("a file");
        let files = mounted("/favicon.ico", &icon);
        let found = files.find("/favicon.ico").await.expect("mounted").expect("there");
        assert_eq!(found.content_type, "image/x-icon");
    }
}
