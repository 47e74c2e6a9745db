//! The trust list: which client certificates are let in.
//!
//! Trust is by file: the server looks into the folders whenever a session is created, so what is moved
//! takes effect at once. It finds a certificate only under the name that it would give it, and one that
//! is in `rejected` is refused even when it is in `trusted` too; both are seen to here.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::certificate::Certificate;
use super::pki::{self, Pki};
use super::rate::Rate;

/// Most certificates that are kept in `rejected`: whoever can connect can add to them.
const MOST_REJECTED: usize = 100;

/// Most files of a folder that are looked at.
const MOST_FILES: usize = 10_000;

/// How often the folders are looked after.
const EVERY: Duration = Duration::from_secs(1);

/// A certificate in one of the folders.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its file.
    pub path: PathBuf,
    /// The certificate.
    pub certificate: Certificate,
    /// When the file was last written.
    pub since: SystemTime,
}

/// The certificates of a folder, the latest last. Files that are none are left out.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn list(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for file in files.take(MOST_FILES) {
        let path = file?.path();
        if let Ok(certificate) = Certificate::read(&path) {
            let written = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
            entries.push(Entry { path, certificate, since: written.unwrap_or(SystemTime::UNIX_EPOCH) });
        }
    }
    entries.sort_by(|a, b| (a.since, &a.path).cmp(&(b.since, &b.path)));
    Ok(entries)
}

/// Lets a certificate in, from now on.
///
/// # Errors
/// When the folders cannot be written to.
pub fn trust(pki: &Pki, certificate: &Certificate) -> std::io::Result<()> {
    pki::write(&pki.trusted().join(certificate.file_name()), certificate.der(), 0o644)?;
    remove(&pki.rejected(), certificate)
}

/// Lets a certificate in no more: from its next session on it is refused.
///
/// # Errors
/// When the folders cannot be written to.
pub fn reject(pki: &Pki, certificate: &Certificate) -> std::io::Result<()> {
    pki::write(&pki.rejected().join(certificate.file_name()), certificate.der(), 0o644)?;
    remove(&pki.trusted(), certificate)
}

/// Takes every file with that certificate out of a folder, whatever its name.
fn remove(folder: &Path, certificate: &Certificate) -> std::io::Result<()> {
    for entry in list(folder)? {
        if entry.certificate.der() == certificate.der() {
            gone(std::fs::remove_file(&entry.path))?;
        }
    }
    Ok(())
}

/// A file is gone, whoever was first: the gateway and the command line look after the same folders.
fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Gives every certificate that somebody put into `trusted` the name under which the server looks
/// for it, and takes it out of `rejected`.
fn adopt(pki: &Pki) -> std::io::Result<()> {
    let rejected: HashSet<String> = list(&pki.rejected())?.iter().map(fingerprint).collect();
    for entry in list(&pki.trusted())? {
        let named = entry.path.file_name().is_some_and(|name| *name == *entry.certificate.file_name());
        if !named || rejected.contains(&fingerprint(&entry)) {
            trust(pki, &entry.certificate)?;
            if !named {
                gone(std::fs::remove_file(&entry.path))?;
            }
            tracing::info!(
                fingerprint = entry.certificate.fingerprint(),
                file = %entry.path.display(),
                "OPC UA: trusts a certificate that was put into the folder"
            );
        }
    }
    Ok(())
}

fn fingerprint(entry: &Entry) -> String {
    entry.certificate.fingerprint()
}

