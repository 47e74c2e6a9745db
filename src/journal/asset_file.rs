//! Assets on disk: a file of records, one for each change, written anew when most are out of date.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guideway_contract::Timestamp;

use super::bytes::{Bytes, put_text};
use super::record::{self, End, Kind, Records};
use super::{Asset, AssetStore, files};

const MAGIC: [u8; 8] = *b"gw-asset";
const VERSION: u8 = 1;

/// Bytes in front of the records.
const HEADER: usize = 9;

/// What may be out of date before the file is written anew, besides as much as is up to date.
const SLACK: u64 = 1 << 20;

/// The file.
pub(super) struct AssetFile {
    path: PathBuf,
    /// `None` when it has to be written anew, because a write failed.
    file: Option<Arc<File>>,
    bytes: u64,
    /// Size when it was last written anew.
    live: u64,
}

impl AssetFile {
    /// Fills the store from the file. Damaged records are passed over; a file that is no asset file
    /// of this format is set aside, and its new place given back.
    pub(super) fn open(
        path: PathBuf,
        store: &mut AssetStore,
        seconds: u64,
    ) -> io::Result<(Self, Option<PathBuf>)> {
        let mut aside = None;
        if let Some(bytes) = files::read(&path)?.filter(|bytes| !bytes.is_empty()) {
            match bytes.split_at_checked(HEADER) {
                Some((header, records)) if header[..8] == MAGIC && header[8] == VERSION => {
                    load(records, store, &path);
                }
                _ => aside = Some(files::set_aside(&path, seconds)?),
            }
        }
        let mut file = Self { path, file: None, bytes: 0, live: 0 };
        // Writing it anew also cuts off what is damaged, and what it costs is small.
        file.rewrite(store)?;
        Ok((file, aside))
    }

    /// Writes one change; `store` holds it already. The file is to be synced.
    pub(super) fn put(&mut self, asset: &Asset, store: &AssetStore) -> io::Result<Arc<File>> {
        if self.bytes > 2 * self.live + SLACK {
            self.file = None;
        }
        let Some(file) = &self.file else { return self.rewrite(store) };
        let mut bytes = Vec::new();
        put_asset(&mut bytes, asset);
        match (&**file).write_all(&bytes) {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                Ok(file.clone())
            }
            Err(error) => {
                self.file = None;
                Err(files::at(&self.path, error))
            }
        }
    }

    fn rewrite(&mut self, store: &AssetStore) -> io::Result<Arc<File>> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        for asset in store.in_order() {
            put_asset(&mut bytes, asset);
        }
        let file = Arc::new(files::replace(&self.path, &bytes)?);
        self.bytes = bytes.len() as u64;
        self.live = self.bytes;
        self.file = Some(file.clone());
        Ok(file)
    }
}

fn load(records: &[u8], store: &mut AssetStore, path: &Path) {
    let mut put = |payload: &[u8]| {
        if let Some(asset) = asset(payload) {
            store.put(Arc::new(asset));
        }
    };
    let mut sound = Records::new(records, records.len() as u64);
    let end = loop {
        match sound.next() {
            Ok(record) => put(record.payload),
            Err(end) => break end,
        }
    };
    if !matches!(end, End::Whole) {
        tracing::warn!(path = %path.display(), "assets were damaged on disk; the rest is kept");
        let rest =
            usize::try_from(sound.position()).ok().and_then(|at| records.get(at..)).unwrap_or_default();
        record::salvage(rest, |record| put(record.payload));
    }
}

fn put_asset(out: &mut Vec<u8>, asset: &Asset) {
    record::put(out, Kind::Asset, 0, |out| {
        out.push(u8::from(asset.removed));
        out.extend_from_slice(&asset.time.nanos().to_le_bytes());
        out.push(asset.time.digits());
        put_text(out, &asset.id);
        put_text(out, &asset.asset_type);
        put_text(out, &asset.device_uuid);
        put_text(out, &asset.body);
    });
}

fn asset(payload: &[u8]) -> Option<Asset> {
    let mut bytes = Bytes::new(payload);
    let removed = bytes.byte()? != 0;
    let time = Timestamp::from_nanos(bytes.i64()?, bytes.byte()?);
    Some(Asset {
        removed,
        time,
        id: bytes.smol()?,
        asset_type: bytes.smol()?,
        device_uuid: bytes.smol()?,
        body: bytes.text()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::AssetQuery;
    use super::*;

    fn asset(id: usize) -> Asset {
        Asset {
            id: format!("tool-{id}").into(),
            asset_type: "CuttingTool".into(),
            device_uuid: "machine".into(),
            time: Timestamp::EPOCH,
            removed: false,
            body: "<CuttingTool/>".repeat(20).into(),
        }
    }

    fn ids(store: &AssetStore) -> Vec<String> {
        let query = AssetQuery { removed: true, ..AssetQuery::default() };
        store.find(&query).iter().map(|asset| asset.id.to_string()).collect()
    }

    #[test]
    fn assets_come_back_in_their_order_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assets");
        let mut store = AssetStore::new(10);
        let (mut file, _) = AssetFile::open(path.clone(), &mut store, 0).unwrap();
        for change in 0..10_000 {
            let asset = asset(change * 7 % 23);
            store.put(Arc::new(asset.clone()));
            file.put(&asset, &store).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * SLACK);
        let mut back = AssetStore::new(10);
        AssetFile::open(path, &mut back, 0).unwrap();
        assert_eq!(ids(&back), ids(&store));
    }

    #[test]
    fn a_damaged_asset_does_not_take_others_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assets");
        let mut store = AssetStore::new(10);
        (0..3).for_each(|id| drop(store.put(Arc::new(asset(id)))));
        AssetFile::open(path.clone(), &mut AssetStore::new(10), 0).unwrap().0.rewrite(&store).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut back = AssetStore::new(10);
        let (_, aside) = AssetFile::open(path, &mut back, 0).unwrap();
        assert_eq!(ids(&back), ["tool-2", "tool-0"]);
        assert_eq!(aside, None);
    }

    #[test]
    fn a_file_of_another_format_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assets");
        std::fs::write(&path, b"gw-asset\x09...").unwrap();
        let (_, aside) = AssetFile::open(path, &mut AssetStore::new(10), 17).unwrap();
        assert!(aside.unwrap().to_string_lossy().ends_with("assets.unreadable-17"));
    }
}
