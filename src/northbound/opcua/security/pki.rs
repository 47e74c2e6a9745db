//! The folder with our own key and certificate and with those of clients.
//!
//! ```text
//! own/cert.der          our certificate, for clients to trust
//! private/private.pem   its key, for nobody else to read
//! trusted/              certificates of clients that are let in
//! rejected/             those that knocked and are not known
//! unchecked/            those that `trust_all` let in; worth nothing without it
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};

use guideway_contract::Timestamp;
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;

use super::super::{Options, StartError};
use super::certificate::{self, Certificate, Subject};
use super::settings;

/// Length of our own key, in bits: held to be good beyond 2030.
const KEY_BITS: usize = 3_072;

/// Shortest key that the security policies allow.
const LEAST_BITS: usize = 2_048;

/// A certificate that ends within this time is told of, in seconds: 30 days.
const SOON: i64 = 30 * 86_400;

/// The folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pki {
    folder: PathBuf,
}

/// What was found or made at the start.
pub(crate) struct Own {
    /// Our certificate.
    pub(crate) certificate: Certificate,
    /// It is the first one.
    pub(crate) made: bool,
    /// What its reader should know of it.
    pub(crate) remark: Option<String>,
}

impl Pki {
    /// In that folder; nothing is read or made yet.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Our certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("own/cert.der")
    }

    /// Our private key.
    pub fn key(&self) -> PathBuf {
        self.folder.join("private/private.pem")
    }

    /// Where those of clients are that are let in.
    pub fn trusted(&self) -> PathBuf {
        self.folder.join("trusted")
    }

    /// Where those are that knocked.
    pub fn rejected(&self) -> PathBuf {
        self.folder.join("rejected")
    }

    /// A folder of the same form for `trust_all`, so that nothing stays trusted after it.
    pub(crate) fn unchecked(&self) -> Self {
        Self::at(self.folder.join("unchecked"))
    }

    /// Makes the folders, and key and certificate where they are missing. A certificate that we made
    /// is made anew, with the same key, when it has ended or `subject` has changed.
    pub(crate) fn prepare(&self, subject: &Subject) -> Result<Own, StartError> {
        self.make_folders()?;
        let key = self.ensure_key()?;
        let path = self.certificate();
        if !path.exists() {
            let certificate = self.make(&key, subject)?;
            return Ok(Own { certificate, made: true, remark: None });
        }
        let cure = "put it right, or take it away: a new one is made, which clients have to trust anew";
        let found = Certificate::read(&path).map_err(|cause| pki(&path, format!("{cause}; {cure}")))?;
        if !found.belongs_to(&key) {
            let key = self.key();
            return Err(pki(&path, format!("is not the certificate of {}; {cure}", key.display())));
        }
        let Some(trouble) = trouble(&found, subject, Timestamp::now()) else {
            return Ok(Own { certificate: found, made: false, remark: None });
        };
        if !found.is_ours() {
            let remark = format!("the certificate {} {trouble}", path.display());
            return Ok(Own { certificate: found, made: false, remark: Some(remark) });
        }
        let certificate = self.make(&key, subject)?;
        let remark = format!(
            "made a new certificate in {}: the one before {trouble}; clients have to trust the new one",
            path.display()
        );
        Ok(Own { certificate, made: false, remark: Some(remark) })
    }

    /// Makes the certificate anew, for what the options say now, with the key that is there or a new
    /// one.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn renew(&self, options: &Options, gateway: &str) -> Result<Certificate, StartError> {
        self.make_folders()?;
        let key = self.ensure_key()?;
        self.make(&key, &settings::subject(options, gateway))
    }

    fn make(&self, key: &RsaPrivateKey, subject: &Subject) -> Result<Certificate, StartError> {
        let path = self.certificate();
        let der = certificate::make(key, subject).map_err(|cause| pki(&path, cause))?;
        write(&path, &der, 0o644).map_err(|error| cannot(&path, "written", &error))?;
        Certificate::from_bytes(&der).ok_or_else(|| pki(&path, "the new certificate cannot be read".into()))
    }

    pub(crate) fn make_folders(&self) -> Result<(), StartError> {
        for (name, mode) in [("own", 0o755), ("private", 0o700), ("trusted", 0o755), ("rejected", 0o755)] {
            let path = self.folder.join(name);
            make_folder(&path, mode).map_err(|error| {
                pki(&path, format!("cannot be made: {error}; let the gateway's user write to `pki_dir`"))
            })?;
        }
        Ok(())
    }

    fn ensure_key(&self) -> Result<RsaPrivateKey, StartError> {
        let path = self.key();
        match std::fs::read_to_string(&path) {
            Ok(pem) => {
                let key = RsaPrivateKey::from_pkcs8_pem(&pem).ok();
                let key = key.or_else(|| RsaPrivateKey::from_pkcs1_pem(&pem).ok()).ok_or_else(|| {
                    let cause = "is no RSA key in PEM without a password; put it right, or take it and \
                                 own/cert.der away: new ones are made";
                    pki(&path, cause.into())
                })?;
                let bits = key.size() * 8;
                if bits < LEAST_BITS {
                    let cause = format!("has {bits} bits, and {LEAST_BITS} are the least; use a longer key");
                    return Err(pki(&path, cause));
                }
                Ok(key)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let begun = std::time::Instant::now();
                let key = RsaPrivateKey::new(&mut OsRng, KEY_BITS)
                    .map_err(|error| pki(&path, format!("cannot be made: {error}")))?;
                let pem = key.to_pkcs8_pem(LineEnding::LF);
                let pem = pem.map_err(|error| pki(&path, format!("cannot be made: {error}")))?;
                write(&path, pem.as_bytes(), 0o600).map_err(|error| cannot(&path, "written", &error))?;
                let took = begun.elapsed().as_secs_f64();
                tracing::info!(file = %path.display(), bits = KEY_BITS, took, "made an OPC UA key");
                Ok(key)
            }
            Err(error) => Err(cannot(&path, "read", &error)),
        }
    }
}

