//! Devices that sources described themselves, kept on disk: after a restart their items are there before the source
//! is, and the journal's observations find them.

use std::path::{Path, PathBuf};

use smol_str::SmolStr;

/// Where they are kept; nowhere without a folder.
#[derive(Debug)]
pub(super) struct Learned {
    folder: Option<PathBuf>,
}

impl Learned {
    pub(super) fn new(data_dir: Option<&Path>) -> Self {
        Self { folder: data_dir.map(|folder| folder.join("devices")) }
    }

    /// The documents that an adapter's source has sent, each with the file it is kept in.
    pub(super) fn documents(&self, adapter: &str) -> Vec<(PathBuf, String)> {
        let mut documents = Vec::new();
        for path in self.files(adapter) {
            match std::fs::read_to_string(&path) {
                Ok(text) => documents.push((path, text)),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot read a device that was learned");
                }
            }
        }
        documents
    }

    /// The uuids of those devices.
    pub(super) fn uuids(&self, adapter: &str) -> Vec<SmolStr> {
        let uuid = |path: &PathBuf| unescaped(path.file_stem()?.to_str()?);
        self.files(adapter).iter().filter_map(uuid).collect()
    }

    /// Keeps a device; a disk that is full costs no observation.
    pub(super) fn keep(&self, adapter: &str, uuid: &str, xml: &str) {
        let Some(folder) = self.folder_of(adapter) else { return };
        let path = folder.join(format!("{}.xml", escaped(uuid)));
        let new = path.with_extension("new");
        let kept = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&new, xml))
            .and_then(|()| std::fs::rename(&new, &path));
        if let Err(error) = kept {
            tracing::warn!(path = %path.display(), %error, "cannot keep a device that was learned");
        }
    }

    fn folder_of(&self, adapter: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(escaped(adapter)))
    }

    fn files(&self, adapter: &str) -> Vec<PathBuf> {
        let Some(entries) = self.folder_of(adapter).and_then(|folder| std::fs::read_dir(folder).ok()) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
            .collect();
        files.sort();
        files
    }
}

/// A file's name for any text: letters, digits, `-` and `_` as they are, anything else by its bytes.
fn escaped(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes().take(100) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    name
}

fn unescaped(name: &str) -> Option<SmolStr> {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(SmolStr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_by_its_adapter() {
        let folder = tempfile::tempdir().unwrap();
        let learned = Learned::new(Some(folder.path()));
        assert!(learned.documents("a/b").is_empty());
        learned.keep("a/b", "../uuid 1", "<Device/>");
        learned.keep("a/b", "../uuid 1", "<Device name='x'/>");
        assert_eq!(learned.documents("a/b")[0].1, "<Device name='x'/>");
        assert_eq!(learned.uuids("a/b"), ["../uuid 1"]);
        assert!(learned.uuids("b").is_empty());
    }
}
