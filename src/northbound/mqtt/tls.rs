//! Certificates for `mqtts`.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::Tls;

/// Makes the client's side of TLS 1.2 and 1.3 from PEM files. The error names the file and the cure.
pub(super) fn client_config(options: &Tls) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities(options.ca.as_deref())?);
    let config = match (&options.certificate, &options.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key_file = key.display();
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                format!("{key_file}: {error}; the file has to hold the private key as PEM, not encrypted")
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("{key_file} does not fit the certificate: {error}"))?
        }
        (Some(_), None) => return Err("`certificate` is given without `key`; both are needed".into()),
        (None, Some(_)) => return Err("`key` is given without `certificate`; both are needed".into()),
    };
    Ok(Arc::new(config))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err("the system has no trusted authorities; name the broker's with `ca`".into());
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    if read.is_empty() {
        return Err(format!("{} holds no certificate; it has to be PEM", file.display()));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_no_certificate_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("ca.pem");
        let tls = Tls { ca: Some(file.clone()), ..Tls::default() };
        assert!(client_config(&tls).expect_err("missing").contains("ca.pem"));
        std::fs::write(&file, "no certificate").expect("written");
        assert!(client_config(&tls).expect_err("empty").contains("PEM"));
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("made");
        let file = folder.path().join("all.pem");
        std::fs::write(&file, made.cert.pem()).expect("written");
        let tls = Tls { ca: Some(file.clone()), certificate: Some(file.clone()), key: None };
        assert!(client_config(&tls).expect_err("no key").contains("`key`"));
        let key = folder.path().join("key.pem");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        assert!(
            client_config(&Tls { ca: Some(file.clone()), certificate: Some(file), key: Some(key) }).is_ok()
        );
    }
}