/// What is wrong with a certificate that is there.
fn trouble(found: &Certificate, subject: &Subject, now: Timestamp) -> Option<String> {
    let left = (found.valid_until().nanos() - now.nanos()) / 1_000_000_000;
    if left < 0 {
        return Some(format!("has ended ({})", found.valid_until()));
    }
    if left < SOON {
        return Some(format!("ends soon ({})", found.valid_until()));
    }
    if found.application_uri() != subject.application_uri {
        return Some(format!("names {} in place of {}", found.application_uri(), subject.application_uri));
    }
    let hosts = found.hosts();
    let missing: Vec<&str> = subject
        .hosts
        .iter()
        .map(String::as_str)
        .filter(|host| !hosts.iter().any(|there| there.eq_ignore_ascii_case(host)))
        .collect();
    (!missing.is_empty()).then(|| format!("does not name {}", missing.join(", ")))
}

fn pki(path: &Path, cause: String) -> StartError {
    StartError::Pki { path: path.to_path_buf(), cause }
}

fn cannot(path: &Path, what: &str, error: &std::io::Error) -> StartError {
    let cure = "let the gateway's user read and write `pki_dir`";
    pki(path, format!("cannot be {what}: {error}; {cure}"))
}

fn make_folder(path: &Path, mode: u32) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    let _ = mode;
    builder.create(path)
}

/// Puts a file there whole or not at all. `mode` holds from its first byte on.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    make_folder(folder, 0o755)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // One that an earlier attempt left behind may have another mode.
    let _ = std::fs::remove_file(&part);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let _ = mode;
    let mut file = options.open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northbound::opcua::security::certificate::testing;

    fn subject(hosts: &[&str]) -> Subject {
        Subject {
            common_name: "Guideway".into(),
            application_uri: "urn:guideway:test".into(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        }
    }

    /// A folder whose key is the tests' own.
    fn folder() -> (tempfile::TempDir, Pki) {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::at(folder.path().join("opcua"));
        let pem = testing::key().to_pkcs8_pem(LineEnding::LF).unwrap();
        write(&pki.key(), pem.as_bytes(), 0o600).unwrap();
        (folder, pki)
    }

    #[test]
    fn a_certificate_is_made_once_and_found_again() {
        let (_folder, pki) = folder();
        let first = pki.prepare(&subject(&["a", "10.0.0.1"])).unwrap();
        assert!(first.made && first.remark.is_none());
        let again = pki.prepare(&subject(&["A"])).unwrap();
        assert!(!again.made && again.remark.is_none(), "{:?}", again.remark);
        assert_eq!(again.certificate.der(), first.certificate.der());
    }

    #[test]
    fn a_new_host_name_makes_a_new_certificate_with_the_same_key() {
        let (_folder, pki) = folder();
        let first = pki.prepare(&subject(&["a"])).unwrap().certificate;
        let second = pki.prepare(&subject(&["a", "b"])).unwrap();
        assert!(second.remark.unwrap().contains("does not name b"));
        assert_ne!(first.der(), second.certificate.der());
        assert!(second.certificate.belongs_to(testing::key()));
    }

    #[test]
    fn a_certificate_that_we_did_not_make_is_told_of_and_left() {
        let (_folder, pki) = folder();
        let mut foreign = rcgen::CertificateParams::new(vec!["elsewhere".into()]).unwrap();
        foreign.distinguished_name.push(rcgen::DnType::OrganizationName, "ACME");
        let pem = testing::key().to_pkcs8_pem(LineEnding::LF).unwrap();
        let key = rcgen::KeyPair::from_pem(&pem).unwrap();
        let der = foreign.self_signed(&key).unwrap().der().to_vec();
        write(&pki.certificate(), &der, 0o644).unwrap();
        let own = pki.prepare(&subject(&["a"])).unwrap();
        assert!(own.remark.unwrap().contains("names  in place of urn:guideway:test"));
        assert_eq!(own.certificate.der(), der);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_cure() {
        let (_folder, pki) = folder();
        let said = |pki: &Pki| pki.prepare(&subject(&["a"])).err().unwrap().to_string();
        write(&pki.certificate(), b"nonsense", 0o644).unwrap();
        assert!(said(&pki).contains("own/cert.der: is no X.509 certificate"), "{}", said(&pki));
        let other = RsaPrivateKey::new(&mut OsRng, 2_048).unwrap();
        let der = certificate::make(&other, &subject(&["a"])).unwrap();
        write(&pki.certificate(), &der, 0o644).unwrap();
        assert!(said(&pki).contains("is not the certificate of"), "{}", said(&pki));
        write(&pki.key(), b"nonsense", 0o600).unwrap();
        assert!(said(&pki).contains("private.pem: is no RSA key in PEM"), "{}", said(&pki));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, pki) = folder();
        pki.prepare(&subject(&["a"])).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&pki.key()), 0o600);
    }
}
