//! Opening a journal: lock, recover or set aside, begin.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::active::{Active, INTACT};
use super::asset_file::AssetFile;
use super::asset_store::AssetStore;
use super::catalog::Catalog;
use super::catch_up::CatchUp;
use super::cursors::Cursors;
use super::digest::Digests;
use super::disk::Disk;
use super::health::Counts;
use super::keeper::{self, CURSORS, LEDGER};
use super::ledger::{GapCause, JOURNAL, Ledger};
use super::recovery::{self, Failure, Known, Recovered};
use super::ring::{Ring, SharedRing};
use super::writer::Durable;
use super::{Gap, Journal, OpenError, Options, Shared, Writer, files};

/// The sequence of the first observation of an instance.
const FIRST_SEQUENCE: u64 = 1;

/// In the data directory: the journal's own folder, the lock, and the ids of all instances so far.
const FOLDER: &str = "journal";
const LOCK: &str = "lock";
const INSTANCES: &str = "instances";
/// In the journal's folder.
const ASSETS: &str = "assets";

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<files::At>() {
            Ok(files::At { path, source }) => Self::Io { path, source },
            Err(source) => Self::Io { path: PathBuf::new(), source },
        }
    }
}

pub(super) fn open(
    options: &Options,
    directory: Option<&Path>,
    catalog: Catalog,
) -> Result<(Writer, Journal), OpenError> {
    match directory.filter(|_| options.durable) {
        Some(directory) => {
            let system = System { boot: files::boot_id(), segment_bytes: SEGMENT_BYTES };
            on_disk(options, directory, catalog, &system)
        }
        None => Ok(in_memory(options, catalog)),
    }
}

/// What tests change.
pub(super) struct System {
    /// The run of the operating system.
    pub(super) boot: [u8; 16],
    /// A segment is full when it has so many bytes, or six times its checkpoint: small enough
    /// that recovery reads little, large enough that checkpoints are a small part.
    pub(super) segment_bytes: u64,
}

const SEGMENT_BYTES: u64 = 1 << 20;

fn capacity(options: &Options) -> (u32, usize) {
    let size = options.buffer_size.max(1);
    (size, usize::try_from(size).unwrap_or(usize::MAX))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn in_memory(options: &Options, catalog: Catalog) -> (Writer, Journal) {
    let (buffer_size, capacity) = capacity(options);
    let shared = Arc::new(Shared {
        instance_id: seconds(),
        buffer_size,
        catalog,
        ring: SharedRing::new(Ring::new(capacity, FIRST_SEQUENCE)),
        changes: watch::Sender::new(FIRST_SEQUENCE),
        assets: RwLock::new(AssetStore::new(options.max_assets)),
        cursors: Mutex::default(),
        ledger: Mutex::default(),
        disk: None,
        catch_up: CatchUp::default(),
        digests: Digests::default(),
        counts: Counts::default(),
        set_aside: None,
    });
    (Writer::new(shared.clone(), None), Journal { shared })
}

pub(super) fn on_disk(
    options: &Options,
    directory: &Path,
    catalog: Catalog,
    system: &System,
) -> Result<(Writer, Journal), OpenError> {
    let started = Instant::now();
    let (buffer_size, capacity) = capacity(options);
    std::fs::create_dir_all(directory).map_err(|error| files::at(directory, error))?;
    let lock = lock(directory)?;
    let folder = directory.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|error| files::at(&folder, error))?;

    let view = catalog.view();
    let mut ledger = Ledger::load(&folder.join(LEDGER))?;
    let known = Known {
        capacity,
        view: &view,
        ledger: &ledger,
        intact: folder.join(INTACT).exists(),
        boot: system.boot,
    };
    let mut set_aside = None;
    let recovered = match recovery::recover(&folder, &known) {
        Ok(recovered) => recovered,
        Err(Failure::Io(error)) => return Err(error.into()),
        Err(Failure::Unreadable(why)) => {
            let aside = files::set_aside(&folder, seconds())?;
            tracing::error!(reason = %why, now_at = %aside.display(), "the journal cannot be read and was set aside; a new instance begins");
            std::fs::create_dir_all(&folder).map_err(|error| files::at(&folder, error))?;
            ledger = Ledger::default();
            set_aside = Some(aside);
            None
        }
    };
    let recovered = match recovered {
        Some(recovered) => recovered,
        None => Recovered {
            instance_id: new_instance(directory)?,
            ring: Ring::new(capacity, FIRST_SEQUENCE),
            segments: Vec::new(),
            gaps: Vec::new(),
            observations: 0,
        },
    };
    let Recovered { instance_id, mut ring, segments, gaps, observations } = recovered;
    for gap in gaps {
        tracing::warn!(from = gap.from, to = gap.to, count = gap.count, cause = ?gap.cause, "observations are missing");
        ledger.enter(gap);
    }
    let cursors = Cursors::load(&folder.join(CURSORS), instance_id)?;
    // A reader has acknowledged what is not there any more: its sequences were given out.
    let next = ring.bounds().next;
    if let Some(farthest) = cursors.farthest().filter(|farthest| *farthest > next) {
        ledger.enter(Gap::new(JOURNAL, next, farthest - 1, GapCause::Corruption));
        ring.jump(farthest);
    }
    let mut assets = AssetStore::new(options.max_assets);
    let (asset_file, assets_aside) = AssetFile::open(folder.join(ASSETS), &mut assets, seconds())?;
    if let Some(aside) = &assets_aside {
        tracing::error!(now_at = %aside.display(), "the assets cannot be read and were set aside");
    }
    files::append(&folder.join(INTACT))?;

    let counts = Counts { recovery: started.elapsed(), recovered: observations, ..Counts::default() };
    let shared = Arc::new(Shared {
        instance_id,
        buffer_size,
        catalog,
        changes: watch::Sender::new(ring.bounds().next),
        ring: SharedRing::new(ring),
        assets: RwLock::new(assets),
        cursors: Mutex::new(cursors),
        ledger: Mutex::new(ledger),
        disk: Some(Disk::new(folder.clone(), options, segments)),
        catch_up: CatchUp::default(),
        digests: Digests::default(),
        counts,
        set_aside: set_aside.or(assets_aside),
    });
    let keeper = keeper::start(shared.clone()).map_err(|error| files::at(&folder, error))?;
    let durable =
        Durable { active: Active::new(instance_id, system), asset_file, keeper: Some(keeper), _lock: lock };
    Ok((Writer::new(shared.clone(), Some(durable)), Journal { shared }))
}

/// Two processes must not write one journal. The lock goes when the process does, however it ends.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK);
    let file = files::append(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(files::at(&path, error).into()),
    }
}

/// Seconds since the epoch, as other agents do, but never an id that was used before: the clock may
/// have been set back.
fn new_instance(directory: &Path) -> Result<u64, OpenError> {
    let path = directory.join(INSTANCES);
    let text = files::read(&path)?.unwrap_or_default();
    let used = String::from_utf8_lossy(&text).lines().filter_map(|line| line.trim().parse().ok()).max();
    let id = used.map_or(0, |used: u64| used.saturating_add(1)).max(seconds());
    let mut file = files::append(&path)?;
    writeln!(file, "{id}").and_then(|()| file.sync_all()).map_err(|error| files::at(&path, error))?;
    Ok(id)
}
