//! Appending to an audit.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use guideway_contract::Timestamp;
use parking_lot::Mutex;
use serde_json::Map;

use super::row::{self, Record, Row, Stamp, What};
use super::verify::{self, AuditError, FOLDER, HEAD};

/// Bytes after which a new file is begun.
const MOST_IN_FILE: u64 = 16 << 20;

/// An audit that rows are appended to.
pub struct Audit {
    state: Mutex<State>,
}

struct State {
    head: Stamp,
    place: Option<Place>,
}

struct Place {
    folder: PathBuf,
    file: Option<File>,
    bytes: u64,
    most_in_file: u64,
    head: File,
    /// The row that the head names: the disk has it and all before it.
    noted: u64,
    /// A row could not be written whole: nothing may follow it until the file was cut back.
    torn: bool,
    _lock: File,
}

impl Audit {
    /// Opens the audit in a data directory, or begins one; gives each row that is there to `visit`, in order.
    ///
    /// # Errors
    /// The first thing that is wrong with it: then nothing is changed.
    pub fn open(data_dir: &Path, visit: impl FnMut(Record)) -> Result<Self, AuditError> {
        Self::open_with(data_dir, MOST_IN_FILE, visit)
    }

    /// The same with files of another size.
    pub(super) fn open_with(
        data_dir: &Path,
        most_in_file: u64,
        visit: impl FnMut(Record),
    ) -> Result<Self, AuditError> {
        let folder = data_dir.join(FOLDER);
        let io = |path: &Path| {
            let path = path.to_owned();
            move |cause| AuditError::Io { path, cause }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io(&folder))?;
        let lock_path = folder.join("lock");
        let lock = append(&lock_path).map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(AuditError::Locked(folder)),
            Err(std::fs::TryLockError::Error(cause)) => {
                return Err(AuditError::Io { path: lock_path, cause });
            }
        }
        let summary = verify::read(data_dir, visit)?;
        let (mut file, mut bytes) = (None, 0);
        if let Some((path, whole)) = &summary.tail {
            let open = append(path).map_err(io(path))?;
            if summary.torn > 0 {
                open.set_len(*whole).map_err(io(path))?;
            }
            (file, bytes) = (Some(open), *whole);
        }
        let head_path = folder.join(HEAD);
        let is_new = !head_path.exists();
        let head = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&head_path);
        let head = head.map_err(io(&head_path))?;
        let noted = if is_new { u64::MAX } else { 0 };
        let mut place = Place { folder, file, bytes, most_in_file, head, noted, torn: false, _lock: lock };
        // From the first row on a missing head shows that somebody took it.
        place.settle(&summary.head).map_err(io(&head_path))?;
        if is_new {
            place.head.sync_all().and_then(|()| sync_folder(&place.folder)).map_err(io(&head_path))?;
        }
        let audit = Self { state: Mutex::new(State { head: summary.head, place: Some(place) }) };
        if summary.torn > 0 {
            let mut fields = Map::new();
            fields.insert("torn".to_owned(), summary.torn.into());
            let what = "a row that was not written whole was taken away; nobody had been told of it";
            fields.insert("detail".to_owned(), what.into());
            let row = Row { time: Timestamp::now(), what: What::Note, id: "".into(), fields };
            audit
                .append(&row, true)
                .map_err(|cause| AuditError::Io { path: data_dir.join(FOLDER), cause })?;
        }
        Ok(audit)
    }

    /// An audit without a place: rows are chained and not kept.
    pub fn nowhere() -> Self {
        Self { state: Mutex::new(State { head: Stamp::zero(), place: None }) }
    }

    /// Appends a row. When this returns the operating system has it; where it is `durable`, the disk has it.
    ///
    /// # Errors
    /// What the system said; the row is not there then.
    pub fn append(&self, row: &Row, durable: bool) -> std::io::Result<Stamp> {
        let mut state = self.state.lock();
        let (line, stamp) = row::line(row, &state.head);
        if let Some(place) = &mut state.place {
            place.append(line.as_bytes(), &stamp, durable)?;
        }
        state.head = stamp.clone();
        Ok(stamp)
    }

    /// Sees to it that the disk has every row, and notes the last one as head.
    ///
    /// # Errors
    /// What the system said.
    pub fn settle(&self) -> std::io::Result<()> {
        let mut state = self.state.lock();
        let State { head, place } = &mut *state;
        place.as_mut().map_or(Ok(()), |place| place.settle(head))
    }

    /// The last row.
    pub fn head(&self) -> Stamp {
        self.state.lock().head.clone()
    }
}

impl Place {
    fn append(&mut self, line: &[u8], stamp: &Stamp, durable: bool) -> std::io::Result<()> {
        if self.bytes + line.len() as u64 > self.most_in_file && self.bytes > 0 {
            if let Some(full) = self.file.take() {
                full.sync_data()?;
            }
            self.bytes = 0;
        }
        if self.file.is_none() {
            self.file = Some(append(&self.folder.join(format!("audit-{:08}.jsonl", stamp.number)))?);
            sync_folder(&self.folder)?;
        }
        let Some(file) = &mut self.file else { return Err(std::io::ErrorKind::NotFound.into()) };
        if self.torn {
            file.set_len(self.bytes)?;
            self.torn = false;
        }
        let written = file.write_all(line).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // Half a row must not stand before the next one.
            self.torn = file.set_len(self.bytes).is_err();
            return Err(error);
        }
        self.bytes += line.len() as u64;
        // A head that is behind is behind by what was written last; that is allowed.
        if durable && let Err(error) = self.note_head(stamp) {
            tracing::warn!(%error, "the audit's head cannot be written");
        }
        Ok(())
    }

    fn settle(&mut self, head: &Stamp) -> std::io::Result<()> {
        if self.noted == head.number {
            return Ok(());
        }
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        self.note_head(head)
    }

    /// Only what the disk has is noted: after a power cut the head must not name a row that is lost. It is written over
    /// in its place, less than a sector that only gets longer, so that it is never half there.
    fn note_head(&mut self, stamp: &Stamp) -> std::io::Result<()> {
        self.head.write_all_at(format!("{}:{}\n", stamp.number, stamp.hash).as_bytes(), 0)?;
        self.noted = stamp.number;
        Ok(())
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
