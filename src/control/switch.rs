//! The panic switch as a file: while it is there, nothing is carried out, whatever is in it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use guideway_contract::Timestamp;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;

/// What the file is called in the data directory.
pub const FILE: &str = "control.off";

/// How much of the file is read, in bytes.
const MOST_BYTES: u64 = 16 << 10;

/// Longest `by` and `reason`, in characters.
const MOST_CHARACTERS: usize = 500;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Who switched control off; `unknown` where the file does not say.
    pub by: SmolStr,
    /// Why; may be empty.
    pub reason: String,
    /// When; of a file that does not say, when it was last written.
    pub time: Timestamp,
}

/// The file in a data directory.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// What the file says; `None` when there is none, and control is on. A file that cannot be read, is no file, or says
/// something else means off all the same.
pub fn read(path: &Path) -> Option<Written> {
    let unreadable = |why: String, time: Option<std::time::SystemTime>| {
        let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let nanos = since.and_then(|since| i64::try_from(since.as_nanos()).ok());
        let time = nanos.map_or_else(Timestamp::now, |nanos| Timestamp::from_nanos(nanos, 6));
        Some(Written { by: "unknown".into(), reason: why, time })
    };
    // A link that leads nowhere was put there by somebody, too.
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return unreadable(format!("cannot look at {}: {error}", path.display()), None),
    };
    let time = metadata.modified().ok();
    // A pipe would keep its reader waiting.
    if std::fs::metadata(path).map_or(true, |metadata| !metadata.is_file()) {
        return unreadable(format!("{} is there, and is no file", path.display()), time);
    }
    let mut bytes = Vec::new();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return unreadable(format!("cannot read {}: {error}", path.display()), time),
    };
    if let Err(error) = file.take(MOST_BYTES).read_to_end(&mut bytes) {
        return unreadable(format!("cannot read {}: {error}", path.display()), time);
    }
    let json: Json = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |key: &str| json.get(key).and_then(Json::as_str);
    let (Some(by), Some(reason)) = (text("by"), text("reason")) else {
        return unreadable(format!("{} is there", path.display()), time);
    };
    match text("time").and_then(Timestamp::parse) {
        Some(time) => Some(Written { by: cut(by).into(), reason: cut(reason), time }),
        None => unreadable(cut(reason), time).map(|written| Written { by: cut(by).into(), ..written }),
    }
}

/// Switches control off: the file is there, whole, when this returns. Where nothing can be written into it (a disk
/// that is full), an empty one does.
///
/// # Errors
/// What the system said; control is not off.
pub fn write(path: &Path, written: &Written) -> std::io::Result<()> {
    let json = json!({
        "by": cut(&written.by), "reason": cut(&written.reason), "time": written.time.to_string(),
    });
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let whole = || {
        let mut file = std::fs::File::create(&part)?;
        file.write_all(format!("{json}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    if let Err(error) = whole() {
        let _ = std::fs::remove_file(&part);
        let empty = std::fs::OpenOptions::new().create(true).append(true).open(path);
        if empty.is_err() && std::fs::symlink_metadata(path).is_err() {
            return Err(error);
        }
    }
    sync_folder(path);
    Ok(())
}

/// Switches control on, as far as this file goes. Whether there was one.
///
/// # Errors
/// What the system said; control is still off.
pub fn remove(path: &Path) -> std::io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => {
            sync_folder(path);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A name that is on the disk only after the folder is. A system that cannot do that loses it in a power cut at
/// worst; the file works meanwhile.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = std::fs::File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reason: &str) -> Written {
        Written {
            by: "anna".into(),
            reason: reason.into(),
            time: Timestamp::parse("2026-11-23T12:00:00.5Z").unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_again_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        assert_eq!(read(&path), None);
        assert!(!remove(&path).unwrap());
        for reason in ["spindle \"crash\"\nätsch", ""] {
            write(&path, &written(reason)).unwrap();
            assert_eq!(read(&path), Some(written(&reason.replace('\n', " "))));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        assert!(remove(&path).unwrap());
        assert_eq!(read(&path), None);
    }

    #[test]
    fn whatever_is_in_the_file_control_is_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        let long = format!("{{\"by\":\"a\",\"reason\":\"{}\",\"time\":\"x\"}}", "x".repeat(1_000));
        let longer = "x".repeat(100_000);
        for content in
            ["", "on", "{", "null", "[]", "{\"by\":1,\"reason\":2}", long.as_str(), longer.as_str()]
        {
            std::fs::write(&path, content).unwrap();
            let off = read(&path).expect("off");
            assert!(!off.reason.is_empty() && off.reason.chars().count() <= 500, "{content}");
            let age = Timestamp::now().nanos() - off.time.nanos();
            assert!(age < 600_000_000_000, "when it was written stands in for what it does not say");
        }
        std::fs::write(&path, b"\xff\xff").unwrap();
        assert_eq!(read(&path).unwrap().by, "unknown");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(read(&path).unwrap().reason.contains("is no file"));
        write(&path, &written("x")).unwrap();
        assert!(read(&path).is_some(), "a folder in its place is off already");
        assert!(remove(&path).is_err() && read(&path).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_off_and_nobody_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(read(&path).unwrap().reason.contains("is no file"));
        assert!(remove(&path).unwrap());
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if made.is_ok_and(|status| status.success()) {
            assert!(read(&path).unwrap().reason.contains("is no file"));
        }
    }

    #[test]
    fn without_a_folder_it_cannot_be_written_and_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such").join(FILE);
        assert_eq!(write(&path, &written("x")).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(read(&path), None);
    }
}
