//! Which way to keep batches on disk? Own segments, SQLite and redb, with the same bytes.
//!
//! A batch is a blob, as the journal's codec makes it: about eleven bytes for an observation. What
//! is compared is the storage alone. After each batch the data is with the operating system (the
//! rule for a killed process); it is synced to the disk about once a second by segments, at its own
//! checkpoints by SQLite in WAL mode with `synchronous=NORMAL`, and with each commit by redb, which
//! hands nothing to the operating system between durable commits.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use rusqlite::{Connection, params};

const BYTES: usize = 11;
const SEGMENT: u64 = 4 << 20;
/// What the ring holds: what recovery has to read.
const RING: u64 = 131_072;

type Failure = Box<dyn std::error::Error>;

trait Store {
    fn append(&mut self, first: u64, blob: &[u8]) -> Result<(), Failure>;
    /// Reads batches from `from` on; gives their bytes in all.
    fn read_from(&mut self, from: u64) -> Result<u64, Failure>;
}

struct Segments {
    folder: std::path::PathBuf,
    file: Option<(File, u64)>,
    starts: Vec<u64>,
    synced: Instant,
    record: Vec<u8>,
}

impl Segments {
    fn open(folder: &Path) -> Result<Self, Failure> {
        let mut starts = Vec::new();
        for entry in fs::read_dir(folder)? {
            starts.push(entry?.file_name().to_string_lossy().parse()?);
        }
        starts.sort_unstable();
        Ok(Self { folder: folder.into(), file: None, starts, synced: Instant::now(), record: Vec::new() })
    }
}

impl Store for Segments {
    fn append(&mut self, first: u64, blob: &[u8]) -> Result<(), Failure> {
        if self.file.as_ref().is_none_or(|(_, bytes)| *bytes > SEGMENT) {
            let file = File::options()
                .append(true)
                .create_new(true)
                .open(self.folder.join(format!("{first:020}")))?;
            self.starts.push(first);
            self.file = Some((file, 0));
        }
        let Some((file, bytes)) = &mut self.file else { return Err("no file".into()) };
        self.record.clear();
        self.record.extend_from_slice(&(blob.len() as u32).to_le_bytes());
        self.record.extend_from_slice(&[0; 6]);
        self.record.extend_from_slice(&crc32fast::hash(blob).to_le_bytes());
        self.record.extend_from_slice(blob);
        file.write_all(&self.record)?;
        *bytes += self.record.len() as u64;
        if self.synced.elapsed() > Duration::from_secs(1) {
            file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    fn read_from(&mut self, from: u64) -> Result<u64, Failure> {
        let begin = self.starts.partition_point(|start| *start <= from).saturating_sub(1);
        let mut total = 0;
        let mut bytes = Vec::new();
        for start in &self.starts[begin..] {
            bytes.clear();
            File::open(self.folder.join(format!("{start:020}")))?.read_to_end(&mut bytes)?;
            let mut rest = &bytes[..];
            while let Some((header, tail)) = rest.split_first_chunk::<14>() {
                let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
                let (blob, tail) = tail.split_at(length);
                let crc = u32::from_le_bytes([header[10], header[11], header[12], header[13]]);
                if crc32fast::hash(blob) != crc {
                    return Err("damaged".into());
                }
                total += blob.len() as u64;
                rest = tail;
            }
        }
        Ok(total)
    }
}

struct Sqlite(Connection);

impl Sqlite {
    fn open(folder: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(folder.join("journal.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS batch (first INTEGER PRIMARY KEY, blob BLOB NOT NULL)",
        )?;
        Ok(Self(connection))
    }
}

impl Store for Sqlite {
    fn append(&mut self, first: u64, blob: &[u8]) -> Result<(), Failure> {
        self.0.prepare_cached("INSERT INTO batch VALUES (?1, ?2)")?.execute(params![first as i64, blob])?;
        Ok(())
    }

    fn read_from(&mut self, from: u64) -> Result<u64, Failure> {
        let mut statement =
            self.0.prepare_cached("SELECT blob FROM batch WHERE first >= ?1 ORDER BY first")?;
        let mut rows = statement.query(params![from as i64])?;
        let mut total = 0;
        while let Some(row) = rows.next()? {
            let blob = row.get_ref(0)?.as_blob()?;
            // The same check, so that the work is the same: SQLite itself does not notice flipped bits.
            std::hint::black_box(crc32fast::hash(blob));
            total += blob.len() as u64;
        }
        Ok(total)
    }
}

const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("batch");

struct Redb(Database);

impl Store for Redb {
    fn append(&mut self, first: u64, blob: &[u8]) -> Result<(), Failure> {
        let write = self.0.begin_write()?;
        write.open_table(TABLE)?.insert(first, blob)?;
        write.commit()?;
        Ok(())
    }

    fn read_from(&mut self, from: u64) -> Result<u64, Failure> {
        let read = self.0.begin_read()?;
        let table = read.open_table(TABLE)?;
        let mut total = 0;
        for entry in table.range(from..)? {
            let (_, blob) = entry?;
            std::hint::black_box(crc32fast::hash(blob.value()));
            total += blob.value().len() as u64;
        }
        Ok(total)
    }
}

fn size(folder: &Path) -> Result<u64, Failure> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        total += entry?.metadata()?.len();
    }
    Ok(total)
}

fn measure(
    name: &str,
    observations: u64,
    batch: u64,
    open: impl Fn(&Path) -> Result<Box<dyn Store>, Failure>,
) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut seed = 1_u64;
    let mut blob = vec![0_u8; usize::try_from(batch)? * BYTES];
    let mut store = open(folder.path())?;
    let start = Instant::now();
    let mut first = 1;
    while first <= observations {
        for byte in &mut blob {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = seed.to_be_bytes()[0];
        }
        store.append(first, &blob)?;
        first += batch;
    }
    let written = start.elapsed();
    drop(store);
    let bytes = size(folder.path())?;
    let start = Instant::now();
    let mut store = open(folder.path())?;
    store.read_from(observations.saturating_sub(RING))?;
    let recovery = start.elapsed();
    let start = Instant::now();
    store.read_from(0)?;
    let caught_up = start.elapsed();
    let count = observations as f64;
    println!(
        "{name:9} batches of {batch:5}: {:8.0} ns/observation, {:5.1} bytes/observation, recovery {:7.1} ms, catching up {:6.1} M/s",
        written.as_nanos() as f64 / count,
        bytes as f64 / count,
        recovery.as_secs_f64() * 1e3,
        count / caught_up.as_secs_f64() / 1e6,
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    for (batch, observations) in [(1, 200_000), (10, 2_000_000), (1_000, 10_000_000)] {
        measure("segments", observations, batch, |folder| Ok(Box::new(Segments::open(folder)?)))?;
        measure("sqlite", observations, batch, |folder| Ok(Box::new(Sqlite::open(folder)?)))?;
        // Each commit waits for the disk; fewer observations tell as much.
        let fewer = (observations / 100).max(batch * 200);
        measure("redb", fewer, batch, |folder| {
            let redb = Database::create(folder.join("journal.redb"))?;
            let write = redb.begin_write()?;
            write.open_table(TABLE)?;
            write.commit()?;
            Ok(Box::new(Redb(redb)))
        })?;
    }
    Ok(())
}
