//! Files and folders, with errors that name them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What went wrong, and with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
pub(super) struct At {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// The same error with the path in front.
pub(super) fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), At { path: path.to_owned(), source: error })
}

/// A whole file; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, error)),
    }
}

/// Opens a file to write at its end, and makes it where it is missing.
pub(super) fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path).map_err(|error| at(path, error))
}

/// Puts a file in place at once: whoever reads it finds the old or the new one. The file is open
/// for writing at its end.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let new = with_suffix(path, ".tmp");
    let write = || {
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().append(true).create_new(true).open(&new)?;
        file.write_all(bytes)?;
        fs::rename(&new, path)?;
        Ok(file)
    };
    write().map_err(|error: io::Error| {
        let _ = fs::remove_file(&new);
        at(path, error)
    })
}

/// Makes sure that new and renamed files of a folder are found after a power loss. Systems that
/// cannot do that for folders do it by themselves.
pub(super) fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Moves a file or folder out of the way, under a name that says when and why.
pub(super) fn set_aside(path: &Path, seconds: u64) -> io::Result<PathBuf> {
    let mut aside = with_suffix(path, &format!(".unreadable-{seconds}"));
    let mut number = 1;
    while aside.exists() {
        number += 1;
        aside = with_suffix(path, &format!(".unreadable-{seconds}-{number}"));
    }
    fs::rename(path, &aside).map_err(|error| at(path, error))?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A number that tells runs of the operating system apart; zeros where there is none.
pub(super) fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    uuid::Uuid::parse_str(text.trim()).map_or([0; 16], uuid::Uuid::into_bytes)
}
