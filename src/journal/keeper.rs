//! The thread that syncs, saves cursors and ledger, and removes what is too old, so that the writer
//! does not have to wait for any of it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guideway_contract::Timestamp;

use super::disk::{Disk, What};
use super::{Shared, files};

/// How often cursors and ledger are saved at most.
const SAVE: Duration = Duration::from_secs(1);

/// How often the age of segments is looked at. Their size is when one is begun.
const RETAIN: Duration = Duration::from_secs(60);

pub(super) const CURSORS: &str = "cursors.json";
pub(super) const LEDGER: &str = "ledger.jsonl";

/// Starts the thread; it ends with [`Disk::stop`].
pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("journal-keeper".to_owned()).spawn(move || {
        if let Some(disk) = &shared.disk {
            keep(&shared, disk);
        }
    })
}

fn keep(shared: &Shared, disk: &Disk) {
    // With an interval of zero the writer syncs; what is left is to sync assets.
    let interval = if disk.sync_interval.is_zero() { SAVE } else { disk.sync_interval };
    let (mut sync, mut save, mut retain) =
        (Instant::now() + interval, Instant::now() + SAVE, Instant::now() + RETAIN);
    while !disk.rest(sync.min(save)) {
        let now = Instant::now();
        if now >= sync {
            // A failure is remembered, and the writer goes on in a new segment.
            let _ = disk.sync_now();
            sync = now + interval;
        }
        if now >= save {
            let _ = self::save(shared, disk, false);
            save = now + SAVE;
        }
        if now >= retain {
            disk.retain(Timestamp::now());
            retain = now + RETAIN;
        }
    }
}

/// Writes cursors and ledger where they have changed; to the disk itself if `sync`.
pub(super) fn save(shared: &Shared, disk: &Disk, sync: bool) -> io::Result<()> {
    let result = save_cursors(shared, disk, sync).and(save_ledger(shared, disk));
    match &result {
        Ok(()) => disk.works(What::Books),
        Err(error) => disk.trouble(What::Books, error),
    }
    result
}

fn save_cursors(shared: &Shared, disk: &Disk, sync: bool) -> io::Result<()> {
    let Some(bytes) = shared.cursors.lock().take_changes(shared.instance_id) else { return Ok(()) };
    let path = disk.folder.join(CURSORS);
    let result = files::replace(&path, &bytes).and_then(|file| if sync { file.sync_all() } else { Ok(()) });
    if result.is_err() {
        shared.cursors.lock().not_saved();
    }
    result
}

fn save_ledger(shared: &Shared, disk: &Disk) -> io::Result<()> {
    let mut ledger = shared.ledger.lock();
    if ledger.is_dirty() { ledger.save(&disk.folder.join(LEDGER)) } else { Ok(()) }
}