/// Keeps the latest files of `folder` and removes the others, whatever they are.
fn prune(folder: &Path, most: usize) -> std::io::Result<()> {
    let mut files = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let written = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        files.push((written.unwrap_or(SystemTime::UNIX_EPOCH), path));
    }
    files.sort();
    let surplus = files.len().saturating_sub(most);
    for (_, path) in &files[..surplus] {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// Looks after the folders while the server runs.
pub(crate) struct Keeper {
    pki: Pki,
    trust_all: bool,
    /// When each folder was last written to, as far as that has been seen to.
    seen: [Option<SystemTime>; 3],
    /// Rejected certificates that have been told of.
    told: HashSet<String>,
    telling: Rate,
}

impl Keeper {
    /// Of these folders. What is in `rejected` already is not told of again.
    pub(crate) fn new(pki: Pki, trust_all: bool) -> Self {
        let told = list(&pki.rejected()).unwrap_or_default().iter().map(fingerprint).collect();
        // Ten at once, then one every ten seconds: whoever can connect can make more.
        Self { pki, trust_all, seen: [None; 3], told, telling: Rate::new((10.0, 10.0)) }
    }

    /// Until `cancel`.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = tick.tick() => {}
            }
            // It does not panic; when it did, the folders would be looked after no more.
            let Ok(back) = tokio::task::spawn_blocking(move || {
                self.look();
                self
            })
            .await
            else {
                return;
            };
            self = back;
        }
    }

    fn look(&mut self) {
        let folders = [self.pki.trusted(), self.pki.rejected(), self.pki.unchecked().trusted()];
        // A folder's time changes when a file is put in or taken out.
        let now = folders.each_ref().map(|folder| std::fs::metadata(folder).and_then(|m| m.modified()).ok());
        if now == self.seen {
            return;
        }
        let changed = [now[0] != self.seen[0], now[1] != self.seen[1], now[2] != self.seen[2]];
        let looked = (|| {
            if changed[0] || changed[1] {
                adopt(&self.pki)?;
            }
            if changed[1] {
                self.tell()?;
                prune(&self.pki.rejected(), MOST_REJECTED)?;
            }
            if changed[2] && self.trust_all {
                prune(&self.pki.unchecked().trusted(), MOST_REJECTED)?;
            }
            std::io::Result::Ok(())
        })();
        if let Err(error) = looked {
            tracing::warn!(%error, folder = %self.pki.folder().display(), "OPC UA: the trust list cannot be kept");
        }
        // Times before our own changes: they are seen to once more, and then there is nothing to do.
        self.seen = now;
    }

    /// Says which clients were refused, and how to let them in.
    fn tell(&mut self) -> std::io::Result<()> {
        let rejected = list(&self.pki.rejected())?;
        let there: HashSet<String> = rejected.iter().map(fingerprint).collect();
        for entry in &rejected {
            let fingerprint = fingerprint(entry);
            if self.told.contains(&fingerprint) || !self.telling.take() {
                continue;
            }
            let subject = entry.certificate.subject();
            tracing::warn!(
                subject,
                application = entry.certificate.application_uri(),
                "OPC UA: a client is not trusted; `guideway opcua trust {}` lets it in",
                &fingerprint[..8]
            );
        }
        self.told = there;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::testing;
    use super::*;

    fn folder() -> (tempfile::TempDir, Pki) {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::at(folder.path());
        pki.make_folders().unwrap();
        (folder, pki)
    }

    fn names(folder: &Path) -> Vec<String> {
        list(folder).unwrap().iter().map(|entry| entry.certificate.subject()).collect()
    }

    #[test]
    fn a_certificate_is_trusted_and_rejected_again() {
        let (_folder, pki) = folder();
        let client = testing::client("HMI");
        reject(&pki, &client).unwrap();
        assert_eq!((names(&pki.trusted()).len(), names(&pki.rejected()).len()), (0, 1));
        trust(&pki, &client).unwrap();
        assert_eq!((names(&pki.trusted()).len(), names(&pki.rejected()).len()), (1, 0));
        assert!(pki.trusted().join(client.file_name()).is_file());
        reject(&pki, &client).unwrap();
        assert_eq!((names(&pki.trusted()).len(), names(&pki.rejected()).len()), (0, 1));
    }

    #[test]
    fn a_file_that_somebody_put_into_trusted_is_found_by_the_server() {
        let (_folder, pki) = folder();
        let client = testing::client("HMI");
        std::fs::write(pki.trusted().join("from the hmi.crt"), client.der()).unwrap();
        reject(&pki, &testing::client("other")).unwrap();
        std::fs::write(pki.rejected().join(client.file_name()), client.der()).unwrap();
        adopt(&pki).unwrap();
        assert!(pki.trusted().join(client.file_name()).is_file());
        assert_eq!((names(&pki.trusted()).len(), names(&pki.rejected()).len()), (1, 1));
    }

    #[test]
    fn of_rejected_certificates_the_latest_hundred_are_kept() {
        let (_folder, pki) = folder();
        for number in 0..110_u64 {
            let path = pki.rejected().join(format!("{number}.der"));
            let file = std::fs::File::create(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(number)).unwrap();
        }
        Keeper::new(pki.clone(), false).look();
        assert_eq!(std::fs::read_dir(pki.rejected()).unwrap().count(), 100);
        assert!(!pki.rejected().join("9.der").exists() && pki.rejected().join("10.der").exists());
    }

    #[test]
    fn files_that_are_no_certificates_are_left_alone() {
        let (_folder, pki) = folder();
        std::fs::write(pki.trusted().join("README"), "ours").unwrap();
        adopt(&pki).unwrap();
        assert!(list(&pki.trusted()).unwrap().is_empty());
        assert!(pki.trusted().join("README").is_file());
    }
}
