//! The gateway's certificate and the servers it trusts.
//!
//! ```text
//! own/cert.der          the gateway's certificate, for servers to trust
//! private/private.pem   its key, for nobody else to read
//! trusted/              certificates of servers that the gateway talks to
//! rejected/             those of servers that it was sent to and does not know
//! ```

use std::path::{Path, PathBuf};

use chrono::Utc;
use opcua_crypto::{CertificateStore, X509, X509Data};
use opcua_types::{ApplicationDescription, ByteString};

use crate::config::{Config, Trust};

/// Held to be good beyond 2030.
const KEY_BITS: u32 = 3_072;
/// Ten years: nobody at a machine renews certificates.
const DAYS: u32 = 3_650;

/// The store that the library works with, once everything in it is as it should be.
///
/// `server` is the certificate of the server's endpoint, or `None` where messages are not protected.
///
/// # Errors
/// What is wrong, with the cure.
pub(crate) fn prepare(config: &Config, server: Option<&ByteString>) -> Result<CertificateStore, String> {
    let Some(server) = server else { return Ok(CertificateStore::new(&config.pki)) };
    let folder = &config.pki;
    for (name, mode) in [("own", 0o755), ("private", 0o700), ("trusted", 0o755), ("rejected", 0o755)] {
        make_folder(&folder.join(name), mode)?;
    }
    own(config)?;
    let server =
        X509::from_byte_string(server).map_err(|error| format!("the server's certificate: {error}"))?;
    if config.check_time {
        server.is_time_valid(&Utc::now()).map_err(|_| {
            let end = server.not_after().map(|end| end.to_string()).unwrap_or_default();
            format!(
                "the server's certificate is not valid now (it ends {end}): give the server a new one, or set its \
                 clock, or write check_time = false"
            )
        })?;
    }
    let mut store = match config.trust {
        Trust::Listed => {
            admit(folder, &server)?;
            CertificateStore::new(folder)
        }
        // A folder of its own, so that nothing stays trusted when this is switched off.
        Trust::All => {
            let unchecked = folder.join("unchecked");
            for name in ["own", "private", "trusted", "rejected"] {
                make_folder(&unchecked.join(name), 0o700)?;
            }
            copy(&certificate(folder), &certificate(&unchecked))?;
            copy(&key(folder), &key(&unchecked))?;
            let mut store = CertificateStore::new(&unchecked);
            store.set_trust_unknown_certs(true);
            store
        }
    };
    // Trust is in this very certificate, whatever host name it gives.
    store.set_skip_verify_certs(true);
    Ok(store)
}

/// Where the gateway's certificate is.
pub(crate) fn certificate(folder: &Path) -> PathBuf {
    folder.join("own/cert.der")
}

fn key(folder: &Path) -> PathBuf {
    folder.join("private/private.pem")
}

/// Makes the gateway's certificate if there is none, and checks the one that is there.
fn own(config: &Config) -> Result<(), String> {
    let (path, key) = (certificate(&config.pki), key(&config.pki));
    if !path.exists() && !key.exists() {
        let description = ApplicationDescription {
            application_uri: config.application_uri.as_str().into(),
            application_name: "Guideway OPC UA client".into(),
            ..ApplicationDescription::default()
        };
        let data = X509Data {
            key_size: KEY_BITS,
            organization: "Guideway".into(),
            organizational_unit: "Gateway".into(),
            certificate_duration_days: DAYS,
            ..X509Data::from(description)
        };
        CertificateStore::create_certificate_and_key(&data, false, &path, &key)
            .map_err(|cause| format!("{} cannot be made: {cause}", path.display()))?;
        only_owner(&key)?;
        tracing::info!(file = %path.display(), "made an OPC UA client certificate: let the servers trust it");
    }
    let cure = "put it right, or take own/cert.der and private/private.pem away: new ones are made";
    let certificate = CertificateStore::read_cert(&path).map_err(|cause| format!("{cause}; {cure}"))?;
    CertificateStore::read_pkey(&key).map_err(|cause| format!("{cause}; {cure}"))?;
    certificate.is_application_uri_valid(&config.application_uri).map_err(|_| {
        format!(
            "{} is not for {}: write the application_uri that is in it, or {cure}",
            path.display(),
            config.application_uri
        )
    })?;
    if config.check_time && certificate.is_time_valid(&Utc::now()).is_err() {
        return Err(format!("{} is not valid now; {cure}", path.display()));
    }
    Ok(())
}

/// Lets a server in whose certificate is in `trusted` under any name, and puts it in `rejected` otherwise.
fn admit(folder: &Path, server: &X509) -> Result<(), String> {
    let der = server.to_der().map_err(|_| "the server's certificate cannot be read".to_owned())?;
    let name = CertificateStore::cert_file_name(server);
    let (trusted, rejected) = (folder.join("trusted").join(&name), folder.join("rejected").join(&name));
    let is_it = |path: &Path| {
        CertificateStore::read_cert(path).is_ok_and(|one| one.to_der().is_ok_and(|one| one == der))
    };
    let entries = std::fs::read_dir(folder.join("trusted"));
    let listed =
        entries.map_err(|error| format!("{} cannot be read: {error}", folder.join("trusted").display()))?;
    if !listed.flatten().any(|entry| is_it(&entry.path())) {
        std::fs::write(&rejected, &der)
            .map_err(|error| format!("{} cannot be written: {error}", rejected.display()))?;
        return Err(format!(
            "the server's certificate `{}` is not trusted yet: check its thumbprint {} at the server, then move {} to {}",
            server.subject_name(),
            server.thumbprint().as_hex_string(),
            rejected.display(),
            trusted.display()
        ));
    }
    // The library looks for it under this name, and first among the rejected ones.
    if !is_it(&trusted) {
        std::fs::write(&trusted, &der)
            .map_err(|error| format!("{} cannot be written: {error}", trusted.display()))?;
    }
    if rejected.exists() {
        std::fs::remove_file(&rejected)
            .map_err(|error| format!("{} cannot be removed: {error}", rejected.display()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let bytes = std::fs::read(from).map_err(|error| format!("{} cannot be read: {error}", from.display()))?;
    if std::fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    std::fs::write(to, bytes).map_err(|error| format!("{} cannot be written: {error}", to.display()))?;
    only_owner(to)
}

fn make_folder(path: &Path, mode: u32) -> Result<(), String> {
    if path.is_dir() {
        return Ok(());
    }
    let cannot = |error: std::io::Error| {
        format!(
            "{} cannot be made: {error}; let the gateway's user write there, or set `pki`",
            path.display()
        )
    };
    std::fs::create_dir_all(path).map_err(cannot)?;
    set_mode(path, mode).map_err(cannot)
}

fn only_owner(path: &Path) -> Result<(), String> {
    set_mode(path, 0o600).map_err(|error| format!("{} cannot be kept from others: {error}", path.display()))
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}
