//! Certificates for `mqtts`, and secrets from the environment.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::Config;

/// Makes the client's side of TLS 1.2 and 1.3 from PEM files. The error names the file and the cure.
pub(crate) fn client_config(config: &Config) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities(config.ca.as_deref())?);
    let tls = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let file = key.display();
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                format!("{file}: {error}; the file has to hold the private key as PEM, not encrypted")
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("{file} does not fit the certificate: {error}"))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err("`certificate` and `key` belong together; give both or none".into()),
    };
    Ok(Arc::new(tls))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
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

/// `$NAME` and `${NAME}` give the variable's value, `$$…` a text that begins with a dollar sign, and everything else
/// itself. The error names the variable, never a value.
pub(crate) fn secret(given: &str) -> Result<String, String> {
    let Some(name) = given.strip_prefix('$') else { return Ok(given.to_owned()) };
    if name.starts_with('$') {
        return Ok(name.to_owned());
    }
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    std::env::var(name).map_err(|_| format!("the environment has no variable `{name}` that is text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let config = Config { ca: Some(file.clone()), ..Config::default() };
        assert!(client_config(&config).unwrap_err().contains("ca.pem"));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(client_config(&config).unwrap_err().contains("PEM"));
    }

    #[test]
    fn a_secret_may_come_from_the_environment() {
        let path = std::env::var("PATH").unwrap();
        assert_eq!(secret("${PATH}"), Ok(path));
        assert_eq!(secret("plain"), Ok("plain".into()));
        assert_eq!(secret("$$dollar"), Ok("$dollar".into()));
        assert!(secret("$NO_SUCH_VARIABLE").unwrap_err().contains("NO_SUCH_VARIABLE"));
    }
}
